// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Sessions over HTTP (protocol 1, section 4; design 2). What the protocol wants of them is in ximss/binding.h; here are their
 * times, places and rows. keeper_exchange.c has their requests.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/addrlist.h"
#include "proc/keeper.h"

#define REPLAY_TIME (60 * CLOCK_SEC) /* the reply to `bye` (protocol 1, 4.5) */

/* --- a session at rest */

void keeper_http_active(struct kept_http *h)
{
    if (h->kept != NULL)
        loop_timer_set(h->k->c->loop, &h->idle, (int64_t)h->kept->s->idle_timeout * CLOCK_SEC);
}

void keeper_http_rests(struct kept_http *h)
{
    shm_row_state(&h->k->c->shm, h->row,
                  h->b->poller != NULL ? SHM_STATE_POLLING : SHM_STATE_WAITING_FOR_REQUEST,
                  h->b->poller != NULL ? h->polls_since : 0);
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
        keeper_http_active(h);
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
    k->binding_host = (struct binding_host){.answer = keeper_exchange_answer, .runnable = runnable};
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
    keeper_http_active(h);
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
            keeper_http_rests(h);
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

void keeper_http_kill(struct kept *s)
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

void keeper_http_close(struct kept *s)
{
    struct kept_http *h = s->http;
    keeper_upload_session_gone(h);
    if (h->b->s != NULL)
        (void)binding_close(h->b, BINDING_SERVER);
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
    gate_leave(&k->gate, h->place);
    h->kept = NULL;
    s->http = NULL;
    if (binding_has_reply(h->b) && s->why == IPC_WHY_BYE)
        loop_timer_set(k->c->loop, &h->idle, REPLAY_TIME);
    else
        keeper_http_free(h);
}
