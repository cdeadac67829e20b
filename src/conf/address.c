// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/address.h"

#include "codec/addrlist.h"

static enum err parse_unix(struct str path, struct str run_dir, struct arena *a,
                           struct conf_address *out, struct str *why)
{
    static const struct str place = {"{run_dir}", 9};
    if (str_starts(path, place)) {
        struct str tail = str_sub(path, place.n, path.n);
        out->path = arena_printf(a, "%.*s%.*s", STR_FMT(run_dir), STR_FMT(tail));
    } else {
        out->path = arena_str(a, path);
    }
    if (out->path.p == NULL)
        return ERR_NOMEM;
    out->kind = CONF_UNIX;
    if (out->path.p[0] != '/')
        *why = STR("the path of a Unix socket has to be absolute");
    else if (out->path.n > ADDRESS_PATH_MAX)
        *why = arena_printf(a, "the path of a Unix socket can have %d bytes, this one has %zu",
                            ADDRESS_PATH_MAX, out->path.n);
    return why->n != 0 ? ERR_SYNTAX : ERR_OK;
}

/* Splits at the last colon, outside of brackets. */
static bool split_port(struct str text, struct str *host, struct str *port)
{
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != ':' && text.p[at - 1] != ']')
        at--;
    if (at == 0 || text.p[at - 1] != ':')
        return false;
    *host = str_sub(text, 0, at - 1);
    *port = str_sub(text, at, text.n);
    return true;
}

static bool is_host(struct str *host)
{
    struct ip ip;
    if (str_eq(*host, STR("*")))
        return true;
    if (host->n > 2 && host->p[0] == '[' && host->p[host->n - 1] == ']') {
        *host = str_sub(*host, 1, host->n - 2);
        return ip_parse(*host, &ip) == ERR_OK && str_find(*host, ':') != host->n;
    }
    return ip_parse(*host, &ip) == ERR_OK && str_find(*host, ':') == host->n;
}

enum err address_parse(struct str text, struct str run_dir, struct arena *a,
                       struct conf_address *out, struct str *why)
{
    struct str host, port;
    uint64_t number;
    *out = (struct conf_address){.host = STR(""), .path = STR("")};
    *why = STR("");
    if (str_starts(text, STR("unix:")))
        return parse_unix(str_sub(text, 5, text.n), run_dir, a, out, why);
    if (!split_port(text, &host, &port))
        *why = STR("the port is missing; allowed is host:port, [IPv6]:port, *:port or unix:/path");
    else if (str_u64(port, UINT16_MAX, &number) != ERR_OK)
        *why = STR("the port has to be a number from 0 to 65535");
    else if (!is_host(&host))
        *why = STR("the host has to be an IP address (IPv6 in brackets) or *");
    if (why->n != 0)
        return ERR_SYNTAX;
    out->kind = number != 0 ? CONF_TCP : CONF_OFF;
    out->port = (uint16_t)number;
    out->host = arena_str(a, host);
    return out->host.p != NULL ? ERR_OK : ERR_NOMEM;
}

bool address_clash(const struct conf_address *x, const struct conf_address *y)
{
    struct ip xip, yip;
    if (x->kind != y->kind || x->kind == CONF_OFF)
        return false;
    if (x->kind == CONF_UNIX)
        return str_eq(x->path, y->path);
    if (x->port != y->port)
        return false;
    if (str_eq(x->host, STR("*")) || str_eq(y->host, STR("*")))
        return true;
    return ip_parse(x->host, &xip) == ERR_OK && ip_parse(y->host, &yip) == ERR_OK &&
           ip_eq(&xip, &yip);
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           (c & 0x80) != 0;
}

bool address_is_domain(struct str s)
{
    struct str label;
    if (s.n == 0 || s.n > CONF_NAME_MAX || s.p[s.n - 1] == '.')
        return false;
    while (str_split(&s, '.', &label)) {
        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++) {
            if (!is_label_char(label.p[i]))
                return false;
        }
    }
    return true;
}
