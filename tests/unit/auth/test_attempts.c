// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The memory of logins, against a list that is searched from end to end. */
#include "auth/attempts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct str name_of(char to[32], unsigned i)
{
    int n = snprintf(to, 32, "name%u@x", i);
    return (struct str){to, (size_t)n};
}

static void add(struct attempts *a, unsigned name, bool exists, uint32_t number)
{
    char text[32];
    struct attempt at = {
        .wall = number, .number = number, .conn = 100001, .reason = REASON_NO_ACCOUNT};
    attempts_add(a, name_of(text, name), exists, &at);
}

/* Numbers of the attempts of a name, as text: newest first. */
static const char *numbers(const struct attempts *a, unsigned name)
{
    static char text[400];
    char who[32];
    struct attempt out[ATTEMPTS_KEPT];
    size_t at = 0, n = attempts_of(a, name_of(who, name), out);
    text[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%u ", out[i].number);
    return text;
}

static void twenty_of_a_name(void **state)
{
    (void)state;
    struct attempts *a;
    assert_int_equal(attempts_new(&a, 100), ERR_OK);
    assert_string_equal(numbers(a, 1), "");
    for (uint32_t i = 1; i <= 3; i++)
        add(a, 1, true, i);
    assert_string_equal(numbers(a, 1), "3 2 1 ");
    for (uint32_t i = 4; i <= 45; i++)
        add(a, 1, true, i);
    assert_string_equal(numbers(a, 1),
                        "45 44 43 42 41 40 39 38 37 36 35 34 33 32 31 30 29 28 27 26 ");
    assert_string_equal(numbers(a, 2), "");
    assert_int_equal(attempts_names(a), 1);
    attempts_free(&a);
    assert_null(a);
    attempts_free(&a);
}

static void corrected(void **state)
{
    (void)state;
    struct attempts *a;
    char who[32];
    struct attempt out[ATTEMPTS_KEPT];
    assert_int_equal(attempts_new(&a, 100), ERR_OK);
    for (uint32_t i = 1; i <= 5; i++)
        add(a, 1, true, i);
    attempts_correct(a, name_of(who, 1), 100001, 3, REASON_TOO_MANY_SESSIONS,
                     ERR_TOO_MANY_SESSIONS);
    attempts_correct(a, name_of(who, 1), 100002, 4, REASON_OURS, ERR_INTERNAL); /* no such */
    attempts_correct(a, name_of(who, 2), 100001, 3, REASON_OURS, ERR_INTERNAL);
    assert_int_equal(attempts_of(a, name_of(who, 1), out), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(out[i].reason, i == 2 ? REASON_TOO_MANY_SESSIONS : REASON_NO_ACCOUNT);
        assert_int_equal(out[i].err, i == 2 ? ERR_TOO_MANY_SESSIONS : ERR_OK);
    }
    attempts_free(&a);
}

/* --- the model */

#define NAMES 64
#define TURNS 40000

static struct {
    bool here, exists;
    uint32_t last, n, number[TURNS / 8];
} model[NAMES];

static unsigned count(bool exists)
{
    unsigned n = 0;
    for (int i = 0; i < NAMES; i++)
        n += model[i].here && model[i].exists == exists;
    return n;
}

/* Who of that kind has not tried for the longest time. */
static int oldest(bool exists)
{
    int found = -1;
    for (int i = 0; i < NAMES; i++) {
        if (model[i].here && model[i].exists == exists &&
            (found < 0 || model[i].last < model[found].last))
            found = i;
    }
    return found;
}

static void model_add(unsigned cap, unsigned name, bool exists, uint32_t number)
{
    int gone = -1;
    if (!model[name].here) {
        if (!exists && count(false) >= cap / 4)
            gone = oldest(false);
        else if (count(true) + count(false) >= cap)
            gone = count(false) != 0 ? oldest(false) : oldest(true);
        if (gone >= 0)
            model[gone].here = false;
        model[name].here = true;
        model[name].n = 0;
    }
    model[name].exists = exists;
    model[name].last = number;
    model[name].number[model[name].n++ % ARRAY_LEN(model[0].number)] = number;
}

static void like_the_model(void **state)
{
    (void)state;
    for (unsigned cap = 4; cap <= 40; cap += 9) {
        struct attempts *a;
        assert_int_equal(attempts_new(&a, cap), ERR_OK);
        memset(model, 0, sizeof model);
        srandom(cap);
        for (uint32_t turn = 1; turn < TURNS / 4; turn++) {
            unsigned name = (unsigned)random() % (random() % 3 == 0 ? 5 : NAMES);
            bool exists = name % 3 != 0 ? random() % 50 != 0 : random() % 50 == 0;
            add(a, name, exists, turn);
            model_add(cap, name, exists, turn);
            assert_int_equal(attempts_names(a), count(true) + count(false));
            assert_true(attempts_names(a) <= cap);
            if (turn % 97 != 0)
                continue;
            for (unsigned i = 0; i < NAMES; i++) {
                char want[400] = "";
                size_t at = 0;
                uint32_t n = model[i].here ? model[i].n : 0;
                for (uint32_t k = 0; k < n && k < ATTEMPTS_KEPT; k++)
                    at +=
                        (size_t)snprintf(want + at, sizeof want - at, "%u ",
                                         model[i].number[(n - 1 - k) % ARRAY_LEN(model[0].number)]);
                assert_string_equal(numbers(a, i), want);
            }
        }
        attempts_free(&a);
    }
}

/* A hundred thousand invented names: those with an account are all still there, and memory has its bound. */
static void a_flood_of_invented_names(void **state)
{
    (void)state;
    struct attempts *a;
    assert_int_equal(attempts_new(&a, ATTEMPTS_NAMES), ERR_OK);
    for (uint32_t i = 0; i < ATTEMPTS_NAMES - 1; i++)
        add(a, i, true, i + 1);
    for (uint32_t i = 0; i < 100000; i++)
        add(a, 1000000 + i, false, i);
    assert_int_equal(attempts_names(a), ATTEMPTS_NAMES);
    for (uint32_t i = 0; i < ATTEMPTS_NAMES - 1; i++) {
        char want[16];
        snprintf(want, sizeof want, "%u ", i + 1);
        assert_string_equal(numbers(a, i), want);
    }
    attempts_free(&a);
    assert_int_equal(attempts_new(&a, ATTEMPTS_NAMES), ERR_OK);
    for (uint32_t i = 0; i < 100000; i++)
        add(a, i, false, i);
    assert_int_equal(attempts_names(a), ATTEMPTS_NAMES / 4);
    assert_string_equal(numbers(a, 99999), "99999 ");
    assert_string_equal(numbers(a, 100000 - ATTEMPTS_NAMES / 4), "97500 ");
    assert_string_equal(numbers(a, 100000 - ATTEMPTS_NAMES / 4 - 1), "");
    attempts_free(&a);
}

static void texts(void **state)
{
    (void)state;
    assert_string_equal(reason_text(REASON_NONE), "");
    assert_string_equal(reason_text(REASON_COUNT), "");
    for (int i = 1; i < REASON_COUNT; i++) {
        const char *text = reason_text((enum reason)i);
        assert_true(strlen(text) > 5 && text[strlen(text) - 1] != '.');
        for (int k = 1; k < i; k++)
            assert_string_not_equal(text, reason_text((enum reason)k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_of_a_name),
        cmocka_unit_test(corrected),
        cmocka_unit_test(like_the_model),
        cmocka_unit_test(a_flood_of_invented_names),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
