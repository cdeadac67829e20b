// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/forwarded.h"

#include "codec/fieldparam.h"

#define NODE_MAX 128 /* bytes of a node with its port */

void forwarded_init(struct forwarded *f, const struct addrlist *trusted, const struct ip *peer)
{
    *f = (struct forwarded){.trusted = trusted, .peer = *peer};
}

/* From left to right: a later hop counts unless it is a proxy of ours. */
static void add_hop(const struct forwarded *f, struct forwarded_hop *now, struct forwarded_hop hop)
{
    if (!now->seen || !hop.known || !addrlist_match(f->trusted, &hop.ip))
        *now = hop;
}

static const struct forwarded_hop hidden = {.seen = true};

/* 1-5 digits, or "_" and letters (RFC 7239, 6.3). */
static bool is_port(struct str s)
{
    uint64_t v;
    return (s.n <= 5 && str_u64(s, UINT16_MAX, &v) == ERR_OK) ||
           (s.n > 1 && s.p[0] == '_' && fieldparam_is_token(s));
}

/* An address with or without port; without brackets an IPv6 address has none. */
static struct forwarded_hop read_node(struct str s)
{
    struct forwarded_hop hop = hidden;
    struct str host = s, port = STR_NONE;
    size_t colon = str_find(s, ':');
    bool bracket = s.n != 0 && s.p[0] == '[';
    if (bracket) {
        size_t end = str_find(s, ']');
        host = str_sub(s, 1, end - 1);
        port = str_sub(s, end + 1, s.n);
        if (end == s.n || str_find(host, ':') == host.n || (port.n != 0 && port.p[0] != ':'))
            return hidden;
        port = port.n != 0 ? str_sub(port, 1, port.n) : STR_NONE;
    } else if (colon != s.n && str_find(str_sub(s, colon + 1, s.n), ':') + colon + 1 == s.n) {
        host = str_sub(s, 0, colon);
        port = str_sub(s, colon + 1, s.n);
    }
    hop.known = (port.p == NULL || is_port(port)) && ip_parse(host, &hop.ip) == ERR_OK;
    return hop.known ? hop : hidden;
}

/* --- Forwarded */

static enum err take_for(const struct fieldparam *p, struct forwarded_hop *hop, bool *has)
{
    struct buf b;
    if (!str_ieq(p->name, STR("for")))
        return ERR_OK;
    if (*has)
        return ERR_SYNTAX;
    *has = true;
    if (p->value.n > NODE_MAX)
        return ERR_OK;
    buf_init(&b, NODE_MAX);
    fieldparam_value(p, &b);
    *hop = buf_err(&b) == ERR_OK ? read_node(buf_slice(&b)) : hidden;
    buf_free(&b);
    return ERR_OK;
}

/* Pairs up to the next comma, which is taken off, or to the end. */
static enum err read_element(struct str *s, struct forwarded_hop *hop)
{
    struct fieldparam p;
    bool has = false;
    *hop = hidden;
    for (;;) {
        *s = fieldparam_trim(*s);
        if (s->n == 0)
            return ERR_OK;
        char c = s->p[0];
        if (c == ',' || c == ';') {
            *s = str_sub(*s, 1, s->n);
            if (c == ',')
                return ERR_OK;
            continue;
        }
        enum err e = fieldparam_take(s, &p);
        if (e == ERR_OK)
            e = take_for(&p, hop, &has);
        if (e == ERR_OK && s->n != 0 && s->p[0] != ',' && s->p[0] != ';')
            e = ERR_SYNTAX;
        if (e != ERR_OK)
            return e;
    }
}

void forwarded_add(struct forwarded *f, struct str value)
{
    while ((value = fieldparam_trim(value)).n != 0) {
        struct forwarded_hop hop;
        if (value.p[0] == ',') {
            value = str_sub(value, 1, value.n);
            continue;
        }
        if (read_element(&value, &hop) != ERR_OK) {
            f->standard = hidden;
            return;
        }
        add_hop(f, &f->standard, hop);
    }
}

/* --- X-Forwarded-For */

void forwarded_add_x(struct forwarded *f, struct str value)
{
    struct str node;
    while (str_split(&value, ',', &node)) {
        node = fieldparam_trim(node);
        if (node.n != 0)
            add_hop(f, &f->x, read_node(node));
    }
}

bool forwarded_client(const struct forwarded *f, struct ip *client)
{
    struct forwarded_hop hop = f->standard.seen ? f->standard : f->x;
    if (!addrlist_match(f->trusted, &f->peer) || !hop.seen) {
        *client = f->peer;
        return true;
    }
    if (!hop.known || (f->standard.seen && f->x.seen && (!f->x.known || !ip_eq(&f->x.ip, &hop.ip))))
        return false;
    *client = hop.ip;
    return true;
}
