// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximss: the script client for people (design 8). Plays a dialogue, or sends what is typed.
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss/play.h"

#define ARENA_MAX   ((size_t)1 << 30)
#define TIMEOUT_MAX 3600

static void usage(FILE *to)
{
    fputs(
        "usage: ximss [OPTION...] HOST[:PORT]|unix:PATH [SCRIPT]\n"
        "Plays SCRIPT (- for standard input), or sends each line of standard input as a message.\n"
        "  --tls               TLS from the first byte\n"
        "  --tls-address ADDR  where `connect N tls` of a script connects to\n"
        "  --lmtp ADDR         where `mail` of a script delivers\n"
        "  --insecure          take any certificate\n"
        "  --strict            refuse scripts that cannot be played to their end\n"
        "  --timeout SECONDS   how long to wait for the server; 20\n"
        "  -q, --quiet         print nothing but what went wrong\n"
        "  -h, --help          this list\n"
        "  -V, --version       the version\n"
        "Exit codes: 0 fine, 1 the server said something else, 2 wrong usage, 3 cannot connect, 4 "
        "script not "
        "understood.\n",
        to);
}

enum { OPT_TLS = 256, OPT_TLS_ADDRESS, OPT_LMTP, OPT_INSECURE, OPT_STRICT, OPT_TIMEOUT };

static const struct option longs[] = {{"tls", no_argument, NULL, OPT_TLS},
                                      {"tls-address", required_argument, NULL, OPT_TLS_ADDRESS},
                                      {"lmtp", required_argument, NULL, OPT_LMTP},
                                      {"insecure", no_argument, NULL, OPT_INSECURE},
                                      {"strict", no_argument, NULL, OPT_STRICT},
                                      {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                      {"quiet", no_argument, NULL, 'q'},
                                      {"help", no_argument, NULL, 'h'},
                                      {"version", no_argument, NULL, 'V'},
                                      {0}};

static bool set_timeout(struct play_options *o, const char *text)
{
    uint64_t seconds;
    if (str_u64(str_of(text), TIMEOUT_MAX, &seconds) != ERR_OK || seconds == 0) {
        fprintf(stderr, "ximss: --timeout: %s: 1 to %d seconds\n", text, TIMEOUT_MAX);
        return false;
    }
    o->link.timeout = (int64_t)seconds * CLOCK_SEC;
    return true;
}

/* -1: go on; else an exit code. */
static int read_options(int argc, char **argv, struct play_options *o)
{
    int opt;
    while ((opt = getopt_long(argc, argv, "qhV", longs, NULL)) != -1) {
        switch (opt) {
        case OPT_TLS:
            o->tls = true;
            break;
        case OPT_TLS_ADDRESS:
            o->tls_address = optarg;
            break;
        case OPT_LMTP:
            o->lmtp = optarg;
            break;
        case OPT_INSECURE:
            o->link.insecure = true;
            break;
        case OPT_STRICT:
            o->strict = true;
            break;
        case OPT_TIMEOUT:
            if (!set_timeout(o, optarg))
                return EXIT_USAGE;
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'h':
            usage(stdout);
            return EXIT_FINE;
        case 'V':
            puts("ximss " XIMSSD_VERSION);
            return EXIT_FINE;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (argc - optind < 1 || argc - optind > 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    o->address = argv[optind];
    return -1;
}

int main(int argc, char **argv)
{
    struct play_options o = {.link = {.timeout = 20 * CLOCK_SEC}};
    struct script s;
    struct arena a;
    int code = read_options(argc, argv, &o);
    if (code >= 0)
        return code;
    signal(SIGPIPE, SIG_IGN);
    if (argc - optind == 1)
        return talk(&o);
    arena_init(&a, ARENA_MAX);
    code = script_load(&s, argv[optind + 1], &a, stderr) ? play(&s, &o, &a) : EXIT_SCRIPT;
    arena_free(&a);
    return code;
}
