// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * login.c: mode login: connect, log in (unless told not to), bye, until the server has closed; again and again.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/session.h"

struct run {
    struct figures f;
    uint32_t next; /* account */
    bool counts, stop;
};

struct guest {
    struct session s;
    struct run *run;
    int64_t began;
};

static void come(struct guest *g)
{
    const struct options *o = g->s.o;
    g->began = clock_mono();
    session_open(&g->s, o, g->run->next++ % o->accounts);
}

static void say_bye(struct session *s)
{
    link_send(&s->l, (struct str){"<bye id=\"B\"/>", sizeof "<bye id=\"B\"/>"});
}

static void gone(struct session *s)
{
    struct guest *g = CONTAINER_OF(s, struct guest, s);
    session_close(s);
    if (g->run->counts) {
        g->run->f.ops++;
        figures_sample(&g->run->f, clock_mono() - g->began);
    }
    if (!g->run->stop)
        come(g);
}

static void answered(struct session *s, struct str message)
{
    if (!str_starts(message, STR("<response id=\"B\"/>")) && !s->o->no_login)
        fail("bye: %.*s", STR_FMT(message));
    if (s->o->no_login) /* an echo closes nothing */
        gone(s);
}

void run_login(const struct options *o)
{
    struct run run = {.stop = false};
    const bool never = false;
    struct guest *g = calloc(o->connections, sizeof *g);
    if (g == NULL)
        fail("no memory");
    sessions_first_logins(o);
    for (uint32_t i = 0; i < o->connections; i++) {
        g[i].run = &run;
        g[i].s = (struct session){.up = say_bye, .message = answered, .down = gone, .o = o};
        come(&g[i]);
    }
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
    figures_begin(&run.f, o->server);
    run.counts = true;
    link_run(clock_mono() + (int64_t)(o->seconds * 1e9), &never);
    figures_end(&run.f);
    run.counts = false;
    run.stop = true;
    for (uint32_t i = 0; i < o->connections; i++)
        session_close(&g[i].s);
    free(g);
    figures_print(&run.f, o, "");
}
