// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* frame: cuts, caps, and a stream of messages with known verdicts in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/frame.h"

#define Z(lit) ((struct str){("" lit), sizeof(lit)}) /* with its zero byte */

static uint32_t seed = 20240314;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

static void assert_str(struct str got, struct str want)
{
    if (!str_eq(got, want))
        fail_msg("got '%.*s', not '%.*s'", STR_FMT(got), STR_FMT(want));
}

static const struct frame_limits *limits; /* for verdict() */

/* The verdict on one message that arrives whole. */
static enum err verdict(struct str bytes, size_t max)
{
    struct frame f;
    struct str msg;
    frame_init(&f, max);
    return frame_next(&f, limits, &bytes, &msg);
}

/* What is expected of a stream: messages one after the other. */
struct expect {
    enum err e;
    struct str msg;
};

struct reader {
    struct frame f;
    struct buf held;
    const struct expect *list;
    size_t n, at;
};

/* Feeds one piece from memory of its own. */
static void feed(struct reader *r, struct str piece, bool pauses)
{
    char *own = malloc(piece.n + 1);
    assert_non_null(own);
    if (piece.n != 0)
        memcpy(own, piece.p, piece.n);
    struct str in, msg;
    assert_int_equal(frame_join(&r->held, (struct str){own, piece.n}, &in), ERR_OK);
    while (!pauses || rnd(3) != 0) {
        enum err e = frame_next(&r->f, NULL, &in, &msg);
        if (e == ERR_AGAIN)
            break;
        assert_true(r->at < r->n);
        assert_int_equal(e, r->list[r->at].e);
        if (e != ERR_TOO_LONG)
            assert_str(msg, r->list[r->at].msg);
        r->at++;
        if (e == ERR_TOO_LONG)
            break;
    }
    assert_int_equal(frame_stash(&r->held, in), ERR_OK);
    free(own);
}

static void reader_init(struct reader *r, const struct expect *list, size_t n)
{
    *r = (struct reader){.list = list, .n = n};
    frame_init(&r->f, FRAME_MAX_LOGIN);
    buf_init(&r->held, (size_t)1 << 20);
}

static void reader_end(struct reader *r)
{
    assert_int_equal(r->at, r->n);
    assert_int_equal(r->held.n, 0);
    assert_null(r->held.p);
    assert_false(frame_begun(&r->f));
}

/* Protocol 1, 3.11: every cut into two and three pieces, and byte by byte. */
static void test_example_every_cut(void **state)
{
    (void)state;
    static const char bytes[] = {0x3c, 0x6e, 0x6f, 0x6f, 0x70, 0x20, 0x69, 0x64, 0x3d, 0x22,
                                 0x61, 0x22, 0x2f, 0x3e, 0x00, 0x3c, 0x62, 0x79, 0x65, 0x20,
                                 0x69, 0x64, 0x3d, 0x22, 0x62, 0x22, 0x2f, 0x3e, 0x00};
    const struct expect want[] = {{ERR_OK, STR("<noop id=\"a\"/>")},
                                  {ERR_OK, STR("<bye id=\"b\"/>")}};
    struct str all = {bytes, sizeof bytes};
    struct reader r;
    for (size_t i = 0; i <= all.n; i++) {
        for (size_t j = i; j <= all.n; j++) {
            reader_init(&r, want, 2);
            feed(&r, str_sub(all, 0, i), false);
            feed(&r, str_sub(all, i, j - i), false);
            feed(&r, str_sub(all, j, all.n), false);
            reader_end(&r);
        }
    }
    reader_init(&r, want, 2);
    for (size_t i = 0; i < all.n; i++)
        feed(&r, str_sub(all, i, 1), false);
    reader_end(&r);
}

static void test_whole_message_is_not_copied(void **state)
{
    (void)state;
    struct frame f;
    struct buf held;
    struct str in, msg;
    struct str fresh = Z("<a/>\0<b></b>\0<c>");
    assert_true(sizeof f <= 48);
    frame_init(&f, 100);
    buf_init(&held, 100);
    assert_int_equal(frame_join(&held, fresh, &in), ERR_OK);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_OK);
    assert_ptr_equal(msg.p, fresh.p);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_OK);
    assert_ptr_equal(msg.p, fresh.p + 5);
    fresh.n--; /* without the last zero byte */
    in.n--;
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    assert_null(held.p);
    assert_int_equal(frame_stash(&held, in), ERR_OK);
    assert_int_equal(held.n, 3);
    assert_true(frame_begun(&f));
    assert_int_equal(frame_join(&held, Z("</c> \n"), &in), ERR_OK);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_OK);
    assert_str(msg, STR("<c></c>"));
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    assert_int_equal(frame_stash(&held, in), ERR_OK);
    assert_null(held.p);
}

static void test_empty_messages(void **state)
{
    (void)state;
    struct reader r;
    const struct expect want[] = {{ERR_OK, STR("<a/>")}};
    reader_init(&r, want, 1);
    feed(&r, (struct str){"\0\0 \t\r\n\0", 7}, false);
    feed(&r, STR("  \r"), false);
    assert_null(r.held.p); /* white space is not kept */
    assert_false(frame_begun(&r.f));
    feed(&r, (struct str){"\n<a/>\r\n\0\r\n", 10}, false);
    reader_end(&r);
}

/* A pool of messages whose verdict is known, not computed. */
static const struct {
    struct str bytes; /* as sent, without the zero byte */
    const char *msg;  /* NULL: illegal, and the message handed over is the bytes from `skip` on */
    size_t skip;
} pool[] = {
    {STR("<noop id=\"a\"/>"), "<noop id=\"a\"/>", 0},
    {STR(" \n<noop/>\r\n"), "<noop/>", 0},
    {STR("\xef\xbb\xbf<noop/>"), "<noop/>", 0},
    {STR(" \xef\xbb\xbf \n<noop/>"), "<noop/>", 0},
    {STR("<?xml version=\"1.0\"?><a/>"), "<a/>", 0},
    {STR("\xef\xbb\xbf<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<a/>"), "<a/>", 0},
    {STR("<?xml version=\"1.0\" encoding=\"us-ascii\"?><a></a>"), "<a></a>", 0},
    {STR("<a b='>' c = \"/>\" ></a >"), "<a b='>' c = \"/>\" ></a >", 0},
    {STR("<a><![CDATA[<b>]]]]]><c/>x</a>"), "<a><![CDATA[<b>]]]]]><c/>x</a>", 0},
    {STR("<a>x<b>y<c/></b>z</a>"), "<a>x<b>y<c/></b>z</a>", 0},
    {STR("<\xc3\xa9:a.b-c_1/>"), "<\xc3\xa9:a.b-c_1/>", 0},
    {STR("<a><!-- c --></a>"), NULL, 0},
    {STR("<!-- c --><a/>"), NULL, 0},
    {STR("<!DOCTYPE a><a/>"), NULL, 0},
    {STR("<a><?p d?></a>"), NULL, 0},
    {STR("<?php d?><a/>"), NULL, 0},
    {STR("<?xml version='1.0' encoding='UTF-7'?><a/>"), NULL, 0},
    {STR("<?xml version='1.0' encoding='UTF-16'?><a/>"), NULL, 0},
    {STR("<?xml version='2.0'?><a/>"), NULL, 0},
    {STR("<?xml encoding='UTF-8'?><a/>"), NULL, 0},
    {STR("<?xml version='1.0' encoding='UTF-8' encoding='UTF-8'?><a/>"), NULL, 0},
    {STR("<?xml version='1.0'?>"), NULL, 21},
    {STR("<?xml version='1.0'?><?xml version='1.0'?><a/>"), NULL, 21},
    {STR("  <a/>x"), NULL, 2},
    {STR("<a/><b/>"), NULL, 0},
    {STR("<a/></a>"), NULL, 0},
    {STR("x<a/>"), NULL, 0},
    {STR("</a>"), NULL, 0},
    {STR("<a"), NULL, 0},
    {STR("<a>"), NULL, 0},
    {STR("<a b=\"c"), NULL, 0},
    {STR("<a b=c/>"), NULL, 0},
    {STR("<a b/>"), NULL, 0},
    {STR("<a b=\"<\"/>"), NULL, 0},
    {STR("<a b='1'c='2'/>"), NULL, 0},
    {STR("<a / >"), NULL, 0},
    {STR("<a><![CDATA[x]]</a>"), NULL, 0},
    {STR("<a><![CDAT[x]]></a>"), NULL, 0},
    {STR("<![CDATA[x]]>"), NULL, 0},
    {STR("< a/>"), NULL, 0},
    {STR("<a></ a>"), NULL, 0},
    {STR("<1/>"), NULL, 0},
    {STR("\xef\xbb<a/>"), NULL, 2},
    {STR("\xef\xbb\xbf\xef\xbb\xbf<a/>"), NULL, 3},
    {STR("garbage"), NULL, 0},
};

static struct expect expectation(size_t i)
{
    if (pool[i].msg != NULL)
        return (struct expect){ERR_OK, str_of(pool[i].msg)};
    return (struct expect){ERR_ILLEGAL_XML, str_sub(pool[i].bytes, pool[i].skip, SIZE_MAX)};
}

static void test_pool_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pool); i++) {
        const struct expect want[] = {expectation(i), {ERR_OK, STR("<n/>")}};
        char stream[200];
        size_t n = pool[i].bytes.n;
        memcpy(stream, pool[i].bytes.p, n);
        memcpy(stream + n, "\0<n/>", 6);
        struct str all = {stream, n + 6};
        for (size_t cut = 0; cut <= all.n; cut++) {
            struct reader r;
            reader_init(&r, want, 2);
            feed(&r, str_sub(all, 0, cut), false);
            feed(&r, str_sub(all, cut, all.n), false);
            reader_end(&r);
        }
        struct str msg;
        assert_int_equal(frame_check(pool[i].bytes, 1000, NULL, &msg), want[0].e);
        assert_str(msg, want[0].msg);
    }
}

/* Streams drawn from the pool, in random pieces, with pauses in which messages wait unseen. */
static void test_random_streams(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct expect want[40];
        struct buf stream;
        size_t n = 0;
        buf_init(&stream, SIZE_MAX);
        for (int i = 0; i < 40; i++) {
            if (rnd(5) == 0) {
                buf_add(&stream, " \n", rnd(3));
            } else {
                size_t k = rnd(ARRAY_LEN(pool));
                buf_str(&stream, pool[k].bytes);
                want[n++] = expectation(k);
            }
            buf_char(&stream, '\0');
        }
        struct reader r;
        reader_init(&r, want, n);
        for (struct str rest = buf_slice(&stream); rest.n != 0;) {
            size_t k = rnd(rnd(2) == 0 ? 3 : 60);
            feed(&r, str_sub(rest, 0, k), true);
            rest = str_sub(rest, k, rest.n);
        }
        feed(&r, STR(""), false);
        reader_end(&r);
        buf_free(&stream);
    }
}

/* --- caps at n-1, n, n+1 */

static void fill(struct buf *b, char c, size_t n)
{
    char *to = buf_room(b, n);
    assert_non_null(to);
    memset(to, c, n);
    buf_grow(b, n);
}

static void test_message_cap(void **state)
{
    (void)state;
    for (size_t n = 999; n <= 1001; n++) {
        struct buf b;
        struct str in, msg;
        struct frame f;
        buf_init(&b, SIZE_MAX);
        buf_lit(&b, " <a>");
        fill(&b, 'x', n - 8);
        buf_lit(&b, "</a>");
        assert_int_equal(b.n, n);
        buf_char(&b, '\0');
        assert_int_equal(verdict(buf_slice(&b), 1000), n > 1000 ? ERR_TOO_LONG : ERR_OK);
        assert_int_equal(frame_check((struct str){b.p, n}, 1000, NULL, &msg),
                         n > 1000 ? ERR_TOO_LONG : ERR_OK);
        /* byte by byte it is noticed at the byte that is too much, and stays so */
        frame_init(&f, 1000);
        for (size_t i = 1; i <= n; i++) {
            in = (struct str){b.p + 1, i - 1}; /* the blank has gone */
            if (i == 1)
                in = (struct str){b.p, 1};
            assert_int_equal(frame_next(&f, NULL, &in, &msg), i > 1000 ? ERR_TOO_LONG : ERR_AGAIN);
        }
        in = STR("");
        assert_int_equal(frame_next(&f, NULL, &in, &msg), n > 1000 ? ERR_TOO_LONG : ERR_AGAIN);
        buf_free(&b);
    }
}

static void test_blanks_count(void **state)
{
    (void)state;
    struct frame f;
    struct str msg;
    frame_init(&f, 10);
    for (int i = 0; i <= 11; i++) {
        struct str in = STR("\n");
        assert_int_equal(frame_next(&f, NULL, &in, &msg), i >= 10 ? ERR_TOO_LONG : ERR_AGAIN);
    }
    assert_int_equal(verdict(Z("          "), 10), ERR_AGAIN);
    assert_int_equal(verdict(Z("           "), 10), ERR_TOO_LONG);
    assert_int_equal(verdict(Z("<a/>       "), 10), ERR_TOO_LONG);
    assert_int_equal(verdict(Z("<!DOCTYPE a>"), 10), ERR_TOO_LONG); /* refused or not */
}

/* Login happens while the next message is already coming in. */
static void test_cap_is_raised_in_mid_message(void **state)
{
    (void)state;
    struct frame f;
    struct str msg;
    struct str in = STR("<a>12345");
    frame_init(&f, 10);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    frame_set_max(&f, 14);
    in = Z("<a>1234567</a>");
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_OK);
    in = Z("<a>12345678</a>");
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_TOO_LONG);
}

static enum err tag_of(size_t n, bool end)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    if (end) {
        buf_lit(&b, "<a></a");
        fill(&b, ' ', n - 4);
        buf_lit(&b, ">");
    } else {
        buf_lit(&b, "<r><a b='");
        fill(&b, 'x', n - 9);
        buf_lit(&b, "'/></r>");
    }
    buf_char(&b, '\0');
    enum err e = verdict(buf_slice(&b), FRAME_MAX_SESSION);
    buf_free(&b);
    return e;
}

static enum err attrs_of(int n)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_lit(&b, "<a");
    for (int i = 0; i < n; i++)
        buf_printf(&b, " a%d=''", i);
    buf_lit(&b, "><b c='d'/></a>");
    buf_char(&b, '\0');
    enum err e = verdict(buf_slice(&b), FRAME_MAX_SESSION);
    buf_free(&b);
    return e;
}

static enum err depth_of(int n, bool last_is_empty)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    for (int i = 0; i < n - 1; i++)
        buf_lit(&b, "<a>");
    buf_str(&b, last_is_empty ? STR("<a/><a/>") : STR("<a></a><a></a>"));
    for (int i = 0; i < n - 1; i++)
        buf_lit(&b, "</a>");
    buf_char(&b, '\0');
    enum err e = verdict(buf_slice(&b), FRAME_MAX_SESSION);
    buf_free(&b);
    return e;
}

static enum err name_of(size_t n, bool attr)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_str(&b, attr ? STR("<a ") : STR("<"));
    fill(&b, 'n', n);
    buf_str(&b, attr ? STR("=''/>") : STR("/>"));
    buf_char(&b, '\0');
    enum err e = verdict(buf_slice(&b), FRAME_MAX_SESSION);
    buf_free(&b);
    return e;
}

static enum err decl_of(size_t n)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_lit(&b, "<?xml version='1.0'");
    fill(&b, ' ', n - 21);
    buf_lit(&b, "?><a/>");
    buf_char(&b, '\0');
    enum err e = verdict(buf_slice(&b), FRAME_MAX_SESSION);
    buf_free(&b);
    return e;
}

static void caps_hold(size_t tag, int attrs, int depth)
{
    for (int d = -1; d <= 1; d++) {
        enum err want = d > 0 ? ERR_ILLEGAL_XML : ERR_OK;
        size_t one = (size_t)(d + 1);
        assert_int_equal(tag_of(tag - 1 + one, false), want);
        assert_int_equal(tag_of(tag - 1 + one, true), want);
        assert_int_equal(attrs_of(attrs + d), want);
        assert_int_equal(depth_of(depth + d, false), want);
        assert_int_equal(depth_of(depth + d, true), want);
        assert_int_equal(name_of(FRAME_MAX_NAME - 1 + one, false), want);
        assert_int_equal(name_of(FRAME_MAX_NAME - 1 + one, true), want);
        assert_int_equal(decl_of(FRAME_MAX_DECL - 1 + one), want);
    }
}

static void test_caps(void **state)
{
    (void)state;
    static const struct frame_limits sets[] = {
        {1024, 16, 8}, {5000, 100, 33}, {FRAME_TOP_TAG, FRAME_TOP_ATTRS, FRAME_TOP_DEPTH}};
    caps_hold(FRAME_MAX_TAG, FRAME_MAX_ATTRS, FRAME_MAX_DEPTH);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        limits = &sets[i];
        caps_hold(limits->tag, (int)limits->attrs, (int)limits->depth);
    }
    limits = NULL;
}

/* They may change in the middle of a message: what is counted from then on is held against the new ones. */
static void test_limits_change_in_mid_message(void **state)
{
    (void)state;
    static const struct frame_limits low = {1024, 16, 8};
    struct frame f;
    struct str msg;
    struct str in = STR("<a><a><a><a><a><a><a><a><a>");
    frame_init(&f, 1000);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    in = Z("<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>");
    assert_int_equal(frame_next(&f, &low, &in, &msg), ERR_OK);
    in = STR("<a><a><a><a><a><a><a><a><a>");
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    in = Z("<a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a>");
    assert_int_equal(frame_next(&f, &low, &in, &msg), ERR_ILLEGAL_XML);
}

/* Only the head of a refused message is kept, however long it is, and the stream goes on behind it. */
static void test_refused_message_is_not_kept(void **state)
{
    (void)state;
    struct reader r;
    static char junk[1000];
    struct buf head;
    buf_init(&head, SIZE_MAX);
    buf_lit(&head, "<a id='7'><!-- ");
    memset(junk, 'j', sizeof junk);
    fill(&head, 'j', FRAME_KEEP_BAD - head.n);
    const struct expect want[] = {{ERR_ILLEGAL_XML, buf_slice(&head)}, {ERR_OK, STR("<b/>")}};
    reader_init(&r, want, 2);
    frame_set_max(&r.f, (size_t)1 << 20);
    feed(&r, STR("<a id='7'><!-- "), false);
    for (int i = 0; i < 1000; i++) {
        feed(&r, (struct str){junk, sizeof junk}, false);
        assert_true(r.held.n <= FRAME_KEEP_BAD);
    }
    feed(&r, Z("j\0<b/>"), false);
    reader_end(&r);
    buf_free(&head);
}

/* The memory of a large message does not stay for a little rest behind it. */
static void test_large_memory_goes_back(void **state)
{
    (void)state;
    struct frame f;
    struct buf held, big;
    struct str in, msg;
    frame_init(&f, FRAME_MAX_SESSION);
    buf_init(&held, FRAME_MAX_SESSION + 100000);
    buf_init(&big, SIZE_MAX);
    fill(&big, 'x', 1000000);
    assert_int_equal(frame_join(&held, STR("<a>"), &in), ERR_OK);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    assert_int_equal(frame_stash(&held, in), ERR_OK);
    assert_int_equal(frame_join(&held, buf_slice(&big), &in), ERR_OK);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    assert_int_equal(frame_stash(&held, in), ERR_OK);
    assert_int_equal(frame_join(&held, (struct str){"</a>\0<b", 7}, &in), ERR_OK);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_OK);
    assert_int_equal(msg.n, 1000007);
    assert_int_equal(frame_next(&f, NULL, &in, &msg), ERR_AGAIN);
    assert_int_equal(frame_stash(&held, in), ERR_OK);
    assert_int_equal(held.n, 2);
    assert_true(held.cap <= 1024);
    buf_free(&held);
    buf_free(&big);
}

static void test_stash_over_its_cap(void **state)
{
    (void)state;
    struct buf held;
    struct str in;
    buf_init(&held, 4);
    assert_int_equal(frame_stash(&held, STR("<a>12")), ERR_NOMEM);
    assert_int_equal(frame_stash(&held, STR("<a>1")), ERR_OK);
    assert_int_equal(frame_join(&held, STR("2"), &in), ERR_NOMEM);
    buf_free(&held);
}

static void test_check(void **state)
{
    (void)state;
    struct str msg;
    assert_int_equal(frame_check(STR(""), 10, NULL, &msg), ERR_ILLEGAL_XML);
    assert_int_equal(frame_check(STR(" \n"), 10, NULL, &msg), ERR_ILLEGAL_XML);
    assert_int_equal(frame_check(Z("<a/>"), 10, NULL, &msg), ERR_ILLEGAL_XML);
    assert_int_equal(frame_check(STR("\0<a/>"), 10, NULL, &msg), ERR_ILLEGAL_XML);
    assert_int_equal(frame_check(STR_NONE, 10, NULL, &msg), ERR_ILLEGAL_XML);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_every_cut),
        cmocka_unit_test(test_whole_message_is_not_copied),
        cmocka_unit_test(test_empty_messages),
        cmocka_unit_test(test_pool_every_cut),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_message_cap),
        cmocka_unit_test(test_blanks_count),
        cmocka_unit_test(test_cap_is_raised_in_mid_message),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_limits_change_in_mid_message),
        cmocka_unit_test(test_refused_message_is_not_kept),
        cmocka_unit_test(test_large_memory_goes_back),
        cmocka_unit_test(test_stash_over_its_cap),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
