// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/httpfield.h"

#include "base/utf8.h"
#include "codec/b64.h"
#include "codec/fieldparam.h"
#include "codec/filename.h"
#include "codec/urlpath.h"

/* --- Range */

/* A number over 2^64 is that. false: no number. */
static bool read_number(struct str s, uint64_t *v)
{
    enum err e = str_u64(s, UINT64_MAX, v);
    for (size_t i = 0; e == ERR_RANGE && i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    if (e == ERR_RANGE)
        *v = UINT64_MAX;
    return e != ERR_SYNTAX;
}

/* "-5": the last five. */
static enum http_range read_suffix(struct str s, uint64_t size, uint64_t *from, uint64_t *n)
{
    uint64_t last;
    if (!read_number(s, &last))
        return HTTP_RANGE_NONE;
    if (last == 0)
        return HTTP_RANGE_BEYOND;
    *n = last < size ? last : size;
    *from = size - *n;
    return size != 0 ? HTTP_RANGE_ONE : HTTP_RANGE_NONE;
}

enum http_range httpfield_range(struct str value, uint64_t size, uint64_t *from, uint64_t *n)
{
    uint64_t first, last = UINT64_MAX;
    struct str unit;
    if (!str_split(&value, '=', &unit) || !str_ieq(unit, STR("bytes")))
        return HTTP_RANGE_NONE;
    value = fieldparam_trim(value);
    size_t dash = str_find(value, '-');
    if (dash == value.n)
        return HTTP_RANGE_NONE;
    if (dash == 0)
        return read_suffix(str_sub(value, 1, value.n), size, from, n);
    struct str end = str_sub(value, dash + 1, value.n);
    if (!read_number(str_sub(value, 0, dash), &first) || (end.n != 0 && !read_number(end, &last)) ||
        last < first)
        return HTTP_RANGE_NONE;
    if (first >= size)
        return HTTP_RANGE_BEYOND;
    *from = first;
    *n = (last < size ? last + 1 : size) - first;
    return HTTP_RANGE_ONE;
}

/* --- Cookie */

struct str httpfield_cookie(struct str value, struct str name)
{
    struct str pair;
    while (str_split(&value, ';', &pair)) {
        pair = fieldparam_trim(pair);
        size_t equals = str_find(pair, '=');
        if (equals < pair.n && str_eq(fieldparam_trim(str_sub(pair, 0, equals)), name))
            return fieldparam_trim(str_sub(pair, equals + 1, pair.n));
    }
    return STR_NONE;
}

/* --- Authorization */

static bool is_credential(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return utf8_valid(s);
}

enum err httpfield_basic(struct str value, struct buf *to, struct str *user, struct str *password)
{
    struct str scheme = STR("Basic ");
    if (!str_istarts(value, scheme))
        return ERR_UNSUPPORTED;
    value = fieldparam_trim(str_sub(value, scheme.n, value.n));
    if (value.n > b64_size(HTTP_BASIC_MAX))
        return ERR_TOO_LONG;
    size_t start = to->n;
    enum err e = b64_decode(to, value);
    if (e != ERR_OK)
        return e;
    struct str both = str_sub(buf_slice(to), start, to->n);
    size_t colon = str_find(both, ':');
    if (both.n > HTTP_BASIC_MAX || colon == both.n || !is_credential(both)) {
        e = both.n > HTTP_BASIC_MAX ? ERR_TOO_LONG : ERR_SYNTAX;
        buf_cut(to, start);
        return e;
    }
    *user = str_sub(both, 0, colon);
    *password = str_sub(both, colon + 1, both.n);
    return ERR_OK;
}

/* --- Content-Type */

struct str httpfield_media(struct str value)
{
    return fieldparam_media(&value);
}

bool httpfield_shown(struct str media)
{
    static const char *const whole[] = {"image/png",  "image/jpeg", "image/gif",
                                        "image/webp", "text/plain", "application/pdf"};
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (str_ieq(media, str_of(whole[i])))
            return true;
    }
    return str_istarts(media, STR("audio/")) || str_istarts(media, STR("video/"));
}

/* --- Content-Disposition */

/* What readers of quoted strings agree about: ASCII, no quote, backslash or percent sign (RFC 6266, appendix D). */
static void add_fallback(struct buf *to, struct str name)
{
    size_t at = 0;
    while (at < name.n) {
        uint32_t cp = utf8_next(name, &at);
        buf_char(to, cp < 0x80 && cp != '"' && cp != '\\' && cp != '%' ? (char)cp : '_');
    }
}

void httpfield_disposition(struct buf *to, bool shown, struct str name)
{
    struct buf clean;
    buf_init(&clean, name.n + FILENAME_MAX_BYTES);
    filename_clean(&clean, name);
    if (clean.failed)
        to->failed = true;
    buf_str(to, shown ? STR("inline; filename=\"") : STR("attachment; filename=\""));
    size_t start = to->n;
    add_fallback(to, buf_slice(&clean));
    if (!str_eq(str_sub(buf_slice(to), start, to->n), buf_slice(&clean))) {
        buf_lit(to, "\"; filename*=UTF-8''");
        url_encode(to, buf_slice(&clean));
    } else {
        buf_char(to, '"');
    }
    buf_free(&clean);
}

/* --- Origin */

struct origin {
    struct str scheme, host, port;
};

/* Host names, IPv4, IPv6 in brackets: nothing that could be a path, a user name or a second host. */
static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char l = str_lower(s.p[i]);
        if ((l < 'a' || l > 'z') && (l < '0' || l > '9') &&
            (l == '\0' || memchr("-._[]:", l, 6) == NULL))
            return false;
    }
    return s.n != 0;
}

static bool read_origin(struct str s, struct origin *o)
{
    uint64_t port;
    size_t mark = str_find(s, ':');
    o->scheme = str_sub(s, 0, mark);
    s = str_sub(s, mark, s.n);
    if (!fieldparam_is_token(o->scheme) || !str_starts(s, STR("://")))
        return false;
    o->host = str_sub(s, 3, s.n);
    o->port = str_ieq(o->scheme, STR("https"))  ? STR("443")
              : str_ieq(o->scheme, STR("http")) ? STR("80")
                                                : STR("");
    size_t colon = o->host.n;
    while (colon != 0 && o->host.p[colon - 1] != ':' && o->host.p[colon - 1] != ']')
        colon--;
    if (colon != 0 && o->host.p[colon - 1] == ':') {
        o->port = str_sub(o->host, colon, o->host.n);
        o->host.n = colon - 1;
        if (str_u64(o->port, UINT16_MAX, &port) != ERR_OK || o->port.p[0] == '0')
            return false;
    }
    return is_host(o->host);
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return str_ieq(a->scheme, b->scheme) && str_ieq(a->host, b->host) && str_eq(a->port, b->port);
}

bool httpfield_origin(struct str origin, struct str list)
{
    struct origin asks, one;
    bool fine = read_origin(origin, &asks);
    while (list.n != 0) {
        size_t n = 0;
        while (n < list.n && list.p[n] != ',' && list.p[n] != ' ' && list.p[n] != '\t')
            n++;
        struct str item = str_sub(list, 0, n);
        list = str_sub(list, n + 1, list.n);
        if (str_eq(item, STR("*")) || (fine && read_origin(item, &one) && same_origin(&asks, &one)))
            return true;
    }
    return false;
}
