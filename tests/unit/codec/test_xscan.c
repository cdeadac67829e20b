// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* xscan: what is simple, what is found, what is guessed. fuzz_xscan compares with libxml2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/xscan.h"

static void assert_str(struct str got, const char *want)
{
    if (want == NULL ? got.p != NULL : got.p == NULL || !str_eq(got, str_of(want)))
        fail_msg("got '%.*s', not '%s'", STR_FMT(got), want != NULL ? want : "nothing");
}

static const struct {
    const char *msg, *name, *id;
    bool simple, plain;
} found[] = {
    {"<noop id=\"a\"/>", "noop", "a", true, true},
    {"<NOOP ID='a'/>", "NOOP", "a", true, true},
    {"<noop/>", "noop", NULL, true, false},
    {"<noop id=\"\"/>", "noop", "", true, true},
    {"<noop \t\r\n id = 'a' />", "noop", "a", true, true},
    {"<noop id=\"a\" />", "noop", "a", true, true},
    {"<login authData='dora' id='1' password='a\"b>c'/>", "login", "1", true, true},
    {"<a Id='1' id='2'/>", "a", "1", true, true},
    {"<noop id='it&amp;s'/>", "noop", "it&amp;s", false, false},
    {"<noop id='a' b='&lt;'/>", "noop", "a", false, true},
    {"<noop id='\xc3\xa9'/>", "noop", "\xc3\xa9", false, false},
    {"<noop id='a\tb'/>", "noop", "a\tb", false, false},
    {"<noop id='\x7f'/>", "noop", "\x7f", false, false},
    {"<n\xc3\xb6p id='a'/>", "n\xc3\xb6p", "a", false, true},
    {"<noop id='a'></noop>", "noop", "a", false, true},
    {"<noop id='a'>", "noop", "a", false, true},
    {"<noop id='a'/ >", "noop", "a", false, true},
    {"<noop id='a'/>x", "noop", "a", false, true},
    {"<x:noop id='a'/>", "x:noop", "a", false, true},
    {"<noop id='a' x:y='b'/>", "noop", "a", false, true},
    {"<noop id='a' xmlns='b'/>", "noop", "a", false, true},
    {"<noop x:id='a'/>", "noop", NULL, false, false},
    {"<noop id='a' id='a'/>", "noop", "a", false, true},
    {"<noop b='1' id='a' b='2'/>", "noop", "a", false, true},
    {"<folderRead id=\"r\" folder=\"INBOX\"><UID/></folderRead>", "folderRead", "r", false, true},
    {"<noop id='a'b='c'/>", "noop", "a", false, true},
    {"<noop b='c'id='a'/>", "noop", NULL, false, false},
    {"<noop id=a/>", "noop", NULL, false, false},
    {"<noop id/>", "noop", NULL, false, false},
    {"<noop id='<'/>", "noop", NULL, false, false},
    {"<noop id='a", "noop", NULL, false, false},
    {"<noop", "noop", NULL, false, false},
    {"< noop id='a'/>", NULL, NULL, false, false},
    {"<-noop id='a'/>", NULL, NULL, false, false},
    {"</noop>", NULL, NULL, false, false},
    {" <noop id='a'/>", NULL, NULL, false, false},
    {"", NULL, NULL, false, false},
};

static void test_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        struct xscan s;
        xscan_start(str_of(found[i].msg), &s);
        assert_str(s.name, found[i].name);
        assert_str(s.id, found[i].id);
        if (s.simple != found[i].simple || s.id_plain != found[i].plain)
            fail_msg("%s", found[i].msg);
    }
}

/* No prefix of a simple message is simple, and none reads behind its end (with a sanitizer). */
static void test_prefixes(void **state)
{
    (void)state;
    const char whole[] = "<noop id=\"a\" b = 'c d'/>";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *own = test_malloc(n + 1);
        memcpy(own, whole, n);
        struct xscan s;
        xscan_start((struct str){own, n}, &s);
        assert_false(s.simple);
        xscan_rescue((struct str){own, n}, &s);
        test_free(own);
    }
}

static void test_attribute_limit(void **state)
{
    (void)state;
    for (int n = XSCAN_SIMPLE_ATTRS - 1; n <= XSCAN_SIMPLE_ATTRS + 1; n++) {
        char msg[300] = "<a";
        for (int i = 0; i < n; i++)
            snprintf(msg + strlen(msg), 20, " a%d=''", i);
        snprintf(msg + strlen(msg), 3, "/>");
        struct xscan s;
        xscan_start(str_of(msg), &s);
        assert_int_equal(s.simple, n <= XSCAN_SIMPLE_ATTRS);
        assert_int_equal(s.nattrs, n);
    }
}

static const struct {
    const char *bytes, *name, *id;
} guesses[] = {
    {"<login id=\"A\" authData=\"dora\" password=\"a\"b\"/>", "login", "A"},
    {"<login password=\"a\"b\" id=\"A\"/>", "login", "A"},
    {"<login password=\"a\"\" id=\"A\"/>", "login", "A"},
    {"<login password=\"a<b\" id=\"A\"/>", "login", "A"},
    {"<login password=\"a&b\" id=\"A\"/>", "login", "A"},
    {"<login password=\"a>b\" ID='A'/>", "login", "A"},
    {"<noop id=\"a&amp;b\" <", "noop", "a&amp;b"},
    {"<noop id=a7/>", "noop", "a7"},
    {"<noop id=\"a\"", "noop", "a"},
    {"<noop id=\"a\"></nope>", "noop", "a"},
    {"<a id=\"1\"><b id=\"2\"></a></b>", "a", "1"},
    {"<a><b id=\"2\"></a></b>", "a", NULL},
    {"<a <b id=\"2\"/>", "a", NULL},
    {"<noop id=\"a&b\"/>", "noop", NULL},
    {"<noop id=\"a\xff\"/>", "noop", NULL},
    {"<noop id=\"a", "noop", NULL},
    {"<noop x:id=\"a\" idx=\"b\"/>", "noop", NULL},
    {"<!DOCTYPE a [<!ENTITY x \"<noop id='no'/>]>\">]> <noop id=\"a\">&x;</noop>", "noop", "a"},
    {"<!-- <noop id='no'/> --><noop id='a'/>", "noop", "a"},
    {"<?xml version='1.0' encoding='UTF-7'?>\n<noop id='a'/>", "noop", "a"},
    {"\xef\xbb\xbf <noop id='a'>", "noop", "a"},
    {"<!DOCTYPE a [ <noop id='a'/>", NULL, NULL},
    {"<!-- <noop id='a'/>", NULL, NULL},
    {"garbage <noop id='a'/>", NULL, NULL},
    {"<", NULL, NULL},
    {"", NULL, NULL},
};

static void test_rescue(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
        struct xscan s;
        xscan_rescue(str_of(guesses[i].bytes), &s);
        assert_str(s.name, guesses[i].name);
        assert_str(s.id, guesses[i].id);
        assert_false(s.simple);
    }
}

static const struct {
    const char *raw, *value;
} values[] = {
    {"", ""},
    {"a b", "a b"},
    {"a&amp;b&#10;c", "a&b\nc"}, /* protocol 1, 3.11 */
    {"&lt;&gt;&quot;&apos;&amp;amp;", "<>\"'&amp;"},
    {"&#65;&#x42;&#x0000043;", "ABC"},
    {"&#xe9;&#x20ac;&#x1F600;&#x10ffff;", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
    {"a\tb\nc\rd\r\ne", "a b c d e"},
    {"&#9;&#10;&#13;", "\t\n\r"},
    {"\xef\xbf\xbd", "\xef\xbf\xbd"},
    {"<", NULL},
    {"&", NULL},
    {"&amp", NULL},
    {"&;", NULL},
    {"&#;", NULL},
    {"&#x;", NULL},
    {"&#X41;", NULL},
    {"&#4a;", NULL},
    {"&#0;", NULL},
    {"&#1;", NULL},
    {"&#xD800;", NULL},
    {"&#xFFFE;", NULL},
    {"&#x110000;", NULL},
    {"&#99999999999999999999;", NULL},
    {"&AMP;", NULL},
    {"&nbsp;", NULL},
    {"\x01", NULL},
    {"\x80", NULL},
    {"\xc0\x80", NULL},
    {"\xed\xa0\x80", NULL},
    {"\xef\xbf\xbe", NULL},
    {"\xc3", NULL},
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct str raw = str_of(values[i].raw);
        char *to = test_malloc(raw.n + 1); /* a byte too much is seen */
        size_t n;
        enum err e = xscan_decode(raw, to, &n);
        assert_int_equal(e, values[i].value != NULL ? ERR_OK : ERR_SYNTAX);
        if (e == ERR_OK)
            assert_str((struct str){to, n}, values[i].value);
        test_free(to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),  cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_rescue), cmocka_unit_test(test_attribute_limit),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
