// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes of data */
    size_t used;
    alignas(max_align_t) char data[];
};

#define CHUNK_SIZE ((size_t)4096 - sizeof(struct arena_chunk))
#define ALIGNMENT  alignof(max_align_t)

void arena_init(struct arena *a, size_t cap)
{
    *a = (struct arena){.cap = cap};
}

static void wipe(const struct arena *a, struct arena_chunk *c)
{
    if (a->secret)
        explicit_bzero(c->data, c->used);
}

void arena_free(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        wipe(a, c);
        free(c);
    }
    a->held = 0;
    a->secret = false;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = NULL;
    while (a->head != NULL) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        wipe(a, c);
        if (keep == NULL && c->size == CHUNK_SIZE)
            keep = c;
        else
            free(c);
    }
    a->held = 0;
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
        a->head = keep;
        a->held = keep->size;
    }
}

static struct arena_chunk *chunk_add(struct arena *a, size_t n)
{
    size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;
    if (size > a->cap || a->held > a->cap - size) {
        size = n; /* the last bit below the cap */
        if (size > a->cap || a->held > a->cap - size)
            return NULL;
    }
    struct arena_chunk *c = malloc(sizeof *c + size);
    if (c == NULL)
        return NULL;
    c->size = size;
    c->used = 0;
    a->held += size;
    /* A chunk made for one large piece goes behind the head, whose free rest is still good. */
    if (a->head != NULL && n > CHUNK_SIZE / 2) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGNMENT)
        return NULL;
    n = n == 0 ? ALIGNMENT : (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct arena_chunk *c = a->head;
    if (c == NULL || c->size - c->used < n) {
        c = chunk_add(a, n);
        if (c == NULL)
            return NULL;
    }
    void *p = c->data + c->used;
    c->used += n;
    memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_alloc(a, n);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
    if (p == NULL)
        return STR_NONE;
    if (s.n != 0)
        memcpy(p, s.p, s.n);
    return (struct str){p, s.n};
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_IF(n < 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    if (p == NULL)
        return STR_NONE;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct str){p, (size_t)n};
}
