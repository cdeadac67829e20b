// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/tcp_log.h"

#include <stdio.h>

#define NOTE_ROOM 40 /* for the count of what is cut off */

struct out {
    char *p;
    size_t n, max;
    const struct conf *conf;
    bool guarded; /* whole message: only what is known to be none is shown */
    bool in_tag;  /* between the last attribute and > */
    bool secret;  /* inside an element that is a password */
};

static void put(struct out *o, struct str s)
{
    size_t n = s.n < o->max - o->n ? s.n : o->max - o->n;
    if (n != 0)
        memcpy(o->p + o->n, s.p, n);
    o->n += n;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A name at the head of s: up to a blank or what may stand behind a name. */
static size_t name_end(struct str s)
{
    size_t i = 0;
    while (i < s.n && !is_space(s.p[i]) && s.p[i] != '=' && s.p[i] != '>' && s.p[i] != '/' &&
           s.p[i] != '<')
        i++;
    return i;
}

/* Without its prefix: what the keeper makes of prefixes is not known here, so they hide nothing. */
static struct str local_name(struct str name)
{
    size_t colon = str_find(name, ':');
    return colon < name.n ? str_sub(name, colon + 1, name.n) : name;
}

/* One attribute at the head of *s, blanks before it included. false: there is none. */
static bool next_attr(struct str *s, struct str *before, struct str *name, struct str *value)
{
    size_t i = 0, start;
    while (i < s->n && is_space(s->p[i]))
        i++;
    start = i;
    i += name_end(str_sub(*s, i, s->n));
    *name = local_name(str_sub(*s, start, i - start));
    while (i < s->n && is_space(s->p[i]))
        i++;
    if (i == start || i == s->n || s->p[i] != '=')
        return false;
    for (i++; i < s->n && is_space(s->p[i]);)
        i++;
    if (i == s->n || (s->p[i] != '"' && s->p[i] != '\''))
        return false;
    size_t end = str_find(str_sub(*s, i + 1, s->n), s->p[i]);
    *before = str_sub(*s, 0, i + 1);
    *value = str_sub(*s, i + 1, end);
    *s = str_sub(*s, i + 1 + end, s->n); /* the closing quote is left for the text that follows */
    return true;
}

static bool is_any(struct str name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (str_ieq(name, str_of(*names)))
            return true;
    }
    return false;
}

/* Is there an attribute that makes authData a secret? */
static bool has_method(struct str attrs)
{
    static const char *const names[] = {"method", "nonce", NULL};
    struct str before, name, value;
    while (next_attr(&attrs, &before, &name, &value)) {
        if (is_any(name, names))
            return true;
        attrs = str_sub(attrs, 1, attrs.n);
    }
    return false;
}

static bool holds(struct str s, struct str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++) {
        if (str_istarts(str_sub(s, i, s.n), part))
            return true;
    }
    return false;
}

/* password, oldPassword, newPassword, sessionid, and what clients might call them. Also of elements. */
static bool is_secret(struct str name)
{
    static const char *const flags[] = {"changePassword", "recoverPassword", "passwordModify",
                                        "passwordRecover", NULL};
    return (holds(name, STR("passw")) && !is_any(name, flags)) || holds(name, STR("secret")) ||
           str_ieq(name, STR("pwd")) || holds(name, STR("sessionid")) || holds(name, STR("cookie"));
}

/*
 * Is it sure to be the name of an account? Anything can stand where a name is due, a password too when somebody takes
 * one field for the other; so a name is shown when it ends with one of our domains.
 */
static bool is_full_name(const struct conf *conf, struct str value)
{
    size_t at = value.n;
    while (at != 0 && value.p[at - 1] != '@' && value.p[at - 1] != '%')
        at--;
    return at > 1 && conf_domain_find(conf, str_sub(value, at, value.n)) != NULL;
}

/* Where passwords are due, what is misspelled may be one: attributes that are shown there. */
static bool is_harmless(struct str name)
{
    static const char *const names[] = {
        "id",       "method",       "nonce",   "version",         "domain",       "language",
        "skinName", "timeModified", "exeTime", "killOld",         "canUpdatePwd", "x2auth",
        "authData", "userName",     "urlID",   "recoverPassword", "xmlns",        NULL};
    return is_any(name, names);
}

static bool holds_passwords(struct str tag)
{
    static const char *const tags[] = {"login", "auth", "passwordModify", "signup", NULL};
    return is_any(tag, tags);
}

/* How much of the value may be seen; the rest is stars. */
static size_t shown(const struct out *o, struct str tag, struct str name, struct str value,
                    bool method)
{
    bool is_data = str_ieq(name, STR("authData"));
    bool hidden = is_secret(name) || (is_data && method) ||
                  ((is_data || str_ieq(name, STR("userName"))) && !is_full_name(o->conf, value)) ||
                  ((o->guarded || holds_passwords(tag)) && !is_harmless(name));
    if (hidden)
        return 0;
    if (!str_ieq(name, STR("urlID")))
        return value.n;
    size_t dash = str_find(value, '-');
    return dash < value.n ? dash + 1 : 0;
}

/* The tag at the head of *s, up to the end of its last attribute. */
static void put_tag(struct out *o, struct str *s)
{
    bool closes = str_starts(*s, STR("</"));
    size_t begin = closes ? 2 : 1;
    size_t n = begin + name_end(str_sub(*s, begin, s->n));
    struct str tag = local_name(str_sub(*s, begin, n - begin)), before, name, value;
    put(o, str_sub(*s, 0, n));
    *s = str_sub(*s, n, s->n);
    bool method = has_method(*s);
    while (next_attr(s, &before, &name, &value)) {
        size_t seen = shown(o, tag, name, value, method);
        put(o, before);
        put(o, str_sub(value, 0, seen));
        if (seen < value.n || seen == 0)
            put(o, value.n != 0 ? STR("***") : STR(""));
        put(o, str_sub(*s, 0, 1));
        *s = str_sub(*s, 1, s->n);
    }
    if (is_secret(tag) || holds_passwords(tag))
        o->secret = !closes && !str_starts(str_trim(*s), STR("/"));
    o->in_tag = true;
}

static size_t text_end(struct str s)
{
    static const char close[] = "]]>";
    if (!str_starts(s, STR("<![CDATA[")))
        return str_find(s, '<');
    for (size_t i = 9; i + 3 <= s.n; i++) {
        if (memcmp(s.p + i, close, 3) == 0)
            return i + 3;
    }
    return s.n;
}

/* Of a message that no parser accepts: the root's name, if it is an operation's. */
static size_t put_illegal(struct out *o, struct str msg)
{
    size_t n = msg.n != 0 && msg.p[0] == '<' ? 1 + name_end(str_sub(msg, 1, msg.n)) : 0;
    if (n < 2 || optag_find(local_name(str_sub(msg, 1, n - 1))) == OP_NONE)
        n = n != 0;
    put(o, str_sub(msg, 0, n));
    return o->n + (size_t)snprintf(o->p + o->n, NOTE_ROOM, " …+%zu bytes, illegal", msg.n - n);
}

/* Up to the next tag: what ends the one before, then text and CDATA, as they are unless they are a password's. */
static void put_text(struct out *o, struct str text)
{
    size_t n = o->in_tag ? str_find(text, '>') : text.n;
    n = o->in_tag && n < text.n ? n + 1 : 0;
    put(o, str_sub(text, 0, n));
    text = str_sub(text, n, text.n);
    put(o, (o->secret || o->guarded) && str_trim(text).n != 0 ? STR("***") : text);
    o->in_tag = false;
}

size_t tcp_log_mask(struct str msg, bool legal, const struct conf *conf, bool guarded, char *to,
                    size_t room)
{
    struct out o = {.p = to, .max = room - NOTE_ROOM, .conf = conf, .guarded = guarded};
    struct str rest = msg;
    if (!legal)
        return put_illegal(&o, msg);
    while (rest.n != 0 && o.n < o.max) {
        size_t n = text_end(rest);
        put_text(&o, str_sub(rest, 0, n));
        rest = str_sub(rest, n, rest.n);
        if (rest.n != 0 && rest.p[0] == '<' && !str_starts(rest, STR("<![CDATA[")))
            put_tag(&o, &rest);
    }
    if (o.n == o.max)
        o.n += (size_t)snprintf(to + o.n, NOTE_ROOM, "…+%zu bytes", rest.n);
    return o.n;
}

static void write_line(const struct tcp_conn *c, const char *head, struct str msg, bool legal,
                       bool guarded)
{
    char text[TCP_LOG_MAX], peer[LISTEN_TEXT];
    if (!log_wanted(LOG_LOW, "XIMSSI", c->id, tcp_who(c, peer)))
        return;
    size_t n = tcp_log_mask(msg, legal, c->door->conf, guarded, text, sizeof text);
    log_write(LOG_LOW, "XIMSSI", c->id, tcp_who(c, peer), "%s: %.*s", head, (int)n, text);
}

void tcp_log_in_now(const struct tcp_conn *c, struct str msg, bool legal)
{
    char head[32];
    snprintf(head, sizeof head, "inp(%zu)", msg.n);
    write_line(c, head, msg, legal, c->login != NULL);
}

void tcp_log_out_now(const struct tcp_conn *c, struct str bytes)
{
    char peer[LISTEN_TEXT];
    struct str msg;
    bool inside = c->mid_message; /* of a message whose beginning is out */
    while (bytes.n != 0) {
        size_t n = str_find(bytes, '\0');
        msg = str_sub(bytes, 0, n);
        bytes = str_sub(bytes, n + 1, bytes.n);
        if (inside)
            log_write(LOG_LOW, "XIMSSI", c->id, tcp_who(c, peer), "out: …+%zu bytes", msg.n);
        else
            write_line(c, "out", msg, true, false);
        inside = false;
    }
}

void tcp_log_bytes_now(const struct tcp_conn *c, const char *what, size_t n)
{
    char peer[LISTEN_TEXT];
    log_write(LOG_ALL, "XIMSSI", c->id, tcp_who(c, peer), "%s %zu bytes", what, n);
}
