// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void to_hex(const uint8_t *p, size_t n, char *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i * 2] = "0123456789abcdef"[p[i] >> 4];
        to[i * 2 + 1] = "0123456789abcdef"[p[i] & 15];
    }
    to[n * 2] = '\0';
}

static void check_hmac(struct str key, struct str data, const char *want)
{
    uint8_t out[MAC_LEN];
    char hex[MAC_LEN * 2 + 1];
    mac_hmac(key, data, out);
    to_hex(out, sizeof out, hex);
    assert_string_equal(hex, want);
}

static void check_cram(struct str password, struct str challenge, const char *want)
{
    uint8_t key[MAC_CRAM_KEY], out[MAC_CRAM_LEN];
    char hex[MAC_CRAM_LEN * 2 + 1];
    mac_cram_key(password, key);
    mac_cram(key, challenge, out);
    to_hex(out, sizeof out, hex);
    assert_string_equal(hex, want);
}

/* RFC 4231, cases 1, 2 and 6. */
static void test_hmac(void **state)
{
    static char long_key[131];
    (void)state;
    check_hmac(
        STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
        STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_hmac(STR("Jefe"), STR("what do ya want for nothing?"),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(long_key, 0xaa, sizeof long_key);
    check_hmac((struct str){long_key, sizeof long_key},
               STR("Test Using Larger Than Block-Size Key - Hash Key First"),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* FIPS 180-4 example. */
static void test_sha(void **state)
{
    uint8_t out[MAC_LEN];
    char hex[MAC_LEN * 2 + 1];
    (void)state;
    mac_sha256(STR("abc"), out);
    to_hex(out, sizeof out, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_list(void **state)
{
    uint8_t a[MAC_LEN], b[MAC_LEN];
    struct str one[] = {STR("ab"), STR("c")}, two[] = {STR("a"), STR("bc")};
    (void)state;
    mac_hmac_list(STR("k"), one, 2, a);
    mac_hmac_list(STR("k"), two, 2, b);
    assert_memory_not_equal(a, b, MAC_LEN);
    mac_hmac_list(STR("k"), one, 1, a);
    mac_hmac(STR("k"), STR("ab"), b);
    assert_memory_equal(a, b, MAC_LEN);
}

static void test_cram(void **state)
{
    static const struct {
        const char *password, *challenge, *digest;
    } rows[] = {
        /* RFC 2195, section 2; protocol 1, 3.3 and 3.4 */
        {"tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>",
         "b913a602c7eda7a495b4e6e7334d3890"},
        {"correct-horse", "<9786.1700000000@mx1.harbor.example>",
         "86497f2b60e789bf0c8fcd0ebbe468a2"},
        {"correct-horse", "7f0c2b91d4e65a38", "c8888a4131e63cdc19a00672ab780406"},
#define SCRAM(password, keys, first, added, answer, final, verdict)
#define CRAM(password, challenge, digest) {password, challenge, digest},
#include "tests/unit/auth/vectors.tbl"
#undef CRAM
#undef SCRAM
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_cram(str_of(rows[i].password), str_of(rows[i].challenge), rows[i].digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_sha),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_cram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
