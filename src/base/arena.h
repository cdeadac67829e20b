// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * arena: memory that is freed all at once; one per request (design §9.7).
 *
 * Nothing is taken before the first allocation. The cap counts the bytes of all chunks: what a client can make
 * us store ends there with NULL, which the caller answers with ERR_NOMEM.
 */
#include <stddef.h>

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head; /* newest chunk */
    size_t cap;               /* most bytes of all chunks together */
    size_t held;              /* bytes of all chunks now */
    bool secret;              /* wiped before its memory goes back, and at a reset */
};

void arena_init(struct arena *a, size_t cap);
/* Gives everything back; the arena can be used again, and is secret no longer. */
void arena_free(struct arena *a);
/* Forgets all allocations but keeps one chunk of ordinary size for the next request. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type. NULL: over the cap or no memory. */
void *arena_alloc(struct arena *a, size_t n);
/* Zeroed array; NULL also when count * size overflows. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* A copy with a zero byte behind it (not counted in .n). .p == NULL: no memory. */
struct str arena_str(struct arena *a, struct str s);
/* printf into the arena; .p == NULL: no memory. */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
