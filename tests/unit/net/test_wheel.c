// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The wheel against a model: a plain array of deadlines.
 */
#include "net/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bug.h"
#include "base/clock.h"

#define TIMERS 300
#define NONE   INT64_MIN

struct probe {
    struct timer timer;
    int64_t deadline; /* the model: NONE when not pending */
    uint64_t tick;    /* the first one at which it may fire, and must */
};

static struct wheel wheel;
static struct probe probes[TIMERS];
static int64_t now;
static uint64_t last_tick;
static int fired;
static bool meddle; /* callbacks set and cancel others */

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* The first tick at which it may fire. */
static uint64_t due_tick(int64_t deadline)
{
    return ((uint64_t)deadline + WHEEL_TICK - 1) / WHEEL_TICK;
}

static int64_t some_delay(void)
{
    static const int64_t scale[] = {WHEEL_TICK / 2,         WHEEL_TICK * 3,   CLOCK_SEC,
                                    70 * CLOCK_SEC,         3600 * CLOCK_SEC, 86400 * CLOCK_SEC,
                                    86400 * 900 * CLOCK_SEC};
    return (int64_t)rnd((uint64_t)scale[rnd(7)]);
}

static void set(struct probe *p, int64_t deadline)
{
    p->deadline = deadline;
    p->tick = deadline > 0 ? due_tick(deadline) : 0;
    if (p->tick <= wheel.now)
        p->tick = wheel.now + 1; /* never in the call itself */
    wheel_set(&wheel, &p->timer, deadline);
}

static void cancel(struct probe *p)
{
    p->deadline = NONE;
    wheel_cancel(&wheel, &p->timer);
}

static void on_probe(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);
    assert_false(timer_pending(t));
    assert_int_not_equal(p->deadline, NONE);
    assert_true(p->deadline <= now);
    /* Those of an earlier tick come first. */
    assert_true(p->tick >= last_tick);
    last_tick = p->tick;
    p->deadline = NONE;
    fired++;
    if (!meddle)
        return;
    cancel(&probes[rnd(TIMERS)]);
    if (rnd(2) == 0)
        set(&probes[rnd(TIMERS)], now + some_delay());
    if (rnd(8) == 0)
        set(p, now + some_delay());
}

static void start(void)
{
    fired = 0;
    last_tick = 0;
    now = (int64_t)rnd(1u << 30) * 4321;
    wheel_init(&wheel, now);
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&probes[i].timer, on_probe);
        probes[i].deadline = NONE;
    }
}

static void check_against_model(void)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        const struct probe *p = &probes[i];
        assert_int_equal(timer_pending(&p->timer), p->deadline != NONE);
        if (p->deadline == NONE)
            continue;
        assert_true(p->tick > (uint64_t)(now / WHEEL_TICK));
        if (p->tick < first)
            first = p->tick;
    }
    int64_t next = wheel_next(&wheel);
    if (first == UINT64_MAX)
        assert_true(next == WHEEL_NEVER);
    else
        assert_true(next > now && (uint64_t)next <= first * WHEEL_TICK);
}

/* 5,000 steps are some 80 years; base/clock's time ends after 292. */
static void run_random(int steps)
{
    start();
    for (int step = 0; step < steps; step++) {
        for (uint64_t n = rnd(6); n != 0; n--)
            set(&probes[rnd(TIMERS)], now + some_delay() - (rnd(20) == 0 ? CLOCK_SEC : 0));
        for (uint64_t n = rnd(3); n != 0; n--)
            cancel(&probes[rnd(TIMERS)]);
        now += some_delay() / (int64_t)(1 + rnd(50));
        last_tick = 0;
        wheel_advance(&wheel, now);
        check_against_model();
    }
}

static void test_random(void **state)
{
    (void)state;
    run_random(5000);
    assert_true(fired > 1000);
}

static void test_random_with_meddling_callbacks(void **state)
{
    (void)state;
    meddle = true;
    run_random(5000);
    meddle = false;
}

static void test_exact_tick(void **state)
{
    (void)state;
    meddle = false;
    static const int64_t ticks[] = {1,    2,    63,   64,     65,     127,   128,
                                    4095, 4096, 4097, 262143, 262144, 262145};
    for (size_t i = 0; i < ARRAY_LEN(ticks); i++) {
        start();
        now = now / WHEEL_TICK * WHEEL_TICK;
        fired = 0;
        set(&probes[0], now + ticks[i] * WHEEL_TICK);
        int64_t due = now + ticks[i] * WHEEL_TICK;
        now = due - 1;
        last_tick = 0;
        wheel_advance(&wheel, now);
        assert_int_equal(fired, 0);
        now = due;
        wheel_advance(&wheel, now);
        assert_int_equal(fired, 1);
        assert_true(wheel_next(&wheel) == WHEEL_NEVER);
    }
}

/* Idle timers are set again with every request: the slot must not change, and the timer must still be right. */
static void test_setting_again(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 10000; i++) {
        now += 100 * CLOCK_MS;
        set(&probes[0], now + 600 * CLOCK_SEC);
        wheel_advance(&wheel, now);
    }
    assert_int_equal(fired, 0);
    now += 601 * CLOCK_SEC;
    wheel_advance(&wheel, now);
    assert_int_equal(fired, 1);
    /* ... and an earlier time is taken at once. */
    set(&probes[0], now + 600 * CLOCK_SEC);
    set(&probes[0], now + CLOCK_SEC);
    now += 2 * CLOCK_SEC;
    wheel_advance(&wheel, now);
    assert_int_equal(fired, 2);
}

static void test_jump(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < TIMERS; i++)
        set(&probes[i], now + (i + 1) * 60 * CLOCK_SEC);
    now += 50 * 365 * 86400 * CLOCK_SEC;
    int64_t began = clock_cpu();
    wheel_advance(&wheel, now);
    assert_int_equal(fired, TIMERS);
    /* 94 million ticks one by one would take a second. */
    assert_true(clock_cpu() - began < 20 * CLOCK_MS);
    /* The end of time has a slot as well. */
    set(&probes[0], INT64_MAX);
    wheel_advance(&wheel, INT64_MAX - WHEEL_TICK);
    assert_true(timer_pending(&probes[0].timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_random_with_meddling_callbacks),
        cmocka_unit_test(test_exact_tick), cmocka_unit_test(test_setting_again),
        cmocka_unit_test(test_jump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
