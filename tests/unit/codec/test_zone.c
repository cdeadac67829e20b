// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * zone: rules of POSIX that tzdata does not use, files that are none, damaged tables, limits. Real zones: tests/time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/xtime.h"
#include "codec/zone.h"

static void big(struct buf *b, uint64_t v, int bytes)
{
    while (bytes-- > 0)
        buf_char(b, bytes < 8 ? (char)(v >> (8 * bytes)) : 0);
}

static void header(struct buf *b, uint32_t times, uint32_t types, uint32_t chars)
{
    buf_lit(b, "TZif2");
    for (int i = 0; i < 15; i++)
        buf_char(b, '\0');
    big(b, 0, 12);
    big(b, times, 4);
    big(b, types, 4);
    big(b, chars, 4);
}

/* A file with one type, `offset`, changes to it at `at` (n of them), and this footer. */
static void make(struct buf *b, const int64_t *at, uint32_t n, int32_t offset, const char *footer)
{
    buf_init(b, ZONE_FILE_MAX * 2);
    header(b, 0, 1, 4);
    big(b, 0, 6);
    buf_lit(b, "UTC");
    buf_char(b, '\0');
    header(b, n, 2, 4);
    for (uint32_t i = 0; i < n; i++)
        big(b, (uint64_t)at[i], 8);
    for (uint32_t i = 0; i < n; i++)
        buf_char(b, (char)(i % 2 == 0));
    big(b, 0, 6);
    big(b, (uint32_t)offset, 4);
    big(b, 0, 2);
    buf_lit(b, "UTC");
    buf_char(b, '\0');
    buf_printf(b, "\n%s\n", footer);
}

static enum err add(struct buf *file)
{
    struct zones_maker m;
    struct buf table;
    zones_maker_init(&m);
    buf_init(&table, ZONES_TABLE_MAX);
    enum err e = zones_add(&m, STR("A/B"), buf_slice(file), true);
    assert_int_equal(zones_finish(&m, &table), ERR_OK);
    buf_free(&table);
    return e;
}

/* The offset by that footer alone. */
static int32_t rule(const char *footer, const char *when)
{
    struct buf file, table;
    struct zones_maker m;
    struct zones z;
    int64_t t;
    make(&file, NULL, 0, 0, footer);
    zones_maker_init(&m);
    buf_init(&table, ZONES_TABLE_MAX);
    assert_int_equal(zones_add(&m, STR("A"), buf_slice(&file), false), ERR_OK);
    assert_int_equal(zones_finish(&m, &table), ERR_OK);
    assert_int_equal(zones_open(&z, buf_slice(&table)), ERR_OK);
    assert_int_equal(xtime_read(str_of(when), false, &t), ERR_OK);
    int32_t offset = zone_offset(zones_find(&z, STR("a")), t);
    buf_free(&file);
    buf_free(&table);
    return offset;
}

static void test_rules(void **state)
{
    (void)state;
    assert_int_equal(rule("UTC0", "20260101T000000"), 0);
    assert_int_equal(rule("<+0330>-3:30:15", "20260101T000000"), 12615);
    assert_int_equal(rule("EST+5", "99991231T235959"), -18000);
    /* Jn: no number for February 29; n: it has one. 2024 is a leap year, 2100 none. */
    assert_int_equal(rule("AAA0BBB,J60/0,J61/0", "20240301T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,J60/0,J61/0", "20240229T235959"), 0);
    assert_int_equal(rule("AAA0BBB,J60/0,J61/0", "21000301T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,59/0,60/0", "20240229T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,59/0,60/0", "21000301T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,59/0,60/0", "21000228T235959"), 0);
    /* without a time: two o'clock; another summer than one hour; the south */
    assert_int_equal(rule("AAA0BBB-2,M3.5.0,M10.5.0", "20260329T015959"), 0);
    assert_int_equal(rule("AAA0BBB-2,M3.5.0,M10.5.0", "20260329T020000"), 7200);
    assert_int_equal(rule("AAA0BBB,M10.1.0,M4.1.0/3", "20260101T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,M10.1.0,M4.1.0/3", "20260701T000000"), 0);
    /* the day before, and the week after */
    assert_int_equal(rule("AAA0BBB,M3.5.0/-24,M10.5.0", "20260328T000000"), 3600);
    assert_int_equal(rule("AAA0BBB,M3.5.0/-24,M10.5.0", "20260327T235959"), 0);
    assert_int_equal(rule("AAA0BBB,M3.5.0/167,M10.5.0", "20260404T225959"), 0);
    assert_int_equal(rule("AAA0BBB,M3.5.0/167,M10.5.0", "20260404T230000"), 3600);
}

static void test_changes(void **state)
{
    (void)state;
    static const int64_t at[] = {-100, 0, 100};
    struct buf file, table;
    struct zones_maker m;
    struct zones z;
    make(&file, at, 3, 3600, "");
    zones_maker_init(&m);
    buf_init(&table, ZONES_TABLE_MAX);
    assert_int_equal(zones_add(&m, STR("Y"), buf_slice(&file), false), ERR_OK);
    assert_int_equal(zones_add(&m, STR("X"), buf_slice(&file), true), ERR_OK);
    assert_int_equal(zones_finish(&m, &table), ERR_OK);
    assert_int_equal(zones_open(&z, buf_slice(&table)), ERR_OK);
    const struct zone *x = zones_find(&z, STR("X"));
    assert_ptr_equal(x, zones_find(&z, STR("y"))); /* kept once */
    assert_null(zones_find(&z, STR("Z")));
    assert_int_equal(zone_offset(x, INT64_MIN), 0);
    assert_int_equal(zone_offset(x, -101), 0);
    assert_int_equal(zone_offset(x, -100), 3600);
    assert_int_equal(zone_offset(x, -1), 3600);
    assert_int_equal(zone_offset(x, 0), 0);
    assert_int_equal(zone_offset(x, 99), 0);
    assert_int_equal(zone_offset(x, INT64_MAX), 3600); /* no rule: as it was last */
    bool listed;
    assert_true(str_eq(zones_name(&z, 0, &listed), STR("X")) && listed);
    assert_true(str_eq(zones_name(&z, 1, &listed), STR("Y")) && !listed);
    /* a table that is cut off, or has another byte somewhere, is refused or does no harm */
    for (size_t n = 0; n + 8 <= table.n; n++) /* 8: what fills up */
        assert_int_not_equal(zones_open(&z, str_sub(buf_slice(&table), 0, n)), ERR_OK);
    for (size_t i = 0; i < table.n * 8; i++) {
        table.p[i / 8] = (char)(table.p[i / 8] ^ 1 << i % 8);
        if (zones_open(&z, buf_slice(&table)) == ERR_OK && zones_find(&z, STR("X")) != NULL)
            zone_offset(zones_find(&z, STR("X")), 4102444800);
        table.p[i / 8] = (char)(table.p[i / 8] ^ 1 << i % 8);
    }
    buf_free(&file);
    buf_free(&table);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const footers[] = {"UTC",
                                          "UTC0X",
                                          "UTC25",
                                          "<UTC0",
                                          "UTC0:60",
                                          "AAA0BBB",
                                          "AAA0BBB,M3.5.0",
                                          "AAA0BBB,M0.5.0,M10.5.0",
                                          "AAA0BBB,M13.5.0,M10.5.0",
                                          "AAA0BBB,M3.6.0,M10.5.0",
                                          "AAA0BBB,M3.0.0,M10.5.0",
                                          "AAA0BBB,M3.5.7,M10.5.0",
                                          "AAA0BBB,J0,J5",
                                          "AAA0BBB,J366,J5",
                                          "AAA0BBB,366,5",
                                          "AAA0BBB,M3.5.0/168,M10.5.0",
                                          "AAA0BBB,M3.5.0,M10.5.0,",
                                          "AAA0BBB,M3.5.0,M10.5.0\nX"};
    static const int64_t back[] = {100, 100};
    struct buf file;
    for (size_t i = 0; i < ARRAY_LEN(footers); i++) {
        make(&file, NULL, 0, 0, footers[i]);
        if (add(&file) != ERR_SYNTAX)
            fail_msg("taken: %s", footers[i]);
        buf_free(&file);
    }
    make(&file, back, 2, 0, "UTC0"); /* not in order */
    assert_int_equal(add(&file), ERR_SYNTAX);
    buf_free(&file);
    make(&file, back, 1, 26 * 3600, "UTC0");
    assert_int_equal(add(&file), ERR_SYNTAX);
    buf_free(&file);
    make(&file, back, 1, 26 * 3600 - 1, "UTC0");
    assert_int_equal(add(&file), ERR_OK);
    for (size_t n = 0; n < file.n; n++) {
        struct buf part = file;
        part.n = n;
        assert_int_equal(add(&part), ERR_SYNTAX);
    }
    buf_free(&file);
}

static void test_limits(void **state)
{
    (void)state;
    char name[ZONE_NAME_MAX + 2];
    struct zones_maker m;
    struct buf file, table;
    make(&file, NULL, 0, 0, "UTC0");
    memset(name, 'n', sizeof name);
    zones_maker_init(&m);
    buf_init(&table, ZONES_TABLE_MAX);
    assert_int_equal(zones_add(&m, STR(""), buf_slice(&file), false), ERR_TOO_LONG);
    for (size_t n = ZONE_NAME_MAX - 1; n <= ZONE_NAME_MAX + 1; n++)
        assert_int_equal(zones_add(&m, (struct str){name, n}, buf_slice(&file), false),
                         n <= ZONE_NAME_MAX ? ERR_OK : ERR_TOO_LONG);
    while (m.count < ZONES_MAX) {
        struct str s = {name, (size_t)snprintf(name, sizeof name, "%u", m.count)};
        assert_int_equal(zones_add(&m, s, buf_slice(&file), false), ERR_OK);
    }
    assert_int_equal(zones_add(&m, STR("one more"), buf_slice(&file), false), ERR_TOO_LONG);
    assert_int_equal(zones_finish(&m, &table), ERR_OK);
    buf_clear(&table);
    zones_maker_init(&m);
    assert_int_equal(zones_add(&m, STR("A"), buf_slice(&file), false), ERR_OK);
    assert_int_equal(zones_add(&m, STR("a"), buf_slice(&file), false), ERR_OK);
    assert_int_equal(zones_finish(&m, &table), ERR_EXISTS);
    buf_free(&file);
    buf_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
