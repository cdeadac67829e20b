// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The tree, made of what libxml2 reports. Two things to know of its SAX2 interface:
 *   - Without NOENT, the & of an attribute value is reported as "&#38;"; no other & can be in a reported value.
 *   - After an error it goes on to look at the bytes: the error handler stops it.
 */
#include <libxml/xmlerror.h>

#include "codec/xmsg_priv.h"

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
        struct xmsg_level *up = &p->stack[p->depth - 1];
        *up->tail = e;
        up->tail = &e->next;
    }
    p->stack[p->depth++] = (struct xmsg_level){e, &e->child, p->text.n};
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
    struct xmsg_level *l = &p->stack[--p->depth];
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

const xmlSAXHandler xmsg_handlers = {
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
