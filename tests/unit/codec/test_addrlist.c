// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/addrlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_int_equal(ip_parse(str_of(text), &ip), ERR_OK);
    return ip;
}

static bool in_list(const char *list, const char *address)
{
    struct addrlist l;
    struct ip ip = ip_of(address);
    addrlist_init(&l);
    assert_int_equal(addrlist_parse(&l, str_of(list), NULL), ERR_OK);
    bool hit = addrlist_match(&l, &ip);
    addrlist_free(&l);
    return hit;
}

/* The oracle is Python's ipaddress module. */
static void test_against_python(void **state)
{
    static const struct {
        const char *list, *asked;
    } rows[] = {
#define LIST(list, asked) {list, asked},
#include "tests/unit/codec/addrlist_vectors.tbl"
#undef LIST
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addrlist l;
        struct str item, rest = str_of(rows[i].asked);
        addrlist_init(&l);
        assert_int_equal(addrlist_parse(&l, str_of(rows[i].list), NULL), ERR_OK);
        while (str_split(&rest, ' ', &item)) {
            struct ip ip;
            assert_int_equal(ip_parse(str_sub(item, 1, item.n), &ip), ERR_OK);
            assert_int_equal(addrlist_match(&l, &ip), item.p[0] == '+');
        }
        addrlist_free(&l);
    }
}

/* The example of protocol 1, 7.2. */
static void test_paper(void **state)
{
    static const char list[] = "10.0.0.0/8\n"
                               "!10.9.0.0-10.9.255.255     ; the test lab\n"
                               "2001:db8:1::/48\n";
    (void)state;
    assert_true(in_list(list, "10.8.255.255"));
    assert_false(in_list(list, "10.9.0.0"));
    assert_false(in_list(list, "10.9.255.255"));
    assert_true(in_list(list, "10.10.0.0"));
    assert_true(in_list(list, "::ffff:10.1.2.3"));
    assert_true(in_list(list, "2001:db8:1:ffff::1"));
    assert_false(in_list(list, "2001:db8:2::1"));
}

static void test_families(void **state)
{
    (void)state;
    assert_false(in_list("::/1", "10.0.0.1"));
    assert_true(in_list("::/1", "::1"));
    assert_false(in_list("0.0.0.0/1,128.0.0.0/1", "::1"));
    assert_true(in_list("0.0.0.0/1,128.0.0.0/1", "255.255.255.255"));
    assert_true(in_list("0.0.0.0-255.255.255.255\n!0.0.0.0", "0.0.0.1"));
    assert_false(in_list("0.0.0.0-255.255.255.255\n!0.0.0.0", "0.0.0.0"));
    assert_false(in_list("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
                         "!ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_true(in_list("!10.0.0.1\n10.0.0.1", "10.0.0.1"));
    assert_false(in_list("", "10.0.0.1"));
    assert_false(in_list("; nothing, 10.0.0.1", "10.0.0.1"));
}

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
    } rows[] = {
        {"10.0.0.1/8", 1},        {"\n\n10.0.0.0/33", 3},    {"10.0.0.0/0", 1}, {"::1/129", 1},
        {"10.0.0.2-10.0.0.1", 1}, {"10.0.0.1-::2", 1},       {"10.0.0.1-", 1},  {"-10.0.0.1", 1},
        {"a.b.c.d", 1},           {"10.0.0.0/8\n10.0.0", 2}, {"1.2.3.4/8x", 1}, {"[::1]", 1},
        {"::1%eth0", 1},          {"010.0.0.1", 1},          {"!", 1},          {"1.2.3.4,nope", 1},
        {"2001:db8::1/48", 1},    {"!!1.2.3.4", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addrlist l;
        struct addrlist_error bad;
        struct ip kept = ip_of("192.0.2.1");
        addrlist_init(&l);
        assert_int_equal(addrlist_parse(&l, STR("192.0.2.1"), NULL), ERR_OK);
        assert_int_equal(addrlist_parse(&l, str_of(rows[i].text), &bad), ERR_SYNTAX);
        assert_int_equal(bad.line, rows[i].line);
        assert_non_null(bad.what);
        assert_true(addrlist_match(&l, &kept));
        addrlist_free(&l);
    }
}

static void test_cap(void **state)
{
    (void)state;
    for (uint32_t n = ADDRLIST_ENTRIES - 1; n <= ADDRLIST_ENTRIES + 1; n++) {
        struct buf b;
        struct addrlist l;
        buf_init(&b, 1 << 20);
        for (uint32_t i = 0; i < n; i++) /* every second address: nothing melts together */
            buf_printf(&b, "10.%u.%u.%u\n", i >> 15 & 255, i >> 7 & 255, i << 1 & 255);
        addrlist_init(&l);
        assert_int_equal(addrlist_parse(&l, buf_slice(&b), NULL),
                         n <= ADDRLIST_ENTRIES ? ERR_OK : ERR_TOO_LONG);
        assert_int_equal(l.v4_n, n <= ADDRLIST_ENTRIES ? n : 0);
        addrlist_free(&l);
        buf_free(&b);
    }
}

static void test_ip(void **state)
{
    char text[IP_TEXT_MAX], who[IP_WHO_MAX];
    struct ip a = ip_of("::ffff:192.0.2.7"), b = ip_of("192.0.2.7"), c = ip_of("2001:db8::ff:7");
    struct ip d = ip_of("2001:db8::1");
    const uint8_t raw[4] = {192, 0, 2, 7};
    (void)state;
    struct ip e = ip_from_v4(raw);
    assert_true(ip_eq(&a, &b) && ip_eq(&b, &e) && ip_is_v4(&a) && !ip_is_v4(&c));
    assert_int_equal(ip_print(&a, text), 9);
    assert_string_equal(text, "192.0.2.7");
    ip_print(&c, text);
    assert_string_equal(text, "2001:db8::ff:7");
    assert_string_equal(ip_who(&b, who), "[192.0.2.7]");
    struct ip longest = ip_of("2001:1db8:1111:2222:3333:4444:5555:6666");
    assert_string_equal(ip_who(&longest, who), "[2001:1db8:1111:2222:3333:4444:5555:6666]");
    a = ip_counted(&c);
    e = ip_counted(&d);
    assert_true(ip_eq(&a, &e));
    a = ip_counted(&b);
    assert_true(ip_eq(&a, &b));
    a = ip_of("127.255.0.1");
    b = ip_of("::1");
    assert_true(ip_is_loopback(&a) && ip_is_loopback(&b) && !ip_is_loopback(&c));
    assert_int_not_equal(ip_parse((struct str){"1.2.3.4\0", 8}, &a), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_python),
        cmocka_unit_test(test_paper),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
