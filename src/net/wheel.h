// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * wheel: many coarse timers, cheap to set, cancel and set again (design §9.9: one per process).
 *
 * A hierarchy of 7 levels with 64 slots each, over ticks of 2^24 ns (16.8 ms); the levels cover every time that
 * base/clock can give, so no deadline is ever clamped. Setting and cancelling are O(1). Setting a pending timer to
 * a later time only stores the new time; its old slot puts it in its place when it comes up. Advancing visits slots
 * that hold timers and nothing else, so a clock that jumps by hours costs no more than the timers that are due.
 *
 * A timer never fires early; it fires up to one tick late, plus what the process itself is late. Timers of one tick
 * fire in no particular order. Pure: knows no clock and no loop. Users outside net go through net/loop.h.
 */
#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK   (INT64_C(1) << 24) /* nanoseconds */
#define WHEEL_LEVELS 7
#define WHEEL_SLOTS  64
#define WHEEL_NEVER  INT64_MAX

struct timer;
/* The timer is not pending when this is called, and may be set again or freed in it. CONTAINER_OF finds its owner. */
typedef void timer_fn(struct timer *t);

/* Embedded in its owner, 40 bytes. The fields are the wheel's. */
struct timer {
    struct timer *next;
    struct timer **back; /* what points at this one; NULL: not pending */
    uint64_t due;        /* tick at which it fires */
    uint64_t slotted;    /* tick whose slot it lies in, <= due */
    timer_fn *fn;
};

struct wheel {
    uint64_t now; /* tick up to which everything has fired */
    uint64_t used[WHEEL_LEVELS];
    struct timer *slot[WHEEL_LEVELS * WHEEL_SLOTS];
    struct timer *firing;
};

/* now: nanoseconds, >= 0 (clock_mono()). */
void wheel_init(struct wheel *w, int64_t now);

/* Once in the life of a timer, before anything else. */
static inline void timer_init(struct timer *t, timer_fn *fn)
{
    *t = (struct timer){.fn = fn};
}

static inline bool timer_pending(const struct timer *t)
{
    return t->back != 0;
}

/* Fires at or after `deadline` (nanoseconds); one in the past fires at the next tick. */
void wheel_set(struct wheel *w, struct timer *t, int64_t deadline);
/* No-op when the timer is not pending. */
void wheel_cancel(struct wheel *w, struct timer *t);

/* Fires all that is due at `now`. Callbacks may set and cancel any timer. */
void wheel_advance(struct wheel *w, int64_t now);
/* A time not later than the first firing; wheel_advance() need not be called before. WHEEL_NEVER: no timer. */
int64_t wheel_next(const struct wheel *w);
