// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * connect.c: mode connect: connect, with TLS perhaps, one GET, close; again and again. With --resume all but the first resume
 * the first one's TLS session, whoever of the server's processes accepts.
 */
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/http.h"

struct run {
    const struct options *o;
    struct figures f;
    SSL_SESSION *session; /* NULL: none yet, or full handshakes */
    uint64_t resumed;
    bool counts, stop;
};

static void come(struct http *h)
{
    const struct run *run = h->owner;
    h->sent = clock_mono();
    h->l.resume = run->session;
    http_open(h, run->o);
}

static bool is_resumed(const struct http *h)
{
    return h->l.ssl != NULL && SSL_session_reused(h->l.ssl);
}

static void ask(struct http *h)
{
    const struct run *run = h->owner;
    if (run->session != NULL && !is_resumed(h))
        fail("the server does not resume");
    http_get(h, run->o->path);
}

/* The ticket came before the reply. */
static void keep_session(struct run *run, struct http *h)
{
    if (!run->o->resume || run->session != NULL)
        return;
    run->session = SSL_get1_session(h->l.ssl);
    if (run->session == NULL || !SSL_SESSION_is_resumable(run->session))
        fail("the server gives no ticket");
}

static void answered(struct http *h, int status, struct str body)
{
    struct run *run = h->owner;
    (void)status, (void)body; /* a 404 costs no less */
    keep_session(run, h);
    if (run->counts) {
        run->f.ops++;
        run->resumed += is_resumed(h);
        figures_sample(&run->f, clock_mono() - h->sent);
    }
    http_close(h);
    if (!run->stop)
        come(h);
}

static void first_one(struct run *run, struct http *h)
{
    const bool never = false;
    come(h);
    while (run->session == NULL)
        link_run(clock_mono() + CLOCK_SEC / 100, &never);
}

void run_connect(const struct options *o)
{
    struct run run = {.o = o};
    const bool never = false;
    char extra[60];
    struct http *h = calloc(o->connections, sizeof *h);
    if (h == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++) {
        h[i] = (struct http){.up = ask, .answer = answered, .owner = &run};
        if (i == 0 && o->resume)
            first_one(&run, h);
        else
            come(&h[i]);
    }
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
    figures_begin(&run.f, o->server);
    run.counts = true;
    link_run(clock_mono() + (int64_t)(o->seconds * 1e9), &never);
    figures_end(&run.f);
    run.counts = false;
    run.stop = true;
    snprintf(extra, sizeof extra, ",\"resumed\":%llu", (unsigned long long)run.resumed);
    for (uint32_t i = 0; i < o->connections; i++)
        http_close(&h[i]);
    free(h);
    SSL_SESSION_free(run.session);
    figures_print(&run.f, o, extra);
}
