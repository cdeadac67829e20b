// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_style.h"

#include "base/arena.h"
#include "codec/urlpath.h"

#define STYLE_MAX 4096
#define LINK_MAX  4096
#define CID_MAX   1024

/* --- style */

static const char *const properties[] = {
#define HTML_STYLE(name) name,
#include "codec/html_clean.tbl"
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_property(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
        if (str_ieq(name, str_of(properties[i])))
            return true;
    }
    return false;
}

/* Is what stands before the bracket at `at` a function that gives a colour? */
static bool is_color(struct str value, size_t at)
{
    static const char *const names[] = {"rgb", "rgba", "hsl", "hsla"};
    size_t from = at;
    while (from > 0 && (is_letter(value.p[from - 1]) || value.p[from - 1] == '-'))
        from--;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq(str_sub(value, from, at - from), str_of(names[i])))
            return true;
    }
    return false;
}

static bool value_fine(struct str v)
{
    size_t quotes = 0, doubles = 0;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i], next = i + 1 < v.n ? v.p[i + 1] : ' ';
        quotes += c == '\'';
        doubles += c == '"';
        if (c == '-' && (is_digit(next) || next == '.'))
            return false;
        if (c == '(' && !is_color(v, i))
            return false;
        if (!is_letter(c) && !is_digit(c) && (c == '\0' || strchr(" #%.,+'\"!-()", c) == NULL))
            return false;
    }
    return v.n != 0 && quotes % 2 == 0 && doubles % 2 == 0 && (quotes == 0 || doubles == 0);
}

void html_style(struct buf *out, struct str style)
{
    struct str one;
    size_t start = out->n;
    if (style.n > STYLE_MAX)
        return;
    while (str_split(&style, ';', &one)) {
        size_t colon = str_find(one, ':');
        struct str name = str_trim(str_sub(one, 0, colon));
        struct str value = str_trim(str_sub(one, colon + 1, one.n));
        if (colon == one.n || !is_property(name) || !value_fine(value))
            continue;
        if (out->n != start)
            buf_lit(out, "; ");
        buf_str(out, name);
        buf_lit(out, ": ");
        buf_str(out, value);
    }
}

/* --- addresses */

static bool has_scheme(struct str url, struct str scheme)
{
    return url.n > scheme.n && str_istarts(url, scheme) && url.p[scheme.n] == ':';
}

/* As browsers do (WHATWG URL, 4.4): without control characters and blanks at the ends, without TAB, CR and LF in between. */
static void strip(struct buf *to, struct str url)
{
    while (url.n != 0 && (unsigned char)url.p[0] <= ' ')
        url = str_sub(url, 1, url.n);
    while (url.n != 0 && (unsigned char)url.p[url.n - 1] <= ' ')
        url.n--;
    for (size_t i = 0; i < url.n; i++) {
        if (url.p[i] != '\t' && url.p[i] != '\n' && url.p[i] != '\r')
            buf_char(to, url.p[i]);
    }
}

static bool has_controls(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

void html_link(struct buf *out, struct str url)
{
    static const char *const schemes[] = {"http", "https", "mailto", "tel", "sip", "xmpp", "ftp"};
    size_t start = out->n;
    if (url.n > LINK_MAX)
        return;
    strip(out, url);
    struct str s = str_sub(buf_slice(out), start, out->n - start);
    for (size_t i = 0; i < ARRAY_LEN(schemes) && !has_controls(s); i++) {
        if (has_scheme(s, str_of(schemes[i])))
            return;
    }
    buf_cut(out, start);
}

/* An image of a kind that cannot hold anything but pixels, in base64. */
static bool is_data(struct str url)
{
    static const char *const kinds[] = {"data:image/png;base64,", "data:image/gif;base64,",
                                        "data:image/jpeg;base64,", "data:image/webp;base64,"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct str kind = str_of(kinds[i]);
        if (!str_istarts(url, kind))
            continue;
        for (size_t at = kind.n; at < url.n; at++) {
            char c = url.p[at];
            if (!is_letter(c) && !is_digit(c) && c != '+' && c != '/' && c != '=')
                return false;
        }
        return url.n > kind.n;
    }
    return false;
}

static struct str find_part(struct str id, const struct html_part *parts, uint32_t nparts)
{
    for (uint32_t i = 0; i < nparts; i++) {
        if (id.n != 0 && str_eq(parts[i].content_id, id))
            return parts[i].url;
    }
    return STR_NONE;
}

void html_image(struct buf *out, struct str url, const struct html_part *parts, uint32_t nparts)
{
    size_t start = out->n;
    struct str decoded, found = STR_NONE;
    struct arena a;
    strip(out, url);
    struct str s = str_sub(buf_slice(out), start, out->n - start);
    if (is_data(s))
        return;
    if (has_scheme(s, STR("cid")) && s.n <= CID_MAX) {
        s = str_sub(s, 4, s.n);
        found = find_part(s, parts, nparts);
        arena_init(&a, 8 * CID_MAX);
        if (found.p == NULL && url_decode(&a, s, false, &decoded) == ERR_OK)
            found = find_part(decoded, parts, nparts);
        arena_free(&a);
    }
    buf_cut(out, start);
    buf_str(out, found);
}
