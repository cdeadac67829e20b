// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a request is: which URL (protocol 1, 4.1), which parameters (4.2), what body it may have, and to whom it goes. The body
 * decides, not the method; what the client says about its kind is not believed (0.2, 11).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/forwarded.h"
#include "codec/httpfield.h"
#include "codec/parturl.h"
#include "doors/http_priv.h"

/* --- the URL */

struct where {
    const char *word;
    enum http_what what;
};

/* Behind /Session/ID/ */
static const struct where session_words[] = {{"sync", HTTP_SYNC},
                                             {"async", HTTP_ASYNC},
                                             {"", HTTP_POLL},
                                             {"get", HTTP_POLL},
                                             {"KILL", HTTP_KILL}};

static enum http_what find_word(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(session_words); i++) {
        if (str_ieq(word, str_of(session_words[i].word)))
            return session_words[i].what;
    }
    return HTTP_NOWHERE;
}

static enum http_what find_session(struct http_req *r, const struct urlpath *p)
{
    struct str id = p->n > 1 ? p->seg[1].text : STR_NONE;
    if (id.n == 0 || id.n > URLID_LEN)
        return id.n == 0 ? HTTP_NOWHERE : HTTP_POLL; /* no session has such a name: 550 */
    memcpy(r->url_id, id.p, id.n);
    r->url_id[id.n] = 0;
    if (p->n == 2)
        return HTTP_POLL;
    if (str_ieq(p->seg[2].text, STR("MIME")) && p->n > 4)
        return HTTP_MIME;
    if (str_ieq(p->seg[2].text, STR("FORMAT")) && p->n == 6)
        return HTTP_FORMAT;
    if (str_ieq(p->seg[2].text, STR("UPLOAD")) && p->n == 4)
        return HTTP_UPLOAD;
    return p->n == 3 || (p->n == 4 && p->seg[3].text.n == 0) ? find_word(p->seg[2].text)
                                                             : HTTP_NOWHERE;
}

static enum http_what find_what(struct http_req *r, const struct urlpath *p)
{
    bool slash = p->n == 2 && p->seg[1].text.n == 0;
    if (str_ieq(p->seg[0].text, STR("XIMSSLogin")) && (p->n == 1 || slash))
        return HTTP_LOGIN;
    if (str_ieq(p->seg[0].text, STR("Session")))
        return find_session(r, p);
    return HTTP_NOWHERE;
}

/* --- the head */

/* Copies into r->head, which has room for all of it. */
static struct str keep(struct http_req *r, struct str s)
{
    size_t at = r->head.n;
    if (s.p == NULL)
        return STR_NONE;
    buf_str(&r->head, s);
    return (struct str){r->head.p + at, s.n};
}

/* The target domain (protocol 1, 2.1): of Host, if it names one of ours. */
static void find_domain(struct http_conn *c, const struct http1_request *q)
{
    struct str name = str_sub(q->host, 0, str_find(q->host, ':'));
    const struct conf_domain *d = name.n != 0 ? conf_domain_find(c->door->conf, name) : NULL;
    c->req->domain = d != NULL ? d : c->domain;
}

static void find_origin(struct http_conn *c, const struct http1_request *q)
{
    struct str list = c->door->conf->http.origins;
    struct str origin = http1_field(q, "origin");
    c->req->cors = str_eq(list, STR("*"));
    if (!c->req->cors && origin.n != 0 && httpfield_origin(origin, list))
        c->req->origin = keep(c->req, origin);
}

/* Through proxies that are believed. false: it cannot be said who it is. */
CHECKED static bool find_client(struct http_conn *c, const struct http1_request *q)
{
    struct forwarded f;
    struct ip peer;
    struct str line;
    unsigned at = 0;
    memcpy(peer.b, c->peer.ip, sizeof peer.b);
    forwarded_init(&f, &c->door->proxies, &peer);
    while ((line = http1_field_next(q, "forwarded", &at)).p != NULL)
        forwarded_add(&f, line);
    for (at = 0; (line = http1_field_next(q, "x-forwarded-for", &at)).p != NULL;)
        forwarded_add_x(&f, line);
    c->req->proxy_tls =
        c->proxy_tls || (addrlist_match(&c->door->proxies, &peer) &&
                         str_ieq(http1_field(q, "x-forwarded-proto"), STR("https")));
    return forwarded_client(&f, &c->req->client);
}

static bool answer_now(struct http_conn *c, int status)
{
    http_reply(c, status, STR(""), STR_NONE);
    return false;
}

/* Without a body the connection can go on behind the answer; a body is not waited for. */
static bool answer_head(struct http_conn *c, const struct http1_request *q, int status)
{
    c->req->refused = status;
    return q->length > 0 || q->chunked ? answer_now(c, status) : true;
}

CHECKED static bool make_req(struct http_conn *c, const struct http1_request *q)
{
    struct http_req *r = c->req = calloc(1, sizeof *r);
    if (r == NULL)
        return false;
    buf_init(&r->head, q->head.n + 1);
    buf_init(&r->body, c->door->conf->limits.message);
    buf_init(&r->login, IPC_BODY_MAX);
    r->head.secret = r->body.secret = r->login.secret = true;
    r->keep_alive = q->keep_alive;
    r->is_head = q->method == HTTP1_M_HEAD;
    r->is_options = q->method == HTTP1_M_OPTIONS;
    /* Growing later would move what points into it. */
    return buf_room(&r->head, q->head.n) != NULL;
}

/* What of the fields is needed later. All of it together is shorter than the head. */
static void keep_fields(struct http_conn *c, const struct http1_request *q)
{
    struct http_req *r = c->req;
    r->query = keep(r, q->query);
    r->cookie = keep(r, httpfield_cookie(http1_field(q, "cookie"), STR(HTTP_COOKIE)));
    r->basic = keep(r, http1_field(q, "authorization"));
    find_origin(c, q);
    find_domain(c, q);
}

static void keep_part_fields(struct http_req *r, const struct http1_request *q)
{
    r->path = keep(r, q->path);
    /* Our answers have no validators, so that If-Range never holds (RFC 9110, 13.1.5). */
    if (q->method == HTTP1_M_GET && http1_field(q, "if-range").p == NULL)
        r->range = keep(r, http1_field(q, "range"));
}

static uint64_t body_cap(const struct http_conn *c)
{
    if (http_is_of_mail(c->req->what))
        return 0;
    if (c->req->what == HTTP_UPLOAD)
        return http_upload_cap(c);
    return c->req->what == HTTP_LOGIN ? c->door->conf->limits.message_before_login
                                      : c->door->conf->limits.message;
}

/* A session may be ended with any method (protocol 1, 4.9). */
static bool may_be(enum http_what what, enum http1_method method)
{
    if (http_is_of_mail(what))
        return method == HTTP1_M_GET || method == HTTP1_M_HEAD;
    if (what == HTTP_UPLOAD)
        return method == HTTP1_M_POST;
    return what == HTTP_KILL || method == HTTP1_M_GET || method == HTTP1_M_POST;
}

/* Before the keeper is asked: which one is it? */
static bool has_keeper(struct http_conn *c)
{
    const struct http_door *d = c->door;
    return urlid_parse(str_of(c->req->url_id), NULL, &c->req->bank) == ERR_OK &&
           d->host.keeper_number(d->host.ctx, c->req->bank) != UINT32_MAX;
}

bool http_head(struct http_conn *c)
{
    const struct http1_request *q = http1_request(c->parser);
    struct urlpath path;
    if (!make_req(c, q)) {
        conn_abort(&c->conn);
        return false;
    }
    struct http_req *r = c->req;
    keep_fields(c, q);
    if (!find_client(c, q)) {
        http_log(c, LOG_PROBLEMS,
                 "bad request: Forwarded or X-Forwarded-For does not say who the client is");
        return answer_head(c, q, 400);
    }
    arena_reset(&c->door->arena);
    if (str_eq(q->path, STR("*")))
        return true; /* OPTIONS */
    enum err e = urlpath_parse(&c->door->arena, q->path, &path);
    if (e != ERR_OK)
        return answer_head(c, q, e == ERR_NOMEM ? 503 : 400);
    r->what = find_what(r, &path);
    if (http_is_of_mail(r->what))
        keep_part_fields(r, q);
    http_log(c, LOG_LOW, "%.*s %s", STR_FMT(q->method_name),
             r->what == HTTP_LOGIN     ? "/XIMSSLogin/"
             : r->what == HTTP_NOWHERE ? "?"
                                       : "/Session/");
    if (r->is_options)
        return true;
    if (r->what == HTTP_NOWHERE)
        return answer_head(c, q, 404);
    if (!may_be(r->what, q->method))
        return answer_head(c, q, 405);
    if (q->length > 0 && (uint64_t)q->length > body_cap(c))
        return answer_head(c, q, 413);
    http1_max_body(c->parser, body_cap(c));
    if (r->what == HTTP_UPLOAD) {
        int status = has_keeper(c) ? http_upload_begin(c, q, &path) : 550;
        return status == 0 || answer_head(c, q, status);
    }
    if (q->expect_continue && q->length != 0) {
        buf_clear(&c->door->scratch);
        http1out_continue(&c->door->scratch);
        conn_write(&c->conn, buf_slice(&c->door->scratch));
    }
    return true;
}

/* --- the body */

bool http_body(struct http_conn *c, struct str piece)
{
    struct http_req *r = c->req;
    size_t was = r->body.n;
    if (r->is_options)
        return true; /* of no use to anybody */
    if (r->upload != NULL)
        return http_upload_piece(c, piece);
    if (c->door->input_bytes + piece.n > c->door->conf->limits.input_memory)
        return answer_now(c, 503);
    buf_str(&r->body, piece);
    if (buf_err(&r->body) != ERR_OK)
        return answer_now(c, 503);
    http_count_input(c, was, r->body.n);
    return true;
}

/* --- a whole request */

static void answer_options(struct http_conn *c)
{
    http_reply(c, 204, STR(""), STR_NONE);
}

/* A number of a query; false: it is there, and is none. */
static bool number(const struct urlform *f, const char *name, bool *there, uint64_t *n)
{
    struct str v = urlform_get(NULL, f, str_of(name));
    *there = v.p != NULL;
    return v.p == NULL || str_u64(str_trim(v), INT64_MAX, n) == ERR_OK;
}

static uint32_t max_wait(const struct http_conn *c, const struct urlform *f)
{
    uint64_t s = 0, most = (uint64_t)(c->door->conf->http.max_wait / CLOCK_SEC);
    bool there;
    if (!number(f, "maxWait", &there, &s))
        s = 0;
    return (uint32_t)((s < most ? s : most) * 1000);
}

/* false: it cannot be read; answered. */
static bool make_question(struct http_conn *c, struct ipc_http *h)
{
    static const uint32_t kinds[] = {[HTTP_SYNC] = IPC_HTTP_SYNC,
                                     [HTTP_ASYNC] = IPC_HTTP_ASYNC,
                                     [HTTP_POLL] = IPC_HTTP_POLL,
                                     [HTTP_KILL] = IPC_HTTP_KILL};
    struct http_req *r = c->req;
    struct urlform f;
    bool seq, legal, sync_async = false;
    if (urlform_parse(&c->door->arena, r->query, &f) != ERR_OK)
        return answer_now(c, 400);
    *h = (struct ipc_http){.kind = kinds[r->what],
                           .url_id = str_of(r->url_id),
                           .body = r->what == HTTP_POLL ? STR("") : buf_slice(&r->body)};
    legal = number(&f, r->what == HTTP_POLL ? "ackSeq" : "reqSeq", &seq, &h->seq);
    (void)!urlform_bool(NULL, &f, STR("syncAsync"), &sync_async);
    h->flags = (seq ? IPC_HTTP_SEQ : 0u) | (legal ? 0u : IPC_HTTP_BAD_SEQ) |
               (sync_async ? IPC_HTTP_SYNC_ASYNC : 0u);
    if (r->what == HTTP_POLL) {
        r->ack = h->seq;
        h->max_wait = max_wait(c, &f);
    }
    r->waits = h->max_wait != 0;
    memcpy(h->addr, r->client.b, sizeof h->addr);
    h->cookie = r->cookie;
    return true;
}

/* A part of a message. false: there is no such URL; answered. */
static bool make_part_question(struct http_conn *c, struct ipc_http *h, struct parturl *ref)
{
    struct http_req *r = c->req;
    struct urlpath path;
    uint64_t uid = 0;
    bool page = r->what == HTTP_FORMAT;
    uint32_t folder = page ? 4 : 3;
    enum err e = urlpath_parse(&c->door->arena, r->path, &path);
    if (e == ERR_OK && path.n <= folder + 1)
        e = ERR_SYNTAX;
    if (e == ERR_OK && page)
        e = str_u64(path.seg[folder + 1].text, UINT32_MAX, &uid);
    else if (e == ERR_OK)
        e = parturl_parse(path.seg + folder + 1, path.n - folder - 1, ref);
    if (e != ERR_OK)
        return answer_now(c, e == ERR_NOMEM ? 503 : 404);
    *h = (struct ipc_http){.kind = page ? IPC_HTTP_FORMAT : IPC_HTTP_MIME,
                           .flags = r->is_head ? IPC_HTTP_HEAD : 0u,
                           .url_id = str_of(r->url_id),
                           .cookie = r->cookie,
                           .folder = path.seg[folder].text,
                           .uid = page ? (uint32_t)uid : ref->uid,
                           .body = STR("")};
    if (!page) {
        h->ref = ref->kind;
        h->part = parturl_part(ref);
        h->name = ref->name;
        h->range = r->range;
    }
    memcpy(h->addr, r->client.b, sizeof h->addr);
    return true;
}

#define KEEPER_TIME (5 * CLOCK_SEC) /* for one that is not there (design 2.5) */

void http_ask_keeper(struct http_conn *c)
{
    struct http_door *d = c->door;
    struct http_req *r = c->req;
    struct bus_peer *k = d->host.keeper(d->host.ctx, r->bank);
    struct ipc_http h;
    struct parturl ref;
    if (k == NULL) {
        http_wait(c);
        http_set_timer(c, KEEPER_TIME);
        return;
    }
    arena_reset(&d->arena);
    if (http_is_of_mail(r->what) ? !make_part_question(c, &h, &ref) : !make_question(c, &h))
        return;
    buf_clear(&d->scratch);
    ipc_http_put(&d->scratch, &h);
    if (buf_err(&d->scratch) != ERR_OK) {
        http_reply(c, 503, STR(""), STR_NONE);
        return;
    }
    http_wait(c);
    r->asked = true;
    bus_send(k, &(struct ipc_item){.type = IPC_HTTP,
                                   .flags = IPC_FLAG_SECRET,
                                   .id = c->id,
                                   .seq = c->seq,
                                   .body = buf_slice(&d->scratch),
                                   .fd = -1});
    http_count_input(c, r->body.n, 0);
    buf_free(&r->body);
    /* A poll may wait for minutes, and there may be thousands of them. */
    if (r->origin.n == 0) {
        buf_free(&r->head);
        r->query = r->cookie = r->basic = r->path = r->range = STR_NONE;
    }
    if (d->scratch.cap > IPC_PACKET_MAX)
        buf_free(&d->scratch);
}

void http_request(struct http_conn *c)
{
    struct http_req *r = c->req;
    http_log_body(c, "inp", buf_slice(&r->body));
    if (r->what > HTTP_LOGIN)
        shm_count_add(c->door->shm, SHM_XIMSS_REQUESTS, 1);
    if (r->refused != 0)
        http_reply(c, r->refused, STR(""), STR_NONE);
    else if (r->is_options)
        answer_options(c);
    else if (r->upload != NULL)
        http_upload_end(c);
    else if (r->what == HTTP_LOGIN)
        http_login(c);
    else if (!has_keeper(c))
        http_reply(c, 550, STR(""), STR_NONE);
    else
        http_ask_keeper(c);
}
