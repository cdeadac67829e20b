// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_OK), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
