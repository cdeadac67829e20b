// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/urlid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_round(void **state)
{
    static const uint32_t banks[] = {0, 1, 15, 61, 62, 63, URLID_BANK_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
        char id[URLID_LEN + 1], other[URLID_LEN + 1];
        uint32_t session, bank;
        urlid_make(id, 100001 + (uint32_t)i, banks[i]);
        urlid_make(other, 100001 + (uint32_t)i, banks[i]);
        assert_int_equal(strlen(id), URLID_LEN);
        assert_int_equal(urlid_parse(str_of(id), &session, &bank), ERR_OK);
        assert_int_equal(session, 100001 + i);
        assert_int_equal(bank, banks[i]);
        assert_true(urlid_eq(str_of(id), str_of(id)));
        assert_false(urlid_eq(str_of(id), str_of(other)));
        assert_false(urlid_eq(str_of(id), str_sub(str_of(id), 0, URLID_LEN - 1)));
    }
    assert_false(urlid_eq(STR(""), STR("")));
}

/* The form that a client's pattern wants: ^[0-9]{6}-[a-zA-Z0-9]{20}$ (protocol 1, 3.7). */
static void test_form(void **state)
{
    static const char good[] = "100042-k2Vb7QmZ0xT4LrNcYpWd";
    (void)state;
    assert_int_equal(urlid_parse(str_of(good), NULL, NULL), ERR_OK);
    for (size_t i = 0; i < URLID_LEN; i++) {
        for (int c = 0; c < 256; c++) {
            char bad[URLID_LEN + 1];
            memcpy(bad, good, sizeof bad);
            bad[i] = (char)c;
            bool digit = c >= '0' && c <= '9';
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            bool fine = i < 6 ? digit && (i != 0 || c != '0') : i == 6 ? c == '-' : digit || letter;
            enum err e = urlid_parse((struct str){bad, URLID_LEN}, NULL, NULL);
            assert_int_equal(e, fine ? ERR_OK : ERR_SYNTAX);
        }
        assert_int_equal(urlid_parse((struct str){good, i}, NULL, NULL), ERR_SYNTAX);
    }
    assert_int_equal(urlid_parse(STR("100042-k2Vb7QmZ0xT4LrNcYpWdx"), NULL, NULL), ERR_SYNTAX);
    assert_int_equal(urlid_parse(STR("100000-k2Vb7QmZ0xT4LrNcYpWd"), NULL, NULL), ERR_SYNTAX);
    assert_int_equal(urlid_parse(STR("099999-k2Vb7QmZ0xT4LrNcYpWd"), NULL, NULL), ERR_SYNTAX);
}

/* All 62 letters in each random place, about equally often: 62,000 ids, each letter 1,000 times +- 200. */
static void test_random(void **state)
{
    static uint32_t seen[18][128];
    char id[URLID_LEN + 1];
    (void)state;
    for (int i = 0; i < 62000; i++) {
        urlid_make(id, 999999, 3);
        for (size_t k = 0; k < 18; k++)
            seen[k][(unsigned char)id[9 + k]]++;
    }
    for (size_t k = 0; k < 18; k++) {
        uint32_t letters = 0;
        for (size_t c = 0; c < 128; c++) {
            letters += seen[k][c] != 0;
            assert_true(seen[k][c] == 0 || (seen[k][c] > 800 && seen[k][c] < 1200));
        }
        assert_int_equal(letters, 62);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
