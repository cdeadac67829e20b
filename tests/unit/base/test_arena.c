// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 1; n < 300; n++) {
            unsigned char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, n);
        }
        arena_reset(&a);
    }
    arena_free(&a);
    assert_int_equal(a.held, 0);
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 500 };
    struct arena a;
    unsigned char *p[N];
    arena_init(&a, 16 << 20);
    for (size_t i = 0; i < N; i++) {
        p[i] = arena_alloc(&a, i * 37 % 9000 + 1);
        assert_non_null(p[i]);
        memset(p[i], (int)(i & 0xff), i * 37 % 9000 + 1);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i * 37 % 9000 + 1; k++)
            assert_int_equal(p[i][k], i & 0xff);
    }
    arena_free(&a);
}

/* The least cap with which n bytes can be had: one byte less refuses, one more does not. */
static void the_cap_is_exact(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_alloc(&a, 100000));
    size_t needed = a.held;
    arena_free(&a);
    assert_true(needed >= 100000 && needed < 100000 + 4096);
    for (size_t cap = needed - 1; cap <= needed + 1; cap++) {
        arena_init(&a, cap);
        assert_int_equal(arena_alloc(&a, 100000) != NULL, cap >= needed);
        assert_true(a.held <= cap);
        arena_free(&a);
    }
}

static void many_small_pieces_stay_below_the_cap(void **state)
{
    (void)state;
    struct arena a;
    size_t got = 0;
    arena_init(&a, 100000);
    while (arena_alloc(&a, 50) != NULL)
        got += 50;
    assert_true(a.held <= 100000);
    assert_true(got > 50000);
    assert_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 50));
    arena_free(&a);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX / 2);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 64));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_array(&a, 3, SIZE_MAX / 2));
    assert_non_null(arena_array(&a, 3, 5));
    arena_free(&a);
}

static void strings(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 65536);
    struct str s = arena_str(&a, STR("har\0bor"));
    assert_int_equal(s.n, 7);
    assert_memory_equal(s.p, "har\0bor", 8);
    s = arena_str(&a, STR(""));
    assert_non_null(s.p);
    assert_string_equal(s.p, "");
    s = arena_printf(&a, "%s-%d", "x", 42);
    assert_int_equal(s.n, 4);
    assert_string_equal(s.p, "x-42");
    arena_free(&a);
    arena_init(&a, 10);
    assert_null(arena_str(&a, STR("x")).p);
    assert_null(arena_printf(&a, "x").p);
    arena_free(&a);
}

static void reset_keeps_one_chunk(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_alloc(&a, 10));
    size_t one = a.held;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 3000));
    assert_true(a.held > one);
    arena_reset(&a);
    assert_true(a.held <= one);
    arena_free(&a);
    arena_free(&a);
}

static void a_secret_arena_keeps_nothing(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    a.secret = true;
    struct str s = arena_str(&a, STR("correct-horse"));
    arena_reset(&a); /* the chunk stays */
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.p[i], 0);
    assert_true(a.secret);
    arena_free(&a);
    assert_false(a.secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(the_cap_is_exact),
        cmocka_unit_test(many_small_pieces_stay_below_the_cap),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(strings),
        cmocka_unit_test(reset_keeps_one_chunk),
        cmocka_unit_test(a_secret_arena_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
