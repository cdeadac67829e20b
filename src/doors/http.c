// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The life of a connection: one request after another, times, the hand-over to XIMSS (protocol 1, 4.12). */
#include <stdlib.h>
#include <unistd.h>

#include "doors/http_priv.h"

#define PARSE_MEMORY ((size_t)4 << 20)

static const struct conn_ops http_ops;

/* --- small things */

void http_set_timer(struct http_conn *c, int64_t delay)
{
    loop_timer_set(c->door->loop, &c->timer, delay);
}

void http_count_input(struct http_conn *c, size_t was, size_t is)
{
    c->door->input_bytes += is - was;
}

void http_req_free(struct http_req **rp)
{
    struct http_req *r = *rp;
    *rp = NULL;
    if (r == NULL)
        return;
    http_before_free(&r->before);
    http_upload_free(&r->upload);
    buf_free(&r->login);
    buf_free(&r->head);
    buf_free(&r->body);
    explicit_bzero(r->url_id, sizeof r->url_id);
    free(r);
}

static void drop_req(struct http_conn *c)
{
    if (c->req == NULL)
        return;
    http_login_drop(c);
    http_count_input(c, c->req->body.n, 0);
    http_req_free(&c->req);
}

void http_end(struct http_conn *c)
{
    c->state = HTTP_END;
    conn_close(&c->conn);
}

void http_wait(struct http_conn *c)
{
    c->state = HTTP_WAIT;
    loop_timer_cancel(c->door->loop, &c->timer);
    http1_free(&c->parser);
}

static void between_requests(struct http_conn *c)
{
    c->state = HTTP_HEAD;
    http_set_timer(c, c->door->conf->http.keep_alive);
}

void http_done(struct http_conn *c)
{
    bool stays = c->req != NULL && c->req->keep_alive && !c->door->stopping;
    http1_free(&c->parser);
    drop_req(c);
    if (!stays || (c->eof && c->held == NULL)) {
        http_end(c);
        return;
    }
    between_requests(c);
    if (c->paused)
        conn_resume(&c->conn);
    else if (c->held != NULL)
        conn_again(&c->conn);
    c->paused = false;
}

/* --- times */

static void timer_over(struct timer *t)
{
    struct http_conn *c = CONTAINER_OF(t, struct http_conn, timer);
    if (!conn_is_open(&c->conn))
        return;
    switch ((enum http_state)c->state) {
    case HTTP_HEAD:
        if (c->parser != NULL && http1_begun(c->parser))
            http_refuse(c, 408, "the head took too long");
        else
            http_end(c);
        break;
    case HTTP_BODY:
        http_refuse(c, 408, "the body took too long");
        break;
    case HTTP_WAIT:
        if (c->req->what == HTTP_LOGIN)
            http_login_timer(c);
        else
            http_reply(c, 503, STR(""), STR_NONE); /* no keeper has come */
        break;
    default:
        break;
    }
}

/*
 * Nothing more comes. What is complete is answered, but for a poll that waits: closing its connection cancels the wait (protocol
 * 1, 4.8).
 */
static void on_eof(struct conn *conn)
{
    struct http_conn *c = CONTAINER_OF(conn, struct http_conn, conn);
    c->eof = true;
    if (http_reads(c) && c->held == NULL)
        http_end(c);
    else if (c->state == HTTP_WAIT && c->req->waits)
        conn_abort(conn);
}

static struct bus_peer *keeper_of(const struct http_conn *c)
{
    const struct http_door *d = c->door;
    return d->host.keeper(d->host.ctx, c->req->bank);
}

static void on_sent(struct conn *conn, size_t n)
{
    struct http_conn *c = CONTAINER_OF(conn, struct http_conn, conn);
    if (c->state != HTTP_SEND || c->req->left == 0)
        return;
    c->unsaid += (uint32_t)n;
    if (c->unsaid < IPC_HTTP_WINDOW / 2 && conn_unsent(conn) != 0)
        return;
    struct bus_peer *k = keeper_of(c);
    if (k != NULL)
        bus_put(k, IPC_HTTP_CREDIT, c->id, c->seq,
                (struct str){(const char *)&c->unsaid, sizeof c->unsaid});
    c->unsaid = 0;
}

static void on_tls(struct conn *conn, const char *problem)
{
    struct http_conn *c = CONTAINER_OF(conn, struct http_conn, conn);
    if (problem != NULL) {
        http_log(c, LOG_FAILURES, "TLS: %s", problem);
        return;
    }
    const struct conf_domain *named = conf_domain_find(c->door->conf, str_of(conn_tls_name(conn)));
    if (named != NULL)
        c->domain = named;
    http_log(c, LOG_LOW, "%s, %s", conn_tls_version(conn), conn_tls_cipher(conn));
}

/* Nobody waits for the answer any more. */
static void tell_keeper(struct http_conn *c)
{
    struct bus_peer *k = c->req != NULL && c->req->asked ? keeper_of(c) : NULL;
    if (k != NULL)
        bus_put(k, IPC_HTTP_DROP, c->id, c->seq, STR_NONE);
}

/* All that is HTTP about it goes. */
static void forget(struct http_conn *c)
{
    struct http_door *d = c->door;
    tell_keeper(c);
    loop_timer_cancel(d->loop, &c->timer);
    http1_free(&c->parser);
    drop_req(c);
    http_drop_held(c);
    idmap_remove(&d->conns, c->id);
    shm_count_sub(d->shm, SHM_HTTP_USER_ACTIVE, 1);
}

static void on_closed(struct conn *conn, enum conn_end why)
{
    struct http_conn *c = CONTAINER_OF(conn, struct http_conn, conn);
    struct http_door *d = c->door;
    http_log(c, LOG_MAJOR, "connection closed%s%s, in=%llu out=%llu",
             why == CONN_END_DONE ? "" : ": ", why == CONN_END_DONE ? "" : conn_end_text(why),
             (unsigned long long)c->in, (unsigned long long)c->out);
    forget(c);
    d->host.closed(d->host.ctx, c->id, c->place);
    free(c);
}

static const struct conn_ops http_ops = {.on_data = http_data,
                                         .on_eof = on_eof,
                                         .on_sent = on_sent,
                                         .on_tls = on_tls,
                                         .on_closed = on_closed};

/* --- the hand-over (protocol 1, 4.12) */

/* A connection's memory is of the larger kind. */
union either {
    struct http_conn http;
    struct tcp_conn tcp;
};
_Static_assert(offsetof(struct http_conn, conn) == 0 && offsetof(struct tcp_conn, conn) == 0,
               "the connection stays where it is");
_Static_assert(sizeof(union either) <= 448, "an idle connection has 448 bytes (design 9.9)");

void http_pass(struct http_conn *c, struct str fresh)
{
    struct http_door *d = c->door;
    struct listen_addr peer = c->peer;
    uint32_t old = c->id, id = old, place = c->place;
    struct buf *held = c->held; /* `fresh` may be a part of it */
    bool eof = c->eof, proxy_tls = c->proxy_tls;
    if (!d->host.pass(d->host.ctx, &peer, &id, &place)) {
        /* It has no place any more: closed() is not to give one back. */
        conn_abort(&c->conn);
        return;
    }
    http_log(c, LOG_MAJOR, "connection passed to XIMSSI-%u", id);
    idmap_remove(&d->conns, old);
    c->held = NULL;
    forget(c);
    tcp_door_adopt(d->tcp, (struct tcp_conn *)(void *)&c->conn, &peer, id, place, fresh, eof,
                   proxy_tls);
    if (held != NULL)
        buf_free(held);
    free(held);
}

/* --- life */

enum err http_door_init(struct http_door *d)
{
    arena_init(&d->arena, PARSE_MEMORY);
    buf_init(&d->scratch, IPC_LARGE_MAX);
    d->arena.secret = d->scratch.secret = true; /* passwords do not stay */
    idmap_init(&d->conns);
    addrlist_init(&d->proxies);
    d->parser = xmsg_parser_new();
    if (d->parser == NULL)
        return ERR_NOMEM;
    xmsg_parser_limits(d->parser, &d->tcp->xml);
    return addrlist_parse(&d->proxies, d->conf->http.trusted_proxies, NULL);
}

static bool is_proxy(const struct http_door *d, const struct listen_addr *peer)
{
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    return peer->family == LISTEN_LOCAL || addrlist_match(&d->proxies, &ip);
}

void http_door_accept(struct http_door *d, int fd, const struct listen_addr *peer, uint32_t id,
                      uint32_t place, const struct conf_listener *l)
{
    union either *memory = calloc(1, sizeof *memory);
    struct http_conn *c = &memory->http;
    bool tls = l->tls == CONF_TLS_YES;
    enum err e = memory != NULL && (!tls || d->tls != NULL) ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK)
        e = idmap_put(&d->conns, id, c);
    if (e == ERR_OK &&
        (e = conn_open(&c->conn, d->net, fd, &http_ops, tls ? d->tls : NULL)) != ERR_OK)
        idmap_remove(&d->conns, id);
    if (e != ERR_OK) {
        close(fd);
        free(memory);
        d->host.closed(d->host.ctx, id, place);
        return;
    }
    c->door = d;
    c->id = id;
    c->place = place;
    c->peer = *peer;
    c->domain = &d->conf->domains[0];
    c->first = true;
    c->proxied = l->proxy_protocol;
    timer_init(&c->timer, timer_over);
    shm_count_add(d->shm, SHM_HTTP_USER_ACTIVE, 1);
    shm_count_add(d->shm, SHM_HTTP_USER_TOTAL, 1);
    between_requests(c);
    http_log(c, LOG_MAJOR, "got connection");
    if (d->stopping)
        http_end(c);
    if (c->proxied && !is_proxy(d, peer)) {
        http_log(c, LOG_PROBLEMS, "no proxy of trusted_proxies");
        conn_abort(&c->conn);
    }
}
