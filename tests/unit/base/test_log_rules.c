// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Levels for modules, sessions and accounts: every combination against the rule of log_rules.h, written down anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_rules.h"

static int quiet(void **state)
{
    (void)state;
    log_open(memfd_create("log", MFD_CLOEXEC), LOG_MAJOR);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    log_rules_set(NULL, 0);
    log_set_level(LOG_MAJOR);
    return 0;
}

static struct log_rule rule(int level, int module, uint32_t id, const char *account, int64_t until)
{
    struct log_rule r = {
        .level = (uint8_t)level, .module = (uint8_t)module, .id = id, .until = until};
    snprintf(r.account, sizeof r.account, "%s", account);
    return r;
}

static void nothing_special(void **state)
{
    (void)state;
    for (int at = 0; at < LOG_LEVELS; at++)
        assert_int_equal(log_wanted((enum log_level)at, "XIMSS", 100042, "dora@x"),
                         at <= LOG_MAJOR);
    assert_int_equal(log_ceiling, LOG_MAJOR);
}

static void module_alone(void **state)
{
    (void)state;
    struct log_rule r[] = {rule(LOG_ALL, LOG_MODULE_KEEPER, 0, "", 0),
                           rule(LOG_CRASH, LOG_MODULE_XIMSSI, 0, "", 0)};
    log_rules_set(r, 2);
    assert_true(log_wanted(LOG_ALL, "KEEPER", 0, NULL));
    assert_false(log_wanted(LOG_FAILURES, "XIMSSI", 7, NULL));
    assert_true(log_wanted(LOG_CRASH, "XIMSSI", 7, NULL));
    assert_true(log_wanted(LOG_MAJOR, "XIMSS", 7, NULL));
    assert_false(log_wanted(LOG_PROBLEMS, "XIMSS", 7, NULL));
    assert_false(log_wanted(LOG_PROBLEMS, "NO-SUCH-TAG", 7, NULL));
    assert_true(log_wanted(LOG_MAJOR, "NO-SUCH-TAG", 7, NULL));
}

static void one_session(void **state)
{
    (void)state;
    struct log_rule r = rule(LOG_ALL, LOG_MODULE_ANY, 100042, "", 0);
    log_rules_set(&r, 1);
    assert_true(log_wanted(LOG_ALL, "XIMSSI", 100042, "[192.0.2.7]"));
    assert_true(log_wanted(LOG_ALL, "XIMSS", 100042, "dora@x"));
    assert_false(log_wanted(LOG_LOW, "XIMSS", 100043, "dora@x"));
    assert_false(log_wanted(LOG_LOW, "MASTER", 0, NULL));
    r = rule(LOG_CRASH, LOG_MODULE_ANY, 100042, "", 0); /* never lowers */
    log_rules_set(&r, 1);
    assert_true(log_wanted(LOG_MAJOR, "XIMSS", 100042, NULL));
}

static void one_account(void **state)
{
    (void)state;
    struct log_rule r = rule(LOG_LOW, LOG_MODULE_XIMSSI, 0, "dora@x", 0);
    log_rules_set(&r, 1);
    assert_true(log_wanted(LOG_LOW, "XIMSSI", 1, "dora@x"));
    assert_false(log_wanted(LOG_LOW, "XIMSSI", 1, "dora@xx"));
    assert_false(log_wanted(LOG_LOW, "XIMSSI", 1, NULL));
    assert_false(log_wanted(LOG_LOW, "XIMSS", 1, "dora@x"));
}

/* The rule, word by word: the module's own, else the one for all, else log_level; then the highest of the narrow ones. */
static int expected(const struct log_rule *r, size_t n, int own, int module, uint32_t id,
                    const char *who)
{
    int level = own, raised = 0;
    for (size_t i = 0; i < n; i++) {
        if (r[i].id == 0 && r[i].account[0] == 0 && r[i].module == LOG_MODULE_ANY)
            level = r[i].level;
    }
    for (size_t i = 0; i < n; i++) {
        if (r[i].id == 0 && r[i].account[0] == 0 && r[i].module == module &&
            module != LOG_MODULE_ANY)
            level = r[i].level;
    }
    for (size_t i = 0; i < n; i++) {
        int narrow = r[i].id != 0 || r[i].account[0] != 0;
        int meant = (r[i].module == 0 || r[i].module == module) &&
                    (r[i].id == 0 || r[i].id == id) &&
                    (r[i].account[0] == 0 || (who != NULL && strcmp(who, r[i].account) == 0));
        if (narrow && meant && r[i].level > raised)
            raised = r[i].level;
    }
    return raised > level ? raised : level;
}

static void any_combination(void **state)
{
    (void)state;
    static const char *const who[] = {"", "dora@x", "otto@x"};
    static const uint32_t ids[] = {0, 100001, 999999};
    srandom(7);
    for (int turn = 0; turn < 3000; turn++) {
        struct log_rule r[6];
        size_t n = 0;
        for (size_t want = (size_t)random() % 7; want > 0; want--) {
            struct log_rule one = rule((int)(random() % LOG_LEVELS), (int)(random() % 3),
                                       ids[random() % 3], who[random() % 3], 0);
            int twice = 0; /* the master keeps one rule for one meaning */
            for (size_t i = 0; i < n; i++)
                twice |= r[i].module == one.module && r[i].id == one.id &&
                         strcmp(r[i].account, one.account) == 0;
            if (!twice)
                r[n++] = one;
        }
        int own = (int)(random() % LOG_LEVELS);
        log_set_level((enum log_level)own);
        log_rules_set(r, n);
        for (int m = 0; m < 4; m++) {
            for (size_t k = 0; k < 9; k++) {
                const char *name = k % 3 != 0 ? who[k % 3] : NULL;
                int level = expected(r, n, own, m, ids[k / 3], name);
                for (int at = 0; at < LOG_LEVELS; at++)
                    assert_int_equal(log_wanted((enum log_level)at,
                                                log_module_tag((enum log_module)m), ids[k / 3],
                                                name),
                                     at <= level);
            }
        }
    }
}

static void expiry(void **state)
{
    (void)state;
    struct log_rule r[] = {rule(LOG_LOW, 0, 1, "", 1000), rule(LOG_ALL, 0, 2, "", 3000),
                           rule(LOG_PROBLEMS, 0, 3, "", 0)};
    log_rules_set(r, 3);
    assert_int_equal(log_ceiling, LOG_ALL);
    assert_true(log_rules_expire(999) == 1000);
    assert_true(log_wanted(LOG_LOW, "XIMSS", 1, NULL));
    assert_true(log_rules_expire(1000) == 3000);
    assert_false(log_wanted(LOG_LOW, "XIMSS", 1, NULL));
    assert_true(log_wanted(LOG_ALL, "XIMSS", 2, NULL));
    assert_true(log_rules_expire(5000) == 0);
    assert_int_equal(log_ceiling, LOG_PROBLEMS);
    assert_true(log_wanted(LOG_PROBLEMS, "XIMSS", 3, NULL));
    assert_false(log_wanted(LOG_LOW, "XIMSS", 2, NULL));
}

static void as_many_as_may_be(void **state)
{
    (void)state;
    static struct log_rule r[LOG_RULES_MAX];
    for (uint32_t i = 0; i < LOG_RULES_MAX; i++)
        r[i] = rule(LOG_ALL, 0, i + 1, "", 0);
    log_rules_set(r, LOG_RULES_MAX);
    for (uint32_t i = 0; i <= LOG_RULES_MAX; i++)
        assert_int_equal(log_wanted(LOG_ALL, "XIMSS", i + 1, NULL), i < LOG_RULES_MAX);
}

/* What a record costs that nobody wants. A figure, not a test: machines differ. */
static void cost(void **state)
{
    (void)state;
    enum { N = 20000000, M = 1000000 };
    struct log_rule r = rule(LOG_ALL, 0, 100042, "", 0);
    int64_t t = clock_cpu();
    for (int i = 0; i < N; i++) {
        log_write(LOG_LOW, "XIMSSI", 100001, NULL, "%d", i);
        __asm__ volatile("" ::: "memory");
    }
    double off = (double)(clock_cpu() - t) / N;
    log_rules_set(&r, 1);
    t = clock_cpu();
    for (int i = 0; i < M; i++)
        log_write(LOG_LOW, "XIMSSI", 100001, NULL, "%d", i);
    printf(
        "# a record that nobody wants: %.2f ns; while a rule for another session holds: %.0f ns\n",
        off, (double)(clock_cpu() - t) / M);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_special, forget),
        cmocka_unit_test_teardown(module_alone, forget),
        cmocka_unit_test_teardown(one_session, forget),
        cmocka_unit_test_teardown(one_account, forget),
        cmocka_unit_test_teardown(any_combination, forget),
        cmocka_unit_test_teardown(expiry, forget),
        cmocka_unit_test_teardown(as_many_as_may_be, forget),
        cmocka_unit_test_teardown(cost, forget),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
