// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* httpfield: examples of the RFCs and of the protocol, memory, secrets. tests/web has the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/httpfield.h"

/* RFC 9110, 14.1.2: 10,000 bytes. */
static void test_ranges(void **state)
{
    static const struct {
        const char *value;
        enum http_range kind;
        uint64_t from, n;
    } rows[] = {
        {"bytes=0-499", HTTP_RANGE_ONE, 0, 500},
        {"bytes=500-999", HTTP_RANGE_ONE, 500, 500},
        {"bytes=-500", HTTP_RANGE_ONE, 9500, 500},
        {"bytes=9500-", HTTP_RANGE_ONE, 9500, 500},
        {"bytes=-10001", HTTP_RANGE_ONE, 0, 10000},
        {"bytes=9999-99999", HTTP_RANGE_ONE, 9999, 1},
        {"bytes=10000-", HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=-0", HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=500-700,601-999", HTTP_RANGE_NONE, 0, 0},
        {"bytes=5-4", HTTP_RANGE_NONE, 0, 0},
        {"exampleunit=1.2-4.3,25-35", HTTP_RANGE_NONE, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t from = 0, n = 0;
        assert_int_equal(httpfield_range(str_of(rows[i].value), 10000, &from, &n), rows[i].kind);
        assert_true(from == rows[i].from && n == rows[i].n);
    }
}

/* Protocol 1, 4.3 and 4.10. */
static void test_protocol_examples(void **state)
{
    struct str user, password;
    struct buf b;
    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(httpfield_basic(STR("Basic ZG9yYUBoYXJib3IuZXhhbXBsZTpjb3JyZWN0LWhvcnNl"), &b,
                                     &user, &password),
                     ERR_OK);
    assert_true(str_eq(user, STR("dora@harbor.example")));
    assert_true(str_eq(password, STR("correct-horse")));
    buf_free(&b);
    struct str cookies = STR("lang=en; CGateProWebUser=65pzQmZ0xT4LrNcYpWd1; x=y");
    assert_true(
        str_eq(httpfield_cookie(cookies, STR("CGateProWebUser")), STR("65pzQmZ0xT4LrNcYpWd1")));
    assert_null(httpfield_cookie(cookies, STR("cgateprowebuser")).p);
}

/* A password that is refused does not stay behind; a buffer that is too small is no crash. */
static void test_nothing_stays(void **state)
{
    struct str user, password;
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    b.secret = true;
    buf_lit(&b, "kept");
    /* "dora:sesame" and a control character */
    assert_int_equal(httpfield_basic(STR("Basic ZG9yYTpzZXNhbWUB"), &b, &user, &password),
                     ERR_SYNTAX);
    assert_true(str_eq(buf_slice(&b), STR("kept")));
    assert_null(memmem(b.p, b.cap, "sesame", 6));
    buf_free(&b);
    buf_init(&b, 10);
    assert_int_equal(httpfield_basic(STR("Basic ZG9yYTpzZXNhbWU="), &b, &user, &password),
                     ERR_NOMEM);
    buf_free(&b);
}

/* RFC 8187, 3.2.3, and RFC 6266, 5; in buffers that are large enough by one, exactly, and not. */
static void test_dispositions(void **state)
{
    static const char want[] =
        "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates";
    (void)state;
    for (size_t cap = sizeof want - 2; cap <= sizeof want; cap++) {
        struct buf b;
        buf_init(&b, cap);
        httpfield_disposition(&b, false, STR("\xe2\x82\xac rates"));
        assert_int_equal(buf_err(&b), cap < sizeof want - 1 ? ERR_NOMEM : ERR_OK);
        if (!b.failed)
            assert_true(str_eq(buf_slice(&b), str_of(want)));
        buf_free(&b);
    }
    struct buf b;
    buf_init(&b, 100);
    httpfield_disposition(&b, true, STR("example.html"));
    assert_true(str_eq(buf_slice(&b), STR("inline; filename=\"example.html\"")));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_protocol_examples),
        cmocka_unit_test(test_nothing_stays),
        cmocka_unit_test(test_dispositions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
