// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* http1: every limit at n-1, n and n+1, in every split where that is affordable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http1_run.h"

static struct buf in, out;

static int setup(void **state)
{
    (void)state;
    buf_init(&in, (size_t)1 << 20);
    buf_init(&out, (size_t)1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&in);
    buf_free(&out);
    return 0;
}

static void fill(char c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_char(&in, c);
}

/* What `in` is read as, in every split up to some size and else at once and byte by byte; `in` is emptied. */
static const char *read_as(const struct http1_limits *limits)
{
    if (in.n <= 2048) {
        (void)http1_run_all(limits, buf_slice(&in), &out);
    } else {
        struct buf other;
        buf_init(&other, (size_t)1 << 20);
        buf_clear(&out);
        http1_run(limits, buf_slice(&in), in.n, in.n, &out);
        http1_run(limits, buf_slice(&in), 1, 1, &other);
        assert_true(str_eq(buf_slice(&out), buf_slice(&other)));
        buf_free(&other);
        buf_char(&out, 0);
        out.n--;
    }
    buf_clear(&in);
    return out.p;
}

static bool ends_well(const char *said)
{
    struct str s = str_of(said);
    return s.n >= 5 && str_eq(str_sub(s, s.n - 5, 5), STR("DONE\n"));
}

/* --- the head */

/* A head of exactly n bytes. */
static void head_of(size_t n)
{
    buf_lit(&in, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    fill('x', n - in.n - 4);
    buf_lit(&in, "\r\n\r\n");
    assert_int_equal(in.n, n);
}

static void test_head(void **state)
{
    static const size_t sizes[] = {100, HTTP1_MAX_HEAD, HTTP1_TOP_HEAD};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct http1_limits limits = http1_limits_default;
        limits.head = sizes[i];
        for (size_t n = sizes[i] - 1; n <= sizes[i] + 1; n++) {
            head_of(n);
            const char *said = read_as(&limits);
            if (n <= sizes[i])
                assert_true(ends_well(said));
            else
                assert_string_equal(said, "BAD 431 head too long\n");
        }
    }
    /* A limit over the highest is taken for that. */
    struct http1_limits limits = http1_limits_default;
    limits.head = SIZE_MAX;
    limits.fields = 100000;
    head_of(HTTP1_TOP_HEAD + 1);
    assert_string_equal(read_as(&limits), "BAD 431 head too long\n");
    for (size_t n = HTTP1_TOP_FIELDS; n <= HTTP1_TOP_FIELDS + 1; n++) {
        buf_lit(&in, "GET / HTTP/1.0\r\n");
        for (size_t i = 0; i < n; i++)
            buf_lit(&in, "X:\r\n");
        buf_lit(&in, "\r\n");
        assert_int_equal(ends_well(read_as(&limits)), n == HTTP1_TOP_FIELDS);
    }
}

/* In the longest head there may be, the last field stands where it stands. */
static void test_last_field(void **state)
{
    struct http1_limits limits = http1_limits_default;
    struct str piece;
    (void)state;
    limits.head = HTTP1_TOP_HEAD;
    buf_clear(&in);
    buf_lit(&in, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    size_t before = in.n;
    fill('x', HTTP1_TOP_HEAD - before - 2 - 4 - 4);
    size_t x = in.n - before;
    buf_lit(&in, "\r\nY: z\r\n\r\n");
    assert_int_equal(in.n, HTTP1_TOP_HEAD);
    struct http1 *h = http1_new(&limits);
    struct str s = buf_slice(&in);
    assert_int_equal(http1_feed(h, &s, &piece), HTTP1_HEAD);
    assert_int_equal(http1_field(http1_request(h), "x").n, x);
    assert_true(str_eq(http1_field(http1_request(h), "y"), STR("z")));
    http1_free(&h);
    buf_clear(&in);
}

/* Nobody waits for the end of what is too long already, and it is said which part is. */
static void test_head_without_end(void **state)
{
    struct http1_limits limits = http1_limits_default;
    (void)state;
    limits.head = 64;
    buf_lit(&in, "GET /");
    fill('a', 58);
    assert_string_equal(read_as(&limits), "MORE\n");
    buf_lit(&in, "GET /");
    fill('a', 59);
    assert_string_equal(read_as(&limits), "BAD 414 request line too long\n");
    buf_lit(&in, "GET / HTTP/1.1\r\nX: ");
    fill('a', 63 - 19);
    assert_string_equal(read_as(&limits), "MORE\n");
    buf_lit(&in, "GET / HTTP/1.1\r\nX: ");
    fill('a', 64 - 19);
    assert_string_equal(read_as(&limits), "BAD 431 head too long\n");
    /* The CR LF before a request does not count. */
    buf_lit(&in, "\r\n");
    size_t before = in.n;
    buf_lit(&in, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    fill('x', 64 - (in.n - before) - 4);
    buf_lit(&in, "\r\n\r\n");
    assert_true(ends_well(read_as(&limits)));
}

static void test_fields(void **state)
{
    (void)state;
    for (size_t n = HTTP1_MAX_FIELDS - 1; n <= HTTP1_MAX_FIELDS + 1; n++) {
        buf_lit(&in, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (size_t i = 1; i < n; i++)
            buf_printf(&in, "X-%zu: y\r\n", i);
        buf_lit(&in, "\r\n");
        const char *said = read_as(&http1_limits_default);
        if (n <= HTTP1_MAX_FIELDS)
            assert_true(ends_well(said));
        else
            assert_string_equal(said, "BAD 431 too many fields\n");
    }
}

static void test_target(void **state)
{
    (void)state;
    for (size_t n = HTTP1_MAX_TARGET - 1; n <= HTTP1_MAX_TARGET + 1; n++) {
        buf_lit(&in, "GET /");
        fill('a', n - 1);
        buf_lit(&in, " HTTP/1.1\r\nHost: h\r\n\r\n");
        const char *said = read_as(&http1_limits_default);
        if (n <= HTTP1_MAX_TARGET)
            assert_true(ends_well(said));
        else
            assert_string_equal(said, "BAD 414 target too long\n");
    }
}

/* --- bodies */

static void test_body_length(void **state)
{
    struct http1_limits limits = http1_limits_default;
    (void)state;
    for (size_t cap = 0; cap < 40; cap += 13) {
        limits.body = cap;
        for (size_t n = cap != 0 ? cap - 1 : 0; n <= cap + 1; n++) {
            buf_printf(&in, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", n);
            fill('b', n);
            const char *said = read_as(&limits);
            assert_int_equal(ends_well(said), n <= cap);
            if (n > cap)
                assert_non_null(strstr(said, "keep\nBAD 413 body too long\n"));
        }
    }
}

/* Also when it comes in two chunks, and no byte of the chunk that is too much is handed out. */
static void test_body_chunks(void **state)
{
    struct http1_limits limits = http1_limits_default;
    (void)state;
    limits.body = 30;
    for (size_t n = 29; n <= 31; n++) {
        for (size_t first = 1; first < n; first += 13) {
            buf_lit(&in, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
            buf_printf(&in, "%zx\r\n", first);
            fill('b', first);
            buf_printf(&in, "\r\n%zx\r\n", n - first);
            fill('c', n - first);
            buf_lit(&in, "\r\n0\r\n\r\n");
            const char *said = read_as(&limits);
            assert_int_equal(ends_well(said), n <= 30);
            if (n > 30)
                assert_non_null(strstr(said, "b\nBAD 413 body too long\n"));
        }
    }
}

/* The door knows the limit when it has seen the URL. */
static void test_body_of_a_url(void **state)
{
    (void)state;
    for (uint64_t cap = 4; cap <= 6; cap++) {
        struct http1 *h = http1_new(&http1_limits_default);
        struct str s = STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), piece;
        assert_int_equal(http1_feed(h, &s, &piece), HTTP1_HEAD);
        http1_max_body(h, cap);
        assert_int_equal(http1_feed(h, &s, &piece), cap < 5 ? HTTP1_BAD : HTTP1_BODY);
        assert_int_equal(http1_status(h), cap < 5 ? 413 : 0);
        assert_int_equal(s.n, cap < 5 ? 5 : 0);
        http1_free(&h);
    }
    /* Said without a byte of the body, and of this request only. */
    struct http1_limits small = http1_limits_default;
    struct http1 *h;
    struct str piece;
    small.body = 3;
    h = http1_new(&small);
    for (int i = 0; i < 2; i++) {
        struct str s = STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"),
                   body = STR("hello");
        assert_int_equal(http1_feed(h, &s, &piece), HTTP1_HEAD);
        if (i == 0)
            http1_max_body(h, 5);
        assert_int_equal(http1_feed(h, &s, &piece), i == 0 ? HTTP1_MORE : HTTP1_BAD);
        if (i == 0) {
            assert_int_equal(http1_feed(h, &body, &piece), HTTP1_BODY);
            assert_int_equal(http1_feed(h, &body, &piece), HTTP1_DONE);
            http1_next(h);
        }
    }
    assert_int_equal(http1_status(h), 413);
    http1_free(&h);
}

/* --- chunk lines and trailers */

#define CHUNKED "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_chunk_line(void **state)
{
    (void)state;
    for (size_t n = HTTP1_MAX_CHUNK_LINE - 1; n <= HTTP1_MAX_CHUNK_LINE + 1; n++) {
        buf_lit(&in, CHUNKED "1;");
        fill('x', n - 4);
        buf_lit(&in, "\r\na\r\n0\r\n\r\n");
        const char *said = read_as(&http1_limits_default);
        assert_int_equal(ends_well(said), n <= HTTP1_MAX_CHUNK_LINE);
        if (n > HTTP1_MAX_CHUNK_LINE)
            assert_non_null(strstr(said, "BAD 400 chunk line too long\n"));
    }
    /* Without its end too. */
    buf_lit(&in, CHUNKED "1;");
    fill('x', HTTP1_MAX_CHUNK_LINE - 2);
    assert_non_null(strstr(read_as(&http1_limits_default), "BAD 400 chunk line too long\n"));
    for (size_t n = HTTP1_MAX_CHUNK_SIZE - 1; n <= HTTP1_MAX_CHUNK_SIZE + 1; n++) {
        buf_lit(&in, CHUNKED);
        fill('0', n - 1);
        buf_lit(&in, "1\r\na\r\n0\r\n\r\n");
        assert_int_equal(ends_well(read_as(&http1_limits_default)), n <= HTTP1_MAX_CHUNK_SIZE);
    }
}

/* Many chunks, each with an extension: together they have a limit too. */
static void test_extensions(void **state)
{
    (void)state;
    for (size_t n = HTTP1_MAX_EXTENSIONS - 1; n <= HTTP1_MAX_EXTENSIONS + 1; n++) {
        buf_lit(&in, CHUNKED);
        for (size_t left = n; left != 0;) {
            size_t some = left > 128 + 2 ? 128 : left;
            buf_lit(&in, "1;");
            fill('x', some - 1);
            buf_lit(&in, "\r\na\r\n");
            left -= some;
        }
        buf_lit(&in, "0\r\n\r\n");
        const char *said = read_as(&http1_limits_default);
        assert_int_equal(ends_well(said), n <= HTTP1_MAX_EXTENSIONS);
        if (n > HTTP1_MAX_EXTENSIONS)
            assert_non_null(strstr(said, "BAD 400 too many chunk extensions\n"));
    }
}

static void test_trailer(void **state)
{
    (void)state;
    for (size_t n = HTTP1_MAX_TRAILER - 1; n <= HTTP1_MAX_TRAILER + 1; n++) {
        buf_lit(&in, CHUNKED "0\r\nX: y\r\nY: ");
        fill('z', n - 6 - 3 - 4);
        buf_lit(&in, "\r\n\r\n");
        const char *said = read_as(&http1_limits_default);
        assert_int_equal(ends_well(said), n <= HTTP1_MAX_TRAILER);
        if (n > HTTP1_MAX_TRAILER)
            assert_non_null(strstr(said, "BAD 431 trailer too long\n"));
    }
    for (size_t n = HTTP1_MAX_FIELDS - 1; n <= HTTP1_MAX_FIELDS + 1; n++) {
        buf_lit(&in, CHUNKED "0\r\n");
        for (size_t i = 0; i < n; i++)
            buf_lit(&in, "X:\r\n");
        buf_lit(&in, "\r\n");
        const char *said = read_as(&http1_limits_default);
        assert_int_equal(ends_well(said), n <= HTTP1_MAX_FIELDS);
        if (n > HTTP1_MAX_FIELDS)
            assert_non_null(strstr(said, "BAD 431 too many fields\n"));
    }
}

/* A million bytes of body in odd pieces, none of them copied. */
static void test_large(void **state)
{
    static char body[1000000];
    struct http1 *h = http1_new(&http1_limits_default);
    struct str head = STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"), piece;
    size_t got = 0;
    (void)state;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 + i / 256);
    assert_int_equal(http1_feed(h, &head, &piece), HTTP1_HEAD);
    while (got < sizeof body) {
        struct str s = str_sub((struct str){body, sizeof body}, got, 1 + got % 4099);
        assert_int_equal(http1_feed(h, &s, &piece), HTTP1_BODY);
        assert_ptr_equal(piece.p, body + got);
        got += piece.n;
    }
    assert_int_equal(http1_feed(h, &head, &piece), HTTP1_DONE);
    http1_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_last_field),
        cmocka_unit_test(test_head_without_end),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_body_length),
        cmocka_unit_test(test_body_chunks),
        cmocka_unit_test(test_body_of_a_url),
        cmocka_unit_test(test_chunk_line),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_trailer),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
