// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "net/wheel.h"

#include <stddef.h>

#include "base/bug.h"

#define BITS       6 /* of a tick number per level */
#define TICK_SHIFT 24

_Static_assert(sizeof(struct timer) == 40, "the idle connection is budgeted (design 9.9)");
_Static_assert(WHEEL_SLOTS == 1 << BITS && WHEEL_TICK == INT64_C(1) << TICK_SHIFT, "one meaning");
/* Tick numbers of 63-bit nanoseconds have 39 bits. */
_Static_assert(WHEEL_LEVELS *BITS >= 63 - TICK_SHIFT, "every time has a slot");

static uint64_t tick_at_or_after(int64_t ns)
{
    return ns <= 0 ? 0 : ((uint64_t)ns + WHEEL_TICK - 1) >> TICK_SHIFT;
}

static void link_to(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->back = head;
    if (t->next != NULL)
        t->next->back = &t->next;
    *head = t;
}

static void unlink(struct timer *t)
{
    *t->back = t->next;
    if (t->next != NULL)
        t->next->back = t->back;
    t->next = NULL;
    t->back = NULL;
}

/* The level is that of the highest group of bits in which the tick differs from now: no slot ever wraps around. */
static void insert(struct wheel *w, struct timer *t)
{
    uint64_t diff = (t->due ^ w->now) | (WHEEL_SLOTS - 1);
    unsigned level = (63u - (unsigned)__builtin_clzll(diff)) / BITS;
    unsigned slot = (unsigned)(t->due >> (level * BITS)) % WHEEL_SLOTS;
    t->slotted = t->due;
    w->used[level] |= UINT64_C(1) << slot;
    link_to(&w->slot[level * WHEEL_SLOTS + slot], t);
}

static void detach(struct wheel *w, struct timer *t)
{
    struct timer **back = t->back;
    unlink(t);
    /* The last one of a slot: its head is what it hung on. */
    uintptr_t offset = (uintptr_t)back - (uintptr_t)w->slot;
    if (offset < sizeof w->slot && *back == NULL) {
        size_t at = offset / sizeof w->slot[0];
        w->used[at / WHEEL_SLOTS] &= ~(UINT64_C(1) << (at % WHEEL_SLOTS));
    }
}

void wheel_init(struct wheel *w, int64_t now)
{
    *w = (struct wheel){.now = (uint64_t)(now < 0 ? 0 : now) >> TICK_SHIFT};
}

void wheel_set(struct wheel *w, struct timer *t, int64_t deadline)
{
    BUG_IF(t->fn == NULL);
    uint64_t due = tick_at_or_after(deadline);
    if (due <= w->now)
        due = w->now + 1;
    t->due = due;
    if (timer_pending(t)) {
        if (due >= t->slotted)
            return;
        detach(w, t);
    }
    insert(w, t);
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (timer_pending(t))
        detach(w, t);
}

/* The first slot in use: its level, or WHEEL_LEVELS; *start is the tick at which it begins. */
static unsigned first_slot(const struct wheel *w, uint64_t *start)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (w->used[level] == 0)
            continue;
        unsigned shift = level * BITS;
        uint64_t slot = (uint64_t)__builtin_ctzll(w->used[level]);
        uint64_t above = w->now >> shift >> BITS << BITS;
        *start = (above | slot) << shift;
        return level;
    }
    return WHEEL_LEVELS;
}

/* Takes a slot's timers down: what is due fires, the rest moves to a lower level or to its later time. */
static void empty_slot(struct wheel *w, unsigned level)
{
    unsigned at = (unsigned)__builtin_ctzll(w->used[level]);
    struct timer **head = &w->slot[level * WHEEL_SLOTS + at];
    w->used[level] &= ~(UINT64_C(1) << at);
    w->firing = *head;
    *head = NULL;
    if (w->firing != NULL)
        w->firing->back = &w->firing;
    /* Callbacks may cancel timers that are still in this list, or set them again. */
    while (w->firing != NULL) {
        struct timer *t = w->firing;
        unlink(t);
        if (t->due > w->now)
            insert(w, t);
        else
            t->fn(t);
    }
}

void wheel_advance(struct wheel *w, int64_t now)
{
    uint64_t until = (uint64_t)(now < 0 ? 0 : now) >> TICK_SHIFT;
    uint64_t start;
    unsigned level;
    while ((level = first_slot(w, &start)) < WHEEL_LEVELS && start <= until) {
        BUG_IF(start < w->now);
        w->now = start;
        empty_slot(w, level);
    }
    if (until > w->now)
        w->now = until;
}

int64_t wheel_next(const struct wheel *w)
{
    uint64_t start;
    if (first_slot(w, &start) == WHEEL_LEVELS)
        return WHEEL_NEVER;
    return (int64_t)(start << TICK_SHIFT);
}
