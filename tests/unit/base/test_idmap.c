// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/idmap.h"

enum { KEYS = 1500 };

static int things[KEYS]; /* whose addresses are the values */

static void empty_map(void **state)
{
    (void)state;
    struct idmap m;
    uint32_t at = 0;
    idmap_init(&m);
    assert_null(idmap_get(&m, 5));
    idmap_remove(&m, 5);
    assert_null(idmap_next(&m, &at));
    idmap_free(&m);
    idmap_free(&m);
}

static void check_all(const struct idmap *m, void *const *model, uint64_t (*key)(uint64_t))
{
    uint32_t at = 0, seen = 0, count = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(idmap_get(m, key(i)), model[i]);
        count += model[i] != NULL;
    }
    assert_int_equal(m->count, count);
    while (idmap_next(m, &at) != NULL)
        seen++;
    assert_int_equal(seen, count);
}

static uint64_t dense(uint64_t i)
{
    return 100001 + i;
}

static uint64_t sparse(uint64_t i)
{
    return (i + 1) << 40 | (i & 1);
}

/* Random operations, against an array. */
static void run_model(uint64_t (*key)(uint64_t))
{
    struct idmap m;
    void *model[KEYS] = {NULL};
    uint64_t seed = 3;
    idmap_init(&m);
    for (int round = 0; round < 60000; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t i = (seed >> 33) % KEYS;
        if ((seed >> 20) % 5 < (round < 30000 ? 3U : 1U)) {
            model[i] = &things[(seed >> 45) % KEYS];
            assert_int_equal(idmap_put(&m, key(i), model[i]), ERR_OK);
        } else {
            model[i] = NULL;
            idmap_remove(&m, key(i));
        }
        if (round % 2000 == 0)
            check_all(&m, model, key);
    }
    check_all(&m, model, key);
    idmap_free(&m);
}

static void against_an_array(void **state)
{
    (void)state;
    run_model(dense);
    run_model(sparse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map),
        cmocka_unit_test(against_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
