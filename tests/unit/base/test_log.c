// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static int ends[2];
static char got[200000];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 18);
    log_open(ends[1], LOG_ALL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_open(STDERR_FILENO, LOG_MAJOR);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What came out so far. */
static size_t take(void)
{
    size_t n = 0;
    ssize_t k;
    while ((k = read(ends[0], got + n, sizeof got - 1 - n)) > 0)
        n += (size_t)k;
    got[n] = 0;
    return n;
}

/* The record behind "HH:MM:SS.mmm ", whose form is checked. */
static const char *record(void)
{
    int h, m, s, ms, end = 0;
    log_flush();
    take();
    assert_int_equal(sscanf(got, "%2d:%2d:%2d.%3d %n", &h, &m, &s, &ms, &end), 4);
    assert_int_equal(end, 13);
    assert_true(h < 24 && m < 60 && s < 61 && ms < 1000);
    return got + end;
}

static void form(void **state)
{
    (void)state;
    log_write(LOG_MAJOR, "XIMSSI", 100042, "[192.0.2.7]", "got connection on %s:%d",
              "[198.51.100.5]", 11024);
    assert_string_equal(record(),
                        "2 XIMSSI-100042([192.0.2.7]) got connection on [198.51.100.5]:11024\n");
    log_write(LOG_PROBLEMS, "MASTER", 0, NULL, "x");
    assert_string_equal(record(), "3 MASTER x\n");
    log_write(LOG_LOW, "HTTPU", 311, NULL, "x");
    assert_string_equal(record(), "4 HTTPU-000311 x\n");
}

static void levels(void **state)
{
    (void)state;
    for (int level = LOG_CRASH; level <= LOG_ALL; level++) {
        log_set_level((enum log_level)level);
        for (int at = LOG_CRASH; at <= LOG_ALL; at++) {
            assert_int_equal(log_enabled((enum log_level)at), at <= level);
            log_write((enum log_level)at, "T", 0, NULL, "x");
            log_flush();
            assert_int_equal(take() != 0, at <= level);
        }
    }
}

static void urgent_records_leave_at_once(void **state)
{
    (void)state;
    log_write(LOG_MAJOR, "T", 0, NULL, "x");
    assert_int_equal(take(), 0);
    log_write(LOG_FAILURES, "T", 0, NULL, "y");
    take();
    assert_non_null(strstr(got, " 2 T x\n"));
    assert_non_null(strstr(got, " 1 T y\n"));
}

static void control_characters(void **state)
{
    (void)state;
    log_write(LOG_MAJOR, "T", 0, "a\nb", "1\r\n2\t3\x1b[31m4\x7f%c5 \xc3\xa4", 0);
    assert_string_equal(record(), "2 T(a\\nb) 1\\r\\n2\\x093\\x1b[31m4\\x7f\\05 \xc3\xa4\n");
    for (int c = 1; c < 0x20; c++) {
        log_write(LOG_MAJOR, "T", 0, NULL, "%c", c);
        const char *text = record();
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        for (const char *p = text; p[1] != 0; p++)
            assert_true((unsigned char)*p >= 0x20);
    }
}

/* Around the cap: a line of 8 KiB at most, and what was left out is counted. */
static void long_lines(void **state)
{
    (void)state;
    static char text[20000];
    for (size_t n = 8000; n <= 8300; n++) {
        unsigned left = 0;
        memset(text, 'x', n);
        text[n] = 0;
        log_write(LOG_MAJOR, "T", 0, NULL, "%s", text);
        const char *line = record();
        size_t kept = strspn(line + 4, "x");
        if (kept < n) {
            assert_int_equal(sscanf(line + 4 + kept, "\xe2\x80\xa6+%u bytes\n", &left), 1);
            assert_true(kept > 8100);
        }
        assert_int_equal(kept + left, n);
        assert_true(strlen(got) <= 8192 + 64);
    }
}

static void long_names(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, '\n', sizeof text - 1);
    log_write(LOG_MAJOR, "T", 1, text, "%s", text);
    assert_true(strlen(record()) < 8192 + 128);
    assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

static void many_records(void **state)
{
    (void)state;
    unsigned next = 0, v;
    for (unsigned i = 0; i < 3000; i++)
        log_write(LOG_MAJOR, "T", 0, NULL, "record %u", i);
    log_flush();
    take();
    for (char *p = got; (p = strstr(p, "record ")) != NULL; p++) {
        assert_int_equal(sscanf(p, "record %u", &v), 1);
        assert_int_equal(v, next++);
    }
    assert_int_equal(next, 3000);
}

static void clocks(void **state)
{
    (void)state;
    int64_t before = clock_mono();
    int64_t wall = clock_wall();
    assert_true(wall > INT64_C(1700000000) * CLOCK_SEC);
    assert_true(clock_mono() >= before);
    assert_true(clock_cpu() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(urgent_records_leave_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_records, set_up, tear_down),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
