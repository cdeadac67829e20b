// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The verified-password cache and the nonces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "auth/nonce.h"
#include "auth/pwcache.h"

#define S INT64_C(1000000000)

static void test_cache(void **state)
{
    struct pwcache c;
    (void)state;
    assert_int_equal(pwcache_init(&c, 64, 100 * S), ERR_OK);
    assert_false(pwcache_hit(&c, 1, STR("correct-horse"), 0));
    pwcache_put(&c, 1, STR("correct-horse"), 5 * S);
    assert_true(pwcache_hit(&c, 1, STR("correct-horse"), 5 * S));
    assert_false(pwcache_hit(&c, 1, STR("correct-hors"), 5 * S));
    assert_false(pwcache_hit(&c, 1, STR(""), 5 * S));
    assert_false(pwcache_hit(&c, 2, STR("correct-horse"), 5 * S));
    /* its life is counted from the check, and a hit does not prolong it */
    assert_true(pwcache_hit(&c, 1, STR("correct-horse"), 105 * S - 1));
    assert_false(pwcache_hit(&c, 1, STR("correct-horse"), 105 * S));
    /* a new password takes the old one's place */
    pwcache_put(&c, 1, STR("new-horse"), 6 * S);
    assert_false(pwcache_hit(&c, 1, STR("correct-horse"), 6 * S));
    assert_true(pwcache_hit(&c, 1, STR("new-horse"), 6 * S));
    pwcache_forget(&c, 1);
    assert_false(pwcache_hit(&c, 1, STR("new-horse"), 6 * S));
    pwcache_forget(&c, 77);
    pwcache_free(&c);
}

/* n accounts of one set: four stay, the oldest goes. Never more memory, never a wrong answer. */
static void test_cache_bound(void **state)
{
    struct pwcache c;
    (void)state;
    assert_int_equal(pwcache_init(&c, 64, 1000 * S), ERR_OK);
    for (uint64_t i = 0; i < 5; i++)
        pwcache_put(&c, 1 + i * 16, STR("pw"), (int64_t)i * S);
    assert_false(pwcache_hit(&c, 1, STR("pw"), 10 * S));
    for (uint64_t i = 1; i < 5; i++)
        assert_true(pwcache_hit(&c, 1 + i * 16, STR("pw"), 10 * S));
    for (uint64_t i = 1; i < 10000; i++) {
        pwcache_put(&c, i, STR("pw"), 10 * S);
        assert_true(pwcache_hit(&c, i, STR("pw"), 10 * S));
        assert_false(pwcache_hit(&c, i, STR("pX"), 10 * S));
    }
    pwcache_clear(&c);
    for (uint64_t i = 1; i < 10000; i++)
        assert_false(pwcache_hit(&c, i, STR("pw"), 10 * S));
    pwcache_free(&c);
    assert_int_equal(pwcache_init(&c, 0, 0), ERR_OK); /* off */
    pwcache_put(&c, 1, STR("pw"), 0);
    assert_false(pwcache_hit(&c, 1, STR("pw"), 0));
    pwcache_free(&c);
}

static void test_nonce(void **state)
{
    struct nonces n, other;
    char text[NONCE_MAX], again[NONCE_MAX];
    int64_t now = 1000 * S;
    (void)state;
    assert_int_equal(nonces_init(&n, 100), ERR_OK);
    assert_int_equal(nonces_init(&other, 100), ERR_OK);
    size_t len = nonce_make(&n, false, now, text);
    assert_int_equal(len, strlen(text));
    for (size_t i = 0; i < len; i++) /* survives clients that do not URL-encode */
        assert_true((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'z') ||
                    text[i] == '-');
    nonce_make(&n, false, now, again);
    assert_string_not_equal(text, again);
    assert_int_equal(nonce_use(&other, str_of(text), false, 1, now), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), true, 20, now),
                     ERR_AUTH_FAILED); /* from before starttls */
    assert_int_equal(nonce_use(&n, str_of(text), false, 2, now - 2 * S), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), false, 3, now + 300 * S), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), false, 4, now + 300 * S - 1), ERR_OK);
    assert_int_equal(nonce_use(&n, str_of(text), false, 4, now + 300 * S - 1), ERR_OK); /* again */
    assert_int_equal(nonce_use(&n, str_of(text), false, 4, now + 300 * S), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), false, 0, now + 300 * S - 1), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), false, 5, now + 300 * S - 1), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(text), false, 6, now), ERR_AUTH_FAILED);
    for (size_t i = 0; i < len; i++) {
        char bad[NONCE_MAX];
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, again, sizeof bad);
            bad[i] = (char)(bad[i] ^ 1 << bit);
            assert_int_equal(nonce_use(&n, (struct str){bad, len}, false, 7, now), ERR_AUTH_FAILED);
        }
        assert_int_equal(nonce_use(&n, (struct str){again, i}, false, 8, now), ERR_AUTH_FAILED);
    }
    assert_int_equal(nonce_use(&n, STR("7f0c2b91d4e65a38"), false, 9, now), ERR_AUTH_FAILED);
    assert_int_equal(nonce_use(&n, str_of(again), false, 0, now), ERR_OK);
    assert_int_equal(nonce_use(&n, str_of(again), false, 0, now), ERR_AUTH_FAILED);
    nonces_free(&n);
    nonces_free(&other);
}

/* Single use at every moment of its life, also over the change of periods; and the memory is bounded. */
static void test_nonce_memory(void **state)
{
    struct nonces n;
    char text[NONCE_MAX], first[NONCE_MAX];
    (void)state;
    assert_int_equal(nonces_init(&n, 48), ERR_OK);
    for (int64_t t = 1; t < 3000; t += 7) {
        nonce_make(&n, true, t * S, text);
        assert_int_equal(nonce_use(&n, str_of(text), true, 11, (t + 100) * S), ERR_OK);
        for (int64_t later = 100; later < 320; later += 11)
            assert_int_equal(nonce_use(&n, str_of(text), true, 12, (t + later) * S),
                             ERR_AUTH_FAILED);
    }
    nonces_free(&n);
    assert_int_equal(nonces_init(&n, 48), ERR_OK);
    nonce_make(&n, true, 0, first);
    assert_int_equal(nonce_use(&n, str_of(first), true, 13, 0), ERR_OK);
    for (int i = 1; i < 60; i++) { /* 48 fit; then refused, and no old one comes to life */
        nonce_make(&n, true, 0, text);
        assert_int_equal(nonce_use(&n, str_of(text), true, 14, 0),
                         i < 48 ? ERR_OK : ERR_AUTH_FAILED);
        assert_int_equal(nonce_use(&n, str_of(first), true, 15, 0), ERR_AUTH_FAILED);
    }
    nonce_make(&n, true, 300 * S, text); /* the next period has room again */
    assert_int_equal(nonce_use(&n, str_of(text), true, 16, 300 * S), ERR_OK);
    nonces_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_bound),
        cmocka_unit_test(test_nonce),
        cmocka_unit_test(test_nonce_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
