// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The message behind DATA. It stands in a buffer, counted against lmtp.memory, until the last keeper has answered; the
 * packet to a keeper is a memfd when it is large (net/bus). design 4 wants a memfd from 32 KiB on here too: that would be
 * the same memory, and a descriptor and a system call more for each read of the connection.
 */
#include <string.h>

#include "doors/lmtp_priv.h"

#define FIRST_LINE_MAX (SMTPPATH_MAX + 64) /* our own "Return-Path: <...>" */

/* --- its buffer */

static void count_memory(struct lmtp_conn *c)
{
    c->d->bytes += c->body.cap - c->counted;
    c->counted = c->body.cap;
}

void lmtp_message_forget(struct lmtp_conn *c)
{
    buf_free(&c->body);
    count_memory(c);
    c->nrcpt = 0;
    c->too_large = c->no_memory = false;
}

void lmtp_message_begin(struct lmtp_conn *c, struct str sender)
{
    lmtp_message_forget(c);
    buf_init(&c->body, c->d->conf->lmtp.max_message + FIRST_LINE_MAX);
    /* Final delivery notes the envelope sender (RFC 5321 4.4); the server that hands over has written Received. */
    buf_printf(&c->body, "Return-Path: <%.*s>\r\n", STR_FMT(sender));
    c->prefix = c->body.n;
}

/* --- behind the dot */

static const char *answer_to(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "250 2.0.0 delivered";
    case ERR_QUOTA:
        return "452 4.2.2 mailbox is full";
    case ERR_MESSAGE_TOO_LARGE:
        return "552 5.3.4 message is too large";
    default:
        return "451 4.3.0 not stored, try again later";
    }
}

static void answer_recipients(struct lmtp_conn *c)
{
    uint32_t failed = 0;
    enum err why = ERR_OK;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        enum err e = (enum err)c->rcpt[i].result;
        failed += e != ERR_OK;
        why = e != ERR_OK ? e : why;
        lmtp_say(c, answer_to(e));
    }
    if (failed != 0)
        lmtp_log(c, LOG_FAILURES, "not stored for %u of %u recipients: %s", failed, c->nrcpt,
                 err_name(why));
    lmtp_message_forget(c);
    c->state = LMTP_IDLE;
}

static void set_results(struct lmtp_conn *c, enum err e)
{
    for (uint32_t i = 0; i < c->nrcpt; i++)
        c->rcpt[i].result = (uint32_t)e;
}

/* One packet for recipients from `first` on that are of its bank and have none yet (design 4). */
static void deliver_bank(struct lmtp_conn *c, uint32_t first)
{
    struct lmtp_door *d = c->d;
    uint32_t bank = c->rcpt[first].bank;
    struct bus_peer *k = d->keeper(d->ctx, bank % d->keepers);
    struct buf b;
    uint32_t seq = lmtp_seq(d), count = 0, end = first;
    for (; end < c->nrcpt && count < IPC_DELIVER_MAX; end++)
        count += c->rcpt[end].bank == bank && c->rcpt[end].seq == 0;
    buf_init(&b, 8 + count * 8u);
    ipc_put_u32(&b, bank);
    ipc_put_u32(&b, count);
    for (uint32_t i = first; i < end; i++) {
        if (c->rcpt[i].bank == bank && c->rcpt[i].seq == 0) {
            ipc_put_u64(&b, c->rcpt[i].account);
            c->rcpt[i].seq = seq;
            c->rcpt[i].result = ERR_INTERNAL;
        }
    }
    if (k != NULL && buf_err(&b) == ERR_OK && idmap_put(&d->waits, seq, c) == ERR_OK) {
        bus_put_joined(k, IPC_DELIVER, 0, seq, buf_slice(&b), buf_slice(&c->body));
        c->waiting++;
    }
    buf_free(&b);
}

/* The first line of the message is ours: "Return-Path: <sender>". */
static void log_message(struct lmtp_conn *c)
{
    struct str first = str_trim(str_sub(buf_slice(&c->body), 0, c->prefix));
    struct str sender = str_sub(first, sizeof "Return-Path: " - 1, first.n);
    lmtp_log(c, LOG_MAJOR, "message from %.*s, %zu bytes, recipients: %u", STR_FMT(sender),
             c->body.n - c->prefix, c->nrcpt);
}

static void message_complete(struct lmtp_conn *c)
{
    log_message(c);
    if (c->too_large || c->body.n - c->prefix > c->d->conf->lmtp.max_message) {
        set_results(c, ERR_MESSAGE_TOO_LARGE);
        answer_recipients(c);
        return;
    }
    if (c->no_memory) {
        for (uint32_t i = 0; i < c->nrcpt; i++)
            lmtp_say(c, "452 4.3.1 no memory for this message now");
        lmtp_message_forget(c);
        c->state = LMTP_IDLE;
        return;
    }
    c->state = LMTP_WAIT;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq == 0)
            deliver_bank(c, i);
    }
    buf_free(&c->body); /* the packets hold it now: it stays counted until it is answered */
    if (c->waiting == 0)
        answer_recipients(c);
}

/* What does not fit is read and thrown away, so that the dialogue goes on. */
static void throw_away(struct lmtp_conn *c)
{
    buf_free(&c->body);
    buf_init(&c->body, CONN_READ_MAX * 2);
    c->prefix = 0;
    count_memory(c);
}

bool lmtp_message_take(struct lmtp_conn *c, struct str *in)
{
    struct lmtp_door *d = c->d;
    size_t most = c->body.n + in->n;
    bool end = smtp_data_feed(&c->data, in, &c->body);
    count_memory(c);
    if (!c->too_large && !c->no_memory) { /* else the buffer's cap is not the message's */
        c->too_large = c->body.failed && most > c->body.max;
        /* Alone it always has room: max_message is not more than `memory`, but buffers grow by more than they need. */
        c->no_memory = (c->body.failed && !c->too_large) ||
                       (d->bytes > d->conf->lmtp.memory && d->bytes != c->counted);
    }
    if (c->too_large || c->no_memory)
        throw_away(c);
    if (end)
        message_complete(c);
    return end;
}

/* --- answers of the keepers */

static void one_delivered(struct lmtp_conn *c)
{
    if (--c->waiting != 0)
        return;
    answer_recipients(c);
    lmtp_go_on(c);
}

void lmtp_delivered(struct lmtp_conn *c, const struct ipc_item *it)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        uint32_t e = ERR_INTERNAL;
        if (c->rcpt[i].seq != it->seq)
            continue;
        if ((at + 1) * sizeof e <= it->body.n)
            memcpy(&e, it->body.p + at * sizeof e, sizeof e);
        c->rcpt[i].result = e < ERR_COUNT ? e : ERR_INTERNAL;
        c->rcpt[i].seq = 0;
        at++;
    }
    one_delivered(c);
}

bool lmtp_is_asked(const struct lmtp_conn *c, uint32_t keeper, uint32_t seq)
{
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq == seq)
            return c->rcpt[i].bank % c->d->keepers == keeper;
    }
    return false;
}

void lmtp_lose_keeper(struct lmtp_conn *c, uint32_t keeper)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        uint32_t seq = c->rcpt[i].seq;
        if (seq == 0 || c->rcpt[i].bank % c->d->keepers != keeper)
            continue;
        lost += idmap_get(&c->d->waits, seq) != NULL; /* counts each packet once */
        idmap_remove(&c->d->waits, seq);
        c->rcpt[i].seq = 0;
        c->rcpt[i].result = ERR_DB;
    }
    while (lost-- != 0)
        one_delivered(c);
}
