// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/http1_priv.h"

#define T HTTP1_C_TOKEN
#define V HTTP1_C_VALUE
#define U HTTP1_C_TARGET
#define H HTTP1_C_HOST
#define X HTTP1_C_HEX

/*
 * Of the visible bytes that RFC 3986 forbids in a target those pass which browsers do not escape (URL standard, path and query
 * percent-encode sets): [ \ ] ^ ` { | }. Never # (a fragment is not sent), " < >.
 */
const uint8_t http1_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['"'] = V,
    ['#'] = V | T,
    ['<'] = V,
    ['>'] = V,
    ['!'] = V | T | U,
    ['$' ... '\''] = V | T | U,
    ['('] = V | U,
    [')'] = V | U,
    ['*'] = V | T | U,
    ['+'] = V | T | U,
    [','] = V | U,
    ['-'] = V | T | U | H,
    ['.'] = V | T | U | H,
    ['/'] = V | U,
    ['0' ... '9'] = V | T | U | H | X,
    [':'] = V | U,
    [';'] = V | U,
    ['='] = V | U,
    ['?'] = V | U,
    ['@'] = V | U,
    ['A' ... 'F'] = V | T | U | H | X,
    ['G' ... 'Z'] = V | T | U | H,
    ['['] = V | U,
    ['\\'] = V | U,
    [']'] = V | U,
    ['^'] = V | T | U,
    ['_'] = V | T | U | H,
    ['`'] = V | T | U,
    ['a' ... 'f'] = V | T | U | H | X,
    ['g' ... 'z'] = V | T | U | H,
    ['{'] = V | U,
    ['|'] = V | T | U,
    ['}'] = V | U,
    ['~'] = V | T | U | H,
    [0x80 ... 0xff] = V,
};

/* --- Host */

static bool port_ok(struct str port)
{
    uint64_t v;
    return port.n == 0 || str_u64(port, 65535, &v) == ERR_OK;
}

/* Behind the `[`: an IPv6 address, and what follows its `]`. Whether the address makes sense nobody here has to know. */
static bool bracketed_ok(struct str s)
{
    size_t end = str_find(s, ']');
    if (end == s.n || end == 0)
        return false;
    for (size_t i = 0; i < end; i++) {
        if ((http1_class[(unsigned char)s.p[i]] & X) == 0 && s.p[i] != ':' && s.p[i] != '.')
            return false;
    }
    struct str rest = str_sub(s, end + 1, s.n);
    return rest.n == 0 || (rest.p[0] == ':' && port_ok(str_sub(rest, 1, rest.n)));
}

bool http1_host_ok(struct str host)
{
    if (host.n != 0 && host.p[0] == '[')
        return bracketed_ok(str_sub(host, 1, host.n));
    size_t colon = str_find(host, ':');
    return colon != 0 && http1_all(str_sub(host, 0, colon), H) &&
           port_ok(str_sub(host, colon + 1, host.n));
}

/* --- the target */

/* Path and query, from the first slash or question mark on. */
static void split_target(struct str s, struct http1_request *r)
{
    size_t mark = str_find(s, '?');
    r->path = mark != 0 ? str_sub(s, 0, mark) : STR("/");
    r->query = mark < s.n ? str_sub(s, mark + 1, s.n) : STR_NONE;
}

static size_t scheme_length(struct str target)
{
    if (str_istarts(target, STR("http://")))
        return 7;
    return str_istarts(target, STR("https://")) ? 8 : 0;
}

/* http://host[:port][/path][?query]; a user name in it is a trap (RFC 9110, 4.2.4). */
static bool parse_absolute(struct str target, size_t scheme, struct http1_request *r,
                           struct http1_refusal *bad)
{
    struct str rest = str_sub(target, scheme, target.n);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    r->host = str_sub(rest, 0, end);
    if (!http1_host_ok(r->host))
        return http1_refuse(bad, 400, "authority of the target");
    rest = str_sub(rest, end, rest.n);
    if (rest.n != 0)
        split_target(rest, r);
    else
        r->path = STR("/");
    return true;
}

static bool parse_target(struct str target, struct http1_request *r, struct http1_refusal *bad)
{
    r->target = target;
    if (!http1_all(target, U))
        return http1_refuse(bad, 400, "byte in the target");
    if (target.n != 0 && target.p[0] == '/') {
        split_target(target, r);
        return true;
    }
    if (r->method == HTTP1_M_OPTIONS && str_eq(target, STR("*"))) {
        r->path = target;
        return true;
    }
    size_t scheme = scheme_length(target);
    if (scheme == 0)
        return http1_refuse(bad, 400, "form of the target");
    return parse_absolute(target, scheme, r, bad);
}

/* --- the line */

static enum http1_method method_of(struct str name)
{
    static const struct {
        const char *name;
        enum http1_method method;
    } known[] = {{"GET", HTTP1_M_GET},
                 {"POST", HTTP1_M_POST},
                 {"HEAD", HTTP1_M_HEAD},
                 {"OPTIONS", HTTP1_M_OPTIONS}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(name, str_of(known[i].name)))
            return known[i].method;
    }
    return HTTP1_M_OTHER;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_version(struct str v, struct http1_request *r, struct http1_refusal *bad)
{
    if (v.n != 8 || !str_starts(v, STR("HTTP/")) || !is_digit(v.p[5]) || v.p[6] != '.' ||
        !is_digit(v.p[7]))
        return http1_refuse(bad, 400, "request line");
    if (v.p[5] != '1' || v.p[7] > '1')
        return http1_refuse(bad, 505, "version of HTTP");
    r->minor = (uint8_t)(v.p[7] - '0');
    return true;
}

bool http1_line_parse(struct str line, size_t max_target, struct http1_request *r,
                      struct http1_refusal *bad)
{
    struct str rest = line, target;
    if (!str_split(&rest, ' ', &r->method_name) || r->method_name.n == 0 ||
        !http1_all(r->method_name, T) || !str_split(&rest, ' ', &target))
        return http1_refuse(bad, 400, "request line");
    if (!parse_version(rest.p != NULL ? rest : STR(""), r, bad))
        return false;
    if (target.n > max_target)
        return http1_refuse(bad, 414, "target too long");
    r->method = method_of(r->method_name);
    if (str_eq(r->method_name, STR("CONNECT")))
        return http1_refuse(bad, 501, "method");
    return parse_target(target, r, bad);
}
