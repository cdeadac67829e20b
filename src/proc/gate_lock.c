// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/gate_lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_NS   50000000L /* one wait */
#define WAITS_MAX 40        /* so many of them */

/* Where the word lies, seen from the anchor: as far as the lists of this C library say for theirs. */
static long offset_of_word(const struct robust_list_head *h)
{
    long fits = (long)(sizeof(struct gate_word) / 2 - sizeof(uint32_t));
    return h != NULL && h->futex_offset >= -fits && h->futex_offset <= fits ? h->futex_offset : 0;
}

/* The middle of the shared part is the anchor, so that the word may lie before or behind it. */
static char *anchor_of(const struct gate_lock *l)
{
    return (char *)l->word + sizeof(struct gate_word) / 2;
}

static uint32_t *word_of(const struct gate_lock *l)
{
    return (uint32_t *)(void *)(anchor_of(l) + offset_of_word(l->head));
}

void gate_lock_attach(struct gate_lock *l, struct gate_word *word)
{
    struct robust_list_head *head = NULL;
    size_t n = 0;
    l->word = word;
    l->thread = (uint32_t)syscall(SYS_gettid);
    if (syscall(SYS_get_robust_list, 0, &head, &n) != 0 || n != sizeof *head)
        head = NULL;
    l->head = head;
}

/* What the kernel is to look at if we die. */
static void set_pending(struct gate_lock *l, bool on)
{
    struct robust_list_head *h = l->head;
    if (h != NULL)
        __atomic_store_n(&h->list_op_pending,
                         on ? (struct robust_list *)(void *)anchor_of(l) : NULL, __ATOMIC_SEQ_CST);
}

static void wait_for(uint32_t *word, uint32_t seen)
{
    struct timespec t = {.tv_nsec = WAIT_NS};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, seen, &t, NULL, 0);
}

enum gate_locked gate_lock_take(struct gate_lock *l)
{
    uint32_t *word = word_of(l);
    uint32_t mine = l->thread, seen = 0;
    set_pending(l, true);
    for (int waits = 0;;) {
        if (__atomic_compare_exchange_n(word, &seen, mine, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return GATE_LOCKED;
        if ((seen & FUTEX_OWNER_DIED) != 0) {
            if (__atomic_compare_exchange_n(word, &seen, mine | (seen & FUTEX_WAITERS), false,
                                            __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return GATE_LOCKED_DIRTY;
        } else if (seen != 0) {
            uint32_t with = seen | FUTEX_WAITERS;
            if (waits++ == WAITS_MAX)
                break;
            if (seen == with || __atomic_compare_exchange_n(word, &seen, with, false,
                                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                wait_for(word, with);
            mine |= FUTEX_WAITERS; /* there may be more of us */
        }
        seen = 0;
    }
    set_pending(l, false);
    return GATE_NOT_LOCKED;
}

void gate_lock_give(struct gate_lock *l)
{
    uint32_t *word = word_of(l);
    uint32_t was = __atomic_exchange_n(word, 0, __ATOMIC_RELEASE);
    if ((was & FUTEX_WAITERS) != 0)
        (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    set_pending(l, false);
}
