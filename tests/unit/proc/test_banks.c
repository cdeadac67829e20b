// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The number of banks is fixed when state_dir is made; the file that holds it is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "proc/banks.h"

static uint32_t fresh(uint32_t cores)
{
    char dir[] = "/tmp/banks-XXXXXX", path[64];
    uint32_t n = 0, again = 0;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(banks_count(dir, cores, &n), ERR_OK);
    assert_int_equal(banks_count(dir, cores * 4, &again),
                     ERR_OK); /* another machine changes nothing */
    assert_int_equal(n, again);
    snprintf(path, sizeof path, "%s/banks", dir);
    unlink(path);
    rmdir(dir);
    return n;
}

static void test_rounded_up(void **state)
{
    (void)state;
    static const struct {
        uint32_t cores, banks;
    } row[] = {{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {15, 16}, {16, 16}, {17, 16}, {200, 16}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++)
        assert_int_equal(fresh(row[i].cores), row[i].banks);
}

static void test_file(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
        uint32_t banks;
    } row[] = {{"4\n", ERR_OK, 4},     {"16", ERR_OK, 16},  {"17\n", ERR_SYNTAX, 0},
               {"0\n", ERR_SYNTAX, 0}, {"", ERR_SYNTAX, 0}, {"four\n", ERR_SYNTAX, 0},
               {"-1\n", ERR_SYNTAX, 0}};
    char dir[] = "/tmp/banks-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/banks", dir);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint32_t n = 0;
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(row[i].text, f);
        fclose(f);
        assert_int_equal(banks_count(dir, 2, &n), row[i].err);
        assert_int_equal(n, row[i].banks);
    }
    unlink(path);
    rmdir(dir);
}

/* What a start that was cut off has left is no number of banks, and in nobody's way. */
static void test_draft(void **state)
{
    (void)state;
    char dir[] = "/tmp/banks-XXXXXX", path[64];
    uint32_t n = 0;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/banks.new", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("16", f);
    fclose(f);
    assert_int_equal(banks_count(dir, 3, &n), ERR_OK);
    assert_int_equal(n, 4);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/banks", dir);
    unlink(path);
    rmdir(dir);
    assert_int_equal(banks_count(dir, 3, &n), ERR_SYS); /* no such folder */
}

static void test_keepers(void **state)
{
    (void)state;
    char path[32];
    for (uint32_t keepers = 1; keepers <= BANKS_MAX; keepers++) {
        for (uint32_t bank = 0; bank < BANKS_MAX; bank++)
            assert_true(banks_keeper(bank, keepers) < keepers);
    }
    assert_int_equal(banks_path(path, sizeof path, "/state", 3), ERR_OK);
    assert_string_equal(path, "/state/bank-03.db");
    assert_int_equal(banks_path(path, strlen("/state/bank-03.db"), "/state", 3), ERR_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounded_up),
                                       cmocka_unit_test(test_file), cmocka_unit_test(test_draft),
                                       cmocka_unit_test(test_keepers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
