// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* xout: the protocol's own examples byte for byte, and random values read back by libxml2's DOM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/utf8.h"
#include "codec/xout.h"
#include "codec/xscan.h"

static uint32_t seed = 19;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

static void assert_buf(struct buf *b, struct str want)
{
    assert_int_equal(buf_err(b), ERR_OK);
    if (!str_eq(buf_slice(b), want))
        fail_msg("got '%.*s', not '%.*s'", STR_FMT(buf_slice(b)), STR_FMT(want));
    buf_clear(b);
}

#define ASSERT_MESSAGE(b, lit) assert_buf((b), (struct str){("" lit), sizeof(lit)})

/* Protocol 1: 1.4, 1.3, 1.7 and 3.11. */
static void test_responses(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    xout_response(&b, STR("q1"), ERR_OK);
    ASSERT_MESSAGE(&b, "<response id=\"q1\"/>");
    xout_response_timed(&b, STR("q2"), ERR_OK, 0);
    ASSERT_MESSAGE(&b, "<response id=\"q2\" exeTime=\"0\"/>");
    xout_response(&b, STR("q3"), ERR_UNKNOWN_COMMAND);
    ASSERT_MESSAGE(&b, "<response id=\"q3\" errorText=\"unknown command\" errorNum=\"500\"/>");
    xout_response(&b, STR_NONE, ERR_ID_MISSING);
    ASSERT_MESSAGE(&b, "<response errorText=\"id attribute is missing\" errorNum=\"501\"/>");
    xout_response(&b, STR("a&b\nc"), ERR_OK);
    ASSERT_MESSAGE(&b, "<response id=\"a&amp;b&#10;c\"/>");
    xout_response(&b, STR(""), ERR_OK);
    ASSERT_MESSAGE(&b, "<response id=\"\"/>");
    xout_response_elem(&b, STR_NONE, ERR_AUTH_FAILED, XOUT_NO_TIME);
    assert_buf(
        &b, STR("<response errorText=\"incorrect password or account name\" errorNum=\"515\"/>"));
    xout_response_timed(&b, STR("x"), ERR_NOMEM, 12);
    ASSERT_MESSAGE(
        &b, "<response id=\"x\" errorText=\"internal error\" errorNum=\"599\" exeTime=\"12\"/>");
    buf_free(&b);
}

static void test_elements(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    xout_open(&b, "folderReport");
    xout_attr(&b, "folder", STR("X"));
    xout_attr_opt(&b, "none", STR_NONE);
    xout_attr_opt(&b, "mode", STR("notify"));
    xout_empty(&b);
    xout_end(&b);
    ASSERT_MESSAGE(&b, "<folderReport folder=\"X\" mode=\"notify\"/>"); /* 0.2, rule 4 */
    xout_open(&b, "a");
    xout_attr_u64(&b, "u", UINT64_MAX);
    xout_attr_i64(&b, "i", INT64_MIN);
    xout_attr_i64(&b, "j", -1);
    xout_attr_i64(&b, "k", 7);
    xout_attr_yes(&b, "y", true);
    xout_attr_yes(&b, "n", false);
    xout_attr_lit(&b, "l", "<");
    xout_body(&b);
    xout_elem(&b, "b", STR("x<"));
    xout_elem(&b, "c", STR(""));
    xout_text(&b, STR("&"));
    xout_open_str(&b, STR("Language"));
    xout_body(&b);
    xout_close_str(&b, STR("Language"));
    xout_close(&b, "a");
    assert_buf(
        &b,
        STR("<a u=\"18446744073709551615\" i=\"-9223372036854775808\" j=\"-1\" k=\"7\" y=\"yes\" "
            "l=\"&lt;\"><b>x&lt;</b><c/>&amp;<Language></Language></a>"));
    buf_free(&b);
}

static const struct {
    struct str bytes;
    const char *attr, *text;
} escapes[] = {
    {STR("plain"), "plain", "plain"},
    {STR("&<>\"'"), "&amp;&lt;&gt;&quot;'", "&amp;&lt;&gt;\"'"},
    {STR("\t\r\n"), "&#9;&#13;&#10;", "\t&#13;\n"},
    {STR("a\0b"),
     "a\xef\xbf\xbd"
     "b",
     "a\xef\xbf\xbd"
     "b"},
    {STR("\x01\x1f\x7f"), "\xef\xbf\xbd\xef\xbf\xbd\x7f", "\xef\xbf\xbd\xef\xbf\xbd\x7f"},
    {STR("\xc2\x85\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
     "\xc2\x85\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
     "\xc2\x85\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {STR("\xef\xbf\xbd"), "\xef\xbf\xbd", "\xef\xbf\xbd"},
    {STR("\xef\xbf\xbe"), "\xef\xbf\xbd", "\xef\xbf\xbd"}, /* U+FFFE */
    {STR("a\xff"), "a\xef\xbf\xbd", "a\xef\xbf\xbd"},
    {STR("\xc3<"), "\xef\xbf\xbd&lt;", "\xef\xbf\xbd&lt;"},
    {STR("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd"},
    {STR("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {STR("]]>"), "]]&gt;", "]]&gt;"},
};

static void test_escapes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        char want[100] = " a=\"";
        xout_text(&b, escapes[i].bytes);
        assert_buf(&b, str_of(escapes[i].text));
        xout_attr(&b, "a", escapes[i].bytes);
        strncat(want, escapes[i].attr, 80);
        strncat(want, "\"", 2);
        assert_buf(&b, str_of(want));
    }
    buf_free(&b);
}

/* Characters from all over Unicode, all of them legal in XML. */
static struct str random_legal(char *to, size_t room)
{
    static const uint32_t tops[] = {0x80, 0x80, 0x800, 0x10000, 0x110000};
    size_t n = 0;
    for (uint32_t count = rnd(30); count != 0 && n + 4 <= room;) {
        uint32_t cp = rnd(4) == 0 ? (uint32_t) "&<>\"'\t\r\n] "[rnd(10)] : rnd(tops[rnd(5)]);
        if (utf8_xml_char(cp)) {
            n += utf8_put(to + n, cp);
            count--;
        }
    }
    return (struct str){to, n};
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        char one[200], two[200];
        struct str attr = random_legal(one, sizeof one);
        struct str text = random_legal(two, sizeof two);
        struct buf b;
        buf_init(&b, SIZE_MAX);
        xout_open(&b, "t");
        xout_attr(&b, "a", attr);
        xout_body(&b);
        xout_text(&b, text);
        xout_close(&b, "t");
        xmlDoc *doc =
            xmlReadMemory(b.p, (int)b.n, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOENT);
        assert_non_null(doc);
        xmlNode *root = xmlDocGetRootElement(doc);
        xmlChar *v = xmlGetNoNsProp(root, (const xmlChar *)"a");
        assert_true(str_eq(str_of((const char *)v), attr));
        xmlFree(v);
        v = xmlNodeGetContent(root);
        assert_true(str_eq(str_of((const char *)v), text));
        xmlFree(v);
        xmlFreeDoc(doc);
        /* and by our own decoder: <t a="..." */
        struct xscan s;
        xscan_start(buf_slice(&b), &s);
        struct str raw = str_sub(buf_slice(&b), 6, SIZE_MAX);
        raw.n = str_find(raw, '"');
        char *own = test_malloc(raw.n + 1);
        size_t n;
        assert_int_equal(xscan_decode(raw, own, &n), ERR_OK);
        assert_true(str_eq((struct str){own, n}, attr));
        test_free(own);
        buf_free(&b);
    }
}

/* Any bytes at all give a document that libxml2 accepts. */
static void test_any_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        char bytes[40];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (char)(rnd(3) == 0 ? rnd(256) : 0xc0 + rnd(64));
        struct str s = {bytes, rnd(sizeof bytes + 1)};
        struct buf b;
        buf_init(&b, SIZE_MAX);
        xout_open(&b, "t");
        xout_attr(&b, "a", s);
        xout_body(&b);
        xout_text(&b, s);
        xout_close(&b, "t");
        assert_true(utf8_valid(buf_slice(&b)));
        xmlDoc *doc = xmlReadMemory(b.p, (int)b.n, NULL, "UTF-8", XML_PARSE_NONET);
        assert_non_null(doc);
        xmlFreeDoc(doc);
        buf_free(&b);
    }
}

static void test_failure_sticks(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    xout_response(&b, STR("q1"), ERR_OK);
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_escapes),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
