// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * idle.c: mode idle: many sessions that do nothing, and what they cost the server in memory.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/ximss-bench/session.h"

static void nothing(struct session *s)
{
    (void)s;
}

static void unexpected(struct session *s, struct str message)
{
    fail("bench%u: %.*s", s->account, STR_FMT(message));
}

void run_idle(const struct options *o)
{
    struct figures f;
    const bool never = false;
    char extra[200] = "", byte;
    uint64_t before = 0, after = 0;
    struct session *s = calloc(o->connections, sizeof *s);
    struct session **list = calloc(o->connections, sizeof(struct session *));
    if (s == NULL || list == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++) {
        s[i] = (struct session){.up = nothing, .message = unexpected};
        list[i] = &s[i];
    }
    sessions_first_logins(o);
    if (o->server != 0)
        before = server_pss(o->server);
    figures_begin(&f, o->server);
    sessions_open(list, o->connections, o);
    figures_end(&f);
    f.ops = o->connections;
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never); /* what closed before is freed now */
    if (o->server != 0) {
        after = server_pss(o->server);
        snprintf(extra, sizeof extra, ",\"pss_before\":%llu,\"pss_after\":%llu,\"pss_each\":%.1f",
                 (unsigned long long)before, (unsigned long long)after,
                 ((double)after - (double)before) / o->connections);
    }
    figures_print(&f, o, extra);
    while (o->hold && read(STDIN_FILENO, &byte, 1) == 1)
        ;
    for (uint32_t i = 0; i < o->connections; i++)
        session_close(&s[i]);
    free(list);
    free(s);
}
