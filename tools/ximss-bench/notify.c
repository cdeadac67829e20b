// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * notify.c: mode notify: a session has the INBOX open, a message is delivered to it: when does the session hear of it?
 * The session then synchronises its folder, and the next message comes. One at a time.
 *
 * Three times: from the message's last byte to the event (the samples), to the LMTP answer, and from the answer to the
 * event; the last may be negative.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/lmtp.h"
#include "tools/ximss-bench/session.h"

struct watch {
    struct session s;
    struct lmtp m;
    struct figures f, stored, after; /* the last two for their samples */
    int64_t event, answer;
    uint32_t left;
    bool open, synced, greeted, done;
};

static void again(struct watch *w)
{
    if (!w->synced || w->answer == 0 || w->event == 0)
        return;
    w->f.ops++;
    figures_sample(&w->f, w->event - w->m.sent);
    figures_sample(&w->stored, w->answer - w->m.sent);
    figures_sample(&w->after, w->event - w->answer);
    w->event = w->answer = 0;
    w->synced = false;
    if (--w->left == 0)
        w->done = true;
    else
        lmtp_deliver(&w->m, 0);
}

static void on_message(struct session *s, struct str message)
{
    struct watch *w = CONTAINER_OF(s, struct watch, s);
    if (str_eq(message, STR("<response id=\"O\"/>"))) {
        w->open = true;
    } else if (str_eq(message, STR("<folderReport folder=\"in\" mode=\"notify\"/>"))) {
        w->event = clock_mono();
        link_send(&s->l, (struct str){"<folderSync id=\"S\" folder=\"in\"/>",
                                      sizeof "<folderSync id=\"S\" folder=\"in\"/>"});
    } else if (str_eq(message, STR("<response id=\"S\"/>"))) {
        w->synced = true;
        again(w);
    } else if (str_starts(message, STR("<response "))) {
        fail("%.*s", STR_FMT(message));
    }
}

static void on_ready(struct lmtp *m)
{
    struct watch *w = CONTAINER_OF(m, struct watch, m);
    if (!w->greeted) {
        w->greeted = true;
        return;
    }
    w->answer = clock_mono();
    again(w);
}

static void nothing(struct session *s)
{
    (void)s;
}

void run_notify(const struct options *o)
{
    static const char open[] =
        "<folderOpen id=\"O\" folder=\"in\" mailbox=\"INBOX\"><field>Subject</field></folderOpen>";
    struct watch w = {.left = o->count, .m = {.o = o, .ready = on_ready}};
    struct session *session = &w.s;
    char extra[300];
    w.s = (struct session){.up = nothing, .message = on_message};
    sessions_first_logins(o);
    sessions_open(&session, 1, o);
    link_send(&w.s.l, (struct str){open, sizeof open});
    link_flush(&w.s.l);
    link_wait(&w.open, "folderOpen");
    lmtp_open(&w.m);
    link_wait(&w.greeted, "LMTP greeting");
    figures_begin(&w.stored, 0);
    figures_begin(&w.after, 0);
    figures_begin(&w.f, o->server);
    lmtp_deliver(&w.m, 0);
    link_wait(&w.done, "notices");
    figures_end(&w.f);
    session_close(&w.s);
    lmtp_close(&w.m);
    snprintf(extra, sizeof extra,
             ",\"stored_p50_us\":%.1f,\"stored_p99_us\":%.1f,\"after_p50_us\":%.1f,\"after_p99_"
             "us\":%.1f",
             (double)figures_quantile(&w.stored, 0.5) / 1e3,
             (double)figures_quantile(&w.stored, 0.99) / 1e3,
             (double)figures_quantile(&w.after, 0.5) / 1e3,
             (double)figures_quantile(&w.after, 0.99) / 1e3);
    free(w.stored.samples);
    free(w.after.samples);
    figures_print(&w.f, o, extra);
}
