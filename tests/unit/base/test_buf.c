// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"

static void appends(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_slice(&b).n, 0);
    buf_lit(&b, "ab");
    buf_char(&b, 'c');
    buf_str(&b, STR("d\0e"));
    buf_u64(&b, 0);
    buf_u64(&b, UINT64_MAX);
    buf_printf(&b, "<%05d>", 42);
    buf_add(&b, NULL, 0);
    assert_int_equal(buf_err(&b), ERR_OK);
    assert_true(str_eq(buf_slice(&b), STR("abcd\0e018446744073709551615<00042>")));
    buf_consume(&b, 3);
    assert_true(str_starts(buf_slice(&b), STR("d\0e0")));
    buf_consume(&b, b.n);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    buf_free(&b);
}

static void decimal_against_printf(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    for (uint64_t v = 1; v != 0; v <<= 1) {
        for (uint64_t d = 0; d < 3; d++) {
            char text[32];
            snprintf(text, sizeof text, "%llu", (unsigned long long)(v + d - 1));
            buf_clear(&b);
            buf_u64(&b, v + d - 1);
            assert_true(str_eq(buf_slice(&b), str_of(text)));
        }
    }
    buf_free(&b);
}

static unsigned told;

static void tell(void)
{
    told++;
}

/* Only the want of memory is told, not a cap that is reached; and it is a failure all the same. */
static void no_memory_is_told(void **state)
{
    (void)state;
    struct buf b;
    buf_on_no_memory(tell);
    buf_init(&b, 10);
    buf_lit(&b, "01234567890");
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    assert_int_equal(told, 0);
    buf_free(&b);
    buf_init(&b, SIZE_MAX / 4);
    assert_null(buf_room(&b, SIZE_MAX / 4)); /* nobody has that much */
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    assert_int_equal(told, 1);
    buf_free(&b);
    buf_on_no_memory(NULL);
}

static void the_cap_is_exact(void **state)
{
    (void)state;
    char bytes[101] = {0};
    for (size_t n = 99; n <= 101; n++) {
        struct buf b;
        buf_init(&b, 100);
        buf_add(&b, bytes, n);
        assert_int_equal(buf_err(&b), n <= 100 ? ERR_OK : ERR_NOMEM);
        assert_int_equal(b.n, n <= 100 ? n : 0);
        buf_free(&b);
        buf_init(&b, 100);
        for (size_t i = 0; i < n; i++)
            buf_char(&b, 'x');
        assert_int_equal(buf_err(&b), n <= 100 ? ERR_OK : ERR_NOMEM);
        assert_int_equal(b.n, n <= 100 ? n : 100);
        buf_free(&b);
    }
}

static void failure_is_remembered(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_lit(&b, "abc");
    buf_lit(&b, "de");
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    assert_true(str_eq(buf_slice(&b), STR("abc")));
    buf_lit(&b, "d"); /* nothing goes in behind a hole */
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    buf_cut(&b, 1);
    assert_int_equal(buf_err(&b), ERR_OK);
    assert_true(str_eq(buf_slice(&b), STR("a")));
    buf_lit(&b, "xyz0");
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    buf_clear(&b);
    assert_int_equal(buf_err(&b), ERR_OK);
    assert_int_equal(b.n, 0);
    buf_free(&b);
}

static void room(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    char *p = buf_room(&b, 10);
    assert_non_null(p);
    memcpy(p, "0123456789", 10);
    buf_grow(&b, 7);
    assert_true(str_eq(buf_slice(&b), STR("0123456")));
    assert_null(buf_room(&b, 4));
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    buf_free(&b);
}

/* Random appends and takings, against plain arrays. */
static void against_a_model(void **state)
{
    (void)state;
    enum { MAX = 5000 };
    struct buf b;
    char model[MAX];
    size_t n = 0;
    unsigned seed = 7;
    buf_init(&b, MAX);
    for (int round = 0; round < 20000; round++) {
        char piece[300];
        seed = seed * 1103515245 + 12345;
        size_t k = (seed >> 16) % sizeof piece;
        if ((seed >> 8) % 2 == 0) {
            memset(piece, round & 0xff, k);
            buf_add(&b, piece, k);
            if (n + k <= MAX) {
                memcpy(model + n, piece, k);
                n += k;
            } else {
                assert_int_equal(buf_err(&b), ERR_NOMEM);
                buf_cut(&b, b.n);
            }
        } else {
            k = k < n ? k : n;
            buf_consume(&b, k);
            memmove(model, model + k, n - k);
            n -= k;
        }
        assert_true(str_eq(buf_slice(&b), (struct str){model, n}));
    }
    buf_free(&b);
}

static bool all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

/* What a secret buffer does not hold any more is not in its memory. */
static void secrets_are_wiped(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    b.secret = true;
    buf_lit(&b, "correct-horse battery");
    buf_consume(&b, 8);
    assert_true(str_eq(buf_slice(&b), STR("horse battery")));
    assert_true(all_zero(b.p + b.n, 8));
    buf_cut(&b, 5);
    assert_true(str_eq(buf_slice(&b), STR("horse")) && all_zero(b.p + 5, 16));
    for (int i = 0; i < 1000; i++) /* it moves, and is still the same */
        buf_lit(&b, " staple");
    assert_int_equal(b.n, 7005);
    assert_memory_equal(b.p + 6998, " staple", 7);
    buf_clear(&b);
    assert_true(all_zero(b.p, 7005));
    buf_free(&b);
    assert_true(b.secret && b.p == NULL);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(decimal_against_printf),
        cmocka_unit_test(no_memory_is_told),
        cmocka_unit_test(the_cap_is_exact),
        cmocka_unit_test(failure_is_remembered),
        cmocka_unit_test(room),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(secrets_are_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
