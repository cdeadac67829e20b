// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* urlpath, urlform, parturl: the tables of tricks, booleans, memory. Python's urllib judges the rest (tests/web). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/parturl.h"
#include "codec/urlform.h"
#include "codec/urlpath.h"

/* How a segment can try to be another one (security 2.2): nothing is resolved, nothing is decoded twice. */
static void test_tricks(void **state)
{
    static const struct {
        const char *raw;
        const char *text; /* NULL: refused */
        bool slash, dots;
    } rows[] = {
        {"..", "..", false, true},
        {"%2e%2E", "..", false, true},
        {".%2e", "..", false, true},
        {"%2e", ".", false, true},
        {"...", "...", false, false},
        {"%252e%252e", "%2e%2e", false, false},
        {"%25252e", "%252e", false, false},
        {"..%2f..%2Fetc", "../../etc", true, false},
        {"..%5cx", "..\\x", true, false},
        {"..\\x", "..\\x", true, false},
        {"%2e%2e;x", "..;x", false, false},
        {"%2e%2e%20", ".. ", false, false},
        {"a+b", "a+b", false, false},
        {"%u002e", NULL, false, false},
        {"%c0%ae%c0%ae", NULL, false, false},
        {"%e0%80%af", NULL, false, false},
        {"%f0%80%80%af", NULL, false, false},
        {"%ed%a0%80", NULL, false, false},
        {"..%00.txt", NULL, false, false},
        {"%", NULL, false, false},
        {"%2", NULL, false, false},
        {"%2x", NULL, false, false},
        {"%x2", NULL, false, false},
        {"%+2", NULL, false, false},
        {"% 2", NULL, false, false},
        {"a#b", NULL, false, false},
        {"a b", NULL, false, false},
        {"a\tb", NULL, false, false},
        {"a\x7f", NULL, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct urlpath p;
        arena_init(&a, 4096);
        struct str target = arena_printf(&a, "/x/%s/y", rows[i].raw);
        enum err e = urlpath_parse(&a, target, &p);
        assert_int_equal(e, rows[i].text != NULL ? ERR_OK : ERR_SYNTAX);
        if (e == ERR_OK) {
            assert_int_equal(p.n, 3);
            assert_true(str_eq(p.seg[1].text, str_of(rows[i].text)));
            assert_int_equal(p.seg[1].slash, rows[i].slash);
            assert_int_equal(p.seg[1].dots, rows[i].dots);
        }
        arena_free(&a);
    }
}

/* Empty segments are there; nothing but paths. */
static void test_form_of_paths(void **state)
{
    struct arena a;
    struct urlpath p;
    (void)state;
    arena_init(&a, 4096);
    assert_int_equal(urlpath_parse(&a, STR("//a//"), &p), ERR_OK);
    assert_int_equal(p.n, 4);
    assert_true(p.seg[0].text.n == 0 && p.seg[2].text.n == 0 && p.seg[3].text.n == 0);
    assert_int_equal(urlpath_parse(&a, STR("/"), &p), ERR_OK);
    assert_int_equal(p.n, 1);
    assert_true(p.seg[0].text.n == 0);
    static const char *const bad[] = {"",   "*",       "a/b",  "http://harbor.example/",
                                      "/?", "/a#frag", "/a b", "/a\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(urlpath_parse(&a, str_of(bad[i]), &p), ERR_SYNTAX);
    arena_free(&a);
}

/* What needs no decoding is not copied; what does is bounded by the arena. */
static void test_memory(void **state)
{
    struct arena a;
    struct str out, same = STR("dora@harbor.example"), coded = STR("dora%40harbor.example");
    struct urlform f;
    (void)state;
    arena_init(&a, 0);
    assert_int_equal(url_decode(&a, same, true, &out), ERR_OK);
    assert_ptr_equal(out.p, same.p);
    assert_int_equal(url_decode(&a, coded, true, &out), ERR_NOMEM);
    assert_int_equal(urlform_parse(&a, STR("a=b&c=%41"), &f), ERR_NOMEM);
    assert_int_equal(urlform_parse(&a, STR("a=b&c"), &f), ERR_OK);
    assert_int_equal(urlform_parse(&a, STR_NONE, &f), ERR_OK);
    assert_int_equal(f.n, 0);
    arena_free(&a);
    arena_init(&a, 4096);
    /* What stands behind the slice is not looked at. */
    assert_int_equal(url_decode(&a, str_sub(coded, 0, 6), false, &out), ERR_SYNTAX);
    assert_int_equal(url_decode(&a, str_sub(coded, 0, 5), false, &out), ERR_SYNTAX);
    assert_int_equal(url_decode(&a, coded, false, &out), ERR_OK);
    assert_true(str_eq(out, same));
    arena_free(&a);
}

static void test_booleans(void **state)
{
    struct arena a;
    struct urlform body, query;
    bool v = true;
    (void)state;
    arena_init(&a, 4096);
    assert_int_equal(urlform_parse(&a, STR("killold=YES&x2auth&bad=maybe&version=6.2"), &body),
                     ERR_OK);
    assert_int_equal(urlform_parse(&a, STR("errorAsXML=1&bad=1&killOld=0"), &query), ERR_OK);
    static const struct {
        const char *name;
        bool value;
    } good[] = {{"killOld", true}, {"x2auth", false}, {"ERRORASXML", true}, {"absent", false}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        v = !good[i].value;
        assert_int_equal(urlform_bool(&body, &query, str_of(good[i].name), &v), ERR_OK);
        assert_int_equal(v, good[i].value);
    }
    v = true;
    assert_int_equal(urlform_bool(&body, &query, STR("bad"), &v), ERR_SYNTAX);
    assert_int_equal(urlform_bool(&body, &query, STR("version"), &v), ERR_SYNTAX);
    assert_true(v);
    arena_free(&a);
}

/* FORMAT's link (protocol 2, 9.3) in a buffer that is large enough, exactly large enough, and too small by one. */
static void test_part_urls(void **state)
{
    static const char want[] =
        "/Session/100042-k2Vb7QmZ0xT4LrNcYpWd/MIME/a%2Fb/512-02-01-B/m%20%C3%A9.wav";
    (void)state;
    for (size_t cap = sizeof want - 2; cap <= sizeof want; cap++) {
        struct buf b;
        buf_init(&b, cap);
        parturl_make(&b, STR("100042-k2Vb7QmZ0xT4LrNcYpWd"), STR("a/b"), 512, STR("02-01"),
                     STR("../m \xc3\xa9.wav"));
        assert_int_equal(buf_err(&b), cap < sizeof want - 1 ? ERR_NOMEM : ERR_OK);
        if (!b.failed)
            assert_true(str_eq(buf_slice(&b), str_of(want)));
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tricks),    cmocka_unit_test(test_form_of_paths),
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_part_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
