// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximss-top: who is connected and what they do, from the shared table (design §3, protocol 1, 9.1).
 *
 * Reads only; works while the server is stopped or hangs.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tools/ximss-top/rundir.h"
#include "tools/ximss-top/view.h"

enum { EXIT_USAGE = 1, EXIT_UNUSABLE = 2, EXIT_NO_SERVER = 3 };

#define EVERY_SECONDS 2
#define OUTPUT_MAX    ((size_t)64 << 20) /* between two flushes; a row has less than 2 KiB */
#define CLEAR         "\033[H\033[2J"

struct options {
    const char *config, *run_dir, *account, *ip;
    bool once, json, csv, counters;
};

static const char help[] =
    "Usage: ximss-top [-c FILE] [--run-dir DIR] [--once] [--json | --csv] [--counters]\n"
    "                 [--account TEXT] [--ip TEXT]\n"
    "Shows the connections and sessions of a running ximssd.\n"
    "\n"
    "  -c, --config FILE   configuration of the server; default /etc/ximssd/ximssd.conf\n"
    "      --run-dir DIR   its run_dir; the configuration is not read then\n"
    "  -1, --once          print once and end; so does it when the output is no terminal\n"
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

static void parse(struct options *o, int argc, char **argv)
{
    enum { OPT_RUN_DIR = 256, OPT_JSON, OPT_CSV, OPT_COUNTERS, OPT_ACCOUNT, OPT_IP };
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"run-dir", required_argument, NULL, OPT_RUN_DIR},
                                          {"once", no_argument, NULL, '1'},
                                          {"json", no_argument, NULL, OPT_JSON},
                                          {"csv", no_argument, NULL, OPT_CSV},
                                          {"counters", no_argument, NULL, OPT_COUNTERS},
                                          {"account", required_argument, NULL, OPT_ACCOUNT},
                                          {"ip", required_argument, NULL, OPT_IP},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "c:1hV", longs, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case '1':
            o->once = true;
            break;
        case OPT_RUN_DIR:
            o->run_dir = optarg;
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
}

/* One picture, printed. Returns the exit code. */
static int show(struct shm_reader *r, const struct options *o, struct buf *out, bool clear)
{
    struct view v = {
        .reader = r, .account = o->account, .ip = o->ip, .counters = o->counters, .out = out};
    v.now = clock_mono();
    enum shm_status st = shm_reader_refresh(r, v.now);
    if (clear)
        buf_lit(out, CLEAR);
    if (st != SHM_OK) {
        view_flush(&v, true);
        fprintf(stderr, "ximss-top: %s%s\n", st == SHM_NO_SERVER ? "no server: " : "",
                shm_reader_why(r));
        return st == SHM_NO_SERVER ? EXIT_NO_SERVER : EXIT_UNUSABLE;
    }
    v.server = shm_reader_server(r);
    if (v.server->unusable != 0)
        fprintf(stderr, "ximss-top: not shown: %s\n", shm_reader_why(r));
    if (view_select(&v) != ERR_OK) {
        fputs("ximss-top: no memory\n", stderr);
        return VIEW_EXIT_OUTPUT;
    }
    if (o->json)
        view_json(&v);
    else if (o->csv)
        view_csv(&v);
    else
        view_table(&v);
    if (o->csv && !v.server->running)
        fputs("ximss-top: server is not running\n", stderr);
    view_free(&v);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct arena a;
    struct buf out;
    parse(&o, argc, argv);
    clock_init();
    arena_init(&a, (size_t)8 << 20);
    if (o.run_dir == NULL && (o.run_dir = rundir_find(o.config, &a)) == NULL)
        return EXIT_USAGE;
    struct shm_reader *r = shm_reader_new(o.run_dir);
    if (r == NULL)
        return VIEW_EXIT_OUTPUT;
    buf_init(&out, OUTPUT_MAX);
    bool once = o.once || o.json || o.csv || isatty(STDOUT_FILENO) == 0;
    int rc = show(r, &o, &out, !once);
    while (!once) {
        nanosleep(&(struct timespec){.tv_sec = EVERY_SECONDS}, NULL);
        rc = show(r, &o, &out, true);
    }
    buf_free(&out);
    shm_reader_free(&r);
    arena_free(&a);
    return rc;
}
