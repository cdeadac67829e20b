// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

/* RFC 3629, section 3, bit by bit. */
static size_t encode(uint32_t cp, char to[4])
{
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; cp >>= 6)
        to[i] = (char)(0x80 + cp % 64);
    to[0] = (char)(marks[n] + cp);
    return n;
}

static bool scalar(uint32_t cp)
{
    return cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
}

static void all_code_points(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110fff; cp++) {
        char raw[4], put[4];
        size_t n = encode(cp, raw), at = 0;
        struct str s = {raw, n};
        bool good = scalar(cp);
        if (utf8_valid(s) != good)
            fail_msg("U+%04X", cp);
        uint32_t got = utf8_next(s, &at);
        if (got != (good ? cp : 0xfffd) || at != (good ? n : 1))
            fail_msg("U+%04X", cp);
        size_t m = utf8_put(put, cp);
        if (!good)
            n = encode(0xfffd, raw);
        if (m != n || memcmp(put, raw, n) != 0)
            fail_msg("U+%04X", cp);
    }
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc3",
        "\xc3(",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x80\xaf",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2\x82(",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\xaf",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x9f\x98",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80",
        "\xfe",
        "\xff",
        "abc\xff",
        "\xef\xbf\xbd\x80",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(str_of(bad[i])));
    assert_true(utf8_valid(STR("")));
    assert_true(utf8_valid(STR("\xef\xbf\xbd"))); /* U+FFFD itself */
    assert_true(utf8_valid(STR("a\0b")));
}

/* A table-free reference: does some scalar value encode to exactly these bytes? */
static bool starts_char(const unsigned char *p, size_t left, size_t *len)
{
    uint32_t c = p[0];
    size_t n = c < 0x80                ? 1
               : c >= 0xc0 && c < 0xe0 ? 2
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xf0 && c < 0xf8 ? 4
                                       : 0;
    char again[4];
    if (n == 0 || n > left)
        return false;
    if (n > 1)
        c &= (1U << (7 - n)) - 1;
    for (size_t i = 1; i < n; i++)
        c = c * 64 + (p[i] & 0x3fU);
    *len = n;
    return scalar(c) && encode(c, again) == n && memcmp(again, p, n) == 0;
}

static void all_short_strings(void **state)
{
    (void)state;
    static const unsigned char alphabet[] = {'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                             0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5};
    enum { A = sizeof alphabet };
    for (unsigned x = 0; x < A * A * A * A; x++) {
        unsigned char s[4] = {alphabet[x % A], alphabet[x / A % A], alphabet[x / A / A % A],
                              alphabet[x / A / A / A]};
        bool valid = true;
        for (size_t i = 0, n = 0; i < sizeof s && valid; i += n)
            valid = starts_char(s, sizeof s, &n) && starts_char(s + i, sizeof s - i, &n);
        assert_int_equal(utf8_valid((struct str){(const char *)s, sizeof s}), valid);
    }
}

/* XML 1.0, 2.2. */
static void xml_characters(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp < 0x20; cp++)
        assert_int_equal(utf8_xml_char(cp), cp == 9 || cp == 10 || cp == 13);
    static const uint32_t good[] = {0x20,   0x7f,    0x85,    0xd7ff,  0xe000,
                                    0xfffd, 0x10000, 0x1ffff, 0x10ffff};
    static const uint32_t bad[] = {0xd800, 0xdfff, 0xfffe, 0xffff, 0x110000, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(utf8_xml_char(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_xml_char(bad[i]));
}

static void prefixes(void **state)
{
    (void)state;
    struct str s =
        STR("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"); /* ends of characters: 1 3 6 10 11 */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t n = 0; n < ARRAY_LEN(expected); n++) {
        assert_int_equal(utf8_prefix(s, n).n, expected[n]);
        assert_true(utf8_valid(utf8_prefix(s, n)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_code_points),   cmocka_unit_test(malformed),
        cmocka_unit_test(all_short_strings), cmocka_unit_test(xml_characters),
        cmocka_unit_test(prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
