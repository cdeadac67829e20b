// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_thin.h"
#include "codec/mime_text.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

#define HTML_MAX \
    ((size_t)1 << 20) /* more is cut off: this is for reading, the HTML itself is kept */

struct html {
    struct buf *out;
    size_t start;     /* where the text begins in out */
    unsigned dropped; /* open elements whose text is not shown */
    unsigned pre;
    unsigned breaks; /* LFs that stand at the end, waiting */
    bool blank;      /* a blank waits */
    bool link;
    size_t link_at;
    char href[512];
};

static bool is_one_of(const xmlChar *name, const char *words)
{
    size_t n = strlen((const char *)name);
    for (const char *hit = strstr(words, (const char *)name); hit != NULL;
         hit = strstr(hit + 1, (const char *)name)) {
        if (hit[n] == ' ' && (hit == words || hit[-1] == ' '))
            return true;
    }
    return false;
}

static bool is_dropped(const xmlChar *name)
{
    return is_one_of(name, "script style head title ");
}

static bool is_block(const xmlChar *name)
{
    return is_one_of(name, "p div tr li h1 h2 h3 h4 h5 h6 blockquote pre table ul ol hr ");
}

/* At least n line ends before what comes next; never at the beginning. */
static void want_break(struct html *h, unsigned n)
{
    h->blank = false;
    if (h->breaks < n)
        h->breaks = n;
}

static void put(struct html *h, const char *p, size_t n)
{
    if (h->out->n != h->start) {
        for (; h->breaks != 0; h->breaks--)
            buf_char(h->out, '\n');
        if (h->blank && h->out->n != 0 && h->out->p[h->out->n - 1] != '\n')
            buf_char(h->out, ' ');
    }
    h->breaks = 0;
    h->blank = false;
    buf_add(h->out, p, n);
}

static void on_text(void *user, const xmlChar *text, int len)
{
    struct html *h = user;
    struct str s = {(const char *)text, (size_t)len};
    if (h->dropped != 0)
        return;
    for (size_t i = 0; i < s.n;) {
        bool nbsp =
            i + 1 < s.n && (unsigned char)s.p[i] == 0xc2 && (unsigned char)s.p[i + 1] == 0xa0;
        if (h->pre != 0 && (s.p[i] == '\n' || s.p[i] == ' ' || s.p[i] == '\t')) {
            if (s.p[i] == '\n')
                want_break(h, h->breaks < 2 ? h->breaks + 1 : 2);
            else
                put(h, s.p + i, 1);
            i++;
        } else if (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r' || nbsp) {
            h->blank = h->breaks == 0;
            i += nbsp ? 2 : 1;
        } else {
            size_t run = i;
            while (run < s.n && s.p[run] > ' ')
                run++;
            while (run < s.n && (unsigned char)s.p[run] >= 0x80 && (unsigned char)s.p[run] != 0xc2)
                run++;
            if (run == i)
                run = i + 1;
            put(h, s.p + i, run - i);
            i = run;
        }
    }
}

static void on_start(void *user, const xmlChar *name, const xmlChar **attrs)
{
    struct html *h = user;
    if (is_dropped(name)) {
        h->dropped++;
    } else if (strcmp((const char *)name, "br") == 0) {
        want_break(h, h->breaks < 2 ? h->breaks + 1 : 2);
    } else if (is_block(name)) {
        want_break(h, 1);
        h->pre += strcmp((const char *)name, "pre") == 0;
        if (strcmp((const char *)name, "li") == 0 && h->dropped == 0)
            put(h, "- ", 2);
    } else if (strcmp((const char *)name, "td") == 0 || strcmp((const char *)name, "th") == 0) {
        h->blank = h->breaks == 0;
    } else if (strcmp((const char *)name, "a") == 0) {
        h->link = false;
        for (; attrs != NULL && attrs[0] != NULL; attrs += 2) {
            const char *value = (const char *)attrs[1];
            if (strcmp((const char *)attrs[0], "href") != 0 || value == NULL ||
                strlen(value) >= sizeof h->href)
                continue;
            memcpy(h->href, value, strlen(value) + 1);
            h->link = value[0] != '\0' && value[0] != '#';
            h->link_at = h->out->n;
        }
    }
}

static void on_end(void *user, const xmlChar *name)
{
    struct html *h = user;
    if (is_dropped(name)) {
        h->dropped -= h->dropped != 0;
    } else if (is_block(name)) {
        want_break(h, 1);
        h->pre -= strcmp((const char *)name, "pre") == 0 && h->pre != 0;
    } else if (strcmp((const char *)name, "a") == 0 && h->link && h->dropped == 0) {
        struct str shown = str_trim(str_sub(buf_slice(h->out), h->link_at, h->out->n - h->link_at));
        struct str href = str_of(h->href);
        struct str mail = str_starts(href, STR("mailto:")) ? str_sub(href, 7, href.n) : href;
        h->link = false;
        if (h->out->failed || str_eq(shown, href) || str_eq(shown, mail))
            return;
        h->blank = shown.n != 0;
        put(h, "<", 1);
        put(h, href.p, href.n);
        put(h, ">", 1);
    }
}

void mime_html_text(struct str html, struct buf *out)
{
    struct html h = {.out = out, .start = out->n};
    struct buf room;
    buf_init(&room, HTML_MAX);
    html = html_thin(str_sub(html, 0, HTML_MAX), &room);
    htmlParserCtxtPtr c = html.n != 0 ? htmlCreateMemoryParserCtxt(html.p, (int)html.n) : NULL;
    if (c == NULL) {
        buf_free(&room);
        return;
    }
    htmlCtxtUseOptions(c, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                              HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
    xmlSwitchEncoding(c, XML_CHAR_ENCODING_UTF8);
    *c->sax = (xmlSAXHandler){.startElement = on_start,
                              .endElement = on_end,
                              .characters = on_text,
                              .ignorableWhitespace = on_text};
    void *before = c->userData;
    c->userData = &h;
    htmlParseDocument(c);
    c->userData = before;
    htmlFreeParserCtxt(c);
    buf_free(&room);
}
