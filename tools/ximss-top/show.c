// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/show.h"

#include <stdio.h>
#include <time.h>

#define OUTPUT_MAX ((size_t)64 << 20) /* between two flushes; a row has less than 2 KiB */

int show_problem(const struct shm_reader *r, enum shm_status st)
{
    fprintf(stderr, "ximss-top: %s%s\n", st == SHM_NO_SERVER ? "no server: " : "",
            shm_reader_why(r));
    return st == SHM_NO_SERVER ? EXIT_NO_SERVER : EXIT_UNUSABLE;
}

static void print(struct view *v, const struct options *o)
{
    if (o->json)
        view_json(v);
    else if (o->csv)
        view_csv(v);
    else
        view_table(v);
    if (o->csv && !v->server->running)
        fputs("ximss-top: server is not running\n", stderr);
}

int show(struct shm_reader *r, const struct options *o)
{
    struct buf out;
    struct view v = {
        .reader = r, .account = o->account, .ip = o->ip, .counters = o->counters, .out = &out};
    v.now = clock_mono();
    enum shm_status st = shm_reader_refresh(r, v.now);
    if (st != SHM_OK)
        return show_problem(r, st);
    v.server = shm_reader_server(r);
    if (v.server->unusable != 0)
        fprintf(stderr, "ximss-top: not shown: %s\n", shm_reader_why(r));
    if (view_select(&v) != ERR_OK) {
        fputs("ximss-top: no memory\n", stderr);
        return VIEW_EXIT_OUTPUT;
    }
    buf_init(&out, OUTPUT_MAX);
    print(&v, o);
    buf_free(&out);
    view_free(&v);
    return 0;
}

_Noreturn void show_forever(struct shm_reader *r, const struct options *o)
{
    for (;;) {
        show(r, o);
        nanosleep(&(struct timespec){.tv_sec = (time_t)(o->delay / CLOCK_SEC),
                                     .tv_nsec = (long)(o->delay % CLOCK_SEC)},
                  NULL);
        putchar('\n');
        fflush(stdout);
    }
}
