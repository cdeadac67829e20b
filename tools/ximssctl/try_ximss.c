// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <stdio.h>

#include "base/clock.h"
#include "codec/xmsg.h"
#include "codec/xout.h"
#include "tools/ximssctl/try.h"

#define REQUEST_MAX 16384
#define MESSAGES    1000 /* before the response to one request */

static void note_features(const struct xelem *e, struct try_heard *h)
{
    for (const struct xelem *c = e->child; c != NULL; c = c->next) {
        h->starttls = h->starttls || xelem_is(c, "starttls");
        h->methods += xelem_is(c, "sasl");
        h->plain = h->plain || (xelem_is(c, "sasl") && str_ieq(c->text, STR("PLAIN")));
    }
}

bool try_note(const struct xelem *e, struct try_heard *h)
{
    struct str url = xelem_attr(e, "urlID");
    if (xelem_is(e, "features"))
        note_features(e, h);
    else if (xelem_is(e, "session"))
        snprintf(h->session, sizeof h->session, "%.*s", STR_FMT(url));
    else if (xelem_is(e, "mailbox"))
        h->mailboxes++;
    if (!xelem_is(e, "response"))
        return false;
    struct str number = xelem_attr(e, "errorNum"), text = xelem_attr(e, "errorText");
    uint64_t n = 0;
    h->response = true;
    h->refused = number.p != NULL;
    if (h->refused && str_u64(number, 999, &n) == ERR_OK)
        h->number = (int)n;
    snprintf(h->text, sizeof h->text, "%.*s", STR_FMT(text));
    return true;
}

static enum link_state await_response(struct link *l, struct xmsg_parser *p, struct try_heard *h)
{
    struct arena a;
    enum link_state st = LINK_OK;
    bool over = false;
    arena_init(&a, (size_t)16 << 20);
    for (int i = 0; i < MESSAGES && st == LINK_OK && !over; i++) {
        struct str msg;
        struct xelem *root = NULL;
        arena_reset(&a);
        st = link_next(l, true, &msg);
        if (st == LINK_OK && xmsg_parse(p, msg, &a, &root) != ERR_OK) {
            snprintf(l->problem, sizeof l->problem, "the server's answer is not XML");
            st = LINK_FAILED;
        }
        over = st == LINK_OK && try_note(root, h);
    }
    arena_free(&a);
    if (st == LINK_OK && !over) {
        snprintf(l->problem, sizeof l->problem, "no response");
        st = LINK_FAILED;
    }
    return st;
}

/* One request and its response. */
static enum link_state put(struct trial *t, const struct buf *request, struct try_heard *h)
{
    struct xmsg_parser *p = xmsg_parser_new();
    *h = (struct try_heard){.response = false};
    enum link_state st = LINK_FAILED;
    snprintf(t->link.problem, sizeof t->link.problem, "no memory");
    if (p != NULL && buf_err(request) == ERR_OK)
        st = link_send(&t->link, buf_slice(request));
    if (st == LINK_OK)
        st = await_response(&t->link, p, h);
    if (p != NULL)
        xmsg_parser_free(&p);
    return st;
}

bool try_refused(struct trial *t, const char *step, const struct try_heard *h)
{
    return try_step(t, step, false, "%s (%d)", h->text, h->number);
}

bool try_login_refused(struct trial *t, const struct try_heard *h)
{
    t->refused = err_num(ERR_AUTH_FAILED) == h->number || err_num(ERR_ACCOUNT_BLOCKED) == h->number;
    return try_refused(t, "login", h);
}

enum try_password try_password(struct trial *t, enum try_link how, const struct try_heard *features)
{
    if (t->refused) {
        try_step(t, "login", false, "not tried again: the password was refused");
        return TRY_END;
    }
    if (how != TRY_CLEAR || t->rule == CONF_CLEAR_YES || features->plain)
        return TRY_SEND;
    try_step(t, "login", true, "left out: no passwords in clear, says clear_login");
    return TRY_LEAVE_OUT;
}

/* --- steps */

static bool features(struct trial *t, enum try_link how, struct try_heard *h)
{
    struct buf b;
    buf_init(&b, REQUEST_MAX);
    xout_open(&b, "listFeatures");
    xout_attr_lit(&b, "id", "features");
    xout_attr(&b, "domain", t->domain);
    xout_empty(&b);
    xout_end(&b);
    enum link_state st = put(t, &b, h);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "features", st);
    if (h->refused)
        return try_refused(t, "features", h);
    if (how == TRY_STARTTLS && !h->starttls)
        return try_step(t, "features", false, "the server does not offer starttls");
    return try_step(t, "features", true, "%u %s%s", h->methods,
                    h->methods == 1 ? "method" : "methods", h->starttls ? ", starttls" : "");
}

static bool starttls(struct trial *t)
{
    struct try_heard h;
    struct buf b;
    buf_init(&b, REQUEST_MAX);
    buf_lit(&b, "<starttls id=\"tls\"/>");
    buf_char(&b, 0);
    enum link_state st = put(t, &b, &h);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "starttls", st);
    if (h.refused)
        return try_refused(t, "starttls", &h);
    return try_step(t, "starttls", true, NULL) && try_handshake(t);
}

static bool login(struct trial *t)
{
    struct try_heard h;
    struct buf b;
    buf_init(&b, REQUEST_MAX);
    (void)buf_room(&b, REQUEST_MAX); /* growing would leave copies of the password */
    xout_open(&b, "login");
    xout_attr_lit(&b, "id", "login");
    xout_attr_lit(&b, "authData", t->name);
    xout_attr_lit(&b, "password", t->password);
    xout_empty(&b);
    xout_end(&b);
    enum link_state st = put(t, &b, &h);
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "login", st);
    if (h.refused)
        return try_login_refused(t, &h);
    return try_step(t, "login", h.session[0] != 0, "session %.6s", h.session);
}

/* The keeper answers: its bank is read. */
static bool session(struct trial *t)
{
    struct try_heard h;
    struct buf b;
    buf_init(&b, REQUEST_MAX);
    buf_lit(&b, "<mailboxList id=\"session\" filter=\"INBOX\"/>");
    buf_char(&b, 0);
    enum link_state st = put(t, &b, &h);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "session", st);
    if (h.refused)
        return try_refused(t, "session", &h);
    return try_step(t, "session", h.mailboxes == 1, "%s",
                    h.mailboxes == 1 ? "INBOX is there" : "the account has no INBOX");
}

static bool bye(struct trial *t)
{
    struct try_heard h;
    struct buf b;
    struct str rest;
    buf_init(&b, REQUEST_MAX);
    buf_lit(&b, "<bye id=\"bye\"/>");
    buf_char(&b, 0);
    enum link_state st = put(t, &b, &h);
    buf_free(&b);
    if (st != LINK_OK)
        return try_link_failed(t, "bye", st);
    if (h.refused)
        return try_refused(t, "bye", &h);
    st = link_next(&t->link, true, &rest);
    return try_step(t, "bye", st == LINK_CLOSED, "%s",
                    st == LINK_CLOSED ? "" : "the server does not close the connection");
}

void try_ximss(struct trial *t, const char *address, enum try_link how)
{
    char name[CONF_NAME_MAX + 1];
    struct try_heard h;
    snprintf(name, sizeof name, "%.*s", STR_FMT(t->domain));
    struct link_options opt = {.insecure = true, .timeout = TRY_PATIENCE, .name = name};
    if (!try_connect(t, address, &opt) || (how == TRY_TLS && !try_handshake(t)) ||
        !features(t, how, &h) || (how == TRY_STARTTLS && !starttls(t)))
        return;
    enum try_password may = try_password(t, how, &h);
    if (may == TRY_END || (may == TRY_SEND && (!login(t) || !session(t))))
        return;
    bye(t);
}
