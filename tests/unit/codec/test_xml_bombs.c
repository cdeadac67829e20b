// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Hostile XML (security paper, 2.2): every form is refused by frame or by xmsg, costs neither memory nor time, and the
 * stream goes on behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/frame.h"
#include "codec/xmsg.h"

#define LAUGHS                                                                                     \
    "<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"                             \
    "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">" \
    "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\">"

static const struct {
    const char *what;
    struct str bytes;
} forms[] = {
    {"billion laughs", STR("<!DOCTYPE x [" LAUGHS "]><x>&f;</x>")},
    {"billion laughs in an attribute", STR("<!DOCTYPE x [" LAUGHS "]><x id='&f;'/>")},
    {"entity loop", STR("<!DOCTYPE x [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><x>&a;</x>")},
    {"external entity, file",
     STR("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>")},
    {"external entity, http", STR("<!DOCTYPE x [<!ENTITY a SYSTEM 'http://[::1]/'>]><x>&a;</x>")},
    {"external entity, public",
     STR("<!DOCTYPE x [<!ENTITY a PUBLIC 'p' 'file:///dev/zero'>]><x>&a;</x>")},
    {"parameter entity", STR("<!DOCTYPE x [<!ENTITY % p '<!ENTITY a \"b\">'> %p;]><x>&a;</x>")},
    {"external parameter entity",
     STR("<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><x/>")},
    {"external subset", STR("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>")},
    {"public subset", STR("<!DOCTYPE x PUBLIC '-//W3C//DTD' 'http://[::1]/x.dtd'><x/>")},
    {"bare DOCTYPE", STR("<!DOCTYPE x><x/>")},
    {"DOCTYPE behind a declaration", STR("<?xml version='1.0'?><!DOCTYPE x><x/>")},
    {"DOCTYPE in small letters", STR("<!doctype x><x/>")},
    {"DOCTYPE inside", STR("<x><!DOCTYPE x></x>")},
    {"DOCTYPE at the end", STR("<x/><!DOCTYPE x>")},
    {"default attribute", STR("<!DOCTYPE x [<!ATTLIST x id CDATA 'y'>]><x/>")},
    {"notation", STR("<!DOCTYPE x [<!NOTATION n SYSTEM 'n'>]><x/>")},
    {"element declaration", STR("<x><!ELEMENT x ANY></x>")},
    {"conditional section", STR("<x><![INCLUDE[<y/>]]></x>")},
    {"UTF-7", STR("<?xml version='1.0' encoding='UTF-7'?><x>+ADw-y/+AD4-</x>")},
    {"UTF-16 declared", STR("<?xml version='1.0' encoding='UTF-16'?><x/>")},
    {"UTF-16 little end", STR("\xff\xfe<\0x\0/\0>\0")},
    {"UTF-16 big end", STR("\xfe\xff\0<\0x\0/\0>")},
    {"UTF-32", STR("\xff\xfe\0\0<\0\0\0x\0\0\0/\0\0\0>\0\0\0")},
    {"ISO-8859-1", STR("<?xml version='1.0' encoding='ISO-8859-1'?><x>\xe9</x>")},
    {"EBCDIC declared", STR("<?xml version='1.0' encoding='IBM037'?><x/>")},
    {"EBCDIC", STR("\x4c\xa7\x61\x6e")},
    {"version 2.0", STR("<?xml version='2.0'?><x/>")},
    {"second declaration", STR("<?xml version='1.0'?><?xml version='1.0'?><x/>")},
    {"declaration inside", STR("<x><?xml version='1.0'?></x>")},
    {"instruction before", STR("<?xml-stylesheet href='http://[::1]/'?><x/>")},
    {"instruction inside", STR("<x><?php phpinfo()?></x>")},
    {"instruction behind", STR("<x/><?p?>")},
    {"comment before", STR("<!-- --><x/>")},
    {"comment inside", STR("<x><!-- --></x>")},
    {"comment behind", STR("<x/><!-- -->")},
    {"zero byte in text", STR("<x>a\0b</x>")},
    {"zero byte in a tag", STR("<x\0/>")},
    {"control character", STR("<x>\x01</x>")},
    {"escape", STR("<x y='\x1b[2J'/>")},
    {"C1 as a byte", STR("<x>\x85</x>")},
    {"C1 as a byte in a value", STR("<x id='\x9b'/>")},
    {"lone continuation", STR("<x>\xbf</x>")},
    {"cut character", STR("<x>\xe2\x82</x>")},
    {"overlong <", STR("<x>\xc0\xbcy/></x>")},
    {"overlong in CDATA", STR("<x><![CDATA[\xc1\x82]]></x>")},
    {"overlong zero", STR("<x id='\xc0\x80'/>")},
    {"surrogate", STR("<x>\xed\xa0\x80\xed\xb0\x80</x>")},
    {"above U+10FFFF", STR("<x>\xf4\x90\x80\x80</x>")},
    {"five bytes", STR("<x>\xf8\x88\x80\x80\x80</x>")},
    {"U+FFFE", STR("<x>\xef\xbf\xbe</x>")},
    {"U+FFFF in CDATA", STR("<x><![CDATA[\xef\xbf\xbf]]></x>")},
    {"&#0;", STR("<x>&#0;</x>")},
    {"&#0; in a value", STR("<x id='&#0;'/>")},
    {"&#1;", STR("<x>&#1;</x>")},
    {"&#xD800;", STR("<x id='&#xD800;'/>")},
    {"&#xFFFE;", STR("<x>&#xFFFE;</x>")},
    {"&#x110000;", STR("<x>&#x110000;</x>")},
    {"&#x80000041;", STR("<x>&#x100000041;</x>")},
    {"reference without end", STR("<x>&#65</x>")},
    {"unknown entity", STR("<x>&nbsp;</x>")},
    {"unknown entity in a value", STR("<x id='&a;'/>")},
    {"bare &", STR("<x id='a&b'/>")},
    {"duplicate attribute", STR("<x id='a' id='b'/>")},
    {"duplicate declaration of a prefix", STR("<x xmlns:a='b' xmlns:a='c'/>")},
    {"second root", STR("<x/><y/>")},
    {"text behind the root", STR("<x/>y")},
    {"text before the root", STR("y<x/>")},
    {"CDATA as root", STR("<![CDATA[x]]>")},
    {"]]> in text", STR("<x>]]></x>")},
    {"CDATA without end", STR("<x><![CDATA[y</x>")},
    {"< in a value", STR("<x id='<'/>")},
    {"value without quotes", STR("<x id=a/>")},
    {"attribute without value", STR("<x id/>")},
    {"no blank between attributes", STR("<x a='b'c='d'/>")},
    {"wrong end tag", STR("<x></y>")},
    {"end tag of another case", STR("<x></X>")},
    {"crossed tags", STR("<x><y></x></y>")},
    {"no end tag", STR("<x>")},
    {"end tag only", STR("</x>")},
    {"attribute in an end tag", STR("<x></x y='z'>")},
    {"name begins with a digit", STR("<1/>")},
    {"name with a sign", STR("<x\xc3\x97/>")},
    {"no name", STR("<>")},
};

struct big {
    const char *what, *head, *unit, *tail;
    size_t times;
};

static const struct big bigs[] = {
    {"nesting 65", "", "<a>", "", 65},
    {"nesting 100,000", "", "<a>", "", 100000},
    {"nesting in the attribute's shape", "", "<a b='c'>", "", 100000},
    {"attributes, 16 KiB and more", "<a", " b=''", "/>", 4000},
    {"attributes, 1 MiB", "<a", " b='c'", "/>", 170000},
    {"blanks in a tag", "<a", "        ", "/>", 3000},
    {"a long name", "<", "aaaaaaaa", "/>", 33},
    {"a long attribute name", "<a ", "aaaaaaaa", "='b'/>", 33},
    {"a long value", "<a b='", "cccccccc", "'/>", 3000},
    {"an end tag of 1 MiB", "<a></a", "        ", ">", 130000},
    {"a declaration of 1 MiB", "<?xml version='1.0'", "        ", "?><a/>", 130000},
    {"quadratic blow-up", "<!DOCTYPE x [<!ENTITY a \"", "aaaaaaaa", "\">]><x>&a;&a;&a;&a;</x>",
     100000},
    {"references without end", "<a>", "&a", "</a>", 7000000},
    {"an entity name of 1 MiB", "<a>&", "aaaaaaaa", ";</a>", 130000},
    {"CDATA opened for ever", "<a>", "<![CDATA[", "</a>", 100000},
    {"tags opened for ever", "", "<", "", 1000000},
    {"quotes opened for ever", "<a ", "b='", "", 300000},
};

static struct xmsg_parser *parser;

static size_t peak_kib(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (size_t)u.ru_maxrss;
}

#if defined(__SANITIZE_ADDRESS__)
#define SLACK_KIB 65536 /* a sanitizer keeps what was freed */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLACK_KIB 65536
#endif
#endif
#ifndef SLACK_KIB
#define SLACK_KIB 1024
#endif

#define FORM_TIME (5 * CLOCK_MS) /* of a message that may come before login (security paper, 2.2) */
#define BIG_TIME  (100 * CLOCK_MS)
#if SLACK_KIB > 1024
#define SANITIZED 20 /* times as slow, at worst */
#else
#define SANITIZED 1
#endif

/* The bytes, a zero byte and a good message, in one piece: true if only the good message is parsed. */
static bool refused(struct str stream)
{
    struct frame f;
    struct str msg;
    struct arena a;
    struct xelem *root;
    int good = 0;
    frame_init(&f, FRAME_MAX_SESSION);
    arena_init(&a, 1 << 20);
    for (;;) {
        enum err e = frame_next(&f, NULL, &stream, &msg);
        if (e == ERR_AGAIN)
            break;
        if (e == ERR_OK && xmsg_parse(parser, msg, &a, &root) == ERR_OK) {
            assert_true(xelem_is(root, "good"));
            good++;
        }
    }
    arena_free(&a);
    return good == 1;
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct buf b;
        struct arena a;
        struct xelem *root;
        buf_init(&b, SIZE_MAX);
        arena_init(&a, 1 << 20);
        buf_str(&b, forms[i].bytes);
        buf_add(&b, "\0<good/>", 9);
        size_t before = peak_kib();
        int64_t best = INT64_MAX;
        for (int n = 0; n < 3; n++) {
            int64_t start = clock_cpu();
            if (!refused(buf_slice(&b)))
                fail_msg("accepted: %s", forms[i].what);
            int64_t used = clock_cpu() - start;
            best = used < best ? used : best;
        }
        if (best > FORM_TIME * SANITIZED || peak_kib() - before > SLACK_KIB)
            fail_msg("%s: %lld us, %zu KiB more", forms[i].what, (long long)(best / CLOCK_US),
                     peak_kib() - before);
        /* and by xmsg alone */
        assert_int_equal(xmsg_parse(parser, forms[i].bytes, &a, &root), ERR_ILLEGAL_XML);
        arena_free(&a);
        buf_free(&b);
    }
}

static void test_bigs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bigs); i++) {
        const struct big *g = &bigs[i];
        struct buf b;
        struct arena a;
        struct xelem *root;
        buf_init(&b, SIZE_MAX);
        arena_init(&a, 1 << 20);
        buf_str(&b, str_of(g->head));
        for (size_t n = 0; n < g->times; n++)
            buf_str(&b, str_of(g->unit));
        buf_str(&b, str_of(g->tail));
        size_t n = b.n;
        buf_add(&b, "\0<good/>", 9);
        size_t before = peak_kib();
        int64_t bound = SANITIZED * (n <= FRAME_MAX_LOGIN ? FORM_TIME : BIG_TIME);
        int64_t best = INT64_MAX;
        for (int k = 0; k < 3; k++) {
            int64_t start = clock_cpu();
            bool ok = refused(buf_slice(&b));
            enum err alone = xmsg_parse(parser, (struct str){b.p, n}, &a, &root);
            int64_t used = clock_cpu() - start;
            best = used < best ? used : best;
            if (!ok || alone != ERR_ILLEGAL_XML)
                fail_msg("accepted: %s", g->what);
        }
        size_t more = peak_kib() - before;
        if (best > bound || more > SLACK_KIB)
            fail_msg("%s: %lld us, %zu KiB more", g->what, (long long)(best / CLOCK_US), more);
        arena_free(&a);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_bigs)};
    parser = xmsg_parser_new();
    if (parser == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    xmsg_parser_free(&parser);
    return failed;
}
