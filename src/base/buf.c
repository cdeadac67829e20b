// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAP 256

static void (*no_memory)(void);

void buf_on_no_memory(void (*fn)(void))
{
    no_memory = fn;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

/* Of a secret buffer, from byte `from` on. */
static void wipe(struct buf *b, size_t from)
{
    if (b->secret && b->n > from)
        explicit_bzero(b->p + from, b->n - from);
}

void buf_free(struct buf *b)
{
    wipe(b, 0);
    free(b->p);
    *b = (struct buf){.max = b->max, .secret = b->secret};
}

void buf_clear(struct buf *b)
{
    wipe(b, 0);
    b->n = 0;
    b->failed = false;
}

/* realloc(), which leaves copies behind. */
static char *move(struct buf *b, size_t cap)
{
    char *p = b->secret ? malloc(cap) : realloc(b->p, cap);
    if (p == NULL || !b->secret)
        return p;
    if (b->n != 0)
        memcpy(p, b->p, b->n);
    wipe(b, 0);
    free(b->p);
    return p;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->cap - b->n >= n && b->p != NULL)
        return b->p + b->n;
    if (n > b->max || b->n > b->max - n)
        goto fail;
    size_t cap = b->cap != 0 ? b->cap : FIRST_CAP;
    if (cap > b->max)
        cap = b->max;
    while (cap - b->n < n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap < b->n + n)
        cap = b->n + n;
    char *p = move(b, cap);
    if (p == NULL && no_memory != NULL)
        no_memory();
    if (p == NULL)
        goto fail;
    b->p = p;
    b->cap = cap;
    return b->p + b->n;
fail:
    b->failed = true;
    return NULL;
}

void buf_grow(struct buf *b, size_t n)
{
    BUG_IF(n > b->cap - b->n);
    b->n += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *to = buf_room(b, n);
    if (to != NULL) {
        memcpy(to, p, n);
        b->n += n;
    }
}

void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    buf_add(b, text + at, sizeof text - at);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_IF(n < 0);
    char *to = buf_room(b, (size_t)n + 1);
    if (to == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    BUG_IF(n > b->n);
    size_t left = b->n - n;
    if (left != 0)
        memmove(b->p, b->p + n, left);
    wipe(b, left);
    b->n = left;
}

void buf_cut(struct buf *b, size_t n)
{
    BUG_IF(n > b->n);
    wipe(b, n);
    b->n = n;
    b->failed = false;
}

enum err buf_err(const struct buf *b)
{
    return b->failed ? ERR_NOMEM : ERR_OK;
}
