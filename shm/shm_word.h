// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_word: how rows and segment lines are written and copied (anchors §2.3, rule 2).
 *
 * Shared rows are arrays of atomic 64-bit words; the first is the sequence number. Stores are
 * releases, loads are acquires, there is no fence. Why that is enough: the writer makes the number
 * odd *before* any word of the round (each word is a release store, so whoever acquires it sees the
 * odd number or a later one), and even *after* the last one. A reader that has met a word of a
 * later round therefore finds a changed number at its second look; one that saw the even number
 * first has at least that round's words.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SHM_TRIES 64

typedef _Atomic uint64_t shm_word;

_Static_assert(sizeof(shm_word) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "words must be lock-free");

static inline uint64_t shm_load(const shm_word *w)
{
    return atomic_load_explicit(w, memory_order_acquire);
}

static inline void shm_store(shm_word *w, uint64_t v)
{
    atomic_store_explicit(w, v, memory_order_release);
}

/*
 * Begins and ends a change. A number left odd by a dead writer of the same row is stepped over.
 * Returns what shm_end() stores.
 */
static inline uint64_t shm_begin(shm_word *row)
{
    uint64_t odd = atomic_load_explicit(row, memory_order_relaxed) | 1;
    shm_store(row, odd);
    return odd + 1;
}

static inline void shm_end(shm_word *row, uint64_t even)
{
    shm_store(row, even);
}

/* Writes all of a row but its sequence number. `words` counts the number; `local` begins with it
 * (ignored). */
static inline void shm_put(shm_word *row, const void *local, size_t words)
{
    const char *from = local;
    uint64_t even = shm_begin(row);
    for (size_t i = 1; i < words; i++) {
        uint64_t v;
        memcpy(&v, from + 8 * i, 8);
        shm_store(&row[i], v);
    }
    shm_end(row, even);
}

/* One try. false: somebody was writing; `copy` is then worthless. */
static inline bool shm_try(const shm_word *row, void *copy, size_t words)
{
    char *to = copy;
    uint64_t seq = shm_load(row);
    if ((seq & 1) != 0)
        return false;
    memcpy(to, &seq, 8);
    for (size_t i = 1; i < words; i++) {
        uint64_t v = shm_load(&row[i]);
        memcpy(to + 8 * i, &v, 8);
    }
    return shm_load(row) == seq;
}

/* Up to SHM_TRIES tries. */
static inline bool shm_get(const shm_word *row, void *copy, size_t words)
{
    for (int i = 0; i < SHM_TRIES; i++)
        if (shm_try(row, copy, words))
            return true;
    return false;
}
