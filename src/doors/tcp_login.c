// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The conversation with auth (protocol 1, section 3): what is asked, who waits for the answer and how long, and what the
 * client is told. The requests themselves come from tcp_before.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcbody.h"
#include "codec/xout.h"
#include "doors/before.h"
#include "doors/tcp.h"

#define ANSWER_TIME (10 * CLOCK_SEC) /* auth's, for one question (design 2.3) */
#define TEXTS_MAX   1024
#define LOGIN_HEADS 128 /* of a LOGIN body: all but its strings */

/* --- life */

static void timer_over(struct timer *t);

struct tcp_login *tcp_login_new(struct tcp_conn *c, const struct listen_addr *peer)
{
    struct tcp_login *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->owner = c;
    l->peer = *peer;
    l->domain = &c->door->conf->domains[0];
    buf_init(&l->texts, TEXTS_MAX);
    buf_init(&l->body, IPC_BODY_MAX);
    timer_init(&l->timer, timer_over);
    return l;
}

static void forget_body(struct tcp_login *l)
{
    if (l->body.p != NULL)
        explicit_bzero(l->body.p, l->body.cap);
    buf_free(&l->body);
}

void tcp_login_free(struct tcp_login **lp)
{
    struct tcp_login *l = *lp;
    if (l == NULL)
        return;
    forget_body(l);
    buf_free(&l->texts);
    *lp = NULL;
    loop_timer_cancel(l->owner->door->loop, &l->timer);
    free(l);
}

static void stop_timer(struct tcp_conn *c)
{
    loop_timer_cancel(c->door->loop, &c->login->timer);
}

/* --- answers */

static void not_waiting(struct tcp_conn *c)
{
    struct tcp_login *l = c->login;
    stop_timer(c);
    forget_body(l);
    l->asked = OP_NONE;
    l->resent = l->stepped = false;
    c->state = TCP_PRE;
    shm_row_op_end(c->door->shm, c->row);
}

/* auth need not go on with it. */
static void drop_login(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (a != NULL)
        bus_put(a, IPC_LOGIN_DROP, c->id, c->login->attempt, STR_NONE);
}

/* The answer to what auth was asked (a login's delay is over by now), and on with what waits behind it. */
static void tell(struct tcp_conn *c, enum err e)
{
    struct tcp_login *l = c->login;
    if (l->asked == OP_LOGIN)
        c->door->host.no_session(c->door->host.ctx, c->id, c->place);
    not_waiting(c);
    tcp_respond(c, l->id, e);
    if (e == ERR_AUTH_FAILED)
        l->failures++;
    if (l->failures >= c->door->conf->login.fail_connection) {
        tcp_bye(c, IPC_WHY_LOGINS);
        return;
    }
    tcp_go_on(c);
}

static void timer_over(struct timer *t)
{
    struct tcp_login *l = CONTAINER_OF(t, struct tcp_login, timer);
    struct tcp_conn *c = l->owner;
    if (!conn_is_open(&c->conn))
        return;
    if (l->verdict == ERR_OK)
        drop_login(c);
    if (c->state == TCP_STEP) /* the client took too long over a challenge (protocol 1, 3.2) */
        tell(c, ERR_AUTH_CANCELLED);
    else
        tell(c, l->verdict != ERR_OK ? l->verdict : ERR_TIMEOUT);
}

/* --- questions to auth */

CHECKED static bool keep_id(struct tcp_login *l, struct str id)
{
    buf_clear(&l->texts);
    buf_str(&l->texts, id);
    l->id = (struct str){l->texts.p != NULL ? l->texts.p : "", l->texts.n};
    return buf_err(&l->texts) == ERR_OK;
}

/* The body stands in l->body. The client's later messages wait. */
static void ask(struct tcp_conn *c, enum op_id op)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    l->asked = op;
    l->asked_at = loop_now(d->loop);
    l->verdict = ERR_OK;
    l->attempt = ++d->next_attempt;
    c->state = TCP_WAIT;
    shm_row_op_begin(d->shm, c->row, (uint16_t)op, l->asked_at);
    loop_timer_set(d->loop, &l->timer, ANSWER_TIME);
    if (a != NULL)
        bus_put(a, op == OP_LOGIN ? IPC_LOGIN : IPC_FEATURES, c->id, l->attempt,
                buf_slice(&l->body));
}

static void ask_again(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (c->state != TCP_WAIT || l->asked == OP_NONE || l->stepped || l->verdict != ERR_OK ||
        a == NULL)
        return;
    bus_put(a, l->asked == OP_LOGIN ? IPC_LOGIN : IPC_FEATURES, c->id, l->attempt,
            buf_slice(&l->body));
}

void tcp_login_auth_up(struct tcp_conn *c)
{
    if (!c->login->resent)
        ask_again(c);
    c->login->resent = true;
}

void tcp_login_keeper_up(struct tcp_conn *c)
{
    if (c->login->asked == OP_LOGIN)
        ask_again(c);
}

/* --- login, auth */

void tcp_login_begin(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct tcp_login *l = c->login;
    struct ipc_login out = {.flags = before_link_flags(&c->conn, c->proxy_tls),
                            .failures = l->failures,
                            .place = c->place,
                            .domain = l->domain->name};
    enum err err = before_login(e, &out);
    if (err != ERR_OK) {
        tcp_respond(c, id, err);
        return;
    }
    memcpy(out.addr, l->peer.ip, sizeof out.addr);
    size_t secrets = out.method.n + out.auth_data.n + out.user_name.n + out.password.n +
                     out.nonce.n + out.session_id.n;
    size_t size = LOGIN_HEADS + id.n + l->domain->name.n + secrets;
    bool kept = keep_id(l, id);
    out.request_id = l->id;
    buf_clear(&l->body);
    (void)buf_room(&l->body, size); /* growing leaves copies behind */
    ipc_login_put(&l->body, &out);
    if (!kept || buf_err(&l->body) != ERR_OK) {
        forget_body(l);
        tcp_respond(c, id, size > IPC_BODY_MAX ? ERR_ATTR_VALUE : ERR_NOMEM);
        return;
    }
    ask(c, OP_LOGIN);
}

void tcp_login_answer(struct tcp_conn *c, const struct xelem *e)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    struct str value = xelem_attr(e, "value");
    if (value.p == NULL || a == NULL || value.n > IPC_INLINE_MAX) {
        drop_login(c);
        tell(c, value.p == NULL ? ERR_ATTR_MISSING : a == NULL ? ERR_TIMEOUT : ERR_ATTR_VALUE);
        return;
    }
    l->stepped = true;
    c->state = TCP_WAIT;
    loop_timer_set(d->loop, &l->timer, ANSWER_TIME);
    bus_put(a, IPC_LOGIN_STEP, c->id, l->attempt, value);
}

void tcp_login_cancel(struct tcp_conn *c)
{
    drop_login(c);
    not_waiting(c);
    c->door->host.no_session(c->door->host.ctx, c->id, c->place);
    tcp_respond(c, c->login->id, ERR_AUTH_CANCELLED);
}

void tcp_login_features(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct tcp_login *l = c->login;
    tcp_target_domain(c, e);
    bool kept = keep_id(l, id);
    buf_clear(&l->body);
    ipc_put_u32(&l->body,
                before_link_flags(&c->conn, c->proxy_tls) & (IPC_LOGIN_TLS | IPC_LOGIN_PROXY_TLS));
    ipc_put_str(&l->body, l->domain->name);
    ipc_put_str(&l->body, (struct str){(const char *)l->peer.ip, sizeof l->peer.ip});
    if (kept && buf_err(&l->body) == ERR_OK)
        ask(c, OP_LIST_FEATURES);
    else
        tcp_respond(c, id, ERR_NOMEM);
}

static void features(struct tcp_conn *c, const struct ipc_item *it)
{
    struct buf *b = &c->door->scratch;
    buf_clear(b);
    enum err e = before_features(it->body, c->login->id, tcp_can_starttls(c), b);
    if (e == ERR_OK)
        tcp_write_scratch(c);
    tell(c, e);
}

/* --- auth's and keepers' answers */

static void challenge(struct tcp_conn *c, const struct ipc_item *it)
{
    struct tcp_door *d = c->door;
    struct buf *b = &d->scratch;
    buf_clear(b);
    xout_open(b, "challenge");
    xout_attr(b, "id", c->login->id);
    xout_attr(b, "value", it->body.p != NULL ? it->body : STR(""));
    xout_empty(b);
    xout_end(b);
    tcp_write_scratch(c);
    forget_body(c->login);
    c->state = TCP_STEP;
    int64_t left = c->login->asked_at + d->conf->login.exchange_timeout - loop_now(d->loop);
    loop_timer_set(d->loop, &c->login->timer, left > 0 ? left : 0);
    tcp_go_on(c);
}

static void failed(struct tcp_conn *c, const struct ipc_item *it)
{
    uint32_t delay_ms;
    enum err e = before_refused(it, &delay_ms);
    if (delay_ms == 0) {
        tell(c, e);
        return;
    }
    c->login->verdict = e;
    char line[64];
    snprintf(line, sizeof line, "the answer waits for %u ms", delay_ms);
    tcp_log(c, LOG_ALL, line);
    loop_timer_set(c->door->loop, &c->login->timer, (int64_t)delay_ms * CLOCK_MS);
}

void tcp_login_item(struct tcp_conn *c, const struct ipc_item *it)
{
    if (c->login->attempt != it->seq || c->state != TCP_WAIT || c->login->verdict != ERR_OK ||
        !conn_is_open(&c->conn))
        return;
    switch (it->type) {
    case IPC_FEATURES_ANSWER:
        features(c, it);
        break;
    case IPC_LOGIN_CHALLENGE:
        challenge(c, it);
        break;
    case IPC_LOGIN_FAILED:
    case IPC_ATTACH_FAILED:
        failed(c, it);
        break;
    default:
        break;
    }
}
