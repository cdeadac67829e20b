// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Attributes of a tag at n-1, n, n+1; everything else stays; libxml2 gets no tag that costs it a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/html_thin.h"
#include "codec/mime_text.h"

static void assert_thin(struct str html, struct str want)
{
    struct buf room;
    buf_init(&room, 1 << 22);
    struct str got = html_thin(html, &room);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    assert_true(!room.failed && (room.n == 0) == (got.p == html.p));
    buf_free(&room);
}

/* "<p a0='>' b1 ... >x</p>" with so many attributes of several forms, and so many of them kept. */
static void tag(struct buf *b, int attrs, const char *more)
{
    static const char *const before[] = {" a", " a", " a", "\ta", "\n'a", " -"};
    static const char *const after[] = {"='> <b x'", "", " = \"1\"", "=1", "", ""};
    char one[40];
    buf_init(b, 1 << 20);
    buf_lit(b, "1 < 2 <!-- <p> --><P");
    for (int i = 0; i < attrs; i++) {
        snprintf(one, sizeof one, "%s%d%s", before[i % 6], i, after[i % 6]);
        buf_str(b, str_of(one));
    }
    buf_str(b, str_of(more));
    buf_lit(b, ">x<br/></P>");
}

static void test_limit(void **state)
{
    (void)state;
    for (int n = HTML_THIN_ATTRS - 1; n <= HTML_THIN_ATTRS + 1; n++) {
        struct buf html, want;
        tag(&html, n, "");
        tag(&want, n < HTML_THIN_ATTRS ? n : HTML_THIN_ATTRS, "");
        assert_thin(buf_slice(&html), buf_slice(&want));
        buf_free(&html);
        buf_free(&want);
    }
}

static void test_small(void **state)
{
    (void)state;
    static const char *const same[] = {"",       "<",      "<a",      "<a ",    "<a b",
                                       "<a b=",  "<a b='", "<a b='c", "< a b>", "<a b c><d e f",
                                       "a<1 2 3"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_thin(str_of(same[i]), str_of(same[i]));
}

/* The text is what it would be without them. */
static void test_text_stays(void **state)
{
    (void)state;
    struct buf html, out;
    buf_init(&html, 1 << 22);
    buf_init(&out, 1 << 16);
    buf_lit(&html, "<p");
    for (int i = 0; i < 100000; i++)
        buf_printf(&html, " a%d=1", i);
    buf_lit(&html, ">four o'clock</p>");
    mime_html_text(buf_slice(&html), &out);
    assert_true(memmem(out.p, out.n, "four o'clock", 12) != NULL);
    buf_free(&html);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit), cmocka_unit_test(test_small),
                                       cmocka_unit_test(test_text_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
