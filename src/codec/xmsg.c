// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The parser: how libxml2 is fed and what it keeps; and looking at the tree. */
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/xmsg_priv.h"

/*
 * Traps of libxml2 2.9.14 that this file is built around (more in xmsg_tree.c):
 *   - Push mode gives up when 10 MB of one chunk are ahead of it: large messages are fed in pieces.
 *   - A ]]> in text passes when it lies in two pieces: see cut().
 *   - For the end of a reference it looks through everything from the & on, with each piece again: refs_ok().
 *   - Of CDATA it takes 300 bytes a piece and looks through all the rest each time, and it lets overlong UTF-8
 *     pass: it never sees CDATA, but the same text escaped; and the bytes are checked before.
 *   - Names, prefixes and namespace addresses are kept in the context's dictionary for ever: a context whose dictionary
 *     has grown is thrown away.
 */
#define CHUNK    ((size_t)32 << 10)
#define DICT_MAX ((size_t)128 << 10)
#define TEXT_MAX ((size_t)64 << 10) /* memory for text that is kept between messages */

static void be_silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

/*
 * Memory that libxml2 gives back is wiped: it held messages, and these may hold passwords. (About 8 KiB a message, most of
 * it the input.)
 */
static void wiping_free(void *p)
{
    if (p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t n)
{
    size_t had = p != NULL ? malloc_usable_size(p) : 0;
    void *fresh = malloc(n);
    if (fresh == NULL || p == NULL)
        return fresh;
    memcpy(fresh, p, had < n ? had : n);
    wiping_free(p);
    return fresh;
}

struct xmsg_parser *xmsg_parser_new(void)
{
    struct xmsg_parser *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    xmlMemSetup(wiping_free, malloc, wiping_realloc, strdup);
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, be_silent);
    buf_init(&p->text, XMSG_MAX);
    p->text.secret = true;
    p->limits = frame_limits_default;
    return p;
}

void xmsg_parser_limits(struct xmsg_parser *p, const struct frame_limits *lim)
{
    p->limits = *lim;
}

static void context_free(struct xmsg_parser *p)
{
    if (p->ctxt != NULL)
        xmlFreeParserCtxt(p->ctxt);
    p->ctxt = NULL;
}

void xmsg_parser_wipe(struct xmsg_parser *p)
{
    buf_free(&p->text);
    if (p->ctxt != NULL)
        xmlCtxtReset(p->ctxt);
}

void xmsg_parser_free(struct xmsg_parser **pp)
{
    struct xmsg_parser *p = *pp;
    if (p == NULL)
        return;
    context_free(p);
    buf_free(&p->text);
    free(p);
    *pp = NULL;
}

static enum err context_ready(struct xmsg_parser *p)
{
    if (p->ctxt == NULL) {
        xmlSAXHandler sax = xmsg_handlers; /* copied into the context */
        p->ctxt = xmlCreatePushParserCtxt(&sax, p, NULL, 0, NULL);
        if (p->ctxt == NULL)
            return ERR_NOMEM;
    }
    /*
     * No encoding is named: the message is known to be UTF-8 and to begin with < and a letter, without declaration
     * or BOM, so there is nothing to detect; naming it costs a conversion from UTF-8 to UTF-8, a fifth of the time.
     */
    if (xmlCtxtResetPush(p->ctxt, NULL, 0, NULL, NULL) != 0) {
        context_free(p);
        return ERR_NOMEM;
    }
    xmlCtxtUseOptions(p->ctxt, XML_PARSE_NONET);
    return ERR_OK;
}

static void feed_piece(struct xmsg_parser *p, struct str piece, bool last)
{
    if (p->err != ERR_OK)
        return;
    int rc = xmlParseChunk(p->ctxt, piece.p, (int)piece.n, last);
    if (rc != XML_ERR_OK && p->ctxt->wellFormed == 0 && p->err == ERR_OK)
        p->err = ERR_ILLEGAL_XML;
}

/* The next piece: not in the middle of a character or of ]]> */
static struct str cut(struct str s)
{
    struct str piece = utf8_prefix(s, CHUNK);
    while (piece.n < s.n && piece.n > CHUNK - 8 && piece.p[piece.n - 1] == ']')
        piece.n--;
    return piece;
}

/* Every & has its ; soon. */
static bool refs_ok(struct str s)
{
    const char *end = s.p + s.n;
    const char *p = s.p;
    while (p != end && (p = memchr(p, '&', (size_t)(end - p))) != NULL) {
        size_t left = (size_t)(end - p);
        p = memchr(p, ';', left < XMSG_MAX_REF ? left : XMSG_MAX_REF);
        if (p == NULL)
            return false;
    }
    return true;
}

static void feed_plain(struct xmsg_parser *p, struct str s, bool last)
{
    if (p->err == ERR_OK && !refs_ok(s))
        p->err = ERR_ILLEGAL_XML;
    while (s.n != 0 && p->err == ERR_OK) {
        struct str piece = cut(s);
        s = str_sub(s, piece.n, s.n);
        feed_piece(p, piece, last && s.n == 0);
    }
}

/* What stood in CDATA, as text between two empty sections: it must not grow together with the text beside it. */
static void feed_escaped(struct xmsg_parser *p, struct str s)
{
    char piece[4096];
    feed_piece(p, STR("<![CDATA[]]>"), false);
    while (s.n != 0 && p->err == ERR_OK) {
        struct str part = utf8_prefix(s, sizeof piece / 5);
        s = str_sub(s, part.n, s.n);
        char *to = piece;
        for (size_t i = 0; i < part.n; i++) {
            char c = part.p[i];
            const char *ref = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
            if (ref == NULL)
                *to++ = c;
            else
                to = stpcpy(to, ref);
        }
        feed_piece(p, (struct str){piece, (size_t)(to - piece)}, false);
    }
    feed_piece(p, STR("<![CDATA[]]>"), false);
}

/* frame_check() has seen to it that a < in front of ![CDATA[ is a section, that it has an end, and a tag behind it. */
static void feed(struct xmsg_parser *p, struct str msg)
{
    static const char open[] = "<![CDATA[";
    static const char close[] = "]]>";
    for (;;) {
        const char *hit = memmem(msg.p, msg.n, open, sizeof open - 1);
        if (hit == NULL)
            break;
        feed_plain(p, str_sub(msg, 0, (size_t)(hit - msg.p)), false);
        msg = str_sub(msg, (size_t)(hit - msg.p) + sizeof open - 1, msg.n);
        hit = memmem(msg.p, msg.n, close, sizeof close - 1);
        BUG_IF(hit == NULL);
        feed_escaped(p, str_sub(msg, 0, (size_t)(hit - msg.p)));
        msg = str_sub(msg, (size_t)(hit - msg.p) + sizeof close - 1, msg.n);
    }
    feed_plain(p, msg, true);
}

/* Gives back what a large or odd message left behind. */
static void settle(struct xmsg_parser *p, size_t size)
{
    if (p->text.cap > TEXT_MAX)
        buf_free(&p->text);
    if (xmlDictGetUsage(p->ctxt->dict) > DICT_MAX)
        context_free(p);
    else if (size > CHUNK)
        xmlCtxtReset(p->ctxt);
}

enum err xmsg_parse(struct xmsg_parser *p, struct str msg, struct arena *a, struct xelem **root)
{
    *root = NULL;
    if (frame_check(msg, XMSG_MAX, &p->limits, &msg) != ERR_OK || !utf8_valid(msg))
        return ERR_ILLEGAL_XML;
    p->arena = a;
    p->root = NULL;
    p->err = ERR_OK;
    p->depth = 0;
    buf_clear(&p->text);
    enum err e = context_ready(p);
    if (e != ERR_OK)
        return e;
    feed(p, msg);
    if (p->err == ERR_OK && (p->ctxt->wellFormed == 0 || p->depth != 0 || p->root == NULL))
        p->err = ERR_ILLEGAL_XML;
    settle(p, msg.n);
    if (p->err == ERR_OK)
        *root = p->root;
    return p->err;
}

/* --- looking at the tree */

struct str xelem_attr(const struct xelem *e, const char *name)
{
    struct str want = str_of(name);
    for (uint32_t i = 0; i < e->nattrs; i++) {
        if (str_ieq(e->attrs[i].name, want))
            return e->attrs[i].value;
    }
    return STR_NONE;
}

bool xelem_is(const struct xelem *e, const char *name)
{
    return str_ieq(e->name, str_of(name));
}

static const struct xelem *first_named(const struct xelem *e, const char *name)
{
    while (e != NULL && !xelem_is(e, name))
        e = e->next;
    return e;
}

const struct xelem *xelem_child(const struct xelem *e, const char *name)
{
    return first_named(e->child, name);
}

const struct xelem *xelem_next(const struct xelem *e, const char *name)
{
    return first_named(e->next, name);
}
