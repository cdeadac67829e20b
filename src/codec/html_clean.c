// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_clean.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

#include "base/utf8.h"
#include "codec/html_table.h"
#include "codec/html_thin.h"

const struct html_limits html_limits_default = {
    .input = (size_t)1 << 20, .depth = 200, .output = (size_t)4 << 20};

/* Of an open element, in `stack`: its number in the table, or one of these. */
#define SKIPPED 254 /* the tags are left out */
#define DROPPED 255 /* and all that is in it */

struct clean {
    const struct html_limits *limits;
    const struct html_part *parts;
    uint32_t nparts;
    struct buf *out;
    size_t start;     /* of ours in out */
    struct buf stack; /* a byte for each open element */
    struct buf one;   /* what is written next */
    struct buf value; /* of an attribute */
    uint32_t depth;   /* elements that are open in out, */
    size_t closing;   /* the bytes of their end tags, */
    uint32_t dropped; /* and those that are open and dropped */
    bool full, cut;
};

/* --- writing */

static struct str replacement(uint32_t c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '"':
        return STR("&quot;");
    case '\'':
        return STR("&#39;");
    default:
        return STR_NONE;
    }
}

void html_escape(struct buf *out, struct str text)
{
    for (size_t at = 0; at < text.n;) {
        size_t from = at;
        uint32_t c = utf8_next(text, &at);
        struct str other = replacement(c);
        if (!utf8_xml_char(c) || (c >= 0x7f && c < 0xa0) || (c == 0xfffd && at - from == 1))
            other = STR("\xef\xbf\xbd");
        buf_str(out, other.p != NULL ? other : str_sub(text, from, at - from));
    }
}

/* Writes all of `one`, if behind it there is room for the end tags that are due; from the first piece on that does not fit, nothing. */
static bool put(struct clean *x, size_t more_closing)
{
    size_t used = x->out->n - x->start + x->closing + more_closing;
    if (used > x->limits->output || x->one.n > x->limits->output - used)
        x->full = true;
    if (x->one.failed)
        x->out->failed = true;
    if (!x->full)
        buf_str(x->out, buf_slice(&x->one));
    else
        x->cut = true;
    return !x->full;
}

static size_t end_tag_bytes(const struct html_tag *t)
{
    return strlen(t->name) + 3; /* </> */
}

/* --- what the parser finds */

static void write_attrs(struct clean *x, const struct html_tag *t, const xmlChar **list)
{
    uint64_t seen = 0; /* the first one of a name counts */
    for (; list != NULL && list[0] != NULL; list += 2) {
        const struct html_attr *a = html_attr_find(t, str_of((const char *)list[0]));
        struct str v = str_of(list[1] != NULL ? (const char *)list[1] : "");
        if (a == NULL || (seen >> a->number & 1) != 0 ||
            !html_attr_check(a, v, x->parts, x->nparts, &x->value))
            continue;
        seen |= UINT64_C(1) << a->number;
        buf_printf(&x->one, " %s=\"", a->name);
        html_escape(&x->one, buf_slice(&x->value));
        buf_char(&x->one, '"');
        if (a->check == HTML_LINK)
            buf_lit(&x->one, HTML_LINK_REL);
    }
}

static void on_start(void *user, const xmlChar *name, const xmlChar **list)
{
    struct clean *x = user;
    const struct html_tag *t = html_tag_find(str_of((const char *)name));
    uint8_t n = t != NULL ? t->number : SKIPPED;
    if (t != NULL && t->kind == HTML_DROP) {
        n = DROPPED;
        x->dropped++;
    } else if (t != NULL && (x->dropped != 0 || x->full)) {
        n = SKIPPED;
    } else if (t != NULL && x->depth >= x->limits->depth) {
        n = SKIPPED;
        x->cut = true;
    } else if (t != NULL) {
        size_t closing = t->kind == HTML_KEEP ? end_tag_bytes(t) : 0;
        buf_clear(&x->one);
        buf_printf(&x->one, "<%s", t->name);
        write_attrs(x, t, list);
        buf_char(&x->one, '>');
        bool written = put(x, closing);
        if (written && t->kind == HTML_KEEP) {
            x->depth++;
            x->closing += closing;
        }
        if (!written || t->kind == HTML_VOID)
            n = SKIPPED;
    }
    buf_char(&x->stack, (char)n);
}

static void pop(struct clean *x)
{
    uint8_t n = (uint8_t)x->stack.p[--x->stack.n];
    if (n == DROPPED)
        x->dropped--;
    if (n >= SKIPPED)
        return;
    buf_printf(x->out, "</%s>", html_tag_at(n)->name);
    x->depth--;
    x->closing -= end_tag_bytes(html_tag_at(n));
}

static void on_end(void *user, const xmlChar *name)
{
    struct clean *x = user;
    (void)name; /* the parser nests them; if it ever did not, ours would be */
    if (x->stack.n != 0)
        pop(x);
}

static void on_text(void *user, const xmlChar *text, int len)
{
    struct clean *x = user;
    if (x->dropped != 0 || x->full)
        return;
    buf_clear(&x->one);
    html_escape(&x->one, (struct str){(const char *)text, (size_t)len});
    put(x, 0);
}

/*
 * Declarations, "<!VR>", "<![if !supportLists]>", are nothing to browsers and text to this parser; comments, whose ends look like
 * one at times, it knows.
 */
static void without_declarations(struct str html, struct buf *to)
{
    while (html.n != 0) {
        const char *at = memmem(html.p, html.n, "<!", 2);
        size_t n = at != NULL ? (size_t)(at - html.p) : html.n;
        buf_str(to, str_sub(html, 0, n));
        html = str_sub(html, n, html.n);
        bool comment = str_starts(html, STR("<!--"));
        const char *end =
            !comment ? memchr(html.p, '>', html.n) : memmem(html.p + 4, html.n - 4, "-->", 3);
        n = end == NULL ? html.n : (size_t)(end - html.p) + (comment ? 3 : 1);
        if (comment)
            buf_str(to, str_sub(html, 0, n));
        html = str_sub(html, n, html.n);
    }
}

static enum err parse(struct clean *x, struct str html)
{
    htmlParserCtxtPtr c = htmlCreateMemoryParserCtxt(html.p, (int)html.n);
    if (c == NULL)
        return ERR_NOMEM;
    htmlCtxtUseOptions(c, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                              HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
    xmlSwitchEncoding(c, XML_CHAR_ENCODING_UTF8);
    *c->sax = (xmlSAXHandler){.startElement = on_start,
                              .endElement = on_end,
                              .characters = on_text,
                              .ignorableWhitespace = on_text};
    void *before = c->userData;
    c->userData = x;
    htmlParseDocument(c);
    c->userData = before;
    htmlFreeParserCtxt(c);
    return ERR_OK;
}

enum err html_clean(struct str html, const struct html_part *parts, uint32_t nparts,
                    const struct html_limits *limits, struct buf *out, bool *cut)
{
    struct str whole = html;
    struct buf text, room;
    html = utf8_prefix(html, limits->input);
    struct clean x = {.limits = limits,
                      .parts = parts,
                      .nparts = nparts,
                      .out = out,
                      .start = out->n,
                      .cut = html.n < whole.n};
    buf_init(&x.stack, limits->input + 256); /* the parser adds html, body and p on its own */
    buf_init(&x.one, 8 * limits->input + 4096);
    buf_init(&x.value, limits->input + 4096);
    buf_init(&text, limits->input);
    buf_init(&room, limits->input);
    without_declarations(html, &text);
    struct str thin = html_thin(buf_slice(&text), &room);
    enum err e = thin.n != 0 ? parse(&x, thin) : ERR_OK;
    while (x.stack.n != 0)
        pop(&x);
    if (x.stack.failed || x.value.failed || text.failed || room.failed)
        e = ERR_NOMEM;
    buf_free(&text);
    buf_free(&room);
    buf_free(&x.stack);
    buf_free(&x.one);
    buf_free(&x.value);
    *cut = x.cut;
    return e == ERR_OK ? buf_err(out) : e;
}
