// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * requests.c: modes noop and readTime: every connection keeps `pipeline` requests in flight.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/session.h"

struct load {
    struct figures f;
    struct buf request, batch; /* one request; `pipeline` of them */
    uint32_t answers;          /* messages for one request */
    bool counts;               /* the time of measuring */
};

struct client {
    struct session s;
    struct load *load;
    int64_t *sent; /* ring of when requests in flight were sent */
    uint32_t first, answers;
};

static void send_requests(struct client *c, uint32_t n)
{
    struct load *load = c->load;
    link_send(&c->s.l, (struct str){load->batch.p, n * load->request.n});
}

static void on_answer(struct session *s, struct str message)
{
    struct client *c = CONTAINER_OF(s, struct client, s);
    struct load *load = c->load;
    (void)message;
    if (++c->answers < load->answers)
        return;
    c->answers = 0;
    int64_t now = clock_mono();
    if (load->counts) {
        load->f.ops++;
        figures_sample(&load->f, now - c->sent[c->first]);
    }
    c->sent[c->first] = now;
    if (++c->first == s->o->pipeline)
        c->first = 0;
    send_requests(c, 1);
}

static void nothing(struct session *s)
{
    (void)s;
}

static struct client *connect_all(const struct options *o, struct load *load)
{
    struct client *c = calloc(o->connections, sizeof *c);
    struct session **s = calloc(o->connections, sizeof(struct session *));
    if (c == NULL || s == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++) {
        c[i].load = load;
        c[i].sent = calloc(o->pipeline, sizeof *c[i].sent);
        if (c[i].sent == NULL)
            fail("no memory");
        s[i] = &c[i].s;
        s[i]->up = nothing;
        s[i]->message = on_answer;
    }
    sessions_open(s, o->connections, o);
    free(s);
    return c;
}

void run_requests(const struct options *o)
{
    struct load load = {.answers = !o->no_login && o->mode[0] == 'r' ? 2 : 1};
    const bool never = false;
    buf_init(&load.request, 4096);
    buf_init(&load.batch, (size_t)64 << 20);
    buf_printf(&load.request, "<%s id=\"1\"/>", o->mode);
    buf_char(&load.request, '\0');
    for (uint32_t i = 0; i < o->pipeline; i++)
        buf_str(&load.batch, buf_slice(&load.request));
    sessions_first_logins(o);
    struct client *c = connect_all(o, &load);
    int64_t now = clock_mono();
    for (uint32_t i = 0; i < o->connections; i++) {
        for (uint32_t k = 0; k < o->pipeline; k++)
            c[i].sent[k] = now;
        send_requests(&c[i], o->pipeline);
        link_flush(&c[i].s.l);
    }
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
    figures_begin(&load.f, o->server);
    load.counts = true;
    link_run(clock_mono() + (int64_t)(o->seconds * 1e9), &never);
    figures_end(&load.f);
    load.counts = false;
    for (uint32_t i = 0; i < o->connections; i++) {
        session_close(&c[i].s);
        free(c[i].sent);
    }
    free(c);
    buf_free(&load.request);
    buf_free(&load.batch);
    figures_print(&load.f, o, "");
}
