// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The door as a whole: packets of auth and keepers, what comes and goes, a new configuration, the end. */
#include <stdio.h>

#include "doors/http_priv.h"

/* --- packets */

/* The keeper has it already, though it has not all come. */
static bool uploads(const struct http_conn *c)
{
    return c->state == HTTP_BODY && c->req != NULL && c->req->upload != NULL;
}

/* No more comes from the keeper. What is sent so far is not all of a reply. */
static void give_up(struct http_conn *c)
{
    c->req->asked = false;
    if (c->state == HTTP_SEND)
        conn_abort(&c->conn);
    else if (c->state == HTTP_WAIT || uploads(c))
        http_reply(c, 503, STR(""), STR_NONE);
}

static void of_keeper(struct http_conn *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct ipc_http_reply r;
    const struct http_door *d = c->door;
    if (c->req == NULL || !c->req->asked || c->seq != it->seq ||
        d->host.keeper_number(d->host.ctx, c->req->bank) != from->number)
        return;
    if (it->type == IPC_HTTP_BODY && c->state == HTTP_SEND && it->body.n <= c->req->left)
        http_reply_more(c, it->body);
    else if (it->type == IPC_HTTP_BREAK)
        give_up(c);
    else if (it->type == IPC_UPLOAD_MORE && c->req->upload != NULL)
        http_upload_more(c, it->body);
    else if (it->type == IPC_HTTP_REPLY && (c->state == HTTP_WAIT || uploads(c)) &&
             ipc_http_reply_get(it->body, &r) == ERR_OK)
        http_reply_begin(c, &r);
}

bool http_door_item(struct http_door *d, struct bus_peer *from, const struct ipc_item *it)
{
    struct http_conn *c = it->id != 0 ? idmap_get(&d->conns, it->id) : NULL;
    if (it->type == IPC_HTTP_REPLY || it->type == IPC_HTTP_BODY || it->type == IPC_HTTP_BREAK ||
        it->type == IPC_UPLOAD_MORE) {
        if (c != NULL && conn_is_open(&c->conn))
            of_keeper(c, from, it);
        return true;
    }
    if (c == NULL)
        return false;
    if (conn_is_open(&c->conn) && c->state == HTTP_WAIT && c->req->what == HTTP_LOGIN &&
        c->req->attempt == it->seq)
        http_login_item(c, it);
    return true;
}

static void for_each(struct http_door *d, void (*fn)(struct http_conn *, uint32_t), uint32_t arg)
{
    uint32_t at = 0;
    struct http_conn *c;
    /* Connections leave the map only in on_closed, later. */
    while ((c = idmap_next(&d->conns, &at)) != NULL) {
        if (conn_is_open(&c->conn))
            fn(c, arg);
    }
}

static bool is_of(const struct http_conn *c, uint32_t keeper)
{
    const struct http_door *d = c->door;
    return c->req != NULL && c->req->what > HTTP_LOGIN &&
           (c->state == HTTP_WAIT || c->state == HTTP_SEND || uploads(c)) &&
           d->host.keeper_number(d->host.ctx, c->req->bank) == keeper;
}

static void ask_again(struct http_conn *c, uint32_t keeper)
{
    if (c->state == HTTP_WAIT && c->req->what == HTTP_LOGIN)
        http_login_keeper_up(c);
    else if (is_of(c, keeper) && !c->req->asked)
        http_ask_keeper(c);
}

void http_door_keeper_up(struct http_door *d, uint32_t keeper)
{
    for_each(d, ask_again, keeper);
}

/* Where a part of the reply is out already, there is no better end than an early one. */
static void lose_keeper(struct http_conn *c, uint32_t keeper)
{
    if (!is_of(c, keeper) || !c->req->asked)
        return;
    c->req->asked = false;
    if (c->state == HTTP_SEND)
        conn_abort(&c->conn);
    else
        http_reply(c, 550, STR(""), STR_NONE);
}

void http_door_keeper_gone(struct http_door *d, uint32_t keeper)
{
    for_each(d, lose_keeper, keeper);
}

static void login_again(struct http_conn *c, uint32_t unused)
{
    (void)unused;
    if (c->state == HTTP_WAIT && c->req->what == HTTP_LOGIN)
        http_login_again(c);
}

void http_door_auth_up(struct http_door *d)
{
    for_each(d, login_again, 0);
}

static const struct conf_domain *same_domain(const struct conf *conf, const struct conf_domain *d)
{
    const struct conf_domain *n = conf_domain_find(conf, d->name);
    return n != NULL ? n : &conf->domains[0];
}

/* Domains may be gone; then the main one takes their place. */
static void find_domains_again(struct http_conn *c, const struct conf *conf)
{
    c->domain = same_domain(conf, c->domain);
    if (c->req != NULL && c->req->domain != NULL)
        c->req->domain = same_domain(conf, c->req->domain);
    if (c->req != NULL && c->req->before != NULL)
        http_before_reload(c->req->before, conf);
}

void http_door_reload(struct http_door *d, const struct conf *conf)
{
    uint32_t at = 0;
    struct http_conn *c;
    d->conf = conf;
    xmsg_parser_limits(d->parser, &d->tcp->xml);
    while ((c = idmap_next(&d->conns, &at)) != NULL)
        find_domains_again(c, conf);
}

/* The server goes, and all sessions with it (protocol 1, 4.8). */
static void say_bye(struct http_conn *c)
{
    char body[80];
    int n = snprintf(body, sizeof body, "<XIMSS respSeq=\"%llu\"><bye/></XIMSS>",
                     (unsigned long long)c->req->ack + 1);
    http_reply(c, 200, STR("text/xml; charset=utf-8"), (struct str){body, (size_t)n});
}

/* Who has just come may be answered once, unless the server ends. */
static bool may_begin(const struct http_conn *c)
{
    return c->first && !c->door->no_logins;
}

static void end_idle(struct http_conn *c, uint32_t all)
{
    if (c->state == HTTP_HEAD && c->parser == NULL && (all != 0 || !may_begin(c)))
        http_end(c);
    else if (all != 0 && c->state == HTTP_WAIT && c->req->what == HTTP_POLL && c->door->no_logins)
        say_bye(c);
    else if (all != 0 && c->state == HTTP_WAIT)
        http_reply(c, 503, STR(""), STR_NONE);
    else if (all != 0)
        http_end(c);
}

void http_door_stop(struct http_door *d)
{
    d->stopping = true;
    for_each(d, end_idle, 0);
}

void http_door_end(struct http_door *d)
{
    d->stopping = true;
    for_each(d, end_idle, 1);
}
