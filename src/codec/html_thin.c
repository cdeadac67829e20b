// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_thin.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool begins_tag(struct str s, size_t i)
{
    return s.p[i] == '<' && i + 1 < s.n && ((s.p[i + 1] | 32) >= 'a' && (s.p[i + 1] | 32) <= 'z');
}

static size_t skip_blanks(struct str s, size_t i)
{
    while (i < s.n && is_blank(s.p[i]))
        i++;
    return i;
}

/* Behind one attribute, or whatever stands in the place of one; a quote means something only behind `=`. */
static size_t skip_attr(struct str s, size_t i)
{
    while (i < s.n && !is_blank(s.p[i]) && s.p[i] != '>' && s.p[i] != '=')
        i++;
    size_t at = skip_blanks(s, i);
    if (at == s.n || s.p[at] != '=')
        return i;
    at = skip_blanks(s, at + 1);
    if (at < s.n && (s.p[at] == '"' || s.p[at] == '\'')) {
        const char *end = memchr(s.p + at + 1, s.p[at], s.n - at - 1);
        return end != NULL ? (size_t)(end - s.p) + 1 : s.n;
    }
    while (at < s.n && !is_blank(s.p[at]) && s.p[at] != '>')
        at++;
    return at;
}

/* The tag that begins at `i`: its end; *keep: so far it may stay. */
static size_t measure(struct str s, size_t i, size_t *keep)
{
    uint32_t n = 0;
    while (i < s.n && !is_blank(s.p[i]) && s.p[i] != '>')
        i++;
    *keep = i;
    for (i = skip_blanks(s, i); i < s.n && s.p[i] != '>'; i = skip_blanks(s, i)) {
        i = skip_attr(s, i);
        if (++n <= HTML_THIN_ATTRS)
            *keep = i;
    }
    if (n <= HTML_THIN_ATTRS)
        *keep = i;
    return i;
}

struct str html_thin(struct str html, struct buf *room)
{
    size_t from = 0, keep;
    for (size_t i = 0; i < html.n;) {
        if (!begins_tag(html, i)) {
            i++;
            continue;
        }
        size_t end = measure(html, i, &keep);
        if (keep != end) {
            buf_add(room, html.p + from, keep - from);
            from = end;
        }
        i = end;
    }
    if (from == 0)
        return html;
    buf_add(room, html.p + from, html.n - from);
    return buf_slice(room);
}
