// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * polls.c: mode polls: many polls that wait, what they cost the server in memory, and (with --lmtp) how soon an event reaches the
 * one that it is for.
 *
 * Session 0 has the INBOX of bench0 open. In turn a message is delivered to it, and another session of the same
 * account marks a message: two events each round. Three times: from the answer to who caused the event (the LMTP client or the
 * other session) to the poll's answer, apart and together. They may be negative: the event need not wait for that answer.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/http.h"
#include "tools/ximss-bench/lmtp.h"

struct polls {
    const struct options *o;
    struct web *web;
    struct http *h;               /* each with a poll; the first is session 0's */
    struct http mine, other;      /* for requests of session 0, of the other one */
    struct lmtp m;                /* delivers */
    struct figures f, mail, mark; /* all, those of one kind */
    int64_t event, answer;
    uint32_t left, acked;
    bool greeted, requested, by_mail, flagged, synced, done;
};

/* --- the polls */

static void send_poll(struct http *h)
{
    const struct polls *p = h->owner;
    char target[120];
    snprintf(target, sizeof target, "/Session/%s/?ackSeq=%u&maxWait=300", p->web[h->number].id,
             h->number == 0 ? p->acked : 0);
    http_get(h, target);
}

static void poll_up(struct http *h)
{
    send_poll(h);
    http_is_up(h);
}

static void sync_folder(struct polls *p);
static void again(struct polls *p);

static void poll_answered(struct http *h, int status, struct str body)
{
    struct polls *p = h->owner;
    if (h->number != 0 || status != 200 || body.n == 0 ||
        memmem(body.p, body.n, " mode=\"notify\"/>", 16) == NULL)
        fail("poll %u: %d %.*s", h->number, status, STR_FMT(body));
    p->event = clock_mono();
    p->acked++;
    send_poll(h);
    sync_folder(p);
    again(p);
}

/* --- requests */

static void request(struct polls *p, struct http *h, const char *requests)
{
    char target[100];
    snprintf(target, sizeof target, "/Session/%s/sync", p->web[h->number].id);
    http_post(h, target, requests);
    link_flush(&h->l);
}

static void request_wait(struct polls *p, struct http *h, const char *requests)
{
    p->requested = false;
    request(p, h, requests);
    link_wait(&p->requested, requests);
}

/* Until its folder is synchronised, a session hears of no further change. */
static void sync_folder(struct polls *p)
{
    request(p, &p->mine, "<folderSync id=\"S\" folder=\"in\"/>");
}

static void check_answer(int status, struct str body)
{
    if (status != 200 || body.n == 0 || memmem(body.p, body.n, "errorNum", 8) != NULL)
        fail("%d %.*s", status, STR_FMT(body));
}

static void mine_answered(struct http *h, int status, struct str body)
{
    struct polls *p = h->owner;
    check_answer(status, body);
    p->requested = p->synced = true;
    again(p);
}

static void other_answered(struct http *h, int status, struct str body)
{
    struct polls *p = h->owner;
    check_answer(status, body);
    p->requested = true;
    p->answer = clock_mono();
    again(p);
}

/* --- events */

static void cause(struct polls *p)
{
    char mark[120];
    p->event = p->answer = 0;
    p->synced = false;
    p->by_mail = !p->by_mail;
    if (p->by_mail) {
        lmtp_deliver(&p->m, 0);
        return;
    }
    snprintf(mark, sizeof mark,
             "<messageMark id=\"M\" folder=\"in\" flags=\"%s\"><index>0</index></messageMark>",
             p->flagged ? "Unflagged" : "Flagged");
    p->flagged = !p->flagged;
    request(p, &p->other, mark);
}

static void again(struct polls *p)
{
    if (p->left == 0 || !p->synced || p->event == 0 || p->answer == 0)
        return;
    p->f.ops++;
    figures_sample(&p->f, p->event - p->answer);
    figures_sample(p->by_mail ? &p->mail : &p->mark, p->event - p->answer);
    if (--p->left == 0)
        p->done = true;
    else
        cause(p);
}

static void delivered(struct lmtp *m)
{
    struct polls *p = CONTAINER_OF(m, struct polls, m);
    p->answer = clock_mono();
    if (p->greeted)
        again(p);
    p->greeted = true;
}

static void open_side(struct polls *p, struct http *h, uint32_t session, http_answer_fn *fn)
{
    *h = (struct http){.up = http_is_up, .answer = fn, .owner = p, .number = session};
    http_open_all(h, 1, p->o);
    request_wait(
        p, h,
        "<folderOpen id=\"O\" folder=\"in\" mailbox=\"INBOX\"><field>Subject</field></folderOpen>");
}

/* Before the polls: a message has to be there, and the folders open. */
static void prepare_events(struct polls *p)
{
    p->m = (struct lmtp){.o = p->o, .ready = delivered};
    lmtp_open(&p->m);
    link_wait(&p->greeted, "LMTP greeting");
    p->answer = 0;
    lmtp_deliver(&p->m, 0);
    while (p->answer == 0)
        link_run(clock_mono() + CLOCK_MS, &p->done);
    open_side(p, &p->mine, 0, mine_answered);
    uint32_t accounts = p->o->accounts;
    open_side(p, &p->other, (p->o->connections + accounts - 1) / accounts * accounts,
              other_answered);
}

static void run_events(struct polls *p, struct buf *extra)
{
    figures_begin(&p->mail, 0);
    figures_begin(&p->mark, 0);
    figures_begin(&p->f, p->o->server);
    p->left = 2 * p->o->count;
    cause(p);
    link_wait(&p->done, "events");
    figures_end(&p->f);
    buf_printf(
        extra,
        ",\"mail_p50_us\":%.1f,\"mail_p99_us\":%.1f,\"mark_p50_us\":%.1f,\"mark_p99_us\":%.1f",
        (double)figures_quantile(&p->mail, 0.5) / 1e3,
        (double)figures_quantile(&p->mail, 0.99) / 1e3,
        (double)figures_quantile(&p->mark, 0.5) / 1e3,
        (double)figures_quantile(&p->mark, 0.99) / 1e3);
    free(p->mail.samples);
    free(p->mark.samples);
    http_close(&p->mine);
    http_close(&p->other);
    lmtp_close(&p->m);
}

/* --- all of it */

static void rest(const struct options *o)
{
    const bool never = false;
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
}

static void open_polls(struct polls *p, struct buf *extra)
{
    const struct options *o = p->o;
    uint64_t before = 0, after = 0;
    p->h = calloc(o->connections, sizeof *p->h);
    if (p->h == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++)
        p->h[i] = (struct http){.up = poll_up, .answer = poll_answered, .owner = p, .number = i};
    rest(o);
    if (o->server != 0)
        before = server_pss(o->server);
    http_open_all(p->h, o->connections, o);
    rest(o);
    if (o->server != 0) {
        after = server_pss(o->server);
        buf_printf(extra, ",\"pss_before\":%llu,\"pss_after\":%llu,\"pss_each\":%.1f",
                   (unsigned long long)before, (unsigned long long)after,
                   ((double)after - (double)before) / o->connections);
    }
}

void run_polls(const struct options *o)
{
    struct polls p = {.o = o};
    struct buf extra;
    buf_init(&extra, 4096);
    p.web = web_sessions(o->connections + o->accounts, o);
    if (o->has_lmtp)
        prepare_events(&p);
    figures_begin(&p.f, 0);
    open_polls(&p, &extra);
    figures_end(&p.f);
    p.f.ops = o->connections;
    if (o->has_lmtp) {
        free(p.f.samples);
        run_events(&p, &extra);
    }
    buf_char(&extra, '\0');
    if (buf_err(&extra) != ERR_OK)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++)
        http_close(&p.h[i]);
    free(p.h);
    free(p.web);
    figures_print(&p.f, o, extra.p);
    buf_free(&extra);
}
