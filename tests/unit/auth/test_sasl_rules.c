// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What holds for all methods: unknown names, limits, the cache, flags, clear text on clear links. */
#include "tests/unit/auth/sasl_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* The second login with the same password needs no hasher; a change makes it forgotten. */
static void test_cache(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.auth_data = STR("dora");
    in.password = STR(RIGHT);
    assert_int_equal(clear_login("dora", RIGHT, S), ERR_OK);
    assert_int_equal(sasl_start(&s, &w->env, &in, 2 * S), SASL_DONE);
    assert_int_equal(s.err, ERR_OK);
    sasl_end(&s);
    in.password = STR("wrong-horse");
    assert_int_equal(sasl_start(&s, &w->env, &in, 2 * S), SASL_CHECK);
    sasl_end(&s);
    in.password = STR(RIGHT);
    assert_int_equal(sasl_start(&s, &w->env, &in, S + PWCACHE_LIFE), SASL_CHECK);
    sasl_end(&s);
    pwcache_forget(&w->cache, 1);
    assert_int_equal(sasl_start(&s, &w->env, &in, 2 * S), SASL_CHECK);
    /* the password changes while the hasher works: its "right" is about yesterday's */
    w->account[0].version++;
    assert_int_equal(sasl_checked(&s, &w->env, true, 2 * S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
    assert_false(pwcache_hit(&w->cache, 1, STR(RIGHT), 2 * S));
    /* the account goes away meanwhile */
    assert_int_equal(sasl_start(&s, &w->env, &in, 2 * S), SASL_CHECK);
    w->account[0].name.text[0] = 'x';
    assert_int_equal(sasl_checked(&s, &w->env, true, 2 * S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
}

/* An unknown name and a known one with a wrong password: the same questions, the same work, the same answer. */
static void test_unknown_name(void **state)
{
    static const char *const names[] = {"dora", "nobody"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct sasl s;
        struct sasl_login in = base();
        in.auth_data = str_of(names[i]);
        in.password = STR("wrong");
        assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHECK);
        assert_true(str_starts(s.hash, STR("$y$j75$")));
        assert_int_equal(sasl_checked(&s, &w->env, false, S), SASL_DONE);
        assert_int_equal(s.err, ERR_AUTH_FAILED);
        assert_int_equal(s.delay, 1 * S);
        sasl_end(&s);
        /* even if a hasher claims that it is right */
        if (i == 1) {
            assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHECK);
            assert_int_equal(sasl_checked(&s, &w->env, true, S), SASL_DONE);
            assert_int_equal(s.err, ERR_AUTH_FAILED);
            sasl_end(&s);
        }
    }
    /* an account without password */
    verifier_none(&w->account[2].verifiers);
    assert_int_equal(clear_login("eve", "anything", S), ERR_AUTH_FAILED);
}

static void test_limits(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *name = k == 0 ? "dora" : "nobody";
        for (int i = 1; i <= FAIL_N; i++)
            assert_int_equal(clear_login(name, "wrong", S), ERR_AUTH_FAILED);
        assert_int_equal(clear_login(name, RIGHT, S), ERR_ACCOUNT_BLOCKED);
        assert_int_equal(clear_login(name, "wrong", S), ERR_ACCOUNT_BLOCKED);
        assert_int_equal(scram(name, NULL, RIGHT, NULL), ERR_ACCOUNT_BLOCKED);
    }
    assert_int_equal(clear_login("d.quay", RIGHT, S), ERR_ACCOUNT_BLOCKED); /* her alias too */
    assert_int_equal(clear_login("dora", RIGHT, S + 300 * S), ERR_OK);
    /* the twentieth failure blocks the address; one in client_addresses is not counted */
    in.auth_data = STR("somebody");
    in.password = STR("wrong");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHECK);
    assert_int_equal(sasl_checked(&s, &w->env, false, S), SASL_DONE);
    assert_int_equal(s.block_until, S + 300 * S);
    sasl_end(&s);
    in.exempt = true;
    in.failures = 3;
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHECK);
    assert_int_equal(sasl_checked(&s, &w->env, false, S), SASL_DONE);
    assert_int_equal(s.block_until, 0);
    assert_int_equal(s.delay, 4 * S);
    sasl_end(&s);
}

/* Guesses under way when the limit is reached learn nothing any more. */
static void test_parallel_guesses(void **state)
{
    enum { MANY = 30 };
    static struct sasl s[MANY];
    struct sasl_login in = base();
    uint32_t failed = 0, blocked = 0;
    (void)state;
    in.auth_data = STR("dora");
    for (int i = 0; i < MANY; i++) {
        in.password = i == MANY - 1 ? STR(RIGHT) : STR("wrong");
        assert_int_equal(sasl_start(&s[i], &w->env, &in, S), SASL_CHECK);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sasl_checked(&s[i], &w->env, i == MANY - 1, S), SASL_DONE);
        failed += s[i].err == ERR_AUTH_FAILED;
        blocked += s[i].err == ERR_ACCOUNT_BLOCKED;
        sasl_end(&s[i]);
    }
    assert_int_equal(failed, FAIL_N);
    assert_int_equal(blocked, MANY - FAIL_N);
    assert_false(pwcache_hit(&w->cache, 1, STR(RIGHT), S));
}

static void test_flags(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    w->account[2].flags = ACCOUNT_DISABLED;
    assert_int_equal(clear_login("eve", RIGHT, S), ERR_SERVICE_DISABLED);
    assert_int_equal(clear_login("eve", "wrong", S), ERR_AUTH_FAILED);
    w->account[2].flags = ACCOUNT_EXPIRED;
    assert_int_equal(clear_login("eve", RIGHT, S), ERR_PASSWORD_EXPIRED);
    assert_int_equal(clear_login("eve", "wrong", S), ERR_AUTH_FAILED);
    in.auth_data = STR("eve");
    in.password = STR(RIGHT);
    in.can_update = true;
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_OK);
    assert_true(s.must_change);
    sasl_end(&s);
    w->broken = true;
    assert_int_equal(clear_login("dora", RIGHT, S), ERR_DB);
}

/* clear_login, 504: which links may carry a password (design 7). */
static void test_clear_rule(void **state)
{
    static const struct {
        enum sasl_clear_login rule;
        bool tls;
        const char *ip;
        bool ok;
    } rows[] = {
        {SASL_CLEAR_YES, false, "192.0.2.7", true},
        {SASL_CLEAR_LOOPBACK, false, "192.0.2.7", false},
        {SASL_CLEAR_LOOPBACK, true, "192.0.2.7", true},
        {SASL_CLEAR_LOOPBACK, false, "127.0.0.1", true},
        {SASL_CLEAR_LOOPBACK, false, "::1", true},
        {SASL_CLEAR_NO, false, "::1", false},
        {SASL_CLEAR_NO, true, "192.0.2.7", true},
    };
    static const char *const methods[] = {"", "PLAIN", "LOGIN"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf list;
        struct sasl_login in = base();
        in.tls = rows[i].tls;
        in.clear_login = rows[i].rule;
        assert_int_equal(ip_parse(str_of(rows[i].ip), &in.address), ERR_OK);
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            struct sasl s;
            in.method = str_of(methods[m]);
            in.auth_data = m == 0 ? STR("dora") : STR_NONE;
            in.password = m == 0 ? STR(RIGHT) : STR_NONE;
            bool refused =
                sasl_start(&s, &w->env, &in, S) == SASL_DONE && s.err == ERR_AUTH_INSECURE;
            assert_int_equal(refused, !rows[i].ok);
            assert_int_equal(s.delay, 0);
            sasl_end(&s);
        }
        bool ok = sasl_clear_ok(in.clear_login, in.tls, &in.address);
        for (int cram = 0; cram <= 1; cram++) {
            static const char *const want[2][2] = {
                {"SCRAM-SHA-256", "SCRAM-SHA-256 CRAM-MD5"},
                {"SCRAM-SHA-256 PLAIN LOGIN", "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN"}};
            buf_init(&list, 100);
            sasl_methods(ok, cram != 0, &list);
            assert_true(str_eq(buf_slice(&list), str_of(want[ok][cram])));
            buf_free(&list);
        }
    }
}

/* Old forms are remade when the password is seen: s->password stays until the caller has sent it to a hasher. */
static void test_rehash(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.auth_data = STR("otto");
    in.password = STR("otto's \"pass&word<");
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_OK);
    assert_true(s.rehash);
    assert_true(str_eq(buf_slice(&s.password), in.password));
    sasl_end(&s);
    in.auth_data = STR("dora");
    in.password = STR(RIGHT);
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_OK);
    assert_false(s.rehash);
    sasl_end(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_cache), T(test_unknown_name), T(test_limits), T(test_parallel_guesses),
        T(test_flags), T(test_clear_rule),   T(test_rehash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
