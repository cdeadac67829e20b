// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* b64: vectors of RFC 4648 (section 10), of the protocol, and of Python's base64 module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/b64.h"

static uint32_t seed = 4648;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

static void assert_decodes(struct str text, struct str want)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_lit(&b, "before");
    assert_int_equal(b64_decode(&b, text), ERR_OK);
    assert_true(str_eq(str_sub(buf_slice(&b), 6, SIZE_MAX), want));
    buf_free(&b);
}

/* Padded, without padding, and with white space anywhere. */
static void check(struct str bytes, const char *text)
{
    struct buf b, blanks;
    buf_init(&b, SIZE_MAX);
    b64_encode(&b, bytes);
    assert_int_equal(b.n, b64_size(bytes.n));
    assert_true(str_eq(buf_slice(&b), str_of(text)));
    assert_decodes(buf_slice(&b), bytes);
    buf_init(&blanks, SIZE_MAX);
    for (size_t i = 0; i < b.n; i++) {
        buf_add(&blanks, " \r\n\t", rnd(5));
        buf_char(&blanks, b.p[i]);
    }
    buf_lit(&blanks, " \n");
    assert_decodes(buf_slice(&blanks), bytes);
    while (b.n != 0 && b.p[b.n - 1] == '=') {
        buf_cut(&b, b.n - 1);
        assert_decodes(buf_slice(&b), bytes);
    }
    buf_free(&b);
    buf_free(&blanks);
}

static void check_hex(const char *hex, const char *text)
{
    size_t n = strlen(hex) / 2;
    char *bytes = test_malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (char)strtol(pair, NULL, 16);
    }
    check((struct str){bytes, n}, text);
    test_free(bytes);
}

static void test_rfc4648(void **state)
{
    (void)state;
    check(STR(""), "");
    check(STR("f"), "Zg==");
    check(STR("fo"), "Zm8=");
    check(STR("foo"), "Zm9v");
    check(STR("foob"), "Zm9vYg==");
    check(STR("fooba"), "Zm9vYmE=");
    check(STR("foobar"), "Zm9vYmFy");
}

/* Protocol 1, 3.5 and 4.3. */
static void test_protocol(void **state)
{
    (void)state;
    check(STR("\0dora@harbor.example\0correct-horse"),
          "AGRvcmFAaGFyYm9yLmV4YW1wbGUAY29ycmVjdC1ob3JzZQ==");
    check(STR("dora@harbor.example:correct-horse"), "ZG9yYUBoYXJib3IuZXhhbXBsZTpjb3JyZWN0LWhvcnNl");
    check(STR("dora@harbor.example 100042-k2Vb7QmZ0xT4LrNcYpWd"),
          "ZG9yYUBoYXJib3IuZXhhbXBsZSAxMDAwNDItazJWYjdRbVoweFQ0THJOY1lwV2Q=");
}

static void test_python(void **state)
{
    (void)state;
#define B64(hex, text) check_hex(hex, text);
#include "tests/unit/codec/b64_vectors.tbl"
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",     "Zm9vY",    "Zg=a",  "=",       "====", "Zg===",
                                      "Zm8==", "Zm9v=",    "Zm9v*", "Zm9-",    "Zm9_", "Zm9v.",
                                      "Zg\v",  "\xc3\xa9", "Z=g=",  "Zg==Zg=="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf b;
        buf_init(&b, SIZE_MAX);
        buf_lit(&b, "before");
        if (b64_decode(&b, str_of(bad[i])) != ERR_SYNTAX)
            fail_msg("accepted: %s", bad[i]);
        assert_true(str_eq(buf_slice(&b), STR("before")));
        assert_int_equal(buf_err(&b), ERR_OK);
        buf_free(&b);
    }
    struct buf b;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(b64_decode(&b, STR("Zm9v\0")), ERR_SYNTAX);
    buf_free(&b);
}

static void test_cap(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 7);
    b64_encode(&b, STR("foob"));
    assert_int_equal(buf_err(&b), ERR_NOMEM);
    buf_clear(&b);
    assert_int_equal(b64_decode(&b, STR("Zm9vYmFyZm9vYmFy")), ERR_NOMEM);
    assert_int_equal(buf_err(&b), ERR_OK);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4648), cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_python),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
