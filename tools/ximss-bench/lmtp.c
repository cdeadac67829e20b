// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * lmtp.c: the client of lmtp.h, and mode lmtp: connection i delivers to account i, for as long as it is told.
 */
#include "tools/ximss-bench/lmtp.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/session.h"

enum { GREETED, LHLO, COMMANDS, DATA, READY };

static void line_done(struct lmtp *m, struct str line)
{
    if (line.n < 4 || (line.p[0] != '2' && line.p[0] != '3'))
        fail("LMTP: %.*s", STR_FMT(line));
    if (line.p[3] == '-' || ++m->line < m->expected)
        return;
    m->line = 0;
    switch (m->step) {
    case GREETED:
        m->step = LHLO;
        m->expected = 1;
        link_send(&m->l, STR("LHLO bench.example\r\n"));
        break;
    case COMMANDS: {
        static struct buf body;
        m->step = DATA;
        m->expected = 1;
        if (body.n == 0) {
            buf_init(&body, (size_t)64 << 20);
            buf_lit(
                &body,
                "From: Ann <ann@example.org>\r\nTo: bench@example.org\r\nSubject: a message of the "
                "bench\r\n"
                "Date: Fri, 01 May 2026 10:00:00 +0000\r\nMessage-ID: <bench@example.org>\r\n\r\n");
            while (body.n < m->o->size)
                buf_lit(&body,
                        "The quick brown fox jumps over the lazy dog, and so on and on.\r\n");
            buf_lit(&body, ".\r\n");
        }
        link_send(&m->l, buf_slice(&body));
        link_flush(&m->l);
        m->sent = clock_mono();
        break;
    }
    default:
        m->step = READY;
        m->ready(m);
        break;
    }
}

static void on_link(struct link *l, enum link_event what, struct str data)
{
    struct lmtp *m = CONTAINER_OF(l, struct lmtp, l);
    if (what == LINK_DOWN)
        fail("the server closed an LMTP connection");
    while (data.n != 0) {
        size_t at = str_find(data, '\n');
        if (at >= data.n) {
            buf_str(&m->held, data);
            return;
        }
        buf_str(&m->held, str_sub(data, 0, at));
        line_done(m, buf_slice(&m->held));
        buf_clear(&m->held);
        data = str_sub(data, at + 1, data.n);
    }
}

void lmtp_open(struct lmtp *m)
{
    buf_init(&m->held, 65536);
    m->step = GREETED;
    m->line = 0;
    m->expected = 1;
    link_open(&m->l, &m->o->lmtp, NULL, on_link);
}

void lmtp_deliver(struct lmtp *m, uint32_t account)
{
    char name[300], text[700];
    account_name(m->o, account, name, sizeof name);
    int n = snprintf(text, sizeof text, "MAIL FROM:<ann@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n",
                     name);
    m->account = account;
    m->step = COMMANDS;
    m->expected = 3;
    link_send(&m->l, (struct str){text, (size_t)n});
    link_flush(&m->l);
}

void lmtp_close(struct lmtp *m)
{
    link_close(&m->l);
    buf_free(&m->held);
}

/* --- mode lmtp */

struct sender {
    struct lmtp m;
    struct figures *f;
    int64_t began;
    uint32_t number;
    bool begun;
};

static void next(struct lmtp *m)
{
    struct sender *s = CONTAINER_OF(m, struct sender, m);
    int64_t now = clock_mono();
    if (s->begun && s->f->samples != NULL && s->f->ended == 0) {
        s->f->ops++;
        figures_sample(s->f, now - s->began);
    }
    s->begun = true;
    s->began = now;
    lmtp_deliver(m, s->number % m->o->accounts);
}

void run_lmtp(const struct options *o)
{
    struct figures f = {0};
    const bool never = false;
    struct sender *s = calloc(o->connections, sizeof *s);
    if (s == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++) {
        s[i].m.o = o;
        s[i].m.ready = next;
        s[i].number = i;
        s[i].f = &f;
        lmtp_open(&s[i].m);
    }
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
    figures_begin(&f, o->server);
    link_run(clock_mono() + (int64_t)(o->seconds * 1e9), &never);
    figures_end(&f);
    for (uint32_t i = 0; i < o->connections; i++)
        lmtp_close(&s[i].m);
    free(s);
    figures_print(&f, o, "");
}
