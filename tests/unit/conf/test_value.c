// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "conf/address.h"
#include "conf/near.h"
#include "conf/value.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

union field {
    struct str text;
    uint32_t number;
    size_t size;
    int64_t time;
    int word;
    bool yes;
};

static enum err set(const struct row *r, struct str text, union field *f)
{
    struct str why;
    uint32_t at;
    enum err e = value_set(r, text, &arena, f, &why, &at);
    assert_true(e == ERR_OK || why.n > 0);
    return e;
}

static bool ok(const struct row *r, const char *text, union field *f)
{
    return set(r, str_of(text), f) == ERR_OK;
}

static void numbers(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_NUMBER, .min = 5, .max = 100};
    union field f = {.number = 7};
    assert_false(ok(&r, "4", &f));
    assert_int_equal(f.number, 7);
    assert_true(ok(&r, "5", &f));
    assert_true(ok(&r, "6", &f));
    assert_true(ok(&r, "99", &f));
    assert_true(ok(&r, "100", &f));
    assert_int_equal(f.number, 100);
    static const char *const bad[] = {"101",
                                      "",
                                      "-6",
                                      "+6",
                                      "6k",
                                      "0x10",
                                      "6 6",
                                      "auto",
                                      "4294967302",
                                      "18446744073709551622",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ok(&r, bad[i], &f));
    assert_int_equal(f.number, 100);
}

static void autos(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_AUTO, .min = 1, .max = 64};
    union field f = {.number = 7};
    assert_true(ok(&r, "auto", &f));
    assert_int_equal(f.number, 0);
    assert_true(ok(&r, "AUTO", &f));
    assert_false(ok(&r, "0", &f));
    assert_true(ok(&r, "1", &f));
    assert_true(ok(&r, "64", &f));
    assert_false(ok(&r, "65", &f));
    assert_int_equal(conf_auto(0, 0, 64), 1);
    assert_int_equal(conf_auto(0, 2, 64), 2);
    assert_int_equal(conf_auto(0, 65, 64), 64);
    assert_int_equal(conf_auto(3, 65, 64), 3);
}

static void sizes(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_SIZE, .min = 1024, .max = 1 << 20};
    union field f = {.size = 7};
    assert_false(ok(&r, "1023", &f));
    assert_true(ok(&r, "1024", &f));
    assert_true(ok(&r, "1k", &f));
    assert_int_equal(f.size, 1024);
    assert_true(ok(&r, "1025", &f));
    assert_true(ok(&r, "1048575", &f));
    assert_true(ok(&r, "1M", &f));
    assert_int_equal(f.size, 1 << 20);
    assert_false(ok(&r, "1048577", &f));
    assert_false(ok(&r, "1G", &f));
    static const char *const bad[] = {
        "", "k", "1 k", "1kk", "1T", "-1k", "1.5k", "17179869184G", "20000000000000000000"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ok(&r, bad[i], &f));
    const struct row wide = {.type = ROW_SIZE, .min = 0, .max = INT64_MAX};
    assert_true(ok(&wide, "8589934591G", &f));
    assert_false(ok(&wide, "8589934592G", &f)); /* 2^63 */
}

static void times(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_TIME, .min = 0, .max = INT64_C(3600) * 1000000000};
    union field f = {.time = 7};
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"0s", 0},
                {"1ms", 1000000},
                {"1500ms", 1500000000},
                {"1s", 1000000000},
                {"1S", 1000000000},
                {"60m", INT64_C(3600000000000)},
                {"1h", INT64_C(3600000000000)},
                {"3600s", INT64_C(3600000000000)},
                {"3599999ms", INT64_C(3599999000000)}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(ok(&r, good[i].text, &f));
        assert_int_equal(f.time, good[i].ns);
    }
    static const char *const bad[] = {"3600001ms", "61m", "1d",    "5",   "",
                                      "s",         "1 s", "1h30m", "-1s", "99999999999999d"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ok(&r, bad[i], &f));
}

static void words(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_ENUM, .words = "one|two|1.3"};
    const struct row b = {.type = ROW_BOOL};
    union field f = {.word = 7};
    assert_true(ok(&r, "one", &f));
    assert_int_equal(f.word, 0);
    assert_true(ok(&r, "TWO", &f));
    assert_int_equal(f.word, 1);
    assert_true(ok(&r, "1.3", &f));
    assert_int_equal(f.word, 2);
    static const char *const bad[] = {"", "on", "onet", "one|two", "|", "1.4"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ok(&r, bad[i], &f));
    assert_true(ok(&b, "yes", &f) && f.yes);
    assert_true(ok(&b, "Off", &f) && !f.yes);
    assert_true(ok(&b, "1", &f) && f.yes);
    assert_false(ok(&b, "", &f));
    assert_false(ok(&b, "maybe", &f));
}

/* n bytes of 'x' with `first` in front. */
static struct str filled(char first, size_t n)
{
    char *p = arena_alloc(&arena, n + 1);
    memset(p, 'x', n);
    p[0] = first;
    return (struct str){p, n};
}

static void texts(void **state)
{
    (void)state;
    const struct row s = {.type = ROW_STRING, .min = 2, .max = 32};
    const struct row p = {.type = ROW_PATH, .min = 1, .max = 80};
    const struct row none = {.type = ROW_PATH, .min = 0, .max = 80};
    union field f;
    assert_int_equal(set(&s, filled('a', 1), &f), ERR_SYNTAX);
    assert_int_equal(set(&s, filled('a', 2), &f), ERR_OK);
    assert_int_equal(set(&s, filled('a', 3), &f), ERR_OK);
    assert_int_equal(set(&s, filled('a', 31), &f), ERR_OK);
    assert_int_equal(set(&s, filled('a', 32), &f), ERR_OK);
    assert_int_equal(f.text.p[32], 0);
    assert_int_equal(set(&s, filled('a', 33), &f), ERR_SYNTAX);
    assert_int_equal(set(&s, STR("a\nb"), &f), ERR_SYNTAX);
    assert_int_equal(set(&p, filled('/', 80), &f), ERR_OK);
    assert_int_equal(set(&p, filled('/', 81), &f), ERR_SYNTAX);
    assert_int_equal(set(&p, filled('a', 5), &f), ERR_SYNTAX);
    assert_int_equal(set(&p, STR(""), &f), ERR_SYNTAX);
    assert_int_equal(set(&none, STR(""), &f), ERR_OK);
}

static void lists(void **state)
{
    (void)state;
    const struct row r = {.type = ROW_LIST, .min = 0, .max = CONF_FILE_MAX};
    union field f;
    struct str why;
    uint32_t at;
    assert_int_equal(set(&r, STR("10.0.0.0/8\n\n!10.9.0.0-10.9.255.255\n2001:db8:1::/48"), &f),
                     ERR_OK);
    assert_true(str_eq(f.text, STR("10.0.0.0/8, !10.9.0.0-10.9.255.255, 2001:db8:1::/48")));
    assert_int_equal(set(&r, STR(""), &f), ERR_OK);
    assert_int_equal(f.text.n, 0);
    assert_int_equal(value_set(&r, STR("10.0.0.1\n\n10.0.0.300"), &arena, &f, &why, &at),
                     ERR_SYNTAX);
    assert_int_equal(at, 2);
}

static void printing(void **state)
{
    (void)state;
    char t[VALUE_TEXT_MAX];
    static const struct {
        uint64_t bytes;
        const char *text;
    } size[] = {{0, "0"},
                {1, "1"},
                {1023, "1023"},
                {1024, "1k"},
                {1025, "1025"},
                {65536, "64k"},
                {1 << 20, "1M"},
                {(1 << 20) + 1024, "1025k"},
                {UINT64_C(1) << 40, "1024G"}};
    for (size_t i = 0; i < ARRAY_LEN(size); i++) {
        value_size_text(size[i].bytes, t);
        assert_string_equal(t, size[i].text);
    }
    static const struct {
        int64_t ns;
        const char *text;
    } time[] = {{0, "0"},
                {1000000, "1ms"},
                {INT64_C(1000000000), "1s"},
                {INT64_C(90000000000), "90s"},
                {INT64_C(300000000000), "5m"},
                {INT64_C(86400000000000), "1d"},
                {INT64_C(90000000000000), "25h"}};
    for (size_t i = 0; i < ARRAY_LEN(time); i++) {
        value_time_text(time[i].ns, t);
        assert_string_equal(t, time[i].text);
    }
}

static enum err address(const char *text, struct conf_address *at)
{
    struct str why;
    enum err e = address_parse(str_of(text), STR("/run/x"), &arena, at, &why);
    assert_true(e == ERR_OK || why.n != 0);
    return e;
}

static void addresses(void **state)
{
    (void)state;
    struct conf_address at;
    assert_int_equal(address("*:11024", &at), ERR_OK);
    assert_int_equal(at.kind, CONF_TCP);
    assert_int_equal(at.port, 11024);
    assert_true(str_eq(at.host, STR("*")));
    assert_int_equal(address("192.0.2.7:1", &at), ERR_OK);
    assert_int_equal(at.port, 1);
    assert_int_equal(address("[2001:db8::7]:65535", &at), ERR_OK);
    assert_true(str_eq(at.host, STR("2001:db8::7")));
    assert_int_equal(at.port, 65535);
    assert_int_equal(address("*:0", &at), ERR_OK);
    assert_int_equal(at.kind, CONF_OFF);
    assert_int_equal(address("unix:/run/a", &at), ERR_OK);
    assert_int_equal(at.kind, CONF_UNIX);
    assert_true(str_eq(at.path, STR("/run/a")));
    assert_int_equal(address("unix:{run_dir}/lmtp", &at), ERR_OK);
    assert_true(str_eq(at.path, STR("/run/x/lmtp")));
    static const char *const bad[] = {"",
                                      "*",
                                      "11024",
                                      ":11024",
                                      "*:",
                                      "*:65536",
                                      "*:-1",
                                      "host:1",
                                      "2001:db8::7:1",
                                      "[::1]",
                                      "[::1",
                                      "[192.0.2.7]:1",
                                      "::1:1",
                                      "unix:",
                                      "unix:rel",
                                      "*:1x",
                                      "192.0.2.300:1",
                                      "unix:{x}/y"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(address(bad[i], &at), ERR_SYNTAX);
}

static void socket_names(void **state)
{
    (void)state;
    struct conf_address at;
    for (size_t n = ADDRESS_PATH_MAX - 1; n <= ADDRESS_PATH_MAX + 1; n++) {
        struct str path = filled('/', n);
        struct str text = arena_printf(&arena, "unix:%.*s", STR_FMT(path));
        assert_int_equal(address(text.p, &at), n <= ADDRESS_PATH_MAX ? ERR_OK : ERR_SYNTAX);
    }
}

static void clashes(void **state)
{
    (void)state;
    static const struct {
        const char *x, *y;
        bool clash;
    } cases[] = {{"*:1", "*:1", true},
                 {"*:1", "*:2", false},
                 {"*:1", "192.0.2.7:1", true},
                 {"192.0.2.7:1", "192.0.2.8:1", false},
                 {"[::1]:1", "[0:0::1]:1", true},
                 {"*:0", "*:0", false},
                 {"unix:/a", "unix:/a", true},
                 {"unix:/a", "unix:/b", false},
                 {"unix:/a", "*:1", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_address x, y;
        assert_int_equal(address(cases[i].x, &x), ERR_OK);
        assert_int_equal(address(cases[i].y, &y), ERR_OK);
        assert_int_equal(address_clash(&x, &y), cases[i].clash);
        assert_int_equal(address_clash(&y, &x), cases[i].clash);
    }
}

static void domains(void **state)
{
    (void)state;
    assert_true(address_is_domain(STR("harbor.example")));
    assert_true(address_is_domain(STR("a")));
    assert_true(address_is_domain(STR("b\xc3\xbc"
                                      "cher.example")));
    assert_true(address_is_domain(filled('a', 63)));
    assert_false(address_is_domain(filled('a', 64)));
    static const char *const bad[] = {"",   ".",   "a.",  ".a",  "a..b", "-a",
                                      "a-", "a b", "a_b", "a@b", "a/b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(address_is_domain(str_of(bad[i])));
    for (size_t n = 252; n <= 254; n++) {
        char name[256];
        for (size_t i = 0; i < n; i++)
            name[i] = i % 50 == 49 ? '.' : 'x';
        assert_int_equal(address_is_domain((struct str){name, n}), n <= CONF_NAME_MAX);
    }
}

/* The recursive definition, as a reference for the table. */
static size_t steps_slowly(struct str a, struct str b)
{
    if (a.n == 0 || b.n == 0)
        return a.n + b.n;
    struct str a1 = str_sub(a, 0, a.n - 1), b1 = str_sub(b, 0, b.n - 1);
    char x = a.p[a.n - 1], y = b.p[b.n - 1];
    size_t best = steps_slowly(a1, b1) + (x != y);
    size_t less = steps_slowly(a1, b) + 1, more = steps_slowly(a, b1) + 1;
    best = less < best ? less : best;
    best = more < best ? more : best;
    if (a.n > 1 && b.n > 1 && x == b.p[b.n - 2] && y == a.p[a.n - 2]) {
        size_t turned = steps_slowly(str_sub(a, 0, a.n - 2), str_sub(b, 0, b.n - 2)) + 1;
        best = turned < best ? turned : best;
    }
    return best;
}

static void nearness(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        char x[6], y[6];
        for (size_t i = 0; i < sizeof x; i++) {
            seed = seed * 1103515245 + 12345;
            x[i] = (char)('a' + (seed >> 16) % 3);
            y[i] = (char)('a' + (seed >> 20) % 3);
        }
        struct str a = {x, (seed >> 8) % 7}, b = {y, (seed >> 12) % 7};
        assert_int_equal(near_steps(a, b), steps_slowly(a, b));
    }
    assert_int_equal(near_steps(STR("Log-Level"), STR("log_level")), 0);
    char word[NEAR_WORD_MAX + 1];
    memset(word, 'a', sizeof word);
    assert_int_equal(near_steps((struct str){word, NEAR_WORD_MAX}, STR("")), NEAR_WORD_MAX);
    assert_true(near_steps((struct str){word, NEAR_WORD_MAX + 1}, STR("")) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),      cmocka_unit_test(autos),    cmocka_unit_test(sizes),
        cmocka_unit_test(times),        cmocka_unit_test(words),    cmocka_unit_test(texts),
        cmocka_unit_test(lists),        cmocka_unit_test(printing), cmocka_unit_test(addresses),
        cmocka_unit_test(socket_names), cmocka_unit_test(clashes),  cmocka_unit_test(domains),
        cmocka_unit_test(nearness),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
