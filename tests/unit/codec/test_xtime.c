// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* xtime: against tables made by Python's datetime, the forms of protocol 1, 1.9, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "codec/xtime.h"

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)) || got.p[got.n] != '\0')
        fail_msg("got '%.*s', not '%s'", STR_FMT(got), want);
}

static int64_t read_ok(const char *text, bool local)
{
    int64_t t;
    if (xtime_read(str_of(text), local, &t) != ERR_OK)
        fail_msg("refused: %s", text);
    return t;
}

static void check_gmt(int64_t t, const char *basic, const char *date, const char *extended)
{
    char to[XTIME_SIZE], z[XTIME_SIZE], digits[XTIME_SIZE];
    assert_str(xtime_gmt(to, t), basic);
    assert_str(xtime_date(to, t), date);
    struct str with_z = xtime_gmt_z(z, t);
    assert_int_equal(with_z.p[with_z.n - 1], 'Z');
    assert_true(str_eq(str_sub(with_z, 0, with_z.n - 1), str_of(basic)));
    struct str d = xtime_digits(digits, t);
    assert_int_equal(d.n, 14);
    assert_memory_equal(d.p, basic, 8);
    assert_memory_equal(d.p + 8, basic + 9, 6);
    assert_true(read_ok(basic, false) == t);
    assert_true(read_ok(extended, false) == t);
    assert_true(read_ok(z, true) == t); /* Z says more than the operation */
    struct xtime x;
    assert_int_equal(xtime_parse(str_of(date), &x), ERR_OK);
    assert_true(x.date_only && !x.utc && x.hour == 0);
}

static void check_exists(const char *text, bool exists)
{
    struct xtime x;
    if ((xtime_parse(str_of(text), &x) == ERR_OK) != exists)
        fail_msg("%s", text);
}

static void check_berlin(int64_t t, const char *local)
{
    char to[XTIME_SIZE];
    assert_str(xtime_local(to, t, NULL), local);
    assert_true(read_ok(local, true) == t);
}

static void test_vectors(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1); /* the rule of Berlin, without a file */
    tzset();
#define GMT(t, basic, date, extended) check_gmt(INT64_C(t), basic, date, extended);
#define BERLIN(t, local)              check_berlin(INT64_C(t), local);
#define EXISTS(text, yes)             check_exists(text, yes);
#include "tests/unit/codec/xtime_vectors.tbl"
}

static void test_protocol_examples(void **state)
{
    (void)state;
    char to[XTIME_SIZE];
    setenv("TZ", "PST8", 1);
    tzset();
    int64_t t = 1178094793; /* 2007-05-02 08:33:13 GMT */
    assert_str(xtime_gmt(to, t), "20070502T083313");
    assert_str(xtime_gmt_z(to, t), "20070502T083313Z");
    assert_str(xtime_local(to, t, NULL), "20070502T003313");
    assert_str(xtime_date(to, t), "20070502");
    assert_str(xtime_digits(to, t), "20070502083313");
    assert_true(read_ok("20070502T003313", true) == t);
    assert_true(read_ok("2007-05-02T08:33:13.25Z", true) == t);
    assert_true(read_ok("20070502T083313,5", false) == t);
    assert_true(read_ok("20070502T083313.000000000000Z", false) == t);
    assert_true(read_ok("2007-05-02", false) == t - 8 * 3600 - 33 * 60 - 13);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2",
        "2007",
        "200705",
        "2007-05",
        "2007050",
        "200705021",
        "20070502T",
        "20070502T0833",
        "20070502T08331",
        "20070502083313", /* no T: 502 */
        "2007-05-02 08:33:13",
        "20070502t083313",
        "20070502T083313z",
        "20070502T083313ZZ",
        "20070502T083313+0200",
        "20070502T083313.",
        "20070502T083313.Z",
        "20070502T083313,5,5",
        "20070502Z",
        "2007-0502T083313",
        "200705-02T083313",
        "2007-05-02T083313",
        "20070502T08:33:13",
        "2007-05-02T08:3313",
        " 20070502T083313",
        "20070502T083313 ",
        "-0070502T083313",
        "2007+502T083313",
        "2007-5-2T8:33:13",
        "20070229",
        "21000229",
        "00000101",
        "20071301",
        "20070001",
        "20070100",
        "20070431",
        "20070502T240000",
        "20070502T236000",
        "20070502T235960",
        "garbage",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct xtime x = {.year = 77};
        int64_t t = 77;
        if (xtime_parse(str_of(bad[i]), &x) != ERR_ATTR_VALUE || x.year != 77)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(xtime_read(str_of(bad[i]), false, &t), ERR_ATTR_VALUE);
        assert_true(t == 77);
    }
    struct xtime x;
    assert_int_equal(xtime_parse(STR("20070502\0T08"), &x), ERR_ATTR_VALUE);
    assert_int_equal(xtime_parse(STR_NONE, &x), ERR_ATTR_VALUE);
}

/* Every prefix, from memory that ends with it. */
static void test_prefixes(void **state)
{
    (void)state;
    const char whole[] = "2007-05-02T08:33:13.25Z";
    for (size_t n = 0; n < sizeof whole; n++) {
        struct xtime x;
        char *own = test_malloc(n + 1);
        memcpy(own, whole, n);
        bool ok = n == 10 || n == 19 || n == 21 || n == 22 || n == 23;
        assert_int_equal(xtime_parse((struct str){own, n}, &x), ok ? ERR_OK : ERR_ATTR_VALUE);
        test_free(own);
    }
}

static void test_ends_of_time(void **state)
{
    (void)state;
    static const int64_t over[] = {XTIME_MAX, XTIME_MAX + 1, INT64_MAX};
    static const int64_t under[] = {XTIME_MIN, XTIME_MIN - 1, INT64_MIN};
    char to[XTIME_SIZE];
    setenv("TZ", "AAA-14", 1);
    tzset();
    for (size_t i = 0; i < 3; i++) {
        assert_str(xtime_gmt(to, over[i]), "99991231T235959");
        assert_str(xtime_gmt(to, under[i]), "00010101T000000");
        assert_int_equal(xtime_local(to, over[i], NULL).n, 15);
        assert_int_equal(xtime_local(to, under[i], NULL).n, 15);
    }
    assert_str(xtime_gmt(to, XTIME_MAX - 1), "99991231T235958");
    assert_str(xtime_gmt(to, XTIME_MIN + 1), "00010101T000001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),      cmocka_unit_test(test_protocol_examples),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_ends_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
