// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A client's way over HTTP (protocol 1, section 4). */
#include <stdio.h>

#include "base/clock.h"
#include "codec/urlpath.h"
#include "tools/ximssctl/try.h"

#define REQUEST_MAX 16384
#define FIELDS_MAX  100
#define REPLY_MAX   ((size_t)1 << 20)

/* --- one request and its reply */

struct reply {
    uint64_t status;
    uint64_t length;
};

static enum link_state bad_reply(struct trial *t)
{
    snprintf(t->link.problem, sizeof t->link.problem, "the server's answer is no HTTP reply");
    return LINK_FAILED;
}

static enum link_state read_head(struct trial *t, struct reply *r)
{
    struct str line, word;
    enum link_state st = link_line(&t->link, &line);
    if (st != LINK_OK)
        return st;
    if (!str_starts(line, STR("HTTP/1.1 ")) ||
        str_u64(str_sub(line, 9, 3), 999, &r->status) != ERR_OK)
        return bad_reply(t);
    r->length = 0;
    for (int i = 0; i < FIELDS_MAX; i++) {
        st = link_line(&t->link, &line);
        if (st != LINK_OK)
            return st;
        line = str_trim(line);
        if (line.n == 0)
            return LINK_OK;
        if (str_split(&line, ':', &word) && str_ieq(word, STR("Content-Length")) &&
            str_u64(str_trim(line), REPLY_MAX, &r->length) != ERR_OK)
            return bad_reply(t);
    }
    return bad_reply(t);
}

static bool note_body(struct str body, struct try_heard *h)
{
    struct xmsg_parser *p = xmsg_parser_new();
    struct xelem *root = NULL;
    struct arena a;
    arena_init(&a, (size_t)16 << 20);
    bool fine = p != NULL && xmsg_parse(p, body, &a, &root) == ERR_OK && xelem_is(root, "XIMSS");
    for (const struct xelem *e = fine ? root->child : NULL; e != NULL; e = e->next)
        (void)try_note(e, h);
    arena_free(&a);
    if (p != NULL)
        xmsg_parser_free(&p);
    return fine;
}

/* POST; the reply has to be 200 and XML. */
static enum link_state put(struct trial *t, const char *path, struct str body, struct try_heard *h)
{
    struct reply r;
    struct str bytes = STR_NONE;
    struct buf b;
    *h = (struct try_heard){.response = false};
    buf_init(&b, 2 * REQUEST_MAX);
    (void)buf_room(&b, REQUEST_MAX + body.n); /* growing would leave copies of the password */
    buf_printf(&b, "POST %s HTTP/1.1\r\nHost: %.*s\r\nContent-Length: %zu\r\n\r\n", path,
               STR_FMT(t->domain), body.n);
    buf_str(&b, body);
    enum link_state st = LINK_FAILED;
    snprintf(t->link.problem, sizeof t->link.problem, "the request is too long");
    if (buf_err(&b) == ERR_OK)
        st = link_send(&t->link, buf_slice(&b));
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (st == LINK_OK)
        st = read_head(t, &r);
    if (st == LINK_OK)
        st = link_bytes(&t->link, r.length, &bytes);
    if (st == LINK_OK && (r.status != 200 || !note_body(bytes, h))) {
        snprintf(t->link.problem, sizeof t->link.problem, "HTTP status %u%s%.*s",
                 (unsigned)r.status, bytes.n != 0 && r.status != 200 ? ": " : "",
                 r.status != 200 ? (int)(bytes.n < 100 ? bytes.n : 100) : 0, bytes.p);
        st = LINK_FAILED;
    }
    return st;
}

/* --- steps */

static bool features(struct trial *t, struct try_heard *h)
{
    enum link_state st =
        put(t, "/XIMSSLogin/", STR("<XIMSS><listFeatures id=\"features\"/></XIMSS>"), h);
    if (st != LINK_OK)
        return try_link_failed(t, "features", st);
    if (h->refused)
        return try_refused(t, "features", h);
    return try_step(t, "features", true, "%u %s", h->methods,
                    h->methods == 1 ? "method" : "methods");
}

static bool login(struct trial *t, char session[40])
{
    struct try_heard h;
    struct buf b;
    buf_init(&b, REQUEST_MAX);
    (void)buf_room(&b, REQUEST_MAX);
    buf_lit(&b, "errorAsXML=1&userName=");
    url_encode(&b, str_of(t->name));
    buf_lit(&b, "&password=");
    url_encode(&b, str_of(t->password));
    enum link_state st =
        put(t, "/XIMSSLogin/", buf_err(&b) == ERR_OK ? buf_slice(&b) : STR("-"), &h);
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "login", st);
    if (h.refused)
        return try_login_refused(t, &h);
    memcpy(session, h.session, sizeof h.session);
    return try_step(t, "login", h.session[0] != 0, "session %.6s", h.session);
}

/* The keeper answers, through whichever worker has the connection. */
static bool session(struct trial *t, const char *id)
{
    char path[100];
    struct try_heard h;
    snprintf(path, sizeof path, "/Session/%s/sync?reqSeq=1", id);
    enum link_state st =
        put(t, path, STR("<XIMSS><mailboxList id=\"session\" filter=\"INBOX\"/></XIMSS>"), &h);
    if (st != LINK_OK)
        return try_link_failed(t, "session", st);
    if (h.refused)
        return try_refused(t, "session", &h);
    return try_step(t, "session", h.mailboxes == 1, "%s",
                    h.mailboxes == 1 ? "INBOX is there" : "the account has no INBOX");
}

static void bye(struct trial *t, const char *id)
{
    char path[100];
    struct try_heard h;
    snprintf(path, sizeof path, "/Session/%s/sync?reqSeq=2", id);
    enum link_state st = put(t, path, STR("<XIMSS><bye id=\"bye\"/></XIMSS>"), &h);
    if (st != LINK_OK)
        try_link_failed(t, "bye", st);
    else
        try_step(t, "bye", h.response && !h.refused, NULL);
}

void try_http(struct trial *t, const char *address, enum try_link how, bool proxied)
{
    char name[CONF_NAME_MAX + 1], id[40] = "";
    struct try_heard h;
    snprintf(name, sizeof name, "%.*s", STR_FMT(t->domain));
    struct link_options opt = {
        .insecure = true, .timeout = TRY_PATIENCE, .name = name, .no_alpn = true};
    if (!try_connect(t, address, &opt))
        return;
    if (proxied) {
        enum link_state st = link_send(&t->link, STR("PROXY UNKNOWN\r\n"));
        if (st != LINK_OK) {
            try_link_failed(t, "PROXY line", st);
            return;
        }
    }
    if ((how == TRY_TLS && !try_handshake(t)) || !features(t, &h))
        return;
    if (try_password(t, how, &h) == TRY_SEND && login(t, id) && session(t, id))
        bye(t, id);
    explicit_bzero(id, sizeof id);
}
