// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* http1: what good requests are read as, in every split; what is said of each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http1_run.h"

struct row {
    const char *in, *want;
};

static void check_rows(const struct row *rows, size_t n)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(http1_run_all(&http1_limits_default, str_of(rows[i].in), &out),
                            rows[i].want);
    buf_free(&out);
}

#define H "Host: h.example\r\n"

static void test_good(void **state)
{
    static const struct row rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", "HEAD GET / host=h.example 1.1 keep\nDONE\n"},
        {"GET /a?b=c?d HTTP/1.1\r\nhOST:\t h.example:80 \t\r\n\r\n",
         "HEAD GET /a ?b=c?d host=h.example:80 1.1 keep\nDONE\n"},
        {"GET /? HTTP/1.1\r\nHost:[::1]:8080\r\n\r\n",
         "HEAD GET / ? host=[::1]:8080 1.1 keep\nDONE\n"},
        {"HEAD /x HTTP/1.1\r\nHost:\r\n\r\n", "HEAD HEAD /x host= 1.1 keep\nDONE\n"},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "HEAD OPTIONS * host=h.example 1.1 keep\nDONE\n"},
        {"DELETE /x HTTP/1.1\r\n" H "\r\n",
         "HEAD other(DELETE) /x host=h.example 1.1 keep\nDONE\n"},
        {"\r\nGET / HTTP/1.0\r\n\r\n", "HEAD GET / host= 1.0\nDONE\n"},
        {"GET / HTTP/1.0\r\nConnection: foo, Keep-Alive\r\n\r\n",
         "HEAD GET / host= 1.0 keep\nDONE\n"},
        {"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", "HEAD GET / host= 1.0\nDONE\n"},
        {"GET / HTTP/1.1\r\n" H "Connection: foo\r\nConnection: ,Close\r\n\r\n",
         "HEAD GET / host=h.example 1.1\nDONE\n"},
        {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n",
         "HEAD GET / host=h.example 1.1 keep\nDONE\n"},
        /* absolute-form */
        {"GET http://h.example/a?b HTTP/1.1\r\n" H "\r\n",
         "HEAD GET /a ?b host=h.example 1.1 keep\nDONE\n"},
        {"GET HTTPS://h.example?b HTTP/1.1\r\n" H "\r\n",
         "HEAD GET / ?b host=h.example 1.1 keep\nDONE\n"},
        {"GET http://H.example HTTP/1.0\r\n\r\n", "HEAD GET / host=H.example 1.0\nDONE\n"},
        /* bodies */
        {"POST /p HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
         "HEAD POST /p host=h.example 1.1 length=5 keep\nBODY hello\nDONE\n"},
        {"GET /p HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Type:\r\n\r\nhello",
         "HEAD GET /p host=h.example 1.1 length=5 keep\nBODY hello\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "content-length: 0\r\n\r\n",
         "HEAD POST /p host=h.example 1.1 length=0 keep\nDONE\n"},
        {"POST /p HTTP/1.0\r\nContent-Length: 003\r\n\r\nabc",
         "HEAD POST /p host= 1.0 length=3\nBODY abc\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
         "HEAD POST /p host=h.example 1.1 length=1 keep expect\nBODY x\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
         "HEAD POST /p host=h.example 1.1 length=0 keep\nDONE\n"},
        {"POST /p HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
         "HEAD POST /p host= 1.0 length=1\nBODY x\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "Expect: money\r\nContent-Length: 1\r\n\r\nx",
         "HEAD POST /p host=h.example 1.1 length=1 keep\nBODY x\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H
         "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A;a;b=c;d=\"e\\\" "
         "f\"\r\n0123456789\r\n0\r\n\r\n",
         "HEAD POST /p host=h.example 1.1 chunked keep\nBODY abc0123456789\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HEAD POST /p host=h.example 1.1 chunked keep\nDONE\n"},
        {"POST /p HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0;x\r\nA: "
         "b\r\nContent-Length: 7\r\n\r\n",
         "HEAD POST /p host=h.example 1.1 chunked keep\nBODY \n\nDONE\n"},
        /* an upgrade is ignored, with and without a body */
        {"GET /ws HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
         "GET /2 HTTP/1.1\r\n" H "\r\n",
         "HEAD GET /ws host=h.example 1.1 keep\nDONE\nHEAD GET /2 host=h.example 1.1 keep\nDONE\n"},
        {"POST /ws HTTP/1.1\r\n" H
         "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab",
         "HEAD POST /ws host=h.example 1.1 length=2 keep\nBODY ab\nDONE\n"},
        {"POST /ws HTTP/1.1\r\n" H
         "Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\na\r\n0\r\n\r\n",
         "HEAD POST /ws host=h.example 1.1 chunked keep\nBODY a\nDONE\n"},
        /* pipelining, also behind a request that wants the connection closed: the door's matter */
        {"POST /1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab\r\nGET /2 HTTP/1.1\r\n" H
         "Connection: close\r\n\r\nPOST /3 HTTP/1.1\r\n" H
         "Transfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\nGET /4",
         "HEAD POST /1 host=h.example 1.1 length=2 keep\nBODY ab\nDONE\n"
         "HEAD GET /2 host=h.example 1.1\nDONE\n"
         "HEAD POST /3 host=h.example 1.1 chunked keep\nBODY cd\nDONE\nMORE\n"},
        /* incomplete */
        {"", ""},
        {"\r\n", ""},
        {"GET / HTTP/1.1\r\n" H "\r", "MORE\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab",
         "HEAD POST / host=h.example 1.1 length=3 keep\nBODY ab\nMORE\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r",
         "HEAD POST / host=h.example 1.1 chunked keep\nBODY a\nMORE\n"},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

/* Each is said as soon as it can be known, and in the same words in every split. */
static void test_refused(void **state)
{
    static const struct row rows[] = {
        {"\r\n\r\n", "BAD 400 no request\n"},
        {"\rG", "BAD 400 no request\n"},
        {"\r\n\rGET / HTTP/1.0\r\n\r\n", "BAD 400 no request\n"},
        {"\n", "BAD 400 no request\n"},
        {" GET", "BAD 400 no request\n"},
        {"\x16\x03\x01", "BAD 400 no request\n"},
        {"GET / HTTP/1.1\n", "BAD 400 line feed without carriage return\n"},
        {"GET / HTTP/1.1\r\nHost: h\n", "BAD 400 line feed without carriage return\n"},
        {"GET / HTTP/1.1\r\nHost: h\r\n\n", "BAD 400 line feed without carriage return\n"},
        {"GET /\r\n\r\n", "BAD 400 request line\n"},
        {"GET\r\n\r\n", "BAD 400 request line\n"},
        {"GET  / HTTP/1.1\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET /  HTTP/1.1\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET / HTTP/1.1 \r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET\t/\tHTTP/1.1\r\n" H "\r\n", "BAD 400 request line\n"},
        {"G\"T / HTTP/1.1\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET / http/1.1\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET / HTTP/1.11\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET / HTTP/1.1\r\r\n" H "\r\n", "BAD 400 request line\n"},
        {"GET / HTTP/1.2\r\n" H "\r\n", "BAD 505 version of HTTP\n"},
        {"GET / HTTP/0.9\r\n" H "\r\n", "BAD 505 version of HTTP\n"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "BAD 505 version of HTTP\n"},
        {"CONNECT h:443 HTTP/1.1\r\n" H "\r\n", "BAD 501 method\n"},
        {"get / HTTP/1.1\r\n" H "\r\n", "BAD 501 method\n"},
        {"FOO / HTTP/1.1\r\n" H "\r\n", "BAD 501 method\n"},
        {"GETS / HTTP/1.1\r\n" H "\r\n", "BAD 501 method\n"},
        {"PLAY / HTTP/1.1\r\n" H "\r\n", "BAD 501 method\n"},
        {"GET x HTTP/1.1\r\n" H "\r\n", "BAD 400 form of the target\n"},
        {"GET * HTTP/1.1\r\n" H "\r\n", "BAD 400 form of the target\n"},
        {"GET ftp://h/ HTTP/1.1\r\n" H "\r\n", "BAD 400 form of the target\n"},
        {"GET /#x HTTP/1.1\r\n" H "\r\n", "BAD 400 byte in the target\n"},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", "BAD 400 byte in the target\n"},
        {"GET /\x7f HTTP/1.1\r\n" H "\r\n", "BAD 400 byte in the target\n"},
        {"GET http:///x HTTP/1.1\r\n" H "\r\n", "BAD 400 authority of the target\n"},
        {"GET http://u@h.example/ HTTP/1.1\r\n" H "\r\n", "BAD 400 authority of the target\n"},
        {"GET http://g.example/ HTTP/1.1\r\n" H "\r\n", "BAD 400 Host is not that of the target\n"},
        {"GET / HTTP/1.1\r\n\r\n", "BAD 400 no Host\n"},
        {"GET http://h/ HTTP/1.1\r\n\r\n", "BAD 400 no Host\n"},
        {"GET / HTTP/1.1\r\n" H H "\r\n", "BAD 400 Host twice\n"},
        {"GET / HTTP/1.0\r\n" H H "\r\n", "BAD 400 Host twice\n"},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: h:8o\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "BAD 400 Host\n"},
        {"GET / HTTP/1.1\r\n" H "X : y\r\n\r\n", "BAD 400 name of a field\n"},
        {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", "BAD 400 name of a field\n"},
        {"GET / HTTP/1.1\r\n" H ": y\r\n\r\n", "BAD 400 name of a field\n"},
        {"GET / HTTP/1.1\r\n" H "X\xc3\xa4: y\r\n\r\n", "BAD 400 name of a field\n"},
        {"GET / HTTP/1.1\r\n" H "X: y\r\n z\r\n\r\n", "BAD 400 folded field\n"},
        {"GET / HTTP/1.1\r\n\t" H "\r\n", "BAD 400 folded field\n"},
        {"GET / HTTP/1.1\r\n" H "X: y\rTransfer-Encoding: chunked\r\n\r\n",
         "BAD 400 control character in a field\n"},
        {"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", "BAD 400 control character in a field\n"},
        {"GET / HTTP/1.1\r\n" H "X: \x7f\r\n\r\n", "BAD 400 control character in a field\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
         "BAD 400 Content-Length twice\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\nx", "BAD 400 Content-Length\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\nx", "BAD 400 Content-Length\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\nx", "BAD 400 Content-Length\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "BAD 400 Content-Length\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n",
         "BAD 413 Content-Length too large\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n",
         "BAD 413 Content-Length too large\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "BAD 400 Content-Length and Transfer-Encoding\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n",
         "BAD 501 Transfer-Encoding\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n",
         "BAD 501 Transfer-Encoding\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n",
         "BAD 501 Transfer-Encoding\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", "BAD 501 Transfer-Encoding\n"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         "BAD 400 Transfer-Encoding twice\n"},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "BAD 400 Transfer-Encoding with HTTP/1.0\n"},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

#define CHUNKED      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "HEAD POST / host=h.example 1.1 chunked keep\n"

static void test_refused_chunks(void **state)
{
    static const struct row rows[] = {
        {CHUNKED "\r\n", CHUNKED_HEAD "BAD 400 size of a chunk\n"},
        {CHUNKED "g\r\n", CHUNKED_HEAD "BAD 400 size of a chunk\n"},
        {CHUNKED "-1\r\n", CHUNKED_HEAD "BAD 400 size of a chunk\n"},
        {CHUNKED " 1\r\n", CHUNKED_HEAD "BAD 400 size of a chunk\n"},
        {CHUNKED "00000000000000001\r\n", CHUNKED_HEAD "BAD 400 size of a chunk\n"},
        {CHUNKED "0x1\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1 \r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1 ;a\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;a=\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;a=\"b\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;a=\"b\\\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;a\rb\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1;a=\"\r\"\r\n", CHUNKED_HEAD "BAD 400 chunk extension\n"},
        {CHUNKED "1\n", CHUNKED_HEAD "BAD 400 line feed without carriage return\n"},
        {CHUNKED "1\r\nab\r\n", CHUNKED_HEAD "BODY a\nBAD 400 end of a chunk\n"},
        {CHUNKED "1\r\na\n", CHUNKED_HEAD "BODY a\nBAD 400 line feed without carriage return\n"},
        {CHUNKED "1\r\na\r\r", CHUNKED_HEAD "BODY a\nBAD 400 end of a chunk\n"},
        {CHUNKED "FFFFFFFFFFFFFFFF\r\n", CHUNKED_HEAD "BAD 413 body too long\n"},
        {CHUNKED "1\r\na\r\nFFFFFFFFFFFFFFFF\r\n", CHUNKED_HEAD "BODY a\nBAD 413 body too long\n"},
        {CHUNKED "0\r\n\n", CHUNKED_HEAD "BAD 400 line feed without carriage return\n"},
        {CHUNKED "0\r\nX\r\n", CHUNKED_HEAD "BAD 400 name of a field\n"},
        {CHUNKED "0\r\nX: \x01\r\n", CHUNKED_HEAD "BAD 400 control character in a field\n"},
        {CHUNKED "0\r\nX: a\r\n b\r\n", CHUNKED_HEAD "BAD 400 folded field\n"},
    };
    (void)state;
    check_rows(rows, ARRAY_LEN(rows));
}

/* Bytes that C strings cannot show: zero bytes, at every place of a request. */
static void test_zero_bytes(void **state)
{
    static const char good[] =
        "POST /p?q HTTP/1.1\r\nHost: h\r\nX: y\r\nContent-Length: 1\r\n\r\nz";
    size_t n = sizeof good - 1;
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i + 1 < n; i++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        text[i] = 0;
        buf_clear(&out);
        http1_run(&http1_limits_default, (struct str){text, n}, n, n, &out);
        /* Without one of its last two line feeds the head is not complete. */
        bool open = i == n - 2 || i == n - 4;
        assert_true(open ? str_eq(buf_slice(&out), STR("MORE\n"))
                         : str_starts(buf_slice(&out), STR("BAD 400 ")));
    }
    buf_free(&out);
}

static void test_fields(void **state)
{
    struct str in =
        STR("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nCookie: a=b\r\nx-a:\r\nX-a: \t3 4\t \r\n\r\n");
    struct str piece;
    struct http1 *h = http1_new(&http1_limits_default);
    unsigned at = 0;
    (void)state;
    assert_false(http1_begun(h));
    assert_int_equal(http1_feed(h, &in, &piece), HTTP1_HEAD);
    assert_true(http1_begun(h));
    const struct http1_request *r = http1_request(h);
    assert_int_equal(r->count, 5);
    assert_true(str_eq(http1_field(r, "cookie"), STR("a=b")));
    assert_true(str_eq(http1_field(r, "x-a"), STR("1")));
    assert_null(http1_field(r, "x-b").p);
    assert_true(str_eq(http1_field_next(r, "x-a", &at), STR("1")));
    struct str second = http1_field_next(r, "x-a", &at);
    assert_true(second.p != NULL && second.n == 0);
    assert_true(str_eq(http1_field_next(r, "x-a", &at), STR("3 4")));
    assert_null(http1_field_next(r, "x-a", &at).p);
    assert_true(str_eq(r->method_name, STR("GET")) && str_eq(r->target, STR("/")));
    assert_int_equal(http1_feed(h, &in, &piece), HTTP1_DONE);
    assert_int_equal(http1_feed(h, &in, &piece), HTTP1_DONE);
    assert_false(http1_begun(h));
    http1_free(&h);
    http1_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_chunks), cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
