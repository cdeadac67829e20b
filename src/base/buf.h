// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * buf: bytes that grow, up to a cap.
 *
 * A failed append (cap reached, no memory) leaves the buffer as it was and is remembered: writers append without
 * looking and ask buf_err() once at the end. Memory is taken at the first append and given back by buf_free().
 *
 * A buffer with `secret` set (after buf_init()) leaves nothing behind in memory: what it no longer holds is wiped, also
 * where it lay before it grew.
 */
#include "base/str.h"

struct buf {
    char *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* bytes allowed */
    bool failed;
    bool secret;
};

/*
 * For a process that had better end than go on without memory, as some libraries do by themselves: called instead of a
 * failure, once realloc() has failed; a reached cap stays a failure. It need not return. Once, at the start of the process.
 */
void buf_on_no_memory(void (*fn)(void));

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties it, forgets a failure, keeps the memory. */
void buf_clear(struct buf *b);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define buf_lit(b, lit) buf_add((b), "" lit, sizeof(lit) - 1)

/* Room for n more bytes, or NULL (and the failure is remembered). buf_grow() then counts what was written. */
char *buf_room(struct buf *b, size_t n);
void buf_grow(struct buf *b, size_t n);
/* Takes n bytes off the front. */
void buf_consume(struct buf *b, size_t n);
/* Cuts back to a former length, for what must not be half written; forgets a failure. */
void buf_cut(struct buf *b, size_t n);

/* ERR_NOMEM if an append failed since the last clear or cut. */
enum err buf_err(const struct buf *b) CHECKED;

static inline struct str buf_slice(const struct buf *b)
{
    return (struct str){b->p, b->n};
}
