// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Batches of requests (protocol 1, 4.5-4.7): each is carried out once, however often it is sent. */
#include <stdlib.h>

#include "base/log.h"
#include "ximss/binding_priv.h"
#include "ximss/ops.h"
#include "ximss/session.h"

void batch_free(struct binding *b, struct batch *t)
{
    b->batches--;
    b->batch_bytes -= t->bytes;
    buf_free(&t->out);
    arena_free(&t->arena);
    free(t);
}

struct batch *batch_pop(struct binding *b)
{
    struct batch *t = b->first;

    b->first = t->next;
    if (b->first == NULL)
        b->tail = &b->first;
    return t;
}

/* --- batches */

static void add_pending(struct binding *b, struct batch *t)
{
    buf_str(&t->out, buf_slice(&b->queue));
    buf_free(&b->queue);
    binding_add_async(b, &t->out);
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
enum err batch_complete(struct binding *b)
{
    struct batch *t = batch_pop(b);
    enum err e = ERR_OK;

    if (t->kind == BINDING_SYNC) {
        if (t->sync_async)
            add_pending(b, t);
        buf_lit(&t->out, REPLY_END);
        struct reply *r = reply_new(&t->out, b->replies);
        e = r != NULL ? ERR_OK : ERR_TOO_LONG;
        if (r != NULL)
            keep(b, t, r);
        binding_answer(b, &t->who, r != NULL ? BINDING_OK : BINDING_TOO_LARGE, r);
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

enum err batch_complete_all(struct binding *b)
{
    enum err e = ERR_OK;

    while (e == ERR_OK && is_through(b))
        e = batch_complete(b);
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
            binding_answer(b, &t->who, BINDING_SUPERSEDED, NULL);
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

enum binding_how batch_take(struct binding *b, const struct binding_ask *ask, struct reply **reply)
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
    if (batch_complete_all(b) == ERR_OK && binding_has_next(b))
        b->host->runnable(b->s);
    return ask->kind == BINDING_SYNC ? BINDING_WAIT : BINDING_OK;
}
