// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* ximssd: arguments -> role. */
#include <bsd/unistd.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "conf/conf.h"
#include "proc/child.h"
#include "proc/master.h"
#include "proc/offline.h"
#include "proc/priv.h"
#include "ximss/ops.h"

static void usage(FILE *to)
{
    fputs(
        "usage: ximssd [-c FILE] [-f] [--ready-fd N]   run the server; -f: stay in the "
        "foreground;\n"
        "                                    --ready-fd: a line feed goes there when it serves\n"
        "       ximssd [-c FILE] -t          check the configuration: every problem, one line "
        "each\n"
        "       ximssd [-c FILE] -T          print the effective configuration\n"
        "       ximssd -x sample|man|operations|versions   print the sample file, ximssd.conf(5),\n"
        "                                    the operations, or what an upgrade compares\n"
        "       ximssd -V, --version         print the version\n"
        "       ximssd -h, --help            print this\n"
        "Exit codes: 0 fine, 1 cannot start or problems found, 2 wrong usage.\n",
        to);
}

static void print_warnings(const struct conf *c)
{
    const char *list[8];
    size_t n = conf_warnings(c, geteuid() == 0, list, 4);
    n += priv_warnings(list + n, 4);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "warning: %s\n", list[i]);
}

/* Only on the machine where it is to run, and by root, is this a problem of the file. */
static enum err check_users(const struct conf *c)
{
    char problem[PRIV_PROBLEM];
    struct priv_users users;
    enum err e = priv_users_find(c, &users, problem);
    if (e != ERR_OK)
        fprintf(stderr, "%.*s: %s\n", STR_FMT(c->label), problem);
    return e;
}

static int check(const char *path, bool print)
{
    struct arena a;
    struct conf *c = NULL;
    struct conf_problems problems;
    arena_init(&a, (size_t)64 << 20);
    enum err e = conf_load(path, &a, &c, &problems);
    if (e != ERR_OK)
        conf_problems_print(stderr, &problems);
    else if (print)
        conf_print_effective(stdout, c);
    if (e == ERR_OK)
        print_warnings(c);
    if (e == ERR_OK && !print)
        e = check_users(c);
    arena_free(&a);
    return e == ERR_OK ? 0 : 1;
}

static int print_text(const char *what)
{
    if (strcmp(what, "sample") == 0)
        conf_print_sample(stdout);
    else if (strcmp(what, "man") == 0)
        conf_print_man(stdout);
    else if (strcmp(what, "operations") == 0)
        ops_print(stdout);
    else if (strcmp(what, "versions") == 0)
        upgrade_print_versions();
    else {
        usage(stderr);
        return 2;
    }
    return 0;
}

/* Standard input and standard error have other uses. */
static bool descriptor(const char *text, int *fd)
{
    uint64_t n = 0;
    bool fine =
        str_u64(str_of(text), INT32_MAX, &n) == ERR_OK && n != STDIN_FILENO && n != STDERR_FILENO;
    if (!fine)
        fprintf(stderr, "--ready-fd %s: allowed is 1, or 3 and above\n", text);
    *fd = (int)n;
    return fine;
}

int main(int argc, char **argv, char **envp)
{
    struct master_options opt = {.ready_fd = -1};
    int mode = 0, c;
    setproctitle_init(argc, argv, envp);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* passwords, keys, mail (design 9.4) */
    if (argc == 5 && strcmp(argv[1], "--role") == 0)
        return child_main(argc - 2, argv + 2);
    if (argc == 3 && strcmp(argv[1], "--upgrade") == 0)
        return master_resume((int)strtol(argv[2], NULL, 10));
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"ready-fd", required_argument, NULL, 'r'},
                                          {0}};
    while ((c = getopt_long(argc, argv, "c:ftTVx:h", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            opt.conf_path = optarg;
            break;
        case 'f':
            opt.foreground = true;
            break;
        case 'r':
            if (!descriptor(optarg, &opt.ready_fd))
                return 2;
            break;
        case 'x':
            return print_text(optarg);
        case 'V':
            puts("ximssd " XIMSSD_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        case 't':
        case 'T':
            mode = c;
            break;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind + 1 == argc && strcmp(argv[optind], "offline-auth") == 0)
        return offline_auth(opt.conf_path); /* ximssctl's, while no server runs */
    if (optind != argc) {
        usage(stderr);
        return 2;
    }
    if (mode != 0)
        return check(opt.conf_path, mode == 'T');
    return master_run(&opt);
}
