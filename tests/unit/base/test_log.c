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
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

static int file;
static off_t seen;
static char got[400000];

static int set_up(void **state)
{
    (void)state;
    file = memfd_create("log", MFD_CLOEXEC);
    assert_true(file >= 0);
    seen = 0;
    log_open(file, LOG_ALL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_open(STDERR_FILENO, LOG_MAJOR);
    close(file);
    return 0;
}

/* What came out since the last time. */
static size_t take(void)
{
    ssize_t n = pread(file, got, sizeof got - 1, seen);
    assert_true(n >= 0);
    seen += n;
    got[n] = 0;
    return (size_t)n;
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

/* What a terminal or a reader of the log could take for something else is made visible; all else is left alone. */
static void other_characters(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } pairs[] = {
        {"\xc2\x9b", "\\u009b"},                      /* CSI, as C1 */
        {"\x9b", "\\x9b"},                            /* the same byte alone is no UTF-8 */
        {"\xe2\x80\xae", "\\u202e"},                  /* right-to-left override */
        {"\xe2\x81\xa6", "\\u2066"},                  /* isolate */
        {"\xe2\x80\xa8", "\\u2028"},                  /* line separator */
        {"\xe2\x80\x8b", "\\u200b"},                  /* zero width */
        {"\xef\xbb\xbf", "\\ufeff"},                  /* BOM */
        {"\xf3\xa0\x81\x81", "\\U000e0041"},          /* a tag character */
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\xe6\x97", "\\xe6\\x97"},                   /* cut */
        {"\xef\xbf\xbd", "\xef\xbf\xbd"},             /* U+FFFD itself */
        {"\xe6\x97\xa5", "\xe6\x97\xa5"},
        {"\xc3\xa4\xcc\x88", "\xc3\xa4\xcc\x88"},
        {"%s%n%d", "%s%n%d"},
        {"\\n\"'", "\\n\"'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char want[64];
        snprintf(want, sizeof want, "2 T(%s) %s\n", pairs[i].out, pairs[i].out);
        log_write(LOG_MAJOR, "T", 0, pairs[i].in, "%s", pairs[i].in);
        assert_string_equal(record(), want);
    }
}

/* All code points, and all pairs of bytes: one line, valid UTF-8, no control character. */
static void every_character(void **state)
{
    (void)state;
    char text[8];
    for (uint32_t c = 1; c <= 0x10ffff; c += c < 0x3000 ? 1 : 257) {
        text[utf8_put(text, c)] = 0;
        log_write(LOG_MAJOR, "T", 0, NULL, "%s", text);
    }
    for (int a = 1; a < 256; a++) {
        for (int b = 1; b < 256; b += 3)
            log_write(LOG_MAJOR, "T", 0, NULL, "%c%c", a, b);
        record();
        struct str all = str_of(got);
        assert_true(utf8_valid(all));
        for (size_t at = 0; at < all.n;) {
            uint32_t c = utf8_next(all, &at);
            assert_true(c == '\n' || (c >= 0x20 && !(c >= 0x7f && c <= 0x9f)));
        }
    }
}

/* Around the cap: a line of 8 KiB at most, and what was left out is counted. */
static void long_lines(void **state)
{
    (void)state;
    static char text[60000];
    for (size_t n = 8000; n <= sizeof text; n += n < 8300 ? 1 : 7001) {
        unsigned left = 0;
        memset(text, 'x', n);
        text[n - 1] = 0;
        log_write(LOG_MAJOR, "T", 0, NULL, "%s", text);
        const char *line = record();
        size_t kept = strspn(line + 4, "x");
        if (kept < n - 1) {
            assert_int_equal(sscanf(line + 4 + kept, "\xe2\x80\xa6+%u bytes\n", &left), 1);
            assert_true(kept > 8100);
        }
        assert_int_equal(kept + left, n - 1);
        assert_true(strlen(got) <= 8192 + 64);
    }
}

/* No character is cut in two. */
static void long_lines_of_long_characters(void **state)
{
    (void)state;
    static char text[20000];
    for (size_t n = 8000; n <= 8300; n++) {
        size_t at = n % 3;
        memset(text, 'x', at);
        for (; at + 3 < n + 4; at += 3)
            memcpy(text + at, "\xe6\x97\xa5", 3);
        text[at] = 0;
        log_write(LOG_MAJOR, "T", 0, NULL, "%s", text);
        assert_null(strstr(record(), "\\x"));
        assert_true(utf8_valid(str_of(got)));
    }
}

/* Names are shown up to 1 KiB. */
static void long_names(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, '\n', sizeof text - 1);
    log_write(LOG_MAJOR, "T", 1, text, "%s", text);
    assert_true(strlen(record()) < 8192 + 128);
    assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
    assert_non_null(strstr(got, ") \\n\\n"));
}

static void names(void **state)
{
    (void)state;
    static const char *const words[] = {"crashes", "failures", "major", "problems", "low", "all"};
    for (int i = 0; i < LOG_LEVELS; i++) {
        enum log_level level;
        char digit[2] = {(char)('0' + i), 0};
        assert_string_equal(log_level_name((enum log_level)i), words[i]);
        assert_int_equal(log_level_find(words[i], &level), ERR_OK);
        assert_int_equal(level, i);
        assert_int_equal(log_level_find(digit, &level), ERR_OK);
        assert_int_equal(level, i);
    }
    enum log_level none;
    assert_int_equal(log_level_find("6", &none), ERR_NOT_FOUND);
    assert_int_equal(log_level_find("", &none), ERR_NOT_FOUND);
    assert_int_equal(log_level_find("4x", &none), ERR_NOT_FOUND);
    assert_int_equal(log_module_find("ximssi"), LOG_MODULE_XIMSSI);
    assert_int_equal(log_module_find("T"), LOG_MODULE_ANY);
    for (int m = 1; m < LOG_MODULE_COUNT; m++) {
        assert_int_equal(log_module_find(log_module_tag((enum log_module)m)), m);
        assert_true(strlen(log_module_doc((enum log_module)m)) > 5);
    }
}

/* What is not wanted is not even made. */
static void arguments_of_unwanted_records(void **state)
{
    (void)state;
    int made = 0;
    log_set_level(LOG_MAJOR);
    log_write(LOG_LOW, "T", 0, NULL, "%d", ++made);
    assert_int_equal(made, 0);
    log_write(LOG_MAJOR, "T", 0, NULL, "%d", ++made);
    assert_int_equal(made, 1);
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
        cmocka_unit_test_setup_teardown(other_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_character, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_of_long_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_names, set_up, tear_down),
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(arguments_of_unwanted_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_records, set_up, tear_down),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
