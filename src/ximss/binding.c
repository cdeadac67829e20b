// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/binding_priv.h"

#include <stdlib.h>

#include "base/bug.h"
#include "base/log.h"
#include "ximss/session.h"

#define EMPTY_REPLY REPLY_BEGIN REPLY_END

/* --- replies */

struct reply *reply_new(struct buf *body, struct replies *among)
{
    struct reply *r = buf_err(body) == ERR_OK ? malloc(sizeof *r) : NULL;

    if (r == NULL) {
        buf_free(body);
        return NULL;
    }
    r->refs = 1;
    r->body = *body;
    r->among = among;
    if (among != NULL) {
        among->count++;
        among->bytes += r->body.n;
    }
    buf_init(body, body->max);
    return r;
}

struct reply *reply_ref(struct reply *r)
{
    if (r != NULL)
        r->refs++;
    return r;
}

/* The last that is left has the memory of them all. */
static void replies_free(struct replies **rp)
{
    if ((*rp)->of == NULL && (*rp)->count == 0)
        free(*rp);
    *rp = NULL;
}

static void leave(struct replies *among, size_t bytes)
{
    struct binding *b = among->of;

    among->count--;
    among->bytes -= bytes;
    if (b != NULL && b->s != NULL && binding_has_next(b)) /* it may have waited for room */
        b->host->runnable(b->s);
    replies_free(&among);
}

void reply_unref(struct reply **rp)
{
    struct reply *r = *rp;

    *rp = NULL;
    if (r == NULL || --r->refs != 0)
        return;
    if (r->among != NULL)
        leave(r->among, r->body.n);
    buf_free(&r->body);
    free(r);
}

struct binding *binding_alloc(void)
{
    struct binding *b = calloc(1, sizeof *b);
    struct replies *replies = calloc(1, sizeof *replies);

    if (b == NULL || replies == NULL) {
        free(b);
        free(replies);
        return NULL;
    }
    b->replies = replies;
    replies->of = b;
    b->tail = &b->first;
    return b;
}

/* Messages as HTTP has them: without the zero bytes. */
void binding_add_messages(struct buf *b, struct str out)
{
    while (out.n != 0) {
        size_t end = str_find(out, '\0');
        buf_add(b, out.p, end);
        out = str_sub(out, end + 1, out.n);
    }
}

static struct reply *empty_reply(void)
{
    struct buf b;

    buf_init(&b, sizeof EMPTY_REPLY);
    buf_lit(&b, EMPTY_REPLY);
    return reply_new(&b, NULL);
}

/* Answers somebody for good. */
void binding_answer(struct binding *b, void **who, enum binding_how how, struct reply *r)
{
    void *to = *who;

    *who = NULL;
    if (to != NULL)
        b->host->answer(to, how, r);
}

static void answer_empty(struct binding *b, void **who)
{
    struct reply *r = empty_reply();

    binding_answer(b, who, r != NULL ? BINDING_OK : BINDING_NO_MEMORY, r);
    reply_unref(&r);
}

/* --- life */

static void cookie_make(char to[BINDING_COOKIE + 1])
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    for (int i = 0; i < BINDING_COOKIE; i++)
        to[i] = chars[arc4random_uniform(sizeof chars - 1)];
    to[BINDING_COOKIE] = '\0';
}

enum err binding_new(struct session *s, const struct binding_host *host, const uint8_t addr[16],
                     bool ip_watch, bool cookie, struct binding **out)
{
    struct binding *b = *out = binding_alloc();

    if (b == NULL)
        return ERR_NOMEM;
    BUG_IF(s->url_id.n != URLID_LEN);
    b->s = s;
    b->host = host;
    memcpy(b->url_id, s->url_id.p, URLID_LEN);
    memcpy(b->addr, addr, sizeof b->addr);
    b->ip_watch = ip_watch;
    b->cookie_state = cookie ? COOKIE_OFFERED : COOKIE_NONE;
    if (cookie)
        cookie_make(b->cookie);
    buf_init(&b->queue, s->x->limits.reply);
    s->binding = b;
    return ERR_OK;
}

void binding_free(struct binding **bp)
{
    struct binding *b = *bp;

    *bp = NULL;
    if (b == NULL)
        return;
    b->replies->of = NULL;
    while (b->first != NULL)
        batch_free(b, batch_pop(b));
    if (b->running != NULL)
        batch_free(b, b->running);
    b->replies->count++; /* so that it is there when the last of them goes */
    reply_unref(&b->last_reply);
    reply_unref(&b->unacked);
    b->replies->count--;
    replies_free(&b->replies);
    buf_free(&b->queue);
    explicit_bzero(b->url_id, sizeof b->url_id);
    explicit_bzero(b->cookie, sizeof b->cookie);
    free(b);
}

bool binding_may(struct binding *b, struct str url_id, const uint8_t addr[16], struct str cookie)
{
    struct str ours = {b->cookie, BINDING_COOKIE};

    if (!urlid_eq((struct str){b->url_id, URLID_LEN}, url_id))
        return false;
    if (b->ip_watch && memcmp(b->addr, addr, sizeof b->addr) != 0) {
        log_write(LOG_FAILURES, "XIMSS", b->s != NULL ? b->s->id : 0,
                  b->s != NULL ? b->s->name.p : NULL, "request from another address refused");
        return false;
    }
    if (b->cookie_state == COOKIE_NONE)
        return true;
    bool shown = cookie.n == ours.n && str_eq_secret(cookie, ours);
    if (b->cookie_state == COOKIE_BOUND)
        return shown;
    if (shown)
        b->cookie_state = COOKIE_BOUND;
    return true;
}

/* What the session has to say on its own account goes into `to`. */
void binding_add_async(struct binding *b, struct buf *to)
{
    struct buf tmp;

    buf_init(&tmp, b->queue.max);
    session_async(b->s, &tmp);
    if (buf_err(&tmp) == ERR_OK)
        binding_add_messages(to, buf_slice(&tmp));
    buf_free(&tmp);
}

/* --- polls */

static bool something_due(const struct binding *b)
{
    return !b->partial && (b->queue.n != 0 || session_async_due(b->s));
}

/* The whole queue becomes the batch. NULL: no memory, and nothing is lost. */
static struct reply *next_poll_batch(struct binding *b, bool bye)
{
    struct buf out;

    if (b->s != NULL && !bye)
        binding_add_async(b, &b->queue);
    buf_init(&out, SIZE_MAX);
    buf_printf(&out, "<XIMSS respSeq=\"%llu\">", (unsigned long long)b->out_seq + 1);
    buf_str(&out, buf_slice(&b->queue));
    if (bye)
        buf_lit(&out, "<bye/>");
    buf_lit(&out, REPLY_END);
    struct reply *r = reply_new(&out, b->replies);
    if (r == NULL)
        return NULL;
    b->out_seq++;
    buf_free(&b->queue);
    reply_unref(&b->unacked);
    b->unacked = reply_ref(r);
    if (b->s != NULL && binding_has_next(b)) /* it may have waited for room in the queue */
        b->host->runnable(b->s);
    return r;
}

static enum binding_how take_poll(struct binding *b, const struct binding_ask *ask,
                                  struct reply **reply)
{
    uint64_t ack = ask->has_seq ? ask->seq : b->out_seq;

    if (b->s == NULL || b->s->closing)
        return BINDING_GONE;
    if (ack + 1 == b->out_seq && b->unacked != NULL) {
        *reply = reply_ref(b->unacked);
        return BINDING_OK;
    }
    if (ack != b->out_seq)
        return BINDING_BAD_SEQ;
    reply_unref(&b->unacked);
    answer_empty(b, &b->poller);
    if (something_due(b))
        *reply = next_poll_batch(b, false);
    else if (!ask->waits)
        *reply = empty_reply();
    else
        b->poller = ask->who;
    return b->poller != NULL ? BINDING_WAIT : *reply != NULL ? BINDING_OK : BINDING_NO_MEMORY;
}

void binding_async(struct binding *b)
{
    if (b->poller == NULL || b->s == NULL || !something_due(b))
        return;
    struct reply *r = next_poll_batch(b, false);
    binding_answer(b, &b->poller, r != NULL ? BINDING_OK : BINDING_NO_MEMORY, r);
    reply_unref(&r);
}

void binding_poll_over(struct binding *b)
{
    answer_empty(b, &b->poller);
}

/* --- both */

enum binding_how binding_take(struct binding *b, const struct binding_ask *ask,
                              struct reply **reply)
{
    *reply = NULL;
    if (ask->bad_seq)
        return b->s == NULL ? BINDING_GONE : BINDING_BAD_SEQ;
    if (ask->kind == BINDING_POLL)
        return take_poll(b, ask, reply);
    enum binding_how how = batch_take(b, ask, reply);
    return how == BINDING_BAD_SEQ && b->s == NULL ? BINDING_GONE : how;
}

void binding_forget(struct binding *b, const void *who)
{
    if (b->poller == who)
        b->poller = NULL;
    for (struct batch *t = b->first; t != NULL; t = t->next) {
        if (t->who == who)
            t->who = NULL;
    }
}

static uint64_t bytes_of(const struct reply *r)
{
    return r != NULL ? r->body.n : 0;
}

static bool has_room(const struct binding *b, uint8_t kind)
{
    const struct ximss_limits *l = &b->s->x->limits;

    if (kind != BINDING_SYNC)
        return b->queue.n < l->reply_kept;
    return b->replies->bytes - bytes_of(b->last_reply) - bytes_of(b->unacked) < l->reply;
}

bool binding_has_next(const struct binding *b)
{
    const struct batch *t = b->first;

    return t != NULL && t->at != NULL && has_room(b, t->kind);
}

const struct xelem *binding_next(struct binding *b)
{
    if (!binding_has_next(b))
        return NULL;
    const struct xelem *e = b->first->at;
    b->first->at = e->next;
    return e;
}

bool binding_is_secret(const struct binding *b)
{
    return b->first != NULL && b->first->secret;
}

enum err binding_output(struct binding *b, struct str out)
{
    struct batch *t = b->first;
    bool sync = t != NULL && t->kind == BINDING_SYNC;

    binding_add_messages(sync ? &t->out : &b->queue, out);
    if (out.n != 0)
        b->partial = out.p[out.n - 1] != '\0';
    enum err e = sync ? ERR_OK : buf_err(&b->queue);
    if (e == ERR_OK)
        e = batch_complete_all(b);
    binding_async(b);
    return e == ERR_OK ? ERR_OK : ERR_TOO_LONG;
}

bool binding_has_reply(const struct binding *b)
{
    return b->has_last && (b->last_kind == BINDING_ASYNC || b->last_reply != NULL);
}

bool binding_close(struct binding *b, enum binding_end how)
{
    if (how == BINDING_BYE && b->first != NULL) {
        b->first->at = NULL; /* what stands behind `bye` is dropped */
        (void)!batch_complete(b);
    }
    while (b->first != NULL) {
        struct batch *t = batch_pop(b);
        binding_answer(b, &t->who, BINDING_GONE, NULL);
        if (b->s->req != NULL && b->running == NULL)
            b->running = t;
        else
            batch_free(b, t);
    }
    if (how == BINDING_SERVER && b->poller != NULL) {
        struct reply *r = next_poll_batch(b, true);
        binding_answer(b, &b->poller, r != NULL ? BINDING_OK : BINDING_GONE, r);
        reply_unref(&r);
    } else {
        answer_empty(b, &b->poller);
    }
    reply_unref(&b->unacked);
    buf_free(&b->queue);
    b->s = NULL;
    return how == BINDING_BYE && binding_has_reply(b);
}
