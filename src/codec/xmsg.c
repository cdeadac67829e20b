// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/xmsg.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "codec/frame.h"

/*
 * Traps of libxml2 2.9.14 that this file is built around:
 *   - Push mode gives up when 10 MB of one chunk are ahead of it: large messages are fed in pieces.
 *   - A ]]> in text passes when it lies in two pieces: see cut().
 *   - For the end of a reference it looks through everything from the & on, with each piece again: refs_ok().
 *   - Of CDATA it takes 300 bytes a piece and looks through all the rest each time, and it lets overlong UTF-8
 *     pass: it never sees CDATA, but the same text escaped; and the bytes are checked before.
 *   - Names, prefixes and namespace addresses are kept in the context's dictionary for ever: a
 * context whose dictionary has grown is thrown away.
 *   - Without NOENT, the & of an attribute value is reported as "&#38;"; no other & can be in a
 * reported value.
 *   - After an error it goes on to look at the bytes: the error handler stops it.
 */
#define CHUNK    ((size_t)32 << 10)
#define DICT_MAX ((size_t)128 << 10)
#define TEXT_MAX ((size_t)64 << 10) /* memory for text that is kept between messages */

struct level {
    struct xelem *elem;
    struct xelem **tail; /* where the next child goes */
    size_t text_at;      /* where its text begins in `text` */
};

struct xmsg_parser {
    xmlParserCtxt *ctxt; /* NULL after a failure: made anew */
    struct arena *arena;
    struct xelem *root;
    enum err err;
    uint32_t depth;
    struct buf text; /* character data of the open elements; an element's end takes its own off */
    struct frame_limits limits;
    struct level stack[FRAME_TOP_DEPTH];
};

static void stop(struct xmsg_parser *p, enum err e)
{
    if (p->err == ERR_OK) {
        p->err = e;
        xmlStopParser(p->ctxt);
    }
}

static size_t zlen(const xmlChar *z)
{
    return z != NULL ? strlen((const char *)z) : 0;
}

/* A bump pointer into one piece of the arena that holds all of an element's strings. */
static struct str put(char **to, const void *bytes, size_t n)
{
    struct str s = {*to, n};
    if (n != 0)
        memcpy(*to, bytes, n);
    (*to)[n] = '\0';
    *to += n + 1;
    return s;
}

/* local, or prefix:local */
static struct str put_name(char **to, const xmlChar *prefix, const xmlChar *local)
{
    char *from = *to;
    size_t n = zlen(local);
    if (prefix != NULL) {
        put(to, prefix, zlen(prefix));
        (*to)[-1] = ':';
    }
    put(to, local, n);
    return (struct str){from, (size_t)(*to - 1 - from)};
}

static struct str put_value(char **to, const xmlChar *from, const xmlChar *end)
{
    static const char amp[] = "&#38;";
    struct str v = put(to, from, from != NULL ? (size_t)(end - from) : 0);
    char *hit = memmem(v.p, v.n, amp, 5);
    if (hit == NULL)
        return v;
    char *w = hit;
    const char *stop_at = v.p + v.n;
    for (const char *r = hit; r < stop_at;) {
        *w++ = *r;
        r += stop_at - r >= 5 && memcmp(r, amp, 5) == 0 ? 5 : 1;
    }
    *w = '\0';
    v.n = (size_t)(w - v.p);
    return v;
}

/*
 * libxml2 gives five pointers per attribute (local name, prefix, address, value, its end) and two
 * per namespace declaration (prefix, address).
 */
static size_t strings_size(const xmlChar *local, const xmlChar *prefix, int nns, const xmlChar **ns,
                           int nattr, const xmlChar **attr)
{
    size_t n = zlen(local) + 1 + zlen(prefix) + 1;
    for (int i = 0; i < nns; i++)
        n += sizeof "xmlns:" + zlen(ns[2 * i]) + 1 + zlen(ns[2 * i + 1]) + 1;
    for (int i = 0; i < nattr; i++)
        n += zlen(attr[5 * i]) + 1 + zlen(attr[5 * i + 1]) + 1 +
             (size_t)(attr[5 * i + 4] - attr[5 * i + 3]) + 1;
    return n;
}

static void fill_attrs(struct xelem *e, char **to, int nns, const xmlChar **ns, int nattr,
                       const xmlChar **attr)
{
    struct xattr *a = e->attrs;
    for (int i = 0; i < nns; i++, a++) {
        const xmlChar *xmlns = (const xmlChar *)"xmlns";
        const xmlChar *value = ns[2 * i + 1];
        bool bare = ns[2 * i] == NULL;
        a->name = put_name(to, bare ? NULL : xmlns, bare ? xmlns : ns[2 * i]);
        a->value = put_value(to, value, value != NULL ? value + zlen(value) : NULL);
    }
    for (int i = 0; i < nattr; i++, a++) {
        a->name = put_name(to, attr[5 * i + 1], attr[5 * i]);
        a->value = put_value(to, attr[5 * i + 3], attr[5 * i + 4]);
    }
}

static void on_start(void *ctx, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                     int nns, const xmlChar **ns, int nattr, int defaulted, const xmlChar **attr)
{
    struct xmsg_parser *p = ctx;
    (void)uri;
    (void)defaulted;
    if (p->err != ERR_OK)
        return;
    if (p->depth >= p->limits.depth || (uint32_t)(nns + nattr) > p->limits.attrs) {
        stop(p, ERR_ILLEGAL_XML);
        return;
    }
    size_t count = (size_t)(nns + nattr);
    size_t head = sizeof(struct xelem) + count * sizeof(struct xattr);
    char *mem = arena_alloc(p->arena, head + strings_size(local, prefix, nns, ns, nattr, attr));
    if (mem == NULL) {
        stop(p, ERR_NOMEM);
        return;
    }
    struct xelem *e = (struct xelem *)(void *)mem;
    char *to = mem + head;
    e->nattrs = (uint32_t)count;
    e->attrs = count != 0 ? (struct xattr *)(void *)(mem + sizeof *e) : NULL;
    e->name = put_name(&to, prefix, local);
    fill_attrs(e, &to, nns, ns, nattr, attr);
    if (p->depth == 0)
        p->root = e;
    else {
        struct level *up = &p->stack[p->depth - 1];
        *up->tail = e;
        up->tail = &e->next;
    }
    p->stack[p->depth++] = (struct level){e, &e->child, p->text.n};
}

static void on_end(void *ctx, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct xmsg_parser *p = ctx;
    (void)local;
    (void)prefix;
    (void)uri;
    if (p->err != ERR_OK)
        return;
    BUG_IF(p->depth == 0);
    struct level *l = &p->stack[--p->depth];
    struct str text = str_sub(buf_slice(&p->text), l->text_at, p->text.n);
    if (text.n == 0) {
        l->elem->text = STR("");
        return;
    }
    l->elem->text = arena_str(p->arena, text);
    if (l->elem->text.p == NULL)
        stop(p, ERR_NOMEM);
    l->elem->mixed = l->elem->child != NULL && str_trim(text).n != 0;
    buf_cut(&p->text, l->text_at);
}

static void on_text(void *ctx, const xmlChar *bytes, int n)
{
    struct xmsg_parser *p = ctx;
    if (p->err != ERR_OK || p->depth == 0)
        return;
    buf_add(&p->text, bytes, (size_t)n);
    if (buf_err(&p->text) != ERR_OK)
        stop(p, ERR_NOMEM);
}

static void on_subset(void *ctx, const xmlChar *name, const xmlChar *ext, const xmlChar *sys)
{
    (void)name;
    (void)ext;
    (void)sys;
    stop(ctx, ERR_ILLEGAL_XML);
}

static void on_pi(void *ctx, const xmlChar *target, const xmlChar *data)
{
    (void)target;
    (void)data;
    stop(ctx, ERR_ILLEGAL_XML);
}

static void on_comment(void *ctx, const xmlChar *text)
{
    (void)text;
    stop(ctx, ERR_ILLEGAL_XML);
}

static void on_error(void *ctx, xmlErrorPtr error)
{
    /* Names are plain names to us: a prefix that nobody declared is no error. */
    if (error->level < XML_ERR_ERROR || error->domain == XML_FROM_NAMESPACE)
        return;
    stop(ctx, error->code == XML_ERR_NO_MEMORY ? ERR_NOMEM : ERR_ILLEGAL_XML);
}

static void be_silent(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

static const xmlSAXHandler handlers = {
    .internalSubset = on_subset,
    .externalSubset = on_subset,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .processingInstruction = on_pi,
    .comment = on_comment,
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .serror = on_error,
};

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
        xmlSAXHandler sax = handlers; /* copied into the context */
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
