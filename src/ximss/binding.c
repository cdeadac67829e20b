// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/binding.h"

#include <stdlib.h>

#include "base/bug.h"
#include "base/log.h"
#include "codec/xout.h"
#include "ximss/ops.h"
#include "ximss/session.h"

#define REPLY_BEGIN "<XIMSS>"
#define REPLY_END   "</XIMSS>"
#define EMPTY_REPLY REPLY_BEGIN REPLY_END

/* One POST. */
struct batch {
    struct batch *next;
    struct arena arena;
    const struct xelem *at; /* the next request that has not begun */
    void *who;              /* waits for the reply; NULL: nobody (any more) */
    struct buf out;         /* of sync: the reply so far */
    uint64_t seq;
    size_t bytes;
    uint8_t kind;
    bool numbered, sync_async, secret;
};

/* --- replies */

struct reply *reply_new(struct buf *body)
{
    struct reply *r = buf_err(body) == ERR_OK ? malloc(sizeof *r) : NULL;

    if (r == NULL) {
        buf_free(body);
        return NULL;
    }
    r->refs = 1;
    r->body = *body;
    buf_init(body, body->max);
    return r;
}

struct reply *reply_ref(struct reply *r)
{
    if (r != NULL)
        r->refs++;
    return r;
}

void reply_unref(struct reply **rp)
{
    struct reply *r = *rp;

    *rp = NULL;
    if (r == NULL || --r->refs != 0)
        return;
    buf_free(&r->body);
    free(r);
}

/* Messages as HTTP has them: without the zero bytes. */
static void add_messages(struct buf *b, struct str out)
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
    return reply_new(&b);
}

/* Answers somebody for good. */
static void answer(struct binding *b, void **who, enum binding_how how, struct reply *r)
{
    void *to = *who;

    *who = NULL;
    if (to != NULL)
        b->host->answer(to, how, r);
}

static void answer_empty(struct binding *b, void **who)
{
    struct reply *r = empty_reply();

    answer(b, who, r != NULL ? BINDING_OK : BINDING_NO_MEMORY, r);
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
    struct binding *b = calloc(1, sizeof *b);

    *out = b;
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
    b->tail = &b->first;
    buf_init(&b->queue, s->x->limits.reply);
    s->binding = b;
    return ERR_OK;
}

static void batch_free(struct binding *b, struct batch *t)
{
    b->batches--;
    b->batch_bytes -= t->bytes;
    buf_free(&t->out);
    arena_free(&t->arena);
    free(t);
}

/* Takes the first one out of the line. */
static struct batch *pop(struct binding *b)
{
    struct batch *t = b->first;

    b->first = t->next;
    if (b->first == NULL)
        b->tail = &b->first;
    return t;
}

void binding_free(struct binding **bp)
{
    struct binding *b = *bp;

    *bp = NULL;
    if (b == NULL)
        return;
    while (b->first != NULL)
        batch_free(b, pop(b));
    reply_unref(&b->last_reply);
    reply_unref(&b->unacked);
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

/* --- batches */

/* What the session has to say on its own account goes into `to`. */
static void add_async(struct binding *b, struct buf *to)
{
    struct buf tmp;

    buf_init(&tmp, b->queue.max);
    session_async(b->s, &tmp);
    if (buf_err(&tmp) == ERR_OK)
        add_messages(to, buf_slice(&tmp));
    buf_free(&tmp);
}

static void add_pending(struct binding *b, struct batch *t)
{
    buf_str(&t->out, buf_slice(&b->queue));
    buf_free(&b->queue);
    add_async(b, &t->out);
}

/* It stands first. */
static void begin(struct binding *b)
{
    if (b->first->sync_async && !b->partial)
        add_pending(b, b->first);
}

/* The reply to a numbered batch is kept. */
static void keep(struct binding *b, const struct batch *t, struct reply *r)
{
    if (!t->numbered || t->seq != b->last)
        return;
    reply_unref(&b->last_reply);
    b->last_lost = r->body.n > b->s->x->limits.reply_kept;
    if (!b->last_lost)
        b->last_reply = reply_ref(r);
}

/* All its requests are through, and what they brought is here. ERR_TOO_LONG: it is too much. */
static enum err complete(struct binding *b)
{
    struct batch *t = pop(b);
    enum err e = ERR_OK;

    if (t->kind == BINDING_SYNC) {
        if (t->sync_async)
            add_pending(b, t);
        buf_lit(&t->out, REPLY_END);
        struct reply *r = reply_new(&t->out);
        e = r != NULL ? ERR_OK : ERR_TOO_LONG;
        if (r != NULL)
            keep(b, t, r);
        answer(b, &t->who, r != NULL ? BINDING_OK : BINDING_TOO_LARGE, r);
        reply_unref(&r);
    }
    batch_free(b, t);
    if (b->first != NULL)
        begin(b);
    return e;
}

static bool is_through(const struct binding *b)
{
    return b->first != NULL && b->first->at == NULL && b->s->req == NULL && !b->s->held;
}

static enum err complete_all(struct binding *b)
{
    enum err e = ERR_OK;

    while (e == ERR_OK && is_through(b))
        e = complete(b);
    return e;
}

static bool holds_secret(const struct xelem *root)
{
    for (const struct xelem *e = root->child; e != NULL; e = e->next) {
        enum op_id op = optag_find(e->name);
        if (op == OP_NONE || (optag_flags(op) & OPF_SECRET) != 0)
            return true;
    }
    return false;
}

static enum binding_how parse(struct binding *b, const struct binding_ask *ask, struct batch **out)
{
    struct xelem *root = NULL;
    struct batch *t = calloc(1, sizeof *t);

    *out = t;
    if (t == NULL)
        return BINDING_NO_MEMORY;
    t->kind = (uint8_t)ask->kind;
    t->sync_async = ask->sync_async && ask->kind == BINDING_SYNC;
    t->who = ask->kind == BINDING_SYNC ? ask->who : NULL;
    buf_init(&t->out, b->s->x->limits.reply);
    arena_init(&t->arena, b->s->x->limits.request_memory);
    enum err e = xmsg_parse(b->s->x->parser, ask->body, &t->arena, &root);
    t->secret = t->arena.secret = e != ERR_OK || holds_secret(root);
    if (t->secret)
        xmsg_parser_wipe(b->s->x->parser);
    if (e == ERR_NOMEM)
        return BINDING_NO_MEMORY;
    if (e != ERR_OK || !xelem_is(root, "XIMSS"))
        return BINDING_BAD_XML;
    t->at = root->child;
    struct str attr = xelem_attr(root, "reqSeq");
    t->numbered = ask->has_seq;
    t->seq = ask->seq;
    /* One client puts it there; the URL's wins (protocol 1, 4.5). */
    if (!ask->has_seq && attr.p != NULL)
        t->numbered = str_u64(str_trim(attr), INT64_MAX, &t->seq) == ERR_OK;
    return BINDING_OK;
}

/* The same number again. */
static enum binding_how repeat(struct binding *b, const struct binding_ask *ask,
                               struct reply **reply)
{
    if (b->last_kind == BINDING_ASYNC)
        return BINDING_OK;
    for (struct batch *t = b->first; t != NULL; t = t->next) {
        if (t->numbered && t->seq == b->last) {
            answer(b, &t->who, BINDING_SUPERSEDED, NULL);
            t->who = ask->who;
            return BINDING_WAIT;
        }
    }
    if (b->last_lost || b->last_reply == NULL)
        return BINDING_TOO_LARGE;
    *reply = reply_ref(b->last_reply);
    return BINDING_OK;
}

static void append(struct binding *b, struct batch *t)
{
    if (t->numbered) {
        if (b->has_last && t->seq > b->last + 1)
            log_write(LOG_PROBLEMS, "XIMSS", b->s->id, b->s->name.p,
                      "reqSeq goes from %llu to %llu", (unsigned long long)b->last,
                      (unsigned long long)t->seq);
        reply_unref(&b->last_reply);
        b->last = t->seq;
        b->last_kind = t->kind;
        b->has_last = true;
        b->last_lost = false;
    }
    *b->tail = t;
    b->tail = &t->next;
    if (b->first == t)
        begin(b);
}

static enum binding_how judge_seq(struct binding *b, const struct binding_ask *ask, bool numbered,
                                  uint64_t seq, struct reply **reply, bool *decided)
{
    *decided = numbered && b->has_last && seq <= b->last;
    if (!*decided)
        return BINDING_OK;
    return seq == b->last ? repeat(b, ask, reply) : BINDING_BAD_SEQ;
}

static enum binding_how take_batch(struct binding *b, const struct binding_ask *ask,
                                   struct reply **reply)
{
    bool decided;
    struct batch *t = NULL;
    enum binding_how how = judge_seq(b, ask, ask->has_seq, ask->seq, reply, &decided);

    if (decided)
        return how;
    if (b->s == NULL || b->s->closing)
        return BINDING_GONE;
    if (b->batches >= b->s->x->limits.queue_requests ||
        b->batch_bytes >= b->s->x->limits.queue_bytes)
        return BINDING_BUSY;
    how = parse(b, ask, &t);
    if (how == BINDING_OK)
        how = judge_seq(b, ask, t->numbered, t->seq, reply, &decided);
    if (t != NULL) { /* batch_free() takes it off again */
        b->batches++;
        t->bytes = ask->body.n;
        b->batch_bytes += t->bytes;
    }
    if (how != BINDING_OK || decided) {
        if (t != NULL)
            batch_free(b, t);
        return how;
    }
    if (t->kind == BINDING_SYNC)
        buf_lit(&t->out, REPLY_BEGIN);
    append(b, t);
    if (complete_all(b) == ERR_OK && binding_has_next(b))
        b->host->runnable(b->s);
    return ask->kind == BINDING_SYNC ? BINDING_WAIT : BINDING_OK;
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
        add_async(b, &b->queue);
    buf_init(&out, SIZE_MAX);
    buf_printf(&out, "<XIMSS respSeq=\"%llu\">", (unsigned long long)b->out_seq + 1);
    buf_str(&out, buf_slice(&b->queue));
    if (bye)
        buf_lit(&out, "<bye/>");
    buf_lit(&out, REPLY_END);
    struct reply *r = reply_new(&out);
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
    answer(b, &b->poller, r != NULL ? BINDING_OK : BINDING_NO_MEMORY, r);
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
    enum binding_how how = take_batch(b, ask, reply);
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

bool binding_has_next(const struct binding *b)
{
    const struct batch *t = b->first;

    return t != NULL && t->at != NULL &&
           (t->kind == BINDING_SYNC || b->queue.n < b->s->x->limits.reply_kept);
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

    add_messages(sync ? &t->out : &b->queue, out);
    if (out.n != 0)
        b->partial = out.p[out.n - 1] != '\0';
    enum err e = sync ? ERR_OK : buf_err(&b->queue);
    if (e == ERR_OK)
        e = complete_all(b);
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
        (void)!complete(b);
    }
    while (b->first != NULL) {
        struct batch *t = pop(b);
        answer(b, &t->who, BINDING_GONE, NULL);
        batch_free(b, t);
    }
    if (how == BINDING_SERVER && b->poller != NULL) {
        struct reply *r = next_poll_batch(b, true);
        answer(b, &b->poller, r != NULL ? BINDING_OK : BINDING_GONE, r);
        reply_unref(&r);
    } else {
        answer_empty(b, &b->poller);
    }
    reply_unref(&b->unacked);
    buf_free(&b->queue);
    b->s = NULL;
    return how == BINDING_BYE && binding_has_reply(b);
}
