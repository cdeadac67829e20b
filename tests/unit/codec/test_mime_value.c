// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Values of header fields: addresses, dates, encoded words, charsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "codec/mime.h"
#include "codec/mime_charset.h"
#include "codec/mime_text.h"
#include "codec/mime_value.h"

/* name|address for mailboxes, G:name for empty groups, R:text for raw ones; ';' between. */
static const char *addresses(const char *text, uint32_t max)
{
    static char line[4096];
    struct buf list;
    struct digest_address a;
    size_t n = 0;
    buf_init(&list, 1 << 20);
    uint32_t count = mime_addresses(str_of(text), max, &list);
    assert_false(list.failed);
    struct str rest = buf_slice(&list);
    line[0] = '\0';
    for (; digest_address_next(&rest, &a); count--) {
        const char *mark = a.kind == DIGEST_EMPTY_GROUP   ? "G:"
                           : a.kind == DIGEST_RAW_ADDRESS ? "R:"
                                                          : "";
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%s%.*s%s%.*s", n != 0 ? ";" : "", mark,
                              STR_FMT(a.name), a.kind == DIGEST_MAILBOX ? "|" : "",
                              STR_FMT(a.address));
    }
    assert_int_equal(count, 0);
    buf_free(&list);
    return line;
}

/* RFC 5322, appendix A, and what real mail has. */
static void address_lists(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"John Doe <jdoe@machine.example>", "John Doe|jdoe@machine.example"},
        {"\"Joe Q. Public\" <john.q.public@example.com>",
         "Joe Q. Public|john.q.public@example.com"},
        {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         "Mary Smith|mary@x.test;|jdoe@example.org;Who?|one@y.test"},
        {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
         "|boss@nil.test;Giant; \"Big\" Box|sysservices@example.net"},
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "Ed Jones|c@a.test;|joe@where.test;John|jdoe@one.test"},
        {"Undisclosed recipients:;", "G:Undisclosed recipients"},
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test"},
        {"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n "
         "joe@example.org;",
         "Chris Jones|c@public.example;|joe@example.org"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "G:Hidden recipients"},
        {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
         "Mary Smith|mary@example.net;|jdoe@test.example"},
        {"ann@example.org (Ann (x) Lee)", "Ann (x) Lee|ann@example.org"},
        {"\"ann@example.org\" <ann@example.org>", "|ann@example.org"},
        {"=?utf-8?q?a=2C_b?= <a@b.c>", "a, b|a@b.c"},
        {"=?utf-8?q?a?= =?utf-8?q?b?= c <a@b.c>", "ab c|a@b.c"},
        {"a@b.c; d@e.f", "|a@b.c;|d@e.f"},
        {"mikel", "|mikel"},
        {"foo bar baz", "R:foo bar baz"},
        {"<>", "R:<>"},
        {"x@y.z, foo bar, \"q\" <a@b>", "|x@y.z;R:foo bar;q|a@b"},
        {"Name <a@b", "Name|a@b"},
        {"\"open <a@b.c>, d@e.f", "R:\"open <a@b.c>, d@e.f"},
        {"(open", "R:(open"},
        {"\"a b\"@x.org", "|\"a b\"@x.org"},
        {"a@[IPv6:2001:db8::1], b@c", "|a@[IPv6:2001:db8::1];|b@c"},
        {"mailto:x@y.z", "|mailto:x@y.z"},
        {"a:b;, c:;", "|b;G:c"},
        {"\\", "|\\"},
        {"", ""},
        {" , ,", "R:, ,"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf unfolded;
        buf_init(&unfolded, 4096);
        mime_unfold(str_of(rows[i][0]), &unfolded);
        buf_char(&unfolded, '\0');
        const char *want = rows[i][1];
        const char *got = addresses(unfolded.n > 1 ? unfolded.p : "", 1000);
        assert_string_equal(got, want);
        buf_free(&unfolded);
    }
    assert_string_equal(addresses("a@b, c@d, e@f", 2), "|a@b;|c@d");
    assert_string_equal(addresses("a@b, c@d, e@f", 3), "|a@b;|c@d;|e@f");
    assert_string_equal(addresses("a@b", 0), "");
}

/* RFC 5322, 3.3 and 4.3; expected seconds from Python's datetime. */
static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t when;
        int32_t shift;
    } good[] = {
        {"Mon, 25 May 2026 07:14:00 +0200", 1779686040, 7200},
        {"25 May 26 07:14 EST", 1779711240, -18000},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -21600},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0},
        {"Thu,\n      13\n        Feb\n          1969\n      23:32\n               -0330 "
         "(Newfoundland Time)",
         -27723480, -12600},
        {"Mon May 25 07:14:00 2026", 1779693240, 0},
        {"2026-05-25T07:14:00Z", 1779693240, 0},
        {"2026-05-25 07:14:00 +0200", 1779686040, 7200},
        {"2026-05-25T07:14:00.123+02:00", 1779686040, 7200},
        {"Monday, 25-May-26 07:14:00 GMT", 1779693240, 0},
        {"25 May 2026 07:14:00 GMT+0200", 1779686040, 7200},
        {"25 May 2026 07:14:60", 1779693300, 0},
        {"29 Feb 2024 00:00:00 +0000", 1709164800, 0},
        {"31 Dec 9999 23:59:59 +0000", 253402300799, 0},
        {"1 Jan 1900 00:00:00 +0000", -2208988800, 0},
        {"1 Jan 70 00:00:00 +9999", 0, 0},
    };
    static const char *const bad[] = {"",
                                      "garbage",
                                      "25 May 2026",
                                      "07:14:00",
                                      "31 Feb 2026 10:00:00 +0000",
                                      "29 Feb 2023 00:00:00",
                                      "25 May 2026 24:00:00",
                                      "25 May 2026 07:60:00",
                                      "0 May 2026 07:00:00",
                                      "25 Foo 2026 07:00:00",
                                      "25 May 99999 07:00:00",
                                      "(25 May 2026 07:00:00",
                                      "25 May 2026 7",
                                      "25 May 2026 1:2:3:4"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t when = 1;
        int32_t shift = 1;
        struct buf unfolded;
        buf_init(&unfolded, 4096);
        mime_unfold(str_of(good[i].text), &unfolded);
        assert_true(mime_date(buf_slice(&unfolded), &when, &shift));
        assert_int_equal(when, good[i].when);
        assert_int_equal(shift, good[i].shift);
        buf_free(&unfolded);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t when;
        int32_t shift;
        assert_false(mime_date(str_of(bad[i]), &when, &shift));
    }
}

/* RFC 2047, section 8, and words that programs get wrong. */
static void words(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"=?ISO-8859-1?Q?a?=", "a"},
        {"=?ISO-8859-1?Q?a?= b", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a_b?=", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
        {"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"},
        {"=?ISO-8859-8?b?7eXs+SDv4SDp7Oj08A==?=",
         "\xd7\x9d\xd7\x95\xd7\x9c\xd7\xa9 \xd7\x9f\xd7\x91 "
         "\xd7\x99\xd7\x9c\xd7\x98\xd7\xa4\xd7\xa0"},
        {"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "\xc3\xa9"},
        {"=?utf-8?b?w6k=?= =?utf-8?b?w6k=?=", "\xc3\xa9\xc3\xa9"},
        {"=?x-none?q?=e9?=", "\xc3\xa9"},
        {"=?utf-8?q?=ff?=", "\xef\xbf\xbd"},
        {"=?utf-8?q?a=0D=0AB:_c=00?=", "a  B: c\xef\xbf\xbd"},
        {"x=?utf-8?q?a?=y", "xay"},
        {"=?utf-8?X?a?=", "=?utf-8?X?a?="},
        {"=?utf-8?q?a", "=?utf-8?q?a"},
        {"=?"
         "?q?a?=",
         "=?"
         "?q?a?="},
        {"=?utf-8?q?"
         "?=z",
         "z"},
        {"=?utf-8?q?=4?= =?utf-8?q?=ZZ?=", "=4=ZZ"},
        {"=?utf-8?q?a b?=", "a b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 4096);
        mime_decode(str_of(rows[i][0]), &out);
        buf_char(&out, '\0');
        assert_string_equal(out.p, rows[i][1]);
        buf_free(&out);
    }
}

static void charsets(void **state)
{
    (void)state;
    static const char *const known[] = {
        "UTF-8",          "utf8",   "US-ASCII",  "iso-8859-1", "ISO_8859-15",
        "windows-1251",   "koi8-r", "Shift_JIS", "EUC-JP",     "iso-2022-jp",
        "ks_c_5601-1987", "GB2312", "Big5",      "utf-16"};
    static const char *const unknown[] = {"",
                                          "-",
                                          "iso-2022-cn-ext",
                                          "EBCDIC-US",
                                          "8",
                                          "iso",
                                          "iso-8859-12",
                                          "utf-8 ",
                                          "//TRANSLIT",
                                          "utf-8//IGNOREx",
                                          "a-very-long-name-of-a-charset-that-is-not-there"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        assert_non_null(mime_charset_name(str_of(known[i])));
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        const char *name = mime_charset_name(str_of(unknown[i]));
        assert_true(name == NULL || strcmp(name, "UTF-8") == 0);
    }
    /* a broken sequence, then good text */
    struct buf out;
    buf_init(&out, 4096);
    mime_charset_convert(STR("shift_jis"), STR("\x83\x65\xff\x83"), &out, NULL);
    assert_true(str_eq(buf_slice(&out), STR("\xe3\x83\x86\xef\xbf\xbd\xef\xbf\xbd")));
    buf_free(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_lists),
        cmocka_unit_test(dates),
        cmocka_unit_test(words),
        cmocka_unit_test(charsets),
    };
    mime_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
