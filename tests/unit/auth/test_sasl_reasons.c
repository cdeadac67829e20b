// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The real reason of every end of a login, while the client is told the same. */
#include "tests/unit/auth/sasl_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* The end of it: what the client is told, the reason, and under which name it is remembered. */
static void ends(struct sasl *s, enum sasl_next next, enum err err, enum reason reason,
                 const char *name)
{
    bool right = false;
    if (next == SASL_CHECK) {
        assert_int_equal(verifier_check(s->hash, buf_slice(&s->password), &right), ERR_OK);
        next = sasl_checked(s, &w->env, right, S);
    }
    assert_int_equal(next, SASL_DONE);
    assert_int_equal(s->err, err);
    assert_string_equal(reason_text(s->reason), reason_text(reason));
    assert_true(str_eq(name_str(&s->account.name), str_of(name)));
    if (err == ERR_AUTH_FAILED)
        assert_string_equal(err_text(s->err), "incorrect password or account name");
    sasl_end(s);
}

static struct sasl_login clear(const char *name, const char *password)
{
    struct sasl_login in = base();
    in.auth_data = str_of(name);
    in.password = str_of(password);
    return in;
}

static void run(struct sasl_login in, enum err err, enum reason reason, const char *name)
{
    struct sasl s;
    ends(&s, sasl_start(&s, &w->env, &in, S), err, reason, name);
}

#define DORA "dora@harbor.example"

static void clear_text(void **state)
{
    (void)state;
    run(clear("dora", RIGHT), ERR_OK, REASON_LOGGED_IN, DORA);
    run(clear("dora", "wrong"), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD, DORA);
    run(clear("dora", ""), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD, DORA);
    run(clear("D.Quay", "wrong"), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD, DORA); /* an alias */
    run(clear("nobody", RIGHT), ERR_AUTH_FAILED, REASON_NO_ACCOUNT, "nobody@harbor.example");
    run(clear("no body", RIGHT), ERR_AUTH_FAILED, REASON_BAD_NAME, "");
    run(clear("", RIGHT), ERR_AUTH_FAILED, REASON_BAD_NAME, "");
    struct sasl_login in = base();
    in.user_name = STR("dora");
    run(in, ERR_ATTR_MISSING, REASON_MISSING, DORA);
    w->account[2].flags = ACCOUNT_DISABLED;
    run(clear("eve", RIGHT), ERR_SERVICE_DISABLED, REASON_DISABLED, "eve@harbor.example");
    w->account[2].flags = ACCOUNT_EXPIRED;
    run(clear("eve", RIGHT), ERR_PASSWORD_EXPIRED, REASON_EXPIRED, "eve@harbor.example");
    run(clear("eve", "wrong"), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD, "eve@harbor.example");
    pwcache_forget(&w->cache, 3);
    snprintf(w->account[2].verifiers.hash, sizeof w->account[2].verifiers.hash, "*");
    run(clear("eve", RIGHT), ERR_AUTH_FAILED, REASON_NO_PASSWORD, "eve@harbor.example");
    w->broken = true;
    run(clear("dora", RIGHT), ERR_DB, REASON_OURS, DORA);
}

/* Whether it exists or not: after ten failures the name is blocked, and that is what an admin has to do away with. */
static void blocked(void **state)
{
    static const char *const names[] = {"dora", "nobody"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char full[64];
        snprintf(full, sizeof full, "%s@harbor.example", names[i]);
        for (int k = 0; k < FAIL_N; k++)
            run(clear(names[i], "wrong"), ERR_AUTH_FAILED,
                i == 0 ? REASON_WRONG_PASSWORD : REASON_NO_ACCOUNT, full);
        run(clear(names[i], RIGHT), ERR_ACCOUNT_BLOCKED, REASON_BLOCKED, full);
    }
}

static void refused_at_once(void **state)
{
    struct sasl_login in = clear("dora", RIGHT);
    (void)state;
    in.method = STR("GSSAPI");
    in.user_name = STR("Dora%harbor.example");
    run(in, ERR_AUTH_METHOD, REASON_METHOD_UNKNOWN, DORA);
    in.user_name = STR_NONE;
    run(in, ERR_AUTH_METHOD, REASON_METHOD_UNKNOWN, ""); /* nobody said who */
    in = clear("dora", RIGHT);
    in.tls = false;
    in.clear_login = SASL_CLEAR_NO;
    run(in, ERR_AUTH_INSECURE, REASON_CLEAR, DORA);
    in.method = STR("PLAIN");
    in.auth_data = b64((struct str){"\0dora\0pw", 8});
    run(in, ERR_AUTH_INSECURE, REASON_CLEAR, DORA);
    in.auth_data = b64(STR("rubbish"));
    run(in, ERR_AUTH_INSECURE, REASON_CLEAR, "");
    in.auth_data = STR("!!");
    run(in, ERR_AUTH_INSECURE, REASON_CLEAR, "");
    in.method = STR("LOGIN");
    run(in, ERR_AUTH_INSECURE, REASON_CLEAR, "");
    w->env.verifier.cram = false;
    in = base();
    in.user_name = STR("dora");
    in.nonce = STR("x");
    in.auth_data = STR("x");
    run(in, ERR_AUTH_METHOD, REASON_METHOD_OFF, DORA);
    in.method = STR("cram-md5");
    in.nonce = STR_NONE;
    run(in, ERR_AUTH_METHOD, REASON_METHOD_OFF, DORA);
}

static void plain(void **state)
{
    static const struct {
        struct str data;
        enum err err;
        enum reason reason;
        const char *name;
    } rows[] = {
        {STR("\0dora\0" RIGHT), ERR_OK, REASON_LOGGED_IN, DORA},
        {STR("\0dora\0wrong"), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD, DORA},
        {STR("\0nobody\0wrong"), ERR_AUTH_FAILED, REASON_NO_ACCOUNT, "nobody@harbor.example"},
        {STR("otto\0dora\0" RIGHT), ERR_AUTH_FAILED, REASON_OTHER_IDENTITY, DORA},
        {STR("\0dora\0x\0y"), ERR_AUTH_FAILED, REASON_MALFORMED, DORA},
        {STR("dora"), ERR_AUTH_FAILED, REASON_MALFORMED, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_login in = base();
        in.method = STR("PLAIN");
        in.auth_data = b64(rows[i].data);
        run(in, rows[i].err, rows[i].reason, rows[i].name);
    }
    struct sasl_login in = base();
    in.method = STR("PLAIN");
    in.auth_data = STR("****");
    run(in, ERR_ATTR_VALUE, REASON_MALFORMED, "");
}

static void exchanges(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.method = STR("LOGIN");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    ends(&s, sasl_step(&s, &w->env, STR("*"), 2 * S), ERR_AUTH_CANCELLED, REASON_CANCELLED, "");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    assert_int_equal(sasl_step(&s, &w->env, b64(STR("dora")), 61 * S), SASL_CHALLENGE);
    ends(&s, sasl_step(&s, &w->env, b64(STR(RIGHT)), 61 * S + 1), ERR_AUTH_CANCELLED, REASON_LATE,
         "");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    assert_int_equal(sasl_step(&s, &w->env, b64(STR("dora")), S), SASL_CHALLENGE);
    ends(&s, sasl_step(&s, &w->env, b64(STR("wrong")), S), ERR_AUTH_FAILED, REASON_WRONG_PASSWORD,
         DORA);
}

static void cram(void **state)
{
    static const struct {
        const char *answer;
        enum reason reason;
        const char *name;
    } rows[] = {
        {"dora 00000000000000000000000000000000", REASON_WRONG_DIGEST, DORA},
        {"dora xyz", REASON_WRONG_DIGEST, DORA},
        {"otto 00000000000000000000000000000000", REASON_NO_CRAM_KEY, "otto@harbor.example"},
        {"nobody 00000000000000000000000000000000", REASON_NO_ACCOUNT, "nobody@harbor.example"},
        {"nothing", REASON_MALFORMED, ""},
    };
    struct sasl s;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_login in = base();
        in.method = STR("CRAM-MD5");
        assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
        ends(&s, sasl_step(&s, &w->env, b64(str_of(rows[i].answer)), S), ERR_AUTH_FAILED,
             rows[i].reason, rows[i].name);
    }
    struct sasl_login in = base();
    in.user_name = STR("dora");
    in.nonce = STR("17-of-nobody");
    in.auth_data = b64(STR("00000000000000000000000000000000"));
    run(in, ERR_AUTH_FAILED, REASON_NONCE, DORA);
    in.user_name = STR_NONE;
    run(in, ERR_ATTR_MISSING, REASON_MISSING, "");
}

#define PROOF "c=biws,r=%s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void scram_login(void **state)
{
    static const struct {
        const char *first, *final;
        enum reason reason;
        const char *name;
    } rows[] = {
        {"n,,n=dora,r=abcdefgh", PROOF, REASON_WRONG_DIGEST, DORA},
        {"n,,n=dora,r=abcdefgh", "rubbish", REASON_MALFORMED, DORA},
        {"n,,n=otto,r=abcdefgh", PROOF, REASON_NO_SCRAM_KEY, "otto@harbor.example"},
        {"n,,n=nobody,r=abcdefgh", PROOF, REASON_NO_ACCOUNT, "nobody@harbor.example"},
        {"n,a=otto,n=dora,r=abcdefgh", NULL, REASON_OTHER_IDENTITY, DORA},
        {"rubbish", NULL, REASON_MALFORMED, ""},
    };
    struct sasl s;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_login in = base();
        char nonce[200] = "", final[400];
        in.method = STR("SCRAM-SHA-256");
        in.auth_data = b64(str_of(rows[i].first));
        enum sasl_next next = sasl_start(&s, &w->env, &in, S);
        if (rows[i].final != NULL) {
            assert_int_equal(next, SASL_CHALLENGE);
            struct str first = said(&s);
            snprintf(nonce, sizeof nonce, "%.*s", (int)(str_find(first, ',') - 2), first.p + 2);
            int n = rows[i].final[0] == 'c' ? snprintf(final, sizeof final, PROOF, nonce)
                                            : snprintf(final, sizeof final, "rubbish");
            next = sasl_step(&s, &w->env, b64((struct str){final, (size_t)n}), S);
        }
        ends(&s, next, ERR_AUTH_FAILED, rows[i].reason, rows[i].name);
    }
}

static void sessions(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.user_name = STR("dora");
    in.session_id = STR("nonsense");
    run(in, ERR_AUTH_FAILED, REASON_SESSION_ID, DORA);
    char id[URLID_LEN + 1];
    urlid_make(id, 100001, 0);
    in.session_id = str_of(id);
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_SESSION);
    ends(&s, sasl_checked(&s, &w->env, false, S), ERR_AUTH_FAILED, REASON_SESSION_GONE, DORA);
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_SESSION);
    ends(&s, sasl_checked(&s, &w->env, true, S), ERR_OK, REASON_LOGGED_IN, DORA);
    in.user_name = STR("nobody");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_SESSION);
    ends(&s, sasl_checked(&s, &w->env, false, S), ERR_AUTH_FAILED, REASON_NO_ACCOUNT,
         "nobody@harbor.example");
}

/* The password is changed while a hasher looks at it. */
static void changed_meanwhile(void **state)
{
    struct sasl s;
    struct sasl_login in = clear("dora", RIGHT);
    (void)state;
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHECK);
    w->account[0].version++;
    ends(&s, sasl_checked(&s, &w->env, true, S), ERR_AUTH_FAILED, REASON_CHANGED, DORA);
}

/* Was the name typed with a domain? Else it may be a password in the wrong field, and is not logged. */
static void domains(void **state)
{
    static const struct {
        const char *name;
        bool typed;
    } rows[] = {{"dora", false},
                {"dora@harbor.example", true},
                {"dora%harbor.example", true},
                {"correct-horse", false},
                {"p@ssword", true},
                {"", false}};
    struct sasl s;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_login in = clear(rows[i].name, "wrong");
        assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_AUTH_FAILED);
        assert_int_equal(s.typed_domain, rows[i].typed);
        sasl_end(&s);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(clear_text),  T(blocked),  T(refused_at_once),   T(plain),   T(exchanges), T(cram),
        T(scram_login), T(sessions), T(changed_meanwhile), T(domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
