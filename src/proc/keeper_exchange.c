// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Requests of sessions over HTTP (protocol 1, section 4; design 2): they come from any worker, and each is an exchange that ends
 * with one reply, of which no more is on its way than the client takes.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/keeper.h"

#define EARLY (40 * CLOCK_MS) /* better than late (4.8); the wheel's ticks and the way back */
#define PIECE 60000           /* bytes of a body in one item */

/* --- exchanges */

static uint64_t key_of(uint32_t worker, uint32_t conn)
{
    return (uint64_t)worker << 32 | conn;
}

static void forget(struct exchange *x)
{
    struct kept_http *h = x->h;
    bool polled = h->b->poller == x;
    binding_forget(h->b, x);
    if (!polled || h->kept == NULL)
        return;
    keeper_http_active(h); /* the poll was activity to its end */
    if (h->kept->s->req == NULL)
        keeper_http_rests(h);
}

void keeper_exchange_free(struct exchange *x)
{
    struct keeper *k = x->k;
    if (x->sending != NULL)
        keeper_download_end(x);
    if (x->formatting != NULL)
        keeper_format_end(x);
    if (x->receiving != NULL)
        keeper_upload_end(x);
    if (x->h != NULL)
        forget(x);
    if (idmap_get(&k->exchanges, key_of(x->worker, x->conn)) == x)
        idmap_remove(&k->exchanges, key_of(x->worker, x->conn));
    reply_unref(&x->reply);
    free(x);
}

static struct str next_piece(struct exchange *x)
{
    struct str rest = str_sub(buf_slice(&x->reply->body), x->at, SIZE_MAX);
    size_t most = x->credit > 0 ? (size_t)x->credit : 0;
    struct str piece = str_sub(rest, 0, most < PIECE ? most : PIECE);
    x->at += piece.n;
    x->credit -= (int64_t)piece.n;
    return piece;
}

static bool all_sent(const struct exchange *x)
{
    return x->reply == NULL || x->at == x->reply->body.n;
}

/* Sends as much as the client takes; with the last byte the exchange is over. */
static void go_on(struct exchange *x)
{
    if (x->sending != NULL) {
        keeper_download_go_on(x);
        return;
    }
    struct bus_peer *w = keeper_worker(x->k, x->worker, x->worker_generation);
    while (w != NULL && !all_sent(x) && x->credit > 0)
        bus_put(w, IPC_HTTP_BODY, x->conn, x->seq, next_piece(x));
    if (w == NULL || all_sent(x))
        keeper_exchange_free(x);
}

/* The cookie goes with every reply until a request shows it (protocol 1, 4.10). */
static struct str cookie_of(const struct exchange *x)
{
    const struct binding *b = x->h != NULL ? x->h->b : NULL;
    return b != NULL && b->cookie_state == COOKIE_OFFERED ? (struct str){b->cookie, BINDING_COOKIE}
                                                          : STR_NONE;
}

static void put_head(struct bus_peer *w, uint32_t conn, uint32_t seq,
                     const struct ipc_http_reply *r)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_http_reply_put(&b, r);
    if (buf_err(&b) == ERR_OK)
        bus_put(w, IPC_HTTP_REPLY, conn, seq, buf_slice(&b));
    else
        bus_put(w, IPC_HTTP_BREAK, conn, seq, STR_NONE); /* nobody is to wait for it for ever */
    buf_free(&b);
}

void keeper_exchange_head(struct exchange *x, const struct ipc_http_reply *r)
{
    struct bus_peer *w = keeper_worker(x->k, x->worker, x->worker_generation);
    struct ipc_http_reply all = *r;
    all.cookie = cookie_of(x);
    if (w != NULL)
        put_head(w, x->conn, x->seq, &all);
    x->h = NULL;
}

/* Takes the caller's reference. */
static void respond_with(struct exchange *x, uint32_t status, struct reply *reply, struct str type,
                         bool only_head)
{
    struct ipc_http_reply r = {.status = status};
    x->reply = reply;
    if (reply != NULL) {
        r.length = reply->body.n;
        r.type = type;
        if (only_head)
            x->at = reply->body.n;
        else
            r.body = next_piece(x);
    }
    keeper_exchange_head(x, &r);
    go_on(x);
}

static void respond(struct exchange *x, uint32_t status, struct reply *reply)
{
    respond_with(x, status, reply, STR("text/xml; charset=utf-8"), false);
}

void keeper_exchange_page(struct exchange *x, struct reply *reply, struct str type, bool only_head)
{
    respond_with(x, 200, reply, type, only_head);
}

void keeper_exchange_end(struct exchange *x, uint32_t status)
{
    respond(x, status, NULL);
}

/* binding_host.answer */
void keeper_exchange_answer(void *who, enum binding_how how, struct reply *reply)
{
    static const uint32_t status[] = {
        [BINDING_OK] = 200,        [BINDING_BAD_XML] = 400,    [BINDING_BAD_SEQ] = 500,
        [BINDING_BUSY] = 503,      [BINDING_SUPERSEDED] = 503, [BINDING_NO_MEMORY] = 503,
        [BINDING_TOO_LARGE] = 550, [BINDING_GONE] = 550};
    struct exchange *x = who;
    struct kept_http *h = x->h;
    respond(x, status[how], reply_ref(reply));
    if (h->kept != NULL && h->b->s != NULL) {
        keeper_http_active(h);
        if (h->kept->s->req == NULL)
            keeper_http_rests(h);
    }
}

/* --- packets */

/* 0: it may use the session. */
static struct kept_http *find(struct keeper *k, const struct ipc_http *in)
{
    uint32_t number;
    if (urlid_parse(in->url_id, &number, NULL) != ERR_OK)
        return NULL;
    struct kept_http *h = idmap_get(&k->http, number);
    return h != NULL && binding_may(h->b, in->url_id, in->addr, in->cookie) ? h : NULL;
}

static void take_kill(struct exchange *x)
{
    struct kept *s = x->h->kept;
    bool lives = s != NULL && !s->said_end;
    if (lives)
        keeper_http_kill(s);
    respond(x, lives ? 200 : 550, NULL);
}

static void take_rest(struct exchange *x, const struct ipc_http *in)
{
    static const enum binding_kind kinds[] = {[IPC_HTTP_SYNC] = BINDING_SYNC,
                                              [IPC_HTTP_ASYNC] = BINDING_ASYNC,
                                              [IPC_HTTP_POLL] = BINDING_POLL};
    struct kept_http *h = x->h;
    struct loop *loop = x->k->c->loop;
    struct reply *reply = NULL;
    int64_t wait = (int64_t)in->max_wait * CLOCK_MS;
    struct binding_ask ask = {.kind = kinds[in->kind],
                              .who = x,
                              .has_seq = (in->flags & IPC_HTTP_SEQ) != 0,
                              .bad_seq = (in->flags & IPC_HTTP_BAD_SEQ) != 0,
                              .seq = in->seq,
                              .sync_async = (in->flags & IPC_HTTP_SYNC_ASYNC) != 0,
                              .waits = in->max_wait != 0,
                              .body = in->body};
    keeper_http_active(h);
    if (h->kept != NULL)
        shm_row_add(&x->k->c->shm, h->row, in->body.n, 0, 1);
    enum binding_how how = binding_take(h->b, &ask, &reply);
    if (how == BINDING_WAIT) {
        if (in->kind == IPC_HTTP_POLL) {
            h->polls_since = loop_now(loop);
            keeper_http_rests(h);
            loop_timer_set(loop, &h->poll, wait > 2 * EARLY ? wait - EARLY : wait);
        }
        return;
    }
    keeper_exchange_answer(x, how, reply);
    reply_unref(&reply);
    if (how == BINDING_TOO_LARGE && h->kept != NULL && !h->kept->said_end)
        keeper_end_session(h->kept, IPC_WHY_TOO_LONG);
}

static void take_file(struct exchange *x, const struct ipc_http *in)
{
    const struct kept *s = x->h->kept;
    if (s == NULL || s->said_end) {
        respond(x, 550, NULL);
        return;
    }
    keeper_http_active(x->h);
    shm_row_add(&x->k->c->shm, x->h->row, 0, 0, 1);
    if (in->kind == IPC_HTTP_MIME)
        keeper_download_take(x, in);
    else if (in->kind == IPC_HTTP_FORMAT)
        keeper_format_take(x, in);
    else
        keeper_upload_take(x, in);
}

struct exchange *keeper_exchange_new(struct keeper *k, struct bus_peer *worker, uint32_t conn,
                                     uint32_t seq)
{
    struct exchange *old = idmap_get(&k->exchanges, key_of(worker->number, conn));
    if (old != NULL) /* of a connection that a worker before had, or one that was given up */
        keeper_exchange_free(old);
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL || idmap_put(&k->exchanges, key_of(worker->number, conn), x) != ERR_OK) {
        free(x);
        put_head(worker, conn, seq, &(struct ipc_http_reply){.status = 503});
        return NULL;
    }
    *x = (struct exchange){.k = k,
                           .worker = worker->number,
                           .worker_generation = worker->generation,
                           .conn = conn,
                           .seq = seq,
                           .credit = IPC_HTTP_WINDOW};
    return x;
}

void keeper_http_take(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct ipc_http in;
    if (it->id == 0 || ipc_http_get(it->body, &in) != ERR_OK)
        return;
    if (k->handover == KEEPER_DRAINS && in.kind != IPC_HTTP_UPLOAD) {
        if (!keeper_http_defer(k, worker, it))
            put_head(worker, it->id, it->seq, &(struct ipc_http_reply){.status = 503});
        return;
    }
    struct exchange *x = keeper_exchange_new(k, worker, it->id, it->seq);
    if (x == NULL)
        return;
    x->h = find(k, &in);
    if (x->h == NULL)
        respond(x, 550, NULL);
    else if (in.kind == IPC_HTTP_KILL)
        take_kill(x);
    else if (in.kind >= IPC_HTTP_MIME)
        take_file(x, &in);
    else
        take_rest(x, &in);
}

struct exchange *keeper_exchange_of(struct keeper *k, const struct bus_peer *worker,
                                    const struct ipc_item *it)
{
    struct exchange *x =
        it->id != 0 ? idmap_get(&k->exchanges, key_of(worker->number, it->id)) : NULL;
    bool same = x != NULL && x->worker_generation == worker->generation && x->seq == it->seq;
    return same ? x : NULL;
}

void keeper_http_credit(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t n = ipc_get_u32(&in);
    struct exchange *x = keeper_exchange_of(k, worker, it);
    if (ipc_in_end(&in) != ERR_OK || x == NULL || (x->reply == NULL && x->sending == NULL))
        return;
    x->credit += n;
    if (x->credit > IPC_HTTP_WINDOW)
        x->credit = IPC_HTTP_WINDOW;
    go_on(x);
}

void keeper_http_drop(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct exchange *x = keeper_exchange_of(k, worker, it);
    if (x != NULL)
        keeper_exchange_free(x);
    else
        keeper_http_undefer(k, worker->number, it->id, it->seq);
}

void keeper_http_worker_gone(struct keeper *k, uint32_t worker)
{
    uint32_t at = 0;
    struct exchange *x;
    keeper_http_undefer_all(k, worker);
    while ((x = idmap_next(&k->exchanges, &at)) != NULL) {
        if (x->worker == worker) {
            keeper_exchange_free(x);
            at = 0; /* the map has changed */
        }
    }
}
