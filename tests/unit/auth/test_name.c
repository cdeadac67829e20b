// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *canon(const char *in, const char *target)
{
    static struct name n;
    enum err e = name_canon(str_of(in), str_of(target), &n);
    if (e != ERR_OK)
        return err_name(e);
    assert_int_equal(strlen(n.text), n.n);
    assert_int_equal(n.text[n.local_n], '@');
    return n.text;
}

static void test_forms(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"dora", "dora@harbor.example"},
        {"Dora@HARBOR.Example", "dora@harbor.example"},
        {"dora%other.example", "dora@other.example"},
        {"do%ra%other.example", "SYNTAX"},
        {"dora%x@other.example", "SYNTAX"},
        {"o'neill+tag=x_y-z#1$&!", "o'neill+tag=x_y-z#1$&!@harbor.example"},
        {"a@b", "a@b"},
        {"", "SYNTAX"},
        {"@harbor.example", "SYNTAX"},
        {"dora@", "SYNTAX"},
        {"dora%", "SYNTAX"},
        {"dora@a@b", "SYNTAX"},
        {".dora", "SYNTAX"},
        {"dora.", "SYNTAX"},
        {"do..ra", "SYNTAX"},
        {"do ra", "SYNTAX"},
        {" dora", "SYNTAX"},
        {"do/ra", "SYNTAX"},
        {"do~ra", "SYNTAX"},
        {"do\\ra", "SYNTAX"},
        {"do\"ra", "SYNTAX"},
        {"do*ra", "SYNTAX"},
        {"do\nra", "SYNTAX"},
        {"do\x7fra", "SYNTAX"},
        {"dora@-a.example", "SYNTAX"},
        {"dora@a-.example", "SYNTAX"},
        {"dora@a..example", "SYNTAX"},
        {"dora@example.", "SYNTAX"},
        {"dora@.example", "SYNTAX"},
        {"dora@a_b.example", "SYNTAX"},
        {"dora@[192.0.2.1]", "SYNTAX"},
        {"do\xffra", "SYNTAX"},
        {"do\xc0\xafra", "SYNTAX"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(canon(rows[i].in, "harbor.example"), rows[i].out);
    assert_string_equal(canon("dora", ""), "SYNTAX");
    struct name n;
    assert_int_equal(name_canon((struct str){"do\0ra", 5}, STR("a"), &n), ERR_SYNTAX);
}

/* RFC 8265's dangers: width, compatibility, case, combining marks, direction, invisible characters. */
static void test_unicode(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        /* fullwidth JOHN */
        {"\xef\xbc\xaa\xef\xbc\xaf\xef\xbc\xa8\xef\xbc\xae", "john@a"},
        /* fullwidth @ and full stop are themselves */
        {"dora\xef\xbc\xa0"
         "b\xef\xbc\x8e"
         "c",
         "dora@b.c"},
        {"K\xc3\x96NIG", "k\xc3\xb6nig@a"},
        {"Ko\xcc\x88nig", "k\xc3\xb6nig@a"},
        {"stra\xc3\x9f"
         "e",
         "strasse@a"},
        {"\xe2\x84\xaa"
         "elvin",
         "kelvin@a"},                 /* U+212A KELVIN SIGN */
        {"\xef\xac\x81sh", "fish@a"}, /* U+FB01 ligature */
        /* final and other sigma */
        {"\xce\xa3\xce\xa3", "\xcf\x83\xcf\x83@a"},
        {"\xcf\x83\xcf\x82", "\xcf\x83\xcf\x83@a"},
        /* Turkish: dotless i stays another letter, dotted I becomes i + dot */
        {"\xc4\xb1x", "\xc4\xb1x@a"},
        {"\xc4\xb0x", "i\xcc\x87x@a"},
        /* Hebrew alone, Hebrew with a digit behind, with Latin, beginning with a digit */
        {"\xd7\x93\xd7\x95\xd7\xa8\xd7\x94", "\xd7\x93\xd7\x95\xd7\xa8\xd7\x94@a"},
        {"\xd7\x93\xd7\x95"
         "1",
         "\xd7\x93\xd7\x95"
         "1@a"},
        {"\xd7\x93x", "SYNTAX"},
        {"1\xd7\x93", "SYNTAX"},
        /* zero width joiner, soft hyphen, right-to-left override, no-break space, emoji, private use, unassigned */
        {"do\xe2\x80\x8dra", "SYNTAX"},
        {"do\xc2\xadra", "SYNTAX"},
        {"do\xe2\x80\xaera", "SYNTAX"},
        {"do\xc2\xa0ra", "SYNTAX"},
        {"\xf0\x9f\x94\x91", "SYNTAX"},
        {"\xee\x80\x80", "SYNTAX"},
        {"\xcd\xb8", "SYNTAX"},
        /* a combining mark in front */
        {"\xcc\x81"
         "dora",
         "SYNTAX"},
        {"dora@b\xc3\xbc"
         "cher.example",
         "dora@b\xc3\xbc"
         "cher.example"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(canon(rows[i].in, "a"), rows[i].out);
}

/* 2,000 pairs by Python's unicodedata: both spellings come to the same name, and that name to itself. */
static void test_pairs(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
#define PAIR(in, out) {in, out},
#include "tests/unit/auth/name_pairs.tbl"
#undef PAIR
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[128];
        struct str out = str_of(rows[i].out);
        memcpy(want, out.p, out.n);
        memcpy(want + out.n, "@a", 3);
        assert_string_equal(canon(rows[i].in, "a"), want);
        assert_string_equal(canon(rows[i].out, "a"), want);
    }
}

static void check_length(size_t local, size_t domain, enum err want)
{
    static char text[2048];
    struct name n;
    memset(text, 'a', sizeof text);
    text[local] = '@';
    for (size_t i = local + 1 + 50; i < local + domain; i += 51)
        text[i] = '.';
    assert_int_equal(name_canon((struct str){text, local + 1 + domain}, STR("x"), &n), want);
    if (want == ERR_OK)
        assert_int_equal(n.n, local + 1 + domain);
}

static void test_lengths(void **state)
{
    static char label[80], folded[NAME_INPUT_MAX + 2];
    char to[NAME_DOMAIN_MAX + 1];
    (void)state;
    check_length(63, 10, ERR_OK);
    check_length(64, 10, ERR_OK);
    check_length(65, 10, ERR_TOO_LONG);
    check_length(64, 254, ERR_OK);
    check_length(64, 255, ERR_OK);
    check_length(64, 256, ERR_TOO_LONG);
    check_length(1, NAME_INPUT_MAX - 2, ERR_TOO_LONG);
    check_length(1, NAME_INPUT_MAX, ERR_TOO_LONG);
    memset(label, 'a', sizeof label);
    for (size_t n = 62; n <= 64; n++)
        assert_int_equal(name_canon_domain((struct str){label, n}, to),
                         n <= 63 ? ERR_OK : ERR_TOO_LONG);
    /* U+FDFA is 3 bytes and folds to 33 with blanks; 1,023 bytes of it must not run over anything */
    for (size_t i = 0; i + 3 <= sizeof folded; i += 3)
        memcpy(folded + i, "\xef\xb7\xba", 3);
    struct name n;
    assert_int_equal(name_canon((struct str){folded, 1023}, STR("x"), &n), ERR_TOO_LONG);
    assert_int_equal(name_canon((struct str){folded, 3}, STR("x"), &n), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
