// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Replies: heads by the rules of protocol 1, 0.2 and 4.11; bodies as they come. */
#include "base/clock.h"
#include "codec/xout.h"
#include "doors/http_priv.h"
#include "doors/tcp_log.h"

#define RETRY_AFTER "1" /* seconds */

/* What a person would want to read; never beginning with `<` (protocol 1, 4.11). */
static struct str text_of(int status)
{
    switch (status) {
    case 200:
    case 204:
        return STR_NONE;
    case 500:
        return STR("XIMSS request sequence error");
    default:
        return str_of(http1out_reason(status));
    }
}

/*
 * Whether it is XML is looked at for this alone. What clients send is shown as guardedly as before a login, whatever it is: a batch
 * may hold a password anywhere.
 */
void http_log_body_now(const struct http_conn *c, const char *what, struct str body)
{
    char text[TCP_LOG_MAX];
    struct http_door *d = c->door;
    struct arena arena;
    struct xelem *root;
    bool in = what[0] == 'i';
    struct str trimmed = str_trim(body);
    if (trimmed.n == 0)
        return;
    if (trimmed.p[0] != '<') {
        http_log(c, LOG_LOW, "%s(%zu): ***", what, body.n);
        return;
    }
    arena_init(&arena, d->conf->limits.request_memory);
    arena.secret = true;
    bool legal = !in || xmsg_parse(d->parser, trimmed, &arena, &root) == ERR_OK;
    arena_free(&arena);
    size_t n = tcp_log_mask(trimmed, legal, d->conf, in, text, sizeof text);
    http_log(c, LOG_LOW, "%s(%zu): %.*s", what, body.n, (int)n, text);
}

static void put_cors(const struct http_req *r, struct buf *b)
{
    if (r->cors)
        http1out_lit(b, "Access-Control-Allow-Origin: *");
    else if (r->origin.n != 0) {
        (void)!http1out_field(b, "Access-Control-Allow-Origin", r->origin);
        http1out_lit(b, "Vary: Origin");
    }
    if (r->is_options) {
        http1out_lit(b, "Allow: GET, POST, HEAD, OPTIONS");
        http1out_lit(b, "Access-Control-Allow-Methods: GET, POST, HEAD, OPTIONS");
        http1out_lit(b, "Access-Control-Allow-Headers: Content-Type, Authorization");
        http1out_lit(b, "Access-Control-Max-Age: 86400");
    }
}

/* Bound to the session's URL. */
static void put_cookie(const struct http_conn *c, struct str value, struct buf *b)
{
    if (value.n == 0)
        return;
    buf_printf(b,
               "Set-Cookie: " HTTP_COOKIE "=%.*s; Path=/Session/%s; HttpOnly; SameSite=Lax%s\r\n",
               STR_FMT(value), c->req->url_id,
               conn_is_tls(&c->conn) || c->req->proxy_tls ? "; Secure" : "");
}

/*
 * What comes out of a mail is nobody's page of ours (protocol 2, 9.1). It may be kept nowhere but with its reader; of other
 * replies nothing may be kept at all.
 */
static void put_policy(const struct http_req *r, struct buf *b)
{
    if (r == NULL || !http_is_of_mail(r->what)) {
        http1out_lit(b, "Cache-Control: no-cache, no-store");
    } else {
        http1out_lit(b, "Cache-Control: private, no-store");
        http1out_lit(b,
                     "Content-Security-Policy: sandbox; default-src 'none'; img-src 'self' data:; "
                     "style-src 'unsafe-inline'");
    }
    http1out_lit(b, "Referrer-Policy: no-referrer");
    http1out_lit(b, "X-Content-Type-Options: nosniff");
}

/* What a keeper adds to the head: these fields and no others. */
static void put_more(struct buf *b, struct str fields)
{
    static const char *const known[] = {"Content-Disposition", "Accept-Ranges", "Content-Range"};
    struct str line;
    while (str_split(&fields, '\n', &line)) {
        size_t colon = str_find(line, ':');
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            if (str_eq(str_sub(line, 0, colon), str_of(known[i])))
                (void)!http1out_field(b, known[i], str_trim(str_sub(line, colon + 1, line.n)));
        }
    }
}

static const char *allowed(const struct http_conn *c)
{
    enum http_what what = c->req != NULL ? c->req->what : HTTP_NOWHERE;
    return http_is_of_mail(what) ? "GET, HEAD, OPTIONS"
           : what == HTTP_UPLOAD ? "POST, OPTIONS"
                                 : "GET, POST, OPTIONS";
}

static void put_head(struct http_conn *c, int status, struct str type, struct str cookie,
                     struct str fields, uint64_t length)
{
    struct http_door *d = c->door;
    struct buf *b = &d->scratch;
    bool stays = c->req != NULL && c->req->keep_alive && !d->stopping;
    buf_clear(b);
    http1out_status(b, status);
    (void)!http1out_field(b, "Date", http1out_date(&d->date, clock_wall()));
    if (type.n != 0)
        (void)!http1out_field(b, "Content-Type", type);
    put_policy(c->req, b);
    put_more(b, fields);
    if (status == 503)
        http1out_lit(b, "Retry-After: " RETRY_AFTER);
    if (status == 405)
        (void)!http1out_field(b, "Allow", str_of(allowed(c)));
    if (status == 401)
        buf_printf(b, "WWW-Authenticate: Basic realm=\"%.*s\", charset=\"UTF-8\"\r\n",
                   STR_FMT(c->req != NULL ? c->req->domain->name : c->domain->name));
    if (c->req != NULL) {
        put_cors(c->req, b);
        put_cookie(c, cookie, b);
    }
    http1out_end(b, status, length, stays);
}

static void write_out(struct http_conn *c, struct str bytes)
{
    c->out += bytes.n;
    shm_count_add(c->door->shm, SHM_HTTP_USER_TRAFFIC_OUT, bytes.n);
    conn_write(&c->conn, bytes);
}

/* Head and first bytes leave together. */
static bool write_head(struct http_conn *c, struct str body)
{
    struct buf *b = &c->door->scratch;
    if (c->req == NULL || !c->req->is_head)
        buf_str(b, body);
    if (buf_err(b) != ERR_OK) {
        conn_abort(&c->conn);
        return false;
    }
    write_out(c, buf_slice(b));
    return true;
}

/* What the client still sends of it would be taken for the next request. */
static void spoil(struct http_conn *c)
{
    if (c->req != NULL && c->state == HTTP_BODY)
        c->req->keep_alive = false;
}

/* The state BODY holds until the request is complete, so a reply before that ends the connection. */
static bool is_early(const struct http_conn *c)
{
    return c->state == HTTP_HEAD ||
           (c->state == HTTP_BODY && c->parser != NULL && http1_begun(c->parser));
}

void http_reply(struct http_conn *c, int status, struct str type, struct str body)
{
    if (body.p == NULL) {
        body = text_of(status);
        type = body.n != 0 ? STR("text/plain; charset=utf-8") : STR("");
    }
    if (is_early(c))
        spoil(c);
    http_log(c, LOG_LOW, "%d, %zu bytes", status, body.n);
    if (str_starts(type, STR("text/xml")))
        http_log_body(c, "out", body);
    put_head(c, status, type, STR_NONE, STR_NONE, body.n);
    if (write_head(c, body))
        http_done(c);
}

void http_refuse(struct http_conn *c, int status, const char *why)
{
    http_log(c, LOG_PROBLEMS, "bad request: %s", why);
    if (c->req != NULL)
        c->req->keep_alive = false;
    http_reply(c, status, STR(""), STR_NONE);
}

void http_reply_login_failed(struct http_conn *c, enum err e)
{
    struct http_req *r = c->req;
    struct buf b;
    buf_init(&b, 4096);
    if (r->as_xml) {
        buf_lit(&b, "<XIMSS>");
        xout_response_elem(&b, STR_NONE, e, XOUT_NO_TIME);
        buf_lit(&b, "</XIMSS>");
        http_reply(c, 200, STR("text/xml; charset=utf-8"), buf_slice(&b));
    } else {
        bool busy = e == ERR_TIMEOUT || e == ERR_NOMEM || e == ERR_INTERNAL ||
                    e == ERR_SHUTTING_DOWN || e == ERR_TOO_MANY_SESSIONS;
        buf_str(&b, str_of(err_text(e)));
        http_reply(c,
                   busy           ? 503
                   : r->was_basic ? 401
                                  : 403,
                   STR("text/plain; charset=utf-8"), buf_slice(&b));
    }
    buf_free(&b);
}

void http_reply_begin(struct http_conn *c, const struct ipc_http_reply *r)
{
    struct str text = r->length == 0 ? text_of((int)r->status) : STR_NONE;
    if (http1out_reason((int)r->status)[0] == '\0') {
        conn_abort(&c->conn);
        return;
    }
    if (is_early(c)) /* an upload is refused before it has all come */
        spoil(c);
    http_log(c, LOG_LOW, "%u, %llu bytes", r->status, (unsigned long long)r->length);
    if (str_starts(r->type, STR("text/xml")))
        http_log_body(c, "out", r->body);
    if (text.n != 0) {
        put_head(c, (int)r->status, STR("text/plain; charset=utf-8"), r->cookie, r->fields, text.n);
    } else {
        put_head(c, (int)r->status, r->type, r->cookie, r->fields, r->length);
        text = r->body;
    }
    c->req->left = c->req->is_head ? 0 : r->length - r->body.n;
    c->unsaid = 0;
    if (!write_head(c, text))
        return;
    if (c->req->left == 0) {
        c->req->asked = false;
        http_done(c);
    } else {
        c->state = HTTP_SEND;
    }
}

void http_reply_more(struct http_conn *c, struct str piece)
{
    write_out(c, piece);
    c->req->left -= piece.n;
    if (c->req->left != 0 || !conn_is_open(&c->conn))
        return;
    c->req->asked = false;
    http_done(c);
}
