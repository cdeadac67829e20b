// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_xmsg: whatever the parser accepts is a sound tree, and written out by xout and parsed again
 * it is the same tree. Every third input gets a small arena.
 */
#include "base/utf8.h"
#include "codec/frame.h"
#include "codec/xmsg.h"
#include "codec/xout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_str(struct str s)
{
    BUG_IF(s.p == NULL || s.p[s.n] != '\0' || memchr(s.p, 0, s.n) != NULL || !utf8_valid(s));
}

static void check(const struct xelem *e, unsigned depth)
{
    BUG_IF(depth > FRAME_MAX_DEPTH || e->nattrs > FRAME_MAX_ATTRS || e->name.n == 0);
    check_str(e->name);
    check_str(e->text);
    for (uint32_t i = 0; i < e->nattrs; i++) {
        check_str(e->attrs[i].name);
        check_str(e->attrs[i].value);
    }
    BUG_IF(e->mixed != (e->child != NULL && str_trim(e->text).n != 0));
    for (const struct xelem *c = e->child; c != NULL; c = c->next)
        check(c, depth + 1);
}

static void write_out(struct buf *b, const struct xelem *e)
{
    xout_open_str(b, e->name);
    for (uint32_t i = 0; i < e->nattrs; i++)
        xout_attr(b, e->attrs[i].name.p, e->attrs[i].value);
    xout_body(b);
    xout_text(b, e->text);
    for (const struct xelem *c = e->child; c != NULL; c = c->next)
        write_out(b, c);
    xout_close_str(b, e->name);
}

static void compare(const struct xelem *a, const struct xelem *b)
{
    BUG_IF(!str_eq(a->name, b->name) || !str_eq(a->text, b->text) || a->nattrs != b->nattrs);
    for (uint32_t i = 0; i < a->nattrs; i++)
        BUG_IF(!str_eq(a->attrs[i].name, b->attrs[i].name) ||
               !str_eq(a->attrs[i].value, b->attrs[i].value));
    const struct xelem *x = a->child;
    const struct xelem *y = b->child;
    for (; x != NULL && y != NULL; x = x->next, y = y->next)
        compare(x, y);
    BUG_IF(x != NULL || y != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xmsg_parser *parser;
    struct arena a, a2;
    struct xelem *root, *again;
    if (parser == NULL)
        parser = xmsg_parser_new();
    BUG_IF(parser == NULL);
    arena_init(&a, size % 3 == 0 ? 2 * size : (size_t)8 << 20);
    arena_init(&a2, (size_t)8 << 20);
    enum err e = xmsg_parse(parser, (struct str){(const char *)data, size}, &a, &root);
    BUG_IF((e == ERR_OK) != (root != NULL));
    if (e == ERR_OK) {
        struct buf b;
        buf_init(&b, SIZE_MAX);
        check(root, 1);
        write_out(&b, root);
        /* escaped, it may be over a cap of the frame */
        if (xmsg_parse(parser, buf_slice(&b), &a2, &again) == ERR_OK)
            compare(root, again);
        else
            BUG_IF(b.n < FRAME_MAX_TAG);
        buf_free(&b);
    }
    arena_free(&a);
    arena_free(&a2);
    return 0;
}
