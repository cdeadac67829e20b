// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* optag: every row of ops.tbl is found in any case, nothing else is; a linear search is the oracle. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/optag.h"

static const char *const names[] = {
#define OP(NAME, element, state, handler, finish, monitor, flags, doc) element,
#include "gen/optag_rows.h"
#undef OP
};

static enum op_id linear(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq(name, str_of(names[i])))
            return (enum op_id)(i + 1);
    }
    return OP_NONE;
}

static void test_every_row(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(names), OP_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum op_id id = (enum op_id)(i + 1);
        char upper[40] = {0}, lower[40] = {0};
        size_t n = strlen(names[i]);
        assert_in_range(n, 1, 31);
        for (size_t k = 0; k < n; k++) {
            upper[k] = (char)toupper((unsigned char)names[i][k]);
            lower[k] = (char)tolower((unsigned char)names[i][k]);
        }
        assert_int_equal(optag_find(str_of(names[i])), id);
        assert_int_equal(optag_find(str_of(upper)), id);
        assert_int_equal(optag_find(str_of(lower)), id);
        assert_string_equal(optag_name(id), names[i]);
        assert_true(optag_monitor(id)[0] != '\0');
    }
}

/* Each name with one byte more, less or changed. */
static void test_neighbours(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char near[40];
        size_t n = strlen(names[i]);
        for (size_t k = 0; k < n; k++) {
            for (int c = 0; c < 256; c++) {
                memcpy(near, names[i], n + 1);
                near[k] = (char)c;
                assert_int_equal(optag_find((struct str){near, n}), linear((struct str){near, n}));
            }
            assert_int_equal(optag_find((struct str){near, k}), linear((struct str){near, k}));
        }
        memcpy(near, names[i], n + 1);
        assert_int_equal(optag_find((struct str){near, n + 1}), OP_NONE); /* with a zero byte */
        near[n] = 'x';
        assert_int_equal(optag_find((struct str){near, n + 1}), linear((struct str){near, n + 1}));
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "",         "fryEggs",
        "a",        "zzzz",
        "response", "\xff\xff",
        "noo\xf0",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        assert_int_equal(optag_find(str_of(unknown[i])), OP_NONE);
    assert_int_equal(optag_find(STR_NONE), OP_NONE);
    assert_string_equal(optag_name(OP_NONE), "");
    assert_string_equal(optag_monitor(OP_NONE), "");
    assert_int_equal(optag_state(OP_NONE), OPS_ANY);
    assert_int_equal(optag_flags(OP_NONE), 0);
}

static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(optag_state(OP_NOOP), OPS_ANY);
    assert_int_equal(optag_flags(OP_NOOP), OPF_READ | OPF_EXPIRED);
    assert_string_equal(optag_monitor(OP_NOOP), "noop");
    assert_int_equal(optag_state(OP_LOGIN), OPS_PRE);
    assert_string_equal(optag_monitor(OP_LOGIN), "authenticating"); /* protocol 1, 9.1 */
    assert_string_equal(optag_name(OP_LIST_FEATURES), "listFeatures");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
