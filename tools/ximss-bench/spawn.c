// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * spawn.c: mode spawn: how long a program takes from its start to its end, its output thrown away.
 */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/ximss-bench/bench.h"

void run_spawn(const struct options *o)
{
    struct figures f;
    char extra[100];
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) != 0)
        fail("no memory");
    figures_begin(&f, 0);
    for (uint32_t i = 0; i < o->count; i++) {
        pid_t pid;
        int status;
        int64_t began = clock_mono();
        int problem = posix_spawn(&pid, o->argv[0], &actions, NULL, o->argv, environ);
        if (problem != 0)
            fail("%s: %s", o->argv[0], strerror(problem));
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail("%s failed", o->argv[0]);
        figures_sample(&f, clock_mono() - began);
        f.ops++;
    }
    figures_end(&f);
    posix_spawn_file_actions_destroy(&actions);
    snprintf(extra, sizeof extra, ",\"min_us\":%.1f", (double)figures_quantile(&f, 0) / 1e3);
    figures_print(&f, o, extra);
}
