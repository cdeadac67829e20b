// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximss-top: who is connected and what they do, from the shared table (design §3, protocol 1, 9.1).
 *
 * Reads only; works while the server is stopped or hangs. The full screen is a program of its own, ximss-top-live: so
 * this one, which scripts call, loads no library that it does not need, and starts in no time.
 */
#include <stdio.h>
#include <unistd.h>

#include "tools/ximss-top/rundir.h"
#include "tools/ximss-top/show.h"

#define LIVE    "ximss-top-live"
#define LIBEXEC "../libexec/ximssd/" LIVE /* where `make install` puts it */

/* Returns when there is no such program. It takes the same options. */
static void become_live(char **argv)
{
    static const char *const places[] = {LIVE, LIBEXEC};
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof LIBEXEC);
    for (size_t i = 0; i < ARRAY_LEN(places) && n > 0; i++) {
        path[n] = 0;
        snprintf(strrchr(path, '/') + 1, sizeof LIBEXEC, "%s", places[i]);
        execv(path, argv);
    }
    fputs("ximss-top: the program " LIVE " was not found: there is no full screen\n", stderr);
}

static int look(struct options *o, bool once, struct arena *a)
{
    if (o->run_dir == NULL && (o->run_dir = rundir_find(o->config, a)) == NULL)
        return EXIT_USAGE;
    struct shm_reader *r = shm_reader_new(o->run_dir);
    if (r == NULL)
        return VIEW_EXIT_OUTPUT;
    if (!once)
        show_forever(r, o);
    int rc = show(r, o);
    shm_reader_free(&r);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o;
    struct arena a;
    options_parse(&o, argc, argv);
    bool once = o.once || o.json || o.csv || (isatty(STDOUT_FILENO) == 0 && !o.plain);
    if (!once && !o.plain && isatty(STDIN_FILENO) != 0)
        become_live(argv);
    clock_init();
    arena_init(&a, RUNDIR_MEMORY);
    int rc = look(&o, once, &a);
    arena_free(&a);
    return rc;
}
