// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Operations before login over HTTP (protocol 1, 4.4): a batch of them, answered together and in order. What auth has to be
 * asked for makes the batch wait.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/xout.h"
#include "doors/before.h"
#include "doors/http_priv.h"
#include "ximss/vocab.h"

#define MEMORY   ((size_t)4 << 20)
#define REPLY    ((size_t)1 << 20)
#define XML_TYPE STR("text/xml; charset=utf-8")

struct http_before {
    struct arena arena;
    const struct xelem *at;           /* the next request */
    const struct conf_domain *domain; /* target domain (2.1) */
    struct buf out;
    enum op_id asked; /* auth has been */
    struct str id;    /* of that request */
    int64_t since;    /* of a request that asked for its exeTime, or 0 */
    bool over;        /* bye */
};

void http_before_free(struct http_before **bp)
{
    struct http_before *b = *bp;
    *bp = NULL;
    if (b == NULL)
        return;
    buf_free(&b->out);
    arena_free(&b->arena);
    free(b);
}

struct str http_before_domain(const struct http_before *b)
{
    return b->domain->name;
}

void http_before_reload(struct http_before *b, const struct conf *conf)
{
    const struct conf_domain *d = conf_domain_find(conf, b->domain->name);
    b->domain = d != NULL ? d : &conf->domains[0];
}

bool http_before_asks_features(const struct http_before *b)
{
    return b->asked == OP_LIST_FEATURES;
}

static void respond(struct http_before *b, struct str id, enum err e)
{
    xout_response_timed(&b->out, id, e,
                        b->since != 0 ? (uint64_t)((clock_mono() - b->since) / CLOCK_MS)
                                      : XOUT_NO_TIME);
}

/* --- operations */

static void target_domain(struct http_conn *c, const struct xelem *e)
{
    const struct conf_domain *d = conf_domain_find(c->door->conf, xelem_attr(e, "domain"));
    if (d != NULL)
        c->req->before->domain = d;
}

static void ask_features(struct http_conn *c, const struct xelem *e)
{
    struct http_req *r = c->req;
    target_domain(c, e);
    buf_clear(&r->login);
    ipc_put_u32(&r->login, http_link_flags(c) & (IPC_LOGIN_TLS | IPC_LOGIN_PROXY_TLS));
    ipc_put_str(&r->login, r->before->domain->name);
    ipc_put_str(&r->login, (struct str){(const char *)r->client.b, sizeof r->client.b});
    http_ask_auth(c, IPC_FEATURES);
}

CHECKED static enum err ask_login(struct http_conn *c, const struct xelem *e, struct str id)
{
    const struct conf *conf = c->door->conf;
    struct ipc_login out = {.flags = IPC_LOGIN_HTTP | http_link_flags(c) |
                                     (conf->http.ip_watch ? 0u : IPC_LOGIN_ANY_IP) |
                                     (conf->http.cookie ? IPC_LOGIN_COOKIE : 0u),
                            .request_id = id};
    enum err err = before_login(e, &out);
    if (err == ERR_OK)
        http_send_login(c, &out);
    return err;
}

static enum err read_strings(struct http_conn *c, const struct xelem *e, struct str id)
{
    struct http_before *b = c->req->before;
    target_domain(c, e);
    return vocab_answer(e, id, b->domain->language, &b->out);
}

/* What can be answered here. */
static enum err answer(struct http_conn *c, const struct xelem *e, enum op_id op, struct str id)
{
    switch (op) {
    case OP_NOOP:
        return ERR_OK;
    case OP_BYE:
        c->req->before->over = true;
        return ERR_OK;
    case OP_AUTH:
        return ERR_NO_AUTH_IN_PROGRESS;
    case OP_STARTTLS: /* not over HTTP (protocol 1, 2.3) */
        return ERR_UNKNOWN_COMMAND;
    case OP_RECOVER_PASSWORD:
    case OP_PASSWORD_RECOVER:
    case OP_SIGNUP:
        return before_disabled(e, op);
    case OP_READ_STRINGS:
        return read_strings(c, e, id);
    default:
        return ERR_NOT_AUTHENTICATED;
    }
}

/*
 * ERR_WAIT: auth is asked, or was and the batch has gone on since, or is over. A failure within the batch may have blocked the
 * client's address (protocol 1, 3.9): then it is as for one that comes from there.
 */
CHECKED static enum err ask(struct http_conn *c, const struct xelem *e, enum op_id op,
                            struct str id)
{
    struct http_before *b = c->req->before;
    enum err err = ERR_OK;
    b->asked = op;
    b->id = id;
    if (op == OP_LIST_FEATURES)
        ask_features(c, e);
    else if (c->door->no_logins)
        return ERR_SHUTTING_DOWN;
    else if (c->door->host.blocked(c->door->host.ctx, c->req->client.b))
        http_reply(c, 503, STR(""), STR_NONE);
    else
        err = ask_login(c, e, id);
    return err == ERR_OK ? ERR_WAIT : err;
}

static enum err run(struct http_conn *c, const struct xelem *e)
{
    struct http_before *b = c->req->before;
    enum op_id op = optag_find(e->name);
    struct str id = xelem_attr(e, "id");
    bool timed = false;
    enum err err = id.p == NULL ? ERR_ID_MISSING : before_check(e, op, id, &timed);
    b->since = timed ? clock_mono() : 0;
    if (err == ERR_OK)
        err = op == OP_LOGIN || op == OP_LIST_FEATURES ? ask(c, e, op, id) : answer(c, e, op, id);
    if (err != ERR_WAIT)
        respond(b, id, err);
    return err;
}

static void go_on(struct http_conn *c)
{
    struct http_before *b = c->req->before;
    while (b->at != NULL && !b->over) {
        const struct xelem *e = b->at;
        b->at = e->next;
        if (run(c, e) == ERR_WAIT)
            return;
    }
    struct buf reply;
    buf_init(&reply, 2 * REPLY);
    reply.secret = true;
    buf_lit(&reply, "<XIMSS>");
    struct str rest = buf_slice(&b->out), message;
    while (rest.n != 0 && str_split(&rest, '\0', &message))
        buf_str(&reply, message);
    buf_lit(&reply, "</XIMSS>");
    if (buf_err(&b->out) == ERR_OK && buf_err(&reply) == ERR_OK)
        http_reply(c, 200, XML_TYPE, buf_slice(&reply));
    else
        http_reply(c, 503, STR(""), STR_NONE);
    buf_free(&reply);
}

/* --- auth's answers */

void http_before_failed(struct http_conn *c, enum err e)
{
    struct http_before *b = c->req->before;
    respond(b, b->id, e);
    b->asked = OP_NONE;
    go_on(c);
}

void http_before_item(struct http_conn *c, const struct ipc_item *it)
{
    struct http_before *b = c->req->before;
    struct ipc_in in = {it->body, false};
    enum err e = ERR_OK;
    if ((it->type == IPC_FEATURES_ANSWER) != (b->asked == OP_LIST_FEATURES))
        return;
    if (b->asked == OP_LIST_FEATURES) {
        e = before_features(it->body, b->id, false, &b->out);
    } else {
        (void)ipc_get_str(&in); /* the account's name */
        buf_str(&b->out, ipc_get_rest(&in));
    }
    c->req->attempt = 0;
    http_before_failed(c, e);
}

/* --- the batch */

void http_before(struct http_conn *c)
{
    struct http_door *d = c->door;
    struct xelem *root = NULL;
    struct http_before *b = c->req->before = calloc(1, sizeof *b);
    if (b == NULL) {
        http_reply(c, 503, STR(""), STR_NONE);
        return;
    }
    arena_init(&b->arena, MEMORY);
    b->arena.secret = true;
    buf_init(&b->out, REPLY);
    b->out.secret = true;
    b->domain = c->req->domain;
    enum err e = xmsg_parse(d->parser, buf_slice(&c->req->body), &b->arena, &root);
    xmsg_parser_wipe(d->parser);
    if (e == ERR_OK && !xelem_is(root, "XIMSS"))
        e = ERR_ILLEGAL_XML;
    if (e != ERR_OK) {
        http_reply(c, e == ERR_NOMEM ? 503 : 400, STR(""), STR_NONE);
        return;
    }
    b->at = root->child;
    go_on(c);
}
