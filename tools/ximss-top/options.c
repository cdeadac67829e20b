// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static const char help[] =
    "Usage: ximss-top [-c FILE] [--run-dir DIR] [-d SECONDS] [--account TEXT] [--ip TEXT]\n"
    "                 [--once | --plain] [--json | --csv] [--counters]\n"
    "Shows the connections and sessions of a running ximssd: on a terminal as a full screen, h\n"
    "lists its keys.\n"
    "\n"
    "  -c, --config FILE   configuration of the server; default /etc/ximssd/ximssd.conf\n"
    "      --run-dir DIR   its run_dir; the configuration is not read then\n"
    "  -d, --delay SECONDS time between two pictures, 0.1 to 3600; default 2\n"
    "  -1, --once          print once and end; so does it when the output is no terminal\n"
    "      --plain         no full screen: print the table again and again\n"
    "      --json          one JSON object, once\n"
    "      --csv           comma-separated values with a head line, once\n"
    "      --counters      the statistic elements (with --json: as well)\n"
    "      --account TEXT  only sessions whose account contains TEXT\n"
    "      --ip TEXT       only sessions whose address contains TEXT\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n"
    "\n"
    "Exit: 0 fine, 1 usage or configuration, 2 the table cannot be read by this version,\n"
    "3 no server ever ran there, 4 the output failed.\n";

static _Noreturn void usage(const char *why)
{
    if (why != NULL)
        fprintf(stderr, "ximss-top: %s\n", why);
    fputs("ximss-top: --help lists the options\n", stderr);
    exit(EXIT_USAGE);
}

/* Seconds, "2" or "0.5". */
static int64_t delay_of(const char *text)
{
    char *end;
    double s = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;
    if (s < (double)DELAY_MIN / CLOCK_SEC || s > (double)DELAY_MAX / CLOCK_SEC || *end != 0)
        usage("--delay takes seconds, from 0.1 to 3600");
    return (int64_t)(s * CLOCK_SEC);
}

void options_parse(struct options *o, int argc, char **argv)
{
    enum { OPT_RUN_DIR = 256, OPT_PLAIN, OPT_JSON, OPT_CSV, OPT_COUNTERS, OPT_ACCOUNT, OPT_IP };
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"run-dir", required_argument, NULL, OPT_RUN_DIR},
                                          {"delay", required_argument, NULL, 'd'},
                                          {"once", no_argument, NULL, '1'},
                                          {"plain", no_argument, NULL, OPT_PLAIN},
                                          {"json", no_argument, NULL, OPT_JSON},
                                          {"csv", no_argument, NULL, OPT_CSV},
                                          {"counters", no_argument, NULL, OPT_COUNTERS},
                                          {"account", required_argument, NULL, OPT_ACCOUNT},
                                          {"ip", required_argument, NULL, OPT_IP},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.delay = 2 * CLOCK_SEC};
    for (int c; (c = getopt_long(argc, argv, "c:d:1hV", longs, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'd':
            o->delay = delay_of(optarg);
            break;
        case '1':
            o->once = true;
            break;
        case OPT_RUN_DIR:
            o->run_dir = optarg;
            break;
        case OPT_PLAIN:
            o->plain = true;
            break;
        case OPT_JSON:
            o->json = true;
            break;
        case OPT_CSV:
            o->csv = true;
            break;
        case OPT_COUNTERS:
            o->counters = true;
            break;
        case OPT_ACCOUNT:
            o->account = optarg;
            break;
        case OPT_IP:
            o->ip = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        case 'V':
            puts("ximss-top " XIMSSD_VERSION);
            exit(0);
        default:
            usage(NULL);
        }
    }
    if (optind < argc)
        usage("there are no arguments, only options");
    if (o->json && o->csv)
        usage("--json and --csv exclude each other");
    if (o->once && o->plain)
        usage("--once and --plain exclude each other");
}
