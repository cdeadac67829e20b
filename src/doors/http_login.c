// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Logins over HTTP (protocol 1, 4.3): parameters or Basic; and the conversation with auth, also for what stands in a batch
 * before login (http_before.c).
 */
#include <stdio.h>

#include "base/clock.h"
#include "codec/httpfield.h"
#include "doors/before.h"
#include "doors/http_priv.h"

#define ANSWER_TIME (10 * CLOCK_SEC) /* auth's (design 2.3) */

#define XML_TYPE STR("text/xml; charset=utf-8")

/* --- questions to auth */

void http_ask_auth(struct http_conn *c, enum ipc_type type)
{
    struct http_door *d = c->door;
    struct http_req *r = c->req;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (++d->next_attempt == 0)
        d->next_attempt = 1;
    r->attempt = d->next_attempt;
    r->verdict = ERR_OK;
    r->resent = false;
    http_wait(c);
    http_set_timer(c, ANSWER_TIME);
    if (a != NULL)
        bus_put(a, type, c->id, r->attempt, buf_slice(&r->login));
}

static void put_again(struct http_conn *c, enum ipc_type type)
{
    struct http_door *d = c->door;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (c->req->verdict == ERR_OK && c->req->attempt != 0 && a != NULL)
        bus_put(a, type, c->id, c->req->attempt, buf_slice(&c->req->login));
}

static bool asks_features(const struct http_req *r)
{
    return r->before != NULL && http_before_asks_features(r->before);
}

void http_login_again(struct http_conn *c)
{
    if (!c->req->resent)
        put_again(c, asks_features(c->req) ? IPC_FEATURES : IPC_LOGIN);
    c->req->resent = true;
}

void http_login_keeper_up(struct http_conn *c)
{
    if (!asks_features(c->req))
        put_again(c, IPC_LOGIN);
}

void http_login_drop(struct http_conn *c)
{
    struct http_door *d = c->door;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (c->req->what == HTTP_LOGIN && c->req->attempt != 0 && a != NULL)
        bus_put(a, IPC_LOGIN_DROP, c->id, c->req->attempt, STR_NONE);
}

/* --- answers */

static void failed(struct http_conn *c, enum err e)
{
    http_login_drop(c);
    c->req->attempt = 0;
    if (c->req->before != NULL)
        http_before_failed(c, e);
    else
        http_reply_login_failed(c, e);
}

void http_login_timer(struct http_conn *c)
{
    failed(c, c->req->verdict != ERR_OK ? c->req->verdict : ERR_TIMEOUT);
}

static void refused(struct http_conn *c, const struct ipc_item *it)
{
    uint32_t delay_ms;
    enum err e = before_refused(it, &delay_ms);
    if (delay_ms == 0) {
        failed(c, e);
        return;
    }
    c->req->verdict = e;
    http_set_timer(c, (int64_t)delay_ms * CLOCK_MS);
}

/* The reply of a login holds the session alone, without any response (protocol 1, 0.2, 6). */
static void attached(struct http_conn *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct buf b;
    (void)ipc_get_str(&in); /* the account's name */
    struct str out = ipc_get_rest(&in);
    if (out.n != 0 && out.p[out.n - 1] == '\0')
        out.n--;
    c->req->attempt = 0;
    buf_init(&b, IPC_BODY_MAX);
    b.secret = true;
    buf_lit(&b, "<XIMSS>");
    buf_str(&b, out);
    buf_lit(&b, "</XIMSS>");
    if (buf_err(&b) == ERR_OK)
        http_reply(c, 200, XML_TYPE, buf_slice(&b));
    else
        http_reply(c, 503, STR(""), STR_NONE);
    buf_free(&b);
}

void http_login_item(struct http_conn *c, const struct ipc_item *it)
{
    if (c->req->verdict != ERR_OK)
        return;
    switch (it->type) {
    case IPC_LOGIN_FAILED:
    case IPC_ATTACH_FAILED:
        refused(c, it);
        break;
    case IPC_LOGIN_CHALLENGE: /* there is no connection to go on with */
        failed(c, ERR_AUTH_METHOD);
        break;
    case IPC_ATTACHED:
    case IPC_FEATURES_ANSWER:
        if (c->req->before != NULL)
            http_before_item(c, it);
        else
            attached(c, it);
        break;
    default:
        break;
    }
}

/* --- what is sent */

uint32_t http_link_flags(const struct http_conn *c)
{
    return before_link_flags(&c->conn, c->req->proxy_tls);
}

/* A parameter that is a boolean; what is none is false (protocol 1, 1.9). */
static bool flag(const struct urlform *body, const struct urlform *query, struct str name)
{
    bool on = false;
    (void)!urlform_bool(body, query, name, &on);
    return on;
}

static uint32_t flags_of(const struct http_conn *c, const struct urlform *body,
                         const struct urlform *query)
{
    const struct conf *conf = c->door->conf;
    bool watch = conf->http.ip_watch && !flag(body, query, STR("DisableIPWatch"));
    bool cookie = conf->http.cookie || flag(body, query, STR("EnableUseCookie"));
    if (flag(body, query, STR("DisableUseCookie")))
        cookie = false;
    return IPC_LOGIN_HTTP | http_link_flags(c) | (watch ? 0u : IPC_LOGIN_ANY_IP) |
           (cookie ? IPC_LOGIN_COOKIE : 0u) |
           (flag(body, query, STR("killOld")) ? IPC_LOGIN_KILL_OLD : 0u) |
           (flag(body, query, STR("canUpdatePwd")) ? IPC_LOGIN_CAN_UPDATE : 0u);
}

void http_send_login(struct http_conn *c, struct ipc_login *out)
{
    struct http_req *r = c->req;
    out->domain = c->req->before != NULL ? http_before_domain(c->req->before) : r->domain->name;
    out->place = c->place;
    memcpy(out->addr, r->client.b, sizeof out->addr);
    buf_clear(&r->login);
    (void)buf_room(&r->login, IPC_BODY_MAX); /* growing leaves copies behind */
    ipc_login_put(&r->login, out);
    if (buf_err(&r->login) != ERR_OK)
        failed(c, ERR_ATTR_VALUE);
    else
        http_ask_auth(c, IPC_LOGIN);
}

static void send_params(struct http_conn *c, const struct urlform *body,
                        const struct urlform *query)
{
    struct ipc_login out = {.flags = flags_of(c, body, query),
                            .user_name = urlform_get(body, query, STR("userName")),
                            .password = urlform_get(body, query, STR("password")),
                            .session_id = urlform_get(body, query, STR("sessionid")),
                            .nonce = urlform_get(body, query, STR("nonce"))};
    if (out.nonce.p != NULL)
        out.auth_data = urlform_get(body, query, STR("authData"));
    http_send_login(c, &out);
}

static void send_basic(struct http_conn *c, const struct urlform *body, const struct urlform *query)
{
    struct ipc_login out = {.flags = flags_of(c, body, query)};
    struct buf clear;
    buf_init(&clear, HTTP_BASIC_MAX);
    clear.secret = true;
    if (httpfield_basic(c->req->basic, &clear, &out.user_name, &out.password) == ERR_OK)
        http_send_login(c, &out);
    else
        failed(c, ERR_AUTH_FAILED);
    buf_free(&clear);
}

static void login(struct http_conn *c, const struct urlform *body, const struct urlform *query)
{
    struct http_door *d = c->door;
    struct http_req *r = c->req;
    bool named = urlform_get(body, query, STR("userName")).p != NULL;
    bool guest = flag(body, query, STR("loginAsGuest"));
    r->as_xml = flag(body, query, STR("errorAsXML"));
    r->was_basic = !named && !guest && r->basic.p != NULL;
    if (!named && !guest && r->basic.p == NULL)
        http_reply(c, 401, STR(""), STR_NONE);
    else if (guest && !named)
        failed(c, ERR_AUTH_FAILED);
    else if (d->no_logins)
        failed(c, ERR_SHUTTING_DOWN);
    else if (named)
        send_params(c, body, query);
    else
        send_basic(c, body, query);
}

void http_login(struct http_conn *c)
{
    struct http_door *d = c->door;
    struct http_req *r = c->req;
    struct urlform body, query;
    struct str text = buf_slice(&r->body);
    if (str_starts(text, STR("\xef\xbb\xbf"))) /* what some editors put before XML */
        text = str_sub(text, 3, text.n);
    text = str_trim(text);
    arena_reset(&d->arena);
    if (d->host.blocked(d->host.ctx, r->client.b)) {
        http_reply(c, 503, STR(""), STR_NONE);
        return;
    }
    if (urlform_parse(&d->arena, r->query, &query) != ERR_OK) {
        http_reply(c, 400, STR(""), STR_NONE);
        return;
    }
    if (text.n != 0 && text.p[0] == '<') {
        http_before(c);
    } else if (urlform_parse(&d->arena, text, &body) != ERR_OK) {
        http_reply(c, 400, STR(""), STR_NONE);
    } else {
        login(c, &body, &query);
    }
    arena_reset(&d->arena);
}
