// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Sessions over HTTP (protocol 1, section 4; design 2): their requests come from any worker, each an exchange that ends with
 * one reply. What the protocol wants of them is in ximss/binding.h; here are packets, times, places and rows.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/addrlist.h"
#include "proc/keeper.h"

#define REPLAY_TIME (60 * CLOCK_SEC) /* the reply to `bye` (protocol 1, 4.5) */
#define EARLY       (40 * CLOCK_MS) /* better than late (4.8); the wheel's ticks and the way back */
#define PIECE       60000           /* bytes of a body in one item */

/* --- a session at rest */

static void arm_idle(struct kept_http *h)
{
    if (h->kept != NULL)
        loop_timer_set(h->k->c->loop, &h->idle, (int64_t)h->kept->s->idle_timeout * CLOCK_SEC);
}

static void row_rests(struct kept_http *h)
{
    shm_row_state(&h->k->c->shm, h->row,
                  h->b->poller != NULL ? SHM_STATE_POLLING : SHM_STATE_WAITING_FOR_REQUEST,
                  h->b->poller != NULL ? h->polls_since : 0);
}

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
    arm_idle(h); /* the poll was activity to its end */
    if (h->kept->s->req == NULL)
        row_rests(h);
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
static void answered(void *who, enum binding_how how, struct reply *reply)
{
    static const uint32_t status[] = {
        [BINDING_OK] = 200,        [BINDING_BAD_XML] = 400,    [BINDING_BAD_SEQ] = 500,
        [BINDING_BUSY] = 503,      [BINDING_SUPERSEDED] = 503, [BINDING_NO_MEMORY] = 503,
        [BINDING_TOO_LARGE] = 550, [BINDING_GONE] = 550};
    struct exchange *x = who;
    struct kept_http *h = x->h;
    respond(x, status[how], reply_ref(reply));
    if (h->kept != NULL && h->b->s != NULL) {
        arm_idle(h);
        if (h->kept->s->req == NULL)
            row_rests(h);
    }
}

static void runnable(struct session *s)
{
    keeper_make_ready(s->user);
}

/* --- times */

static void poll_over(struct timer *t)
{
    struct kept_http *h = CONTAINER_OF(t, struct kept_http, poll);
    binding_poll_over(h->b);
}

static void life_over(struct timer *t)
{
    struct kept_http *h = CONTAINER_OF(t, struct kept_http, life);
    if (h->kept != NULL && !h->kept->said_end)
        keeper_end_session(h->kept, IPC_WHY_LIFE);
}

void keeper_http_free(struct kept_http *h)
{
    struct keeper *k = h->k;
    loop_timer_cancel(k->c->loop, &h->idle);
    loop_timer_cancel(k->c->loop, &h->life);
    loop_timer_cancel(k->c->loop, &h->poll);
    if (idmap_get(&k->http, h->place.id) == h)
        idmap_remove(&k->http, h->place.id);
    if (h->row != SHM_NO_ROW)
        shm_row_free(&k->c->shm, h->row);
    if (h->b != NULL)
        binding_free(&h->b);
    free(h);
}

static void idle_over(struct timer *t)
{
    struct kept_http *h = CONTAINER_OF(t, struct kept_http, idle);
    if (h->kept == NULL)
        keeper_http_free(h); /* nobody has asked for the last reply again */
    else if (h->b->poller != NULL || h->b->first != NULL || h->downloads != 0 ||
             h->receiving != NULL)
        arm_idle(h);
    else if (!h->kept->said_end)
        keeper_end_session(h->kept, IPC_WHY_IDLE);
}

/* --- a session */

void keeper_http_init(struct keeper *k)
{
    idmap_init(&k->http);
    idmap_init(&k->exchanges);
    keeper_download_init(k);
    BUG_IF(gate_attach(&k->gate, k->c->gate_mem, k->c->gate_bytes) != ERR_OK);
    k->binding_host = (struct binding_host){.answer = answered, .runnable = runnable};
}

enum err keeper_http_place(struct keeper *k, const struct ipc_attach *a, struct gate_place *place)
{
    struct gate_limits lim = {.channels = k->c->conf->http.sessions,
                              .sessions = k->c->conf->login.max_sessions};
    uint32_t owner = gate_owner(GATE_KEEPERS_AT + k->c->number, k->c->generation);
    return gate_enter(&k->gate, GATE_HTTP_SESSION, &lim, owner, a->addr, true, loop_now(k->c->loop),
                      place) == GATE_IN
               ? ERR_OK
               : ERR_TOO_MANY_SESSIONS;
}

static void publish(struct kept_http *h, const struct ipc_attach *a)
{
    struct shm_row row;
    struct ip ip;
    memset(&row, 0, sizeof row);
    memcpy(ip.b, a->addr, sizeof ip.b);
    row.session = h->place.id;
    row.state = SHM_STATE_WAITING_FOR_REQUEST;
    row.connected = loop_now(h->k->c->loop);
    row.family = ip_is_v4(&ip) ? SHM_FAMILY_IP4 : SHM_FAMILY_IP6;
    memcpy(row.address, ip_is_v4(&ip) ? ip.b + 12 : ip.b, ip_is_v4(&ip) ? 4 : 16);
    row.transport = SHM_TRANSPORT_HTTP;
    row.tls = (a->flags & IPC_ATTACH_TLS13) != 0 ? 0x0304
              : (a->flags & IPC_ATTACH_TLS) != 0 ? 0x0303
                                                 : 0;
    shm_row_set_account(&row, a->name.p, a->name.n);
    shm_row_publish(&h->k->c->shm, h->row, &row);
}

struct kept_http *keeper_http_new(struct keeper *k, struct gate_place place)
{
    struct kept_http *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->k = k;
    h->place = place;
    timer_init(&h->idle, idle_over);
    timer_init(&h->life, life_over);
    timer_init(&h->poll, poll_over);
    h->row = SHM_NO_ROW;
    if (idmap_put(&k->http, place.id, h) == ERR_OK)
        return h;
    free(h);
    return NULL;
}

void keeper_http_start(struct kept_http *h, int64_t opened)
{
    int64_t life = h->k->c->conf->http.session_life;
    if (h->kept == NULL) {
        loop_timer_set(h->k->c->loop, &h->idle, REPLAY_TIME);
        return;
    }
    arm_idle(h);
    if (life != 0)
        loop_timer_set_at(h->k->c->loop, &h->life, opened + life);
    shm_count_add(&h->k->c->shm, SHM_XIMSS_HTTP_SESSIONS_ACTIVE, 1);
}

enum err keeper_http_begin(struct kept *s, const struct ipc_attach *a, struct gate_place place)
{
    struct keeper *k = s->k;
    struct kept_http *h = keeper_http_new(k, place);
    if (h == NULL)
        return ERR_NOMEM;
    h->row = shm_row_alloc(&k->c->shm);
    enum err e = h->row != SHM_NO_ROW ? ERR_OK : ERR_TOO_MANY_SESSIONS;
    if (e == ERR_OK)
        e = binding_new(s->s, &k->binding_host, a->addr, (a->flags & IPC_ATTACH_ANY_IP) == 0,
                        (a->flags & IPC_ATTACH_COOKIE) != 0, &h->b);
    if (e != ERR_OK) {
        keeper_http_free(h);
        return e;
    }
    h->b->user = h;
    h->kept = s;
    s->http = h;
    s->s->idle_timeout = (uint32_t)(k->c->conf->http.session_idle / CLOCK_SEC);
    publish(h, a);
    keeper_http_start(h, loop_now(k->c->loop));
    return ERR_OK;
}

void keeper_http_runs(struct kept *s, int64_t now)
{
    enum op_id op = dispatch_op(s->s);
    if (op != OP_NONE)
        shm_row_op_begin(&s->k->c->shm, s->http->row, (uint16_t)op, now);
}

/* The client has killed it, and the request that ran is through. */
static void end_killed(struct kept *s)
{
    session_end(s->s);
    keeper_make_ready(s);
}

void keeper_http_send(struct kept *s, bool last)
{
    struct kept_http *h = s->http;
    bool ours = last && s->why != IPC_WHY_CLOSED; /* the server ends it */
    if (!ours && !s->said_end) {
        enum err e = buf_err(&s->out);
        if (e == ERR_OK)
            e = binding_output(h->b, buf_slice(&s->out));
        if (e != ERR_OK) {
            s->why = e == ERR_NOMEM ? IPC_WHY_NO_MEMORY : IPC_WHY_TOO_LONG;
            ours = last = true;
            session_end(s->s);
            keeper_make_ready(s);
        }
        if (s->s->req == NULL) {
            shm_row_op_end(&s->k->c->shm, h->row);
            row_rests(h);
        }
    }
    if (last && !s->said_end) {
        if (!ours)
            s->why =
                s->s->error_count > s->s->x->limits.protocol_errors ? IPC_WHY_ERRORS : IPC_WHY_BYE;
        s->said_end = true;
        s->attached = false;
        (void)binding_close(h->b, ours ? BINDING_SERVER : BINDING_BYE);
    }
    if (h->killed && s->s->req == NULL && !s->s->closing)
        end_killed(s);
}

static void kill(struct kept *s)
{
    s->said_end = true;
    s->attached = false;
    (void)binding_close(s->http->b, BINDING_KILL);
    s->http->killed = true;
    if (s->s->req == NULL)
        end_killed(s);
}

bool keeper_http_kick(struct keeper *k, uint32_t session)
{
    struct kept_http *h = session != 0 ? idmap_get(&k->http, session) : NULL;
    if (h == NULL || h->kept == NULL)
        return false;
    if (!h->kept->said_end)
        keeper_end_session(h->kept, IPC_WHY_KICKED);
    return true;
}

void keeper_http_end(struct kept *s)
{
    struct kept_http *h = s->http;
    struct keeper *k = s->k;
    keeper_download_session_gone(h);
    keeper_format_session_gone(h);
    shm_row_free(&k->c->shm, h->row);
    h->row = SHM_NO_ROW;
    shm_count_sub(&k->c->shm, SHM_XIMSS_HTTP_SESSIONS_ACTIVE, 1);
    if (h->b->s != NULL)
        (void)binding_close(h->b, BINDING_SERVER);
    gate_leave(&k->gate, h->place);
    h->kept = NULL;
    s->http = NULL;
    if (binding_has_reply(h->b) && s->why == IPC_WHY_BYE)
        loop_timer_set(k->c->loop, &h->idle, REPLAY_TIME);
    else
        keeper_http_free(h);
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
        kill(s);
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
    arm_idle(h);
    if (h->kept != NULL)
        shm_row_add(&x->k->c->shm, h->row, in->body.n, 0, 1);
    enum binding_how how = binding_take(h->b, &ask, &reply);
    if (how == BINDING_WAIT) {
        if (in->kind == IPC_HTTP_POLL) {
            h->polls_since = loop_now(loop);
            row_rests(h);
            loop_timer_set(loop, &h->poll, wait > 2 * EARLY ? wait - EARLY : wait);
        }
        return;
    }
    answered(x, how, reply);
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
    arm_idle(x->h);
    shm_row_add(&x->k->c->shm, x->h->row, 0, 0, 1);
    if (in->kind == IPC_HTTP_MIME)
        keeper_download_take(x, in);
    else if (in->kind == IPC_HTTP_FORMAT)
        keeper_format_take(x, in);
    else
        keeper_upload_take(x, in);
}

void keeper_http_take(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct ipc_http in;
    if (it->id == 0 || ipc_http_get(it->body, &in) != ERR_OK)
        return;
    if (k->handover == KEEPER_DRAINS) {
        /* What follows an upload would come to us, not to the successor. */
        if (in.kind == IPC_HTTP_UPLOAD || !keeper_http_defer(k, worker, it))
            put_head(worker, it->id, it->seq, &(struct ipc_http_reply){.status = 503});
        return;
    }
    struct exchange *old = idmap_get(&k->exchanges, key_of(worker->number, it->id));
    if (old != NULL) /* of a connection that a worker before had, or one that was given up */
        keeper_exchange_free(old);
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL || idmap_put(&k->exchanges, key_of(worker->number, it->id), x) != ERR_OK) {
        free(x);
        put_head(worker, it->id, it->seq, &(struct ipc_http_reply){.status = 503});
        return;
    }
    *x = (struct exchange){.k = k,
                           .worker = worker->number,
                           .worker_generation = worker->generation,
                           .conn = it->id,
                           .seq = it->seq,
                           .credit = IPC_HTTP_WINDOW};
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
    while ((x = idmap_next(&k->exchanges, &at)) != NULL) {
        if (x->worker == worker) {
            keeper_exchange_free(x);
            at = 0; /* the map has changed */
        }
    }
}
