// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"

static void comparing(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("ab"), STR("a")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_ieq(STR("InBox"), STR("INBOX")));
    assert_false(str_ieq(STR("\xc3\xa4"), STR("\xc3\x84"))); /* ASCII only */
    assert_false(str_ieq(STR("@"), STR("`")));
    assert_false(str_ieq(STR("["), STR("{")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR_NONE, STR_NONE), 0);
    assert_true(str_icmp(STR("A"), STR("b")) < 0 && str_icmp(STR("\xff"), STR("Z")) > 0);
    assert_true(str_eq_secret(STR("abc"), STR("abc")));
    assert_false(str_eq_secret(STR("abc"), STR("abd")));
    assert_false(str_eq_secret(STR("abc"), STR("ab")));
    assert_true(str_eq_secret(STR_NONE, STR("")));
}

static void cutting(void **state)
{
    (void)state;
    struct str s = STR("a,b,,c"), head;
    static const char *const parts[] = {"a", "b", "", "c"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_true(str_split(&s, ',', &head));
        assert_true(str_eq(head, str_of(parts[i])));
    }
    assert_false(str_split(&s, ',', &head));
    s = STR("");
    assert_true(str_split(&s, ',', &head));
    assert_int_equal(head.n, 0);
    assert_false(str_split(&s, ',', &head));
    s = STR("a,");
    assert_true(str_split(&s, ',', &head) && str_split(&s, ',', &head) && head.n == 0);
    assert_false(str_split(&s, ',', &head));
    assert_true(str_eq(str_sub(STR("abcdef"), 2, 3), STR("cde")));
    assert_int_equal(str_sub(STR("abc"), 4, 1).n, 0);
    assert_int_equal(str_sub(STR("abc"), 1, SIZE_MAX).n, 2);
    assert_int_equal(str_sub(STR_NONE, 1, 1).n, 0);
    assert_int_equal(str_find(STR("abc"), 'c'), 2);
    assert_int_equal(str_find(STR("abc"), 'x'), 3);
    assert_int_equal(str_find(STR_NONE, 'x'), 0);
    assert_true(str_eq(str_trim(STR(" \t\r\nx y\n ")), STR("x y")));
    assert_int_equal(str_trim(STR("  ")).n, 0);
    assert_true(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("abc"), STR("abcd")));
    assert_true(str_istarts(STR("ABC"), STR("ab")) && str_starts(STR_NONE, STR("")));
}

static void unsigned_numbers(void **state)
{
    (void)state;
    uint64_t v = 77;
    static const struct {
        const char *text;
        uint64_t max, value;
        enum err e;
    } cases[] = {
        {"0", 0, 0, ERR_OK},
        {"007", 7, 7, ERR_OK},
        {"99", 100, 99, ERR_OK},
        {"100", 100, 100, ERR_OK},
        {"101", 100, 0, ERR_RANGE},
        {"18446744073709551614", UINT64_MAX, UINT64_MAX - 1, ERR_OK},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, ERR_OK},
        {"18446744073709551616", UINT64_MAX, 0, ERR_RANGE},
        {"99999999999999999999999", UINT64_MAX, 0, ERR_RANGE},
        {"", 9, 0, ERR_SYNTAX},
        {"-1", 9, 0, ERR_SYNTAX},
        {"+1", 9, 0, ERR_SYNTAX},
        {" 1", 9, 0, ERR_SYNTAX},
        {"1 ", 9, 0, ERR_SYNTAX},
        {"0x1", 9, 0, ERR_SYNTAX},
        {"1.0", 9, 0, ERR_SYNTAX},
        {"\xd9\xa1", 9, 0, ERR_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        v = 77;
        assert_int_equal(str_u64(str_of(cases[i].text), cases[i].max, &v), cases[i].e);
        assert_true(v == (cases[i].e == ERR_OK ? cases[i].value : 77));
    }
    assert_int_equal(str_u64(STR("1\0"), 9, &v), ERR_SYNTAX);
}

/* Protocol 1, 1.9: decimal, optional leading '-', 64 bits. */
static void signed_numbers(void **state)
{
    (void)state;
    int64_t v = 77;
    static const struct {
        const char *text;
        int64_t value;
        enum err e;
    } cases[] = {{"-1", -1, ERR_OK},
                 {"0", 0, ERR_OK},
                 {"-0", 0, ERR_OK},
                 {"9223372036854775806", INT64_MAX - 1, ERR_OK},
                 {"9223372036854775807", INT64_MAX, ERR_OK},
                 {"9223372036854775808", 0, ERR_RANGE},
                 {"-9223372036854775807", -INT64_MAX, ERR_OK},
                 {"-9223372036854775808", INT64_MIN, ERR_OK},
                 {"-9223372036854775809", 0, ERR_RANGE},
                 {"-", 0, ERR_SYNTAX},
                 {"--1", 0, ERR_SYNTAX},
                 {"", 0, ERR_SYNTAX}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        v = 77;
        assert_int_equal(str_i64(str_of(cases[i].text), &v), cases[i].e);
        assert_true(v == (cases[i].e == ERR_OK ? cases[i].value : 77));
    }
}

static void hex_digits(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char z[2] = {(char)c, '\0'};
        char *end;
        long want = isxdigit(c) ? strtol(z, &end, 16) : -1;
        assert_int_equal(str_hex((char)c), want);
    }
}

/* Protocol 1, 1.9: false is empty, no, false, off, 0; true is yes, true, on, any number but 0; no regard to case. */
static void booleans(void **state)
{
    (void)state;
    static const char *const no[] = {"", "no", "NO", "false", "False", "off", "0", "00", "-0"};
    static const char *const yes[] = {"yes", "Yes", "TRUE", "on", "1", "2", "-1", "100000000000"};
    static const char *const bad[] = {"y",     "n",   "t",   "yess", " yes",
                                      "maybe", "1.0", "0x1", "-",    "nein"};
    bool v = true;
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_true(str_bool(str_of(no[i]), &v) == ERR_OK && !v);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(str_bool(str_of(yes[i]), &v) == ERR_OK && v);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_bool(str_of(bad[i]), &v), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),        cmocka_unit_test(cutting),
        cmocka_unit_test(unsigned_numbers), cmocka_unit_test(signed_numbers),
        cmocka_unit_test(booleans),         cmocka_unit_test(hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
