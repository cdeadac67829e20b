// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* xmsg: trees, libxml2's own DOM as the oracle, arena caps, memory that stays flat. Bombs: test_xml_bombs.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/clock.h"
#include "codec/frame.h"
#include "codec/xmsg.h"

static struct xmsg_parser *parser;
static uint32_t seed = 7;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

static int set_up(void **state)
{
    (void)state;
    parser = xmsg_parser_new();
    return parser == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    xmsg_parser_free(&parser);
    xmsg_parser_free(&parser);
    return parser != NULL;
}

static void assert_str(struct str got, const char *want)
{
    if (got.p == NULL || !str_eq(got, str_of(want)))
        fail_msg("got '%.*s', not '%s'", STR_FMT(got), want);
}

static struct xelem *parse(const char *msg, struct arena *a)
{
    struct xelem *root;
    arena_init(a, 1 << 20);
    assert_int_equal(xmsg_parse(parser, str_of(msg), a, &root), ERR_OK);
    return root;
}

/* Protocol 1, 1.10: the example of a nested dictionary. */
static void test_tree(void **state)
{
    (void)state;
    struct arena a;
    struct xelem *root = parse(
        "<taskSendEvent id=\"e7\" eventName=\"note\"><subKey key=\"UUID\">5f0c</subKey>"
        "<subKey key=\"limit\"><number>3</number></subKey>\n<subKey key=\"tags\"><subValue>red"
        "</subValue><subValue>blue</subValue></subKey></taskSendEvent>",
        &a);
    assert_str(root->name, "taskSendEvent");
    assert_int_equal(root->nattrs, 2);
    assert_str(root->attrs[0].name, "id");
    assert_str(xelem_attr(root, "ID"), "e7");
    assert_str(xelem_attr(root, "EVENTNAME"), "note");
    assert_null(xelem_attr(root, "other").p);
    assert_str(root->text, "\n");
    assert_false(root->mixed);
    const struct xelem *k = xelem_child(root, "SUBKEY");
    assert_str(xelem_attr(k, "key"), "UUID");
    assert_str(k->text, "5f0c");
    assert_null(k->child);
    assert_null(k->child);
    k = xelem_next(k, "subkey");
    assert_str(k->child->name, "number");
    assert_str(k->child->text, "3");
    assert_str(k->text, "");
    k = xelem_next(k, "subkey");
    assert_str(k->child->text, "red");
    assert_str(k->child->next->text, "blue");
    assert_null(k->child->next->next);
    assert_null(xelem_next(k, "subkey"));
    assert_null(xelem_child(root, "number"));
    assert_true(xelem_is(root, "tasksendevent"));
    assert_null(root->next);
    arena_free(&a);
}

static const struct {
    const char *raw, *value; /* of an attribute in double quotes */
} values[] = {
    {"", ""},
    {"a&amp;b&#10;c", "a&b\nc"},
    {"&lt;&gt;&quot;&apos;'", "<>\"''"},
    {"&#38;", "&"},
    {"&#x26;#38;", "&#38;"},
    {"&amp;#38;&amp;amp;", "&#38;&amp;"},
    {"#38;&amp;", "#38;&"},
    {"a\tb\nc\rd\r\ne", "a b c d e"},
    {"&#xe9;\xc3\xa9&#x1F600;", "\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80"},
    {"\xc2\x85", "\xc2\x85"}, /* C1 is allowed in XML 1.0 */
    {"a>b", "a>b"},
};

static void test_attribute_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char msg[200];
        struct arena a;
        snprintf(msg, sizeof msg, "<a b=\"%s\" id='x'/>", values[i].raw);
        struct xelem *root = parse(msg, &a);
        assert_str(xelem_attr(root, "b"), values[i].value);
        assert_str(xelem_attr(root, "id"), "x");
        arena_free(&a);
    }
}

static const struct {
    const char *msg, *text;
    bool mixed;
} texts[] = {
    {"<a/>", "", false},
    {"<a></a>", "", false},
    {"<a> x </a>", " x ", false},
    {"<a>a\r\nb\rc\td</a>", "a\nb\nc\td", false},
    {"<a>&amp;&lt;&gt;&quot;&apos;&#38;amp;</a>", "&<>\"'&amp;", false},
    {"<a>x<b>y</b>z<b/>w</a>", "xzw", true},
    {"<a> <b>y</b>\n<b/>\t</a>", " \n\t", false},
    {"<a><b>y</b>z</a>", "z", true},
    {"<a>x<![CDATA[<b>&amp;]]]]><![CDATA[>]]>y</a>", "x<b>&amp;]]>y", false},
    {"<a>\xe2\x82\xac<![CDATA[\xf0\x9f\x98\x80]]></a>", "\xe2\x82\xac\xf0\x9f\x98\x80", false},
    {"\xef\xbb\xbf\n<?xml version='1.0' encoding='us-ascii'?>\n<a>1</a>\n", "1", false},
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena a;
        struct xelem *root = parse(texts[i].msg, &a);
        assert_str(root->text, texts[i].text);
        assert_int_equal(root->mixed, texts[i].mixed);
        arena_free(&a);
    }
}

static void test_prefixes_are_plain(void **state)
{
    (void)state;
    struct arena a;
    struct xelem *root =
        parse("<a:b c:d='1' xmlns:q='u&amp;v' xmlns='w' q:e='2'><q:c/><z:y/></a:b>", &a);
    assert_str(root->name, "a:b");
    assert_str(xelem_attr(root, "c:d"), "1");
    assert_str(xelem_attr(root, "q:e"), "2");
    assert_str(xelem_attr(root, "xmlns:q"), "u&v");
    assert_str(xelem_attr(root, "XMLNS"), "w");
    assert_int_equal(root->nattrs, 4);
    assert_str(root->child->name, "q:c");
    assert_str(root->child->next->name, "z:y");
    arena_free(&a);
}

/* --- random documents against libxml2's DOM, which reads them by other code (pull, no SAX of ours) */

static void random_text(struct buf *b, bool attr)
{
    static const char *const bits[] = {"a",
                                       "&amp;",
                                       "&lt;",
                                       "&#38;",
                                       "&gt;",
                                       " ",
                                       "\n",
                                       "\r\n",
                                       "\t",
                                       "&#9;",
                                       "&#13;",
                                       "\xc3\xa9",
                                       "&#x20ac;",
                                       "'",
                                       "&quot;",
                                       "#38;",
                                       "xyz",
                                       "&apos;",
                                       "\xf0\x9f\x98\x80",
                                       "]"};
    for (uint32_t n = rnd(8); n != 0; n--)
        buf_str(b, str_of(bits[rnd(ARRAY_LEN(bits))]));
    if (!attr && rnd(6) == 0)
        buf_lit(b, "<![CDATA[<&]] >x]]>");
}

static void random_elem(struct buf *b, int depth)
{
    static const char *const names[] = {"a", "Bb", "c.d", "\xc3\xa9", "_e-f"};
    const char *name = names[rnd(ARRAY_LEN(names))];
    buf_printf(b, "<%s", name);
    for (uint32_t n = 0; n < rnd(4); n++) {
        buf_printf(b, "%sx%u%s=\"", rnd(2) != 0 ? " " : "\n  ", n, rnd(4) == 0 ? " " : "");
        random_text(b, true);
        buf_char(b, '"');
    }
    if (rnd(4) == 0) {
        buf_lit(b, "/>");
        return;
    }
    buf_char(b, '>');
    random_text(b, false);
    for (uint32_t n = depth < 5 ? rnd(4) : 0; n != 0; n--) {
        random_elem(b, depth + 1);
        random_text(b, false);
    }
    buf_printf(b, "</%s>", name);
}

static void assert_same_attrs(const struct xelem *e, xmlNode *node)
{
    uint32_t n = 0;
    for (xmlAttr *at = node->properties; at != NULL; at = at->next, n++) {
        xmlChar *v = xmlNodeListGetString(node->doc, at->children, 1);
        assert_true(n < e->nattrs);
        assert_str(e->attrs[n].name, (const char *)at->name);
        assert_str(e->attrs[n].value, v != NULL ? (const char *)v : "");
        xmlFree(v);
    }
    assert_int_equal(n, e->nattrs);
}

static void assert_same(const struct xelem *e, xmlNode *node)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    assert_str(e->name, (const char *)node->name);
    assert_same_attrs(e, node);
    const struct xelem *child = e->child;
    for (xmlNode *n = node->children; n != NULL; n = n->next) {
        if (n->type == XML_ELEMENT_NODE) {
            assert_non_null(child);
            assert_same(child, n);
            child = child->next;
        } else
            buf_str(&text, str_of((const char *)n->content));
    }
    assert_null(child);
    assert_true(str_eq(e->text, buf_slice(&text)));
    buf_free(&text);
}

static void test_against_dom(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct buf b;
        struct arena a;
        struct xelem *root;
        buf_init(&b, SIZE_MAX);
        arena_init(&a, 4 << 20);
        random_elem(&b, 0);
        xmlDoc *doc =
            xmlReadMemory(b.p, (int)b.n, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOENT);
        assert_non_null(doc);
        assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_OK);
        assert_same(root, xmlDocGetRootElement(doc));
        xmlFreeDoc(doc);
        arena_free(&a);
        buf_free(&b);
    }
}

/* --- sizes and memory */

/*
 * One element with text of n bytes, made of `unit` again and again, which stands for `text`. `pad` bytes in the name
 * move it over the edges of the pieces that libxml2 is fed with.
 */
static void large(struct str unit, struct str text, size_t n, int pad, bool cdata)
{
    struct buf b, want;
    struct arena a;
    struct xelem *root;
    buf_init(&b, SIZE_MAX);
    buf_init(&want, SIZE_MAX);
    arena_init(&a, n * 2 + 100000);
    buf_printf(&b, "<a%.*s>%s", pad, "0123456789", cdata ? "<![CDATA[" : "");
    while (b.n + unit.n < n - 30) {
        buf_str(&b, unit);
        buf_str(&want, text);
    }
    buf_printf(&b, "%s</a%.*s>", cdata ? "]]>" : "", pad, "0123456789");
    assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_OK);
    assert_true(str_eq(root->text, buf_slice(&want)));
    arena_free(&a);
    buf_free(&b);
    buf_free(&want);
}

static void test_large_text(void **state)
{
    (void)state;
    static const struct {
        struct str unit, text, in_cdata;
    } units[] = {
        {STR("\xe2\x82\xac"), STR("\xe2\x82\xac"), STR("\xe2\x82\xac")},
        {STR("a\r\n"), STR("a\n"), STR("a\n")},
        {STR("\r\r\n"), STR("\n\n"), STR("\n\n")},
        {STR("&amp;"), STR("&"), STR("&amp;")},
        {STR("&#xe9;]"), STR("\xc3\xa9]"), STR("&#xe9;]")},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        for (int pad = 0; pad < 8; pad++) {
            large(units[i].unit, units[i].text, 100000, pad, false);
            large(units[i].unit, units[i].in_cdata, 100000, pad, true);
        }
    }
    large(STR("0123456789\n"), STR("0123456789\n"), FRAME_MAX_SESSION, 0, false);
    int64_t start = clock_cpu();
    large(STR("<&>0\xc3\xa9\n"), STR("<&>0\xc3\xa9\n"), FRAME_MAX_SESSION, 0, true);
    assert_true(clock_cpu() - start < 4 * CLOCK_SEC); /* left to libxml2, it is quadratic */
}

/* Tags with > and white space in their values lie on every edge of a piece. */
static void test_large_tags(void **state)
{
    (void)state;
    static const size_t sizes[] = {30, 1000, FRAME_MAX_TAG - 40};
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
        for (int pad = 0; pad < 12; pad++) {
            struct buf b, value;
            struct arena a;
            struct xelem *root;
            int count = 0;
            buf_init(&b, SIZE_MAX);
            buf_init(&value, SIZE_MAX);
            arena_init(&a, 16 << 20);
            while (value.n < sizes[k])
                buf_lit(&value, "/> ");
            buf_printf(&b, "<a>%.*s", pad, "0123456789abc");
            for (; b.n < 200000; count++)
                buf_printf(&b, "<b c=\"%.*s\">x</b>", STR_FMT(buf_slice(&value)));
            buf_lit(&b, "</a>");
            assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_OK);
            for (const struct xelem *e = root->child; e != NULL; e = e->next, count--)
                assert_true(str_eq(xelem_attr(e, "c"), buf_slice(&value)));
            assert_int_equal(count, 0);
            arena_free(&a);
            buf_free(&b);
            buf_free(&value);
        }
    }
}

/* Text and CDATA side by side do not grow together. */
static void test_cdata_edges(void **state)
{
    (void)state;
    struct arena a;
    struct xelem *root = parse("<a>1\r<![CDATA[\n2]]]>]<![CDATA[]]>&gt;<![CDATA[\r]]>\n</a>", &a);
    assert_str(root->text, "1\n\n2]]>\n\n");
    arena_free(&a);
    arena_init(&a, 1 << 20);
    assert_int_equal(xmsg_parse(parser, STR("<a>&am<![CDATA[p;]]></a>"), &a, &root),
                     ERR_ILLEGAL_XML);
    assert_int_equal(xmsg_parse(parser, STR("<a>&<![CDATA[#38;]]></a>"), &a, &root),
                     ERR_ILLEGAL_XML);
    arena_free(&a);
}

/* ]]> is illegal in text, also on the edge of a piece. */
static void test_bracket_edges(void **state)
{
    (void)state;
    for (size_t pad = 32740; pad < 32790; pad++) {
        struct buf b;
        struct arena a;
        struct xelem *root;
        buf_init(&b, SIZE_MAX);
        arena_init(&a, 1 << 20);
        buf_lit(&b, "<a>");
        char *to = buf_room(&b, 2 * pad);
        assert_non_null(to);
        memset(to, 'x', 2 * pad);
        memcpy(to + pad, "]]>", 3);
        buf_grow(&b, 2 * pad);
        buf_lit(&b, "</a>");
        assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_ILLEGAL_XML);
        b.p[3 + pad + 2] = ']';
        assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_OK);
        assert_int_equal(root->text.n, 2 * pad);
        arena_free(&a);
        buf_free(&b);
    }
}

static void test_reference_cap(void **state)
{
    (void)state;
    for (int n = XMSG_MAX_REF - 1; n <= XMSG_MAX_REF + 1; n++) {
        char msg[200];
        struct arena a;
        struct xelem *root;
        arena_init(&a, 1 << 20);
        snprintf(msg, sizeof msg, "<a b='&#x%0*d;'/>", n - 4, 41);
        enum err want = n > XMSG_MAX_REF ? ERR_ILLEGAL_XML : ERR_OK;
        assert_int_equal(xmsg_parse(parser, str_of(msg), &a, &root), want);
        snprintf(msg, sizeof msg, "<a>&#x%0*d;</a>", n - 4, 41);
        assert_int_equal(xmsg_parse(parser, str_of(msg), &a, &root), want);
        snprintf(msg, sizeof msg, "<a>&amp;<![CDATA[&#x%0*d;&]]></a>", n - 4, 41);
        assert_int_equal(xmsg_parse(parser, str_of(msg), &a, &root), ERR_OK);
        arena_free(&a);
    }
}

static void test_many_elements(void **state)
{
    (void)state;
    struct buf b;
    struct arena a;
    struct xelem *root;
    buf_init(&b, SIZE_MAX);
    arena_init(&a, 64 << 20);
    buf_lit(&b, "<a>");
    for (int i = 0; i < 100000; i++)
        buf_printf(&b, "<e n=\"%d\"/>", i);
    buf_lit(&b, "</a>");
    assert_int_equal(xmsg_parse(parser, buf_slice(&b), &a, &root), ERR_OK);
    int i = 0;
    for (const struct xelem *e = root->child; e != NULL; e = e->next, i++) {
        char want[20];
        snprintf(want, sizeof want, "%d", i);
        assert_str(xelem_attr(e, "n"), want);
    }
    assert_int_equal(i, 100000);
    arena_free(&a);
    buf_free(&b);
}

/* Every arena cap gives the tree or ERR_NOMEM, and the parser goes on. */
static void test_arena_caps(void **state)
{
    (void)state;
    const char msg[] = "<a b='c'>text<d e='f' g='h'>more<i/></d>x</a>";
    bool fits = false;
    for (size_t cap = 0; cap < 1200; cap++) {
        struct arena a;
        struct xelem *root;
        arena_init(&a, cap);
        enum err e = xmsg_parse(parser, str_of(msg), &a, &root);
        if (fits)
            assert_int_equal(e, ERR_OK);
        else if (e != ERR_OK)
            assert_int_equal(e, ERR_NOMEM);
        assert_int_equal(root != NULL, e == ERR_OK);
        fits = e == ERR_OK;
        arena_free(&a);
    }
    assert_true(fits);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_COUNTS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_COUNTS false
#endif
#endif
#ifndef HEAP_COUNTS
#define HEAP_COUNTS true
#endif

static size_t heap_now(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* Good, bad, cut off and over-the-cap messages, each with names that were never seen before. */
static void run_mix(int from, int count)
{
    struct arena a;
    arena_init(&a, 2000);
    for (int i = from; i < from + count; i++) {
        char msg[300];
        struct xelem *root;
        static const char *const forms[] = {
            "<e%d id=\"q%d\" a%d=\"1\"><x%d>t</x%d></e%d>",
            "<e%d id=\"q%d\" a%d=\"&u%d;\"><x%d>t</e%d>",
            "<e%d id=\"q%d\" xmlns:a%d=\"http://x%d\" b%d=''>&#0;%d",
            "<e%d id=\"q%d\"><!-- %d %d %d %d --></e>",
            "<p%d:e xmlns:p%d='urn:%d'>%d %d<a/></p%d:e>",
        };
        /* the same forms with numbers */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(msg, sizeof msg, forms[i % 5], i, i, i, i, i, i);
#pragma GCC diagnostic pop
        enum err e = xmsg_parse(parser, str_of(msg), &a, &root);
        assert_int_equal(e, i % 5 == 0 || i % 5 == 4 ? ERR_OK : ERR_ILLEGAL_XML);
        arena_reset(&a);
    }
    arena_free(&a);
}

static enum err parse_nested(int depth, int attrs)
{
    struct buf b;
    struct arena a;
    struct xelem *root;
    buf_init(&b, SIZE_MAX);
    arena_init(&a, 1 << 20);
    for (int i = 0; i < depth; i++)
        buf_lit(&b, "<a>");
    buf_lit(&b, "x");
    for (int i = 1; i < depth; i++)
        buf_lit(&b, "</a>");
    if (attrs != 0)
        buf_lit(&b, "<b");
    for (int i = 0; i < attrs; i++)
        buf_printf(&b, " %s%d='u'", i % 5 == 0 ? "xmlns:a" : "a", i);
    buf_str(&b, attrs != 0 ? STR("/></a>") : STR("</a>"));
    enum err e = xmsg_parse(parser, buf_slice(&b), &a, &root);
    arena_free(&a);
    buf_free(&b);
    return e;
}

/* Limits other than the default ones, up to the highest. */
static void test_limits(void **state)
{
    (void)state;
    static const struct frame_limits sets[] = {{1024, 16, 8},
                                               {FRAME_TOP_TAG, FRAME_TOP_ATTRS, FRAME_TOP_DEPTH}};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        int depth = (int)sets[i].depth;
        int attrs = (int)sets[i].attrs;
        xmsg_parser_limits(parser, &sets[i]);
        for (int d = -1; d <= 1; d++) {
            assert_int_equal(parse_nested(depth + d, 0), d > 0 ? ERR_ILLEGAL_XML : ERR_OK);
            assert_int_equal(parse_nested(2, attrs + d), d > 0 ? ERR_ILLEGAL_XML : ERR_OK);
        }
    }
    xmsg_parser_limits(parser, &frame_limits_default);
}

static void test_memory_is_flat(void **state)
{
    (void)state;
    run_mix(1000000, 20000);
    size_t before = heap_now();
    run_mix(2000000, 100000);
    size_t after = heap_now();
    if (HEAP_COUNTS && after > before + (256 << 10))
        fail_msg("%zu bytes more", after - before);
}

/* A large message leaves nothing behind, neither in the context nor in the text. */
static void test_large_memory_goes_back(void **state)
{
    (void)state;
    size_t before = heap_now();
    large(STR("0123456789\n"), STR("0123456789\n"), 8 << 20, 0, false);
    size_t after = heap_now();
    if (HEAP_COUNTS && after > before + (128 << 10))
        fail_msg("%zu bytes more", after - before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_attribute_values),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_prefixes_are_plain),
        cmocka_unit_test(test_against_dom),
        cmocka_unit_test(test_large_text),
        cmocka_unit_test(test_large_tags),
        cmocka_unit_test(test_cdata_edges),
        cmocka_unit_test(test_bracket_edges),
        cmocka_unit_test(test_reference_cap),
        cmocka_unit_test(test_many_elements),
        cmocka_unit_test(test_arena_caps),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_is_flat),
        cmocka_unit_test(test_large_memory_goes_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
