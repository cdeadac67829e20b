// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The grammar of clean HTML: text with five references, start tags with quoted attributes, end tags that match.
 */
#include "base/utf8.h"
#include "codec/html_table.h"

struct reader {
    struct str rest;
    const struct html_part *parts;
    uint32_t nparts;
    struct buf raw, again; /* an attribute's value, and what html_clean() would make of it */
    struct buf open;       /* a byte for each open element */
    uint32_t depth;
};

static bool take(struct reader *r, struct str what)
{
    if (!str_starts(r->rest, what))
        return false;
    r->rest = str_sub(r->rest, what.n, r->rest.n);
    return true;
}

/* Up to `end`, which stays, into raw; false: something that html_escape() does not write. */
static bool take_escaped(struct reader *r, char end)
{
    static const struct {
        struct str written;
        char c;
    } references[] = {{STR("&amp;"), '&'},
                      {STR("&lt;"), '<'},
                      {STR("&gt;"), '>'},
                      {STR("&quot;"), '"'},
                      {STR("&#39;"), '\''}};
    buf_clear(&r->raw);
    while (r->rest.n != 0 && r->rest.p[0] != end) {
        size_t at = 0, i = 0;
        uint32_t c = utf8_next(r->rest, &at);
        if (c == '&') {
            while (i < ARRAY_LEN(references) && !take(r, references[i].written))
                i++;
            if (i == ARRAY_LEN(references))
                return false;
            buf_char(&r->raw, references[i].c);
            continue;
        }
        if (c == '<' || c == '>' || c == '"' || c == '\'' || !utf8_xml_char(c) ||
            (c >= 0x7f && c < 0xa0) || (c == 0xfffd && at == 1))
            return false;
        buf_str(&r->raw, str_sub(r->rest, 0, at));
        r->rest = str_sub(r->rest, at, r->rest.n);
    }
    return true;
}

static struct str take_name(struct reader *r)
{
    size_t n = 0;
    while (n < r->rest.n && ((r->rest.p[n] >= 'a' && r->rest.p[n] <= 'z') ||
                             (r->rest.p[n] >= '0' && r->rest.p[n] <= '9')))
        n++;
    struct str name = str_sub(r->rest, 0, n);
    r->rest = str_sub(r->rest, n, r->rest.n);
    return name;
}

/* An address of a part stands there as it is. */
static bool is_part(const struct reader *r)
{
    for (uint32_t i = 0; i < r->nparts; i++) {
        if (str_eq(r->parts[i].url, buf_slice(&r->raw)))
            return true;
    }
    return false;
}

static bool value_fine(struct reader *r, const struct html_attr *a)
{
    if (a->check == HTML_IMAGE && is_part(r))
        return true;
    return html_attr_check(a, buf_slice(&r->raw), NULL, 0, &r->again) &&
           str_eq(buf_slice(&r->again), buf_slice(&r->raw));
}

static bool take_attributes(struct reader *r, const struct html_tag *t)
{
    uint64_t seen = 0;
    while (take(r, STR(" "))) {
        const struct html_attr *a = html_attr_find(t, take_name(r));
        if (a == NULL || (seen >> a->number & 1) != 0 || !take(r, STR("=\"")) ||
            !take_escaped(r, '"') || !take(r, STR("\"")) || !value_fine(r, a))
            return false;
        seen |= UINT64_C(1) << a->number;
        if (a->check == HTML_LINK && !take(r, STR(HTML_LINK_REL)))
            return false;
    }
    return take(r, STR(">"));
}

static bool take_tag(struct reader *r)
{
    const struct html_tag *t;
    if (take(r, STR("/"))) {
        t = html_tag_find(take_name(r));
        return t != NULL && r->open.n != 0 && (uint8_t)r->open.p[--r->open.n] == t->number &&
               take(r, STR(">"));
    }
    t = html_tag_find(take_name(r));
    if (t == NULL || t->kind == HTML_DROP || !take_attributes(r, t))
        return false;
    if (t->kind == HTML_KEEP)
        buf_char(&r->open, (char)t->number);
    return r->open.n <= r->depth;
}

enum err html_verify(struct str html, const struct html_part *parts, uint32_t nparts,
                     uint32_t depth)
{
    struct reader r = {.rest = html, .parts = parts, .nparts = nparts, .depth = depth};
    bool fine = true;
    buf_init(&r.raw, html.n + 1);
    buf_init(&r.again, html.n + 4096);
    buf_init(&r.open, (size_t)depth + 1);
    while (fine && r.rest.n != 0)
        fine = take(&r, STR("<")) ? take_tag(&r) : take_escaped(&r, '<');
    enum err e = fine && r.open.n == 0 ? ERR_OK : ERR_SYNTAX;
    if (r.raw.failed || r.again.failed)
        e = ERR_NOMEM;
    buf_free(&r.raw);
    buf_free(&r.again);
    buf_free(&r.open);
    return e;
}
