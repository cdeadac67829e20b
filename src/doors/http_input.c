// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A connection's bytes: the PROXY line, then heads and bodies to the parser; what comes while a request is served waits. */
#include <stdlib.h>

#include "codec/proxyline.h"
#include "doors/http_priv.h"

#define BODY_STEP 65536 /* bytes that the body timeout is for */

/* A request begins with its first byte, and has its time from then on. */
CHECKED static bool need_parser(struct http_conn *c)
{
    const struct conf *conf = c->door->conf;
    struct http1_limits lim = http1_limits_default;
    if (c->parser != NULL)
        return true;
    lim.head = conf->http.head;
    lim.fields = conf->http.fields;
    lim.body = conf->limits.message;
    c->parser = http1_new(&lim);
    if (c->parser == NULL) {
        http_end(c);
        return false;
    }
    http_set_timer(c, conf->http.head_timeout);
    return true;
}

/* One step of the parser; false: nothing more can be done now. */
static bool take(struct http_conn *c, struct str *in)
{
    struct str piece;
    switch (http1_feed(c->parser, in, &piece)) {
    case HTTP1_MORE:
        return false;
    case HTTP1_HEAD:
        c->state = HTTP_BODY;
        c->seq++;
        http_set_timer(c, c->door->conf->http.body_timeout);
        return http_head(c);
    case HTTP1_BODY:
        if (c->req->body.n / BODY_STEP != (c->req->body.n + piece.n) / BODY_STEP)
            http_set_timer(c, c->door->conf->http.body_timeout);
        return http_body(c, piece);
    case HTTP1_DONE:
        http_request(c);
        return true;
    case HTTP1_BAD:
        http_refuse(c, http1_status(c->parser), http1_why(c->parser));
        return false;
    }
    return false;
}

bool http_reads(const struct http_conn *c)
{
    return conn_is_open(&c->conn) && (c->state == HTTP_HEAD || c->state == HTTP_BODY);
}

static void take_all(struct http_conn *c, struct str *in)
{
    uint32_t served = 0;
    while (http_reads(c) && in->n != 0) {
        /* Others have their turn. */
        if (c->parser == NULL && served++ == 16) {
            conn_again(&c->conn);
            return;
        }
        if (!need_parser(c))
            return;
        /* The end of a request needs no further byte. */
        while (http_reads(c) && c->parser != NULL && take(c, in))
            ;
    }
}

void http_drop_held(struct http_conn *c)
{
    if (c->held != NULL)
        buf_free(c->held);
    free(c->held);
    c->held = NULL;
}

/* Input that waited, with what has come behind it. .p == NULL: no memory. */
static struct str all_input(struct http_conn *c, struct str fresh)
{
    if (c->held == NULL)
        return fresh.p != NULL ? fresh : STR("");
    buf_str(c->held, fresh);
    return buf_err(c->held) == ERR_OK ? buf_slice(c->held) : STR_NONE;
}

/* What has not been used up waits. */
CHECKED static bool hold(struct http_conn *c, struct str rest)
{
    if (rest.n == 0) {
        http_drop_held(c);
        return true;
    }
    if (c->held != NULL) {
        buf_consume(c->held, c->held->n - rest.n);
    } else {
        c->held = calloc(1, sizeof *c->held);
        if (c->held == NULL)
            return false;
        buf_init(c->held, HTTP_READ_AHEAD + 2 * CONN_READ_MAX);
        c->held->secret = true;
        buf_str(c->held, rest);
    }
    if (!http_reads(c) && c->held->n >= HTTP_READ_AHEAD && !c->paused) {
        conn_pause(&c->conn);
        c->paused = true;
    }
    return buf_err(c->held) == ERR_OK;
}

/*
 * The PROXY line comes first, and says who the client is. true: it is there, or none is to come; *in is what stands behind it. false:
 * more is needed, or the connection ends.
 */
static bool take_proxy_line(struct http_conn *c, struct str *in)
{
    struct proxyline p;
    size_t used = 0;
    if (!c->proxied)
        return true;
    enum err e = proxyline_read(*in, &used, &p);
    if (e == ERR_AGAIN)
        return false;
    if (e != ERR_OK) {
        http_log(c, LOG_PROBLEMS, "no PROXY line");
        conn_abort(&c->conn);
        return false;
    }
    c->proxied = false;
    *in = str_sub(*in, used, in->n);
    if (p.given) {
        c->proxy_tls = p.tls;
        memcpy(c->peer.ip, p.ip.b, sizeof c->peer.ip);
        c->peer.port = p.port;
        c->peer.family = LISTEN_IP;
        http_log(c, LOG_MAJOR, "the client behind the proxy");
    }
    return true;
}

void http_data(struct conn *conn, struct str fresh)
{
    struct http_conn *c = CONTAINER_OF(conn, struct http_conn, conn);
    c->in += fresh.n;
    shm_count_add(c->door->shm, SHM_HTTP_USER_TRAFFIC_IN, fresh.n);
    struct str in = all_input(c, fresh);
    if (in.n != 0 && take_proxy_line(c, &in)) {
        if (c->first && in.n != 0 && in.p[0] == '<') {
            http_pass(c, in);
            return;
        }
        c->first = c->first && in.n == 0;
        take_all(c, &in);
    }
    if (!conn_is_open(conn))
        return;
    if (in.p == NULL || !hold(c, in))
        conn_abort(conn);
    else if (c->eof && http_reads(c))
        http_end(c);
}
