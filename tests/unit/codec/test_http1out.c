// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* http1out: heads of replies, byte by byte; dates against strftime() in the C locale, another implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "codec/http1out.h"

static void check(struct buf *out, const char *want)
{
    assert_int_equal(buf_err(out), ERR_OK);
    buf_char(out, 0);
    assert_string_equal(out->p, want);
    buf_clear(out);
}

/* The example of protocol 1, 4.3. */
static void test_head(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    http1out_status(&out, 200);
    assert_int_equal(http1out_field(&out, "Content-Type", STR("text/xml; charset=utf-8")), ERR_OK);
    http1out_lit(&out, "Cache-Control: no-cache, no-store");
    http1out_end(&out, 200, 147, true);
    check(&out,
          "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nCache-Control: no-cache, "
          "no-store\r\nContent-Length: 147\r\nConnection: keep-alive\r\n\r\n");
    http1out_status(&out, 550);
    http1out_end(&out, 550, 0, false);
    check(&out, "HTTP/1.1 550 you have been disconnected\r\nContent-Length: 0\r\nConnection: "
                "close\r\n\r\n");
    http1out_status(&out, 204);
    http1out_end(&out, 204, 0, true);
    check(&out, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
    http1out_continue(&out);
    check(&out, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_free(&out);
}

/* Every status of protocol 1, 4.11 and every refusal of http1 has its phrase; nothing else has one. */
static void test_reasons(void **state)
{
    static const int used[] = {200, 204, 400, 401, 403, 404, 405, 413,
                               414, 431, 500, 501, 503, 505, 550};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(used); i++)
        assert_string_not_equal(http1out_reason(used[i]), "");
    assert_string_equal(http1out_reason(0), "");
    assert_string_equal(http1out_reason(299), "");
}

/* No byte of a value can end the line or begin another one. */
static void test_values(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    for (int c = 0; c < 256; c++) {
        char v[] = {'a', (char)c, 'b'};
        enum err e = http1out_field(&out, "X", (struct str){v, sizeof v});
        bool fine = c >= 0x20 && c != 0x7f;
        assert_int_equal(e, fine ? ERR_OK : ERR_SYNTAX);
        assert_int_equal(out.n, fine ? 3 + sizeof v + 2 : 0);
        buf_clear(&out);
    }
    assert_int_equal(http1out_field(&out, "X", STR(" a")), ERR_SYNTAX);
    assert_int_equal(http1out_field(&out, "X", STR("a ")), ERR_SYNTAX);
    assert_int_equal(http1out_field(&out, "X", STR(" ")), ERR_SYNTAX);
    assert_int_equal(out.n, 0);
    assert_int_equal(http1out_field(&out, "X", STR("")), ERR_OK);
    check(&out, "X: \r\n");
    buf_free(&out);
}

static void test_date(void **state)
{
    static const int64_t seconds[] = {784111777, 0, 1, 951782400, 1709164799, 4102444800};
    struct http1out_date d = {.second = 0};
    char want[64];
    (void)state;
    /* The example of RFC 9110, 5.6.7. */
    assert_true(str_eq(http1out_date(&d, INT64_C(784111777) * CLOCK_SEC + 999999999),
                       STR("Sun, 06 Nov 1994 08:49:37 GMT")));
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        time_t t = seconds[i];
        struct tm tm;
        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
        assert_true(str_eq(http1out_date(&d, seconds[i] * CLOCK_SEC), str_of(want)));
        /* within the second it is kept */
        assert_true(
            str_eq(http1out_date(&d, seconds[i] * CLOCK_SEC + CLOCK_SEC - 1), str_of(want)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
