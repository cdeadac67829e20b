// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Each method by itself. */
#include "tests/unit/auth/sasl_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_clear(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.auth_data = STR("Dora%Harbor.example");
    in.password = STR(RIGHT);
    enum sasl_next next = sasl_start(&s, &w->env, &in, S);
    assert_int_equal(next, SASL_CHECK);
    assert_int_equal(s.err, ERR_WAIT);
    assert_int_equal(settle(&s, next, S), ERR_OK);
    assert_string_equal(s.account.name.text, "dora@harbor.example");
    assert_string_equal(s.account.real_name, "D");
    assert_string_equal(s.account.verifiers.hash,
                        "*"); /* nothing secret is left for the packet to keeper */
    assert_null(s.password.p);
    assert_int_equal(s.delay, 0);
    sasl_end(&s);
    sasl_end(&s);
    assert_int_equal(clear_login("otto", "otto's \"pass&word<", S), ERR_OK);
    assert_int_equal(clear_login("otto", "otto's \"pass&word", S), ERR_AUTH_FAILED);
    assert_int_equal(clear_login("nobody", RIGHT, S), ERR_AUTH_FAILED);
    assert_int_equal(clear_login("", RIGHT, S), ERR_AUTH_FAILED);
    assert_int_equal(clear_login("dora@elsewhere.example", RIGHT, S), ERR_AUTH_FAILED);
    assert_int_equal(clear_login("d.quay", RIGHT, S), ERR_OK);
    in = base();
    in.auth_data = STR("dora");
    next = sasl_start(&s, &w->env, &in, S);
    assert_int_equal(settle(&s, next, S), ERR_ATTR_MISSING);
    sasl_end(&s);
    in = base();
    in.password = STR(RIGHT);
    in.user_name = STR("dora");
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_OK);
    sasl_end(&s);
}

static void test_password_lengths(void **state)
{
    static char text[VERIFIER_PASSWORD_MAX + 2];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (size_t n = VERIFIER_PASSWORD_MAX - 1; n <= VERIFIER_PASSWORD_MAX + 1; n++) {
        struct sasl s;
        struct sasl_login in = base();
        in.auth_data = STR("dora");
        in.password = (struct str){text, n};
        assert_int_equal(sasl_start(&s, &w->env, &in, S),
                         n <= VERIFIER_PASSWORD_MAX ? SASL_CHECK : SASL_DONE);
        sasl_end(&s);
    }
}

static enum err one_step(const char *method, struct str data)
{
    struct sasl s;
    struct sasl_login in = base();
    in.method = str_of(method);
    in.auth_data = b64(data);
    enum err e = settle(&s, sasl_start(&s, &w->env, &in, S), S);
    sasl_end(&s);
    return e;
}

static void test_plain(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    /* vector of protocol 1, 3.5 */
    in.method = STR("plain");
    in.auth_data = STR("AGRvcmFAaGFyYm9yLmV4YW1wbGUAY29ycmVjdC1ob3JzZQ==");
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_OK);
    sasl_end(&s);
    /* without initial response: an empty challenge first */
    in.auth_data = STR_NONE;
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    assert_int_equal(s.challenge.n, 0);
    assert_int_equal(settle(&s, sasl_step(&s, &w->env, b64(STR("\0dora\0" RIGHT)), S), S), ERR_OK);
    sasl_end(&s);
    assert_int_equal(one_step("PLAIN", STR("dora\0dora\0" RIGHT)), ERR_OK);
    assert_int_equal(one_step("PLAIN", STR("d.quay\0d.quay\0" RIGHT)), ERR_OK);
    assert_int_equal(one_step("PLAIN", STR("dora@harbor.example\0DORA\0" RIGHT)), ERR_OK);
    assert_int_equal(one_step("PLAIN", STR("otto\0dora\0" RIGHT)), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("nobody\0dora\0" RIGHT)), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("\0dora")), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("dora")), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("\0dora\0")), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("\0\0" RIGHT)), ERR_AUTH_FAILED);
    w->fails.opt.account_limit = 0;
    assert_int_equal(one_step("PLAIN", STR("\0dora\0" RIGHT "\0")), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("\0dora\0" RIGHT "\0x")), ERR_AUTH_FAILED);
    assert_int_equal(one_step("PLAIN", STR("\0dora\0" RIGHT)), ERR_OK);
}

static void test_login(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.method = STR("LOGIN");
    for (int initial = 0; initial < 2; initial++) {
        in.auth_data = initial ? b64(STR("dora")) : STR_NONE;
        enum sasl_next next = sasl_start(&s, &w->env, &in, S);
        assert_int_equal(next, SASL_CHALLENGE);
        if (!initial) {
            assert_true(str_eq(said(&s), STR("Username:")));
            next = sasl_step(&s, &w->env, b64(STR("dora")), S);
            assert_int_equal(next, SASL_CHALLENGE);
        }
        assert_true(str_eq(said(&s), STR("Password:")));
        next = sasl_step(&s, &w->env, b64(STR(RIGHT)), S);
        assert_int_equal(settle(&s, next, S), ERR_OK);
        sasl_end(&s);
    }
}

static enum err cram(const char *name, struct str key_text, bool upper, const char *tail)
{
    struct sasl s;
    struct sasl_login in = base();
    uint8_t key[MAC_CRAM_KEY], out[MAC_CRAM_LEN];
    char text[200];
    in.method = STR("CRAM-MD5");
    in.tls = false;
    in.clear_login = SASL_CLEAR_NO;
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    struct str c = said(&s);
    assert_true(c.n > 20 && c.p[0] == '<' && c.p[c.n - 1] == '>');
    mac_cram_key(key_text, key);
    mac_cram(key, c, out);
    int n = snprintf(text, sizeof text, "%s ", name);
    for (size_t i = 0; i < sizeof out; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, upper ? "%02X" : "%02x", out[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "%s", tail);
    enum sasl_next next = sasl_step(&s, &w->env, b64((struct str){text, (size_t)n}), S);
    assert_int_equal(next, SASL_DONE);
    enum err e = s.err;
    sasl_end(&s);
    return e;
}

static void test_cram(void **state)
{
    (void)state;
    assert_int_equal(cram("dora@harbor.example", STR(RIGHT), false, ""), ERR_OK);
    assert_int_equal(cram("dora", STR(RIGHT), true, ""), ERR_OK);
    assert_int_equal(cram("dora", STR("wrong"), false, ""), ERR_AUTH_FAILED);
    assert_int_equal(cram("dora", STR(RIGHT), false, "0"), ERR_AUTH_FAILED);
    assert_int_equal(cram("dora", STR(RIGHT), false, " "), ERR_AUTH_FAILED);
    assert_int_equal(cram("nobody", STR(RIGHT), false, ""), ERR_AUTH_FAILED);
    assert_int_equal(cram("otto", STR("otto's \"pass&word<"), false, ""),
                     ERR_AUTH_FAILED); /* no key kept */
    w->env.verifier.cram = false;
    struct sasl s;
    struct sasl_login in = base();
    in.method = STR("CRAM-MD5");
    assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_AUTH_METHOD);
    sasl_end(&s);
}

/* One step (3.4), with and without padding; a nonce works once, and not from before starttls. */
static void test_cram_nonce(void **state)
{
    char nonce[NONCE_MAX], hex[33];
    uint8_t key[MAC_CRAM_KEY], out[MAC_CRAM_LEN];
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct sasl s;
        struct sasl_login in = base();
        size_t n = nonce_make(&w->nonces, i != 3, S, nonce);
        mac_cram_key(i == 4 ? STR("wrong") : STR(RIGHT), key);
        mac_cram(key, (struct str){nonce, n}, out);
        for (size_t k = 0; k < sizeof out; k++)
            snprintf(hex + k * 2, 3, "%02x", out[k]);
        in.user_name = i == 5 ? STR("nobody") : STR("dora");
        in.nonce = (struct str){nonce, n};
        if (i == 2)
            in.method = STR("CRAM-MD5");
        in.auth_data = b64((struct str){hex, 32});
        if (i == 1)
            in.auth_data.n--; /* the JavaScript client leaves "=" out */
        assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S),
                         i < 3 ? ERR_OK : ERR_AUTH_FAILED);
        sasl_end(&s);
        assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_AUTH_FAILED);
        sasl_end(&s);
    }
}

static void test_scram(void **state)
{
    struct buf a, b, c;
    (void)state;
    assert_int_equal(scram("dora", NULL, RIGHT, NULL), ERR_OK);
    assert_int_equal(scram("Dora@harbor.example", "dora", RIGHT, NULL), ERR_OK);
    assert_int_equal(scram("dora", NULL, "wrong", NULL), ERR_AUTH_FAILED);
    assert_int_equal(scram("dora", "otto", RIGHT, NULL), ERR_AUTH_FAILED);
    /* made-up salts: always the same for a name, others for others, and they look like real ones */
    buf_init(&a, 500);
    buf_init(&b, 500);
    buf_init(&c, 500);
    assert_int_equal(scram("nobody", NULL, RIGHT, &a), ERR_AUTH_FAILED);
    assert_int_equal(scram("NOBODY%harbor.example", NULL, RIGHT, &b), ERR_AUTH_FAILED);
    assert_true(str_eq(buf_slice(&a), buf_slice(&b)));
    buf_clear(&b);
    assert_int_equal(scram("noone", NULL, RIGHT, &b), ERR_AUTH_FAILED);
    assert_false(str_eq(buf_slice(&a), buf_slice(&b)));
    assert_int_equal(scram("dora", NULL, RIGHT, &c), ERR_OK);
    assert_int_equal(a.n, c.n);
    assert_true(str_eq(str_sub(buf_slice(&a), a.n - 8, 8), str_sub(buf_slice(&c), c.n - 8, 8)));
    assert_int_equal(scram("otto", NULL, "otto's \"pass&word<", NULL),
                     ERR_AUTH_FAILED); /* no keys kept */
    buf_free(&a);
    buf_free(&b);
    buf_free(&c);
}

/* A client that plays by its own rules. */
static void test_scram_order(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    in.method = STR("SCRAM-SHA-256");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    assert_int_equal(s.challenge.n, 0);
    assert_int_equal(sasl_step(&s, &w->env, b64(STR("n,,n=dora,r=abc")), S), SASL_CHALLENGE);
    /* the first message once more, in place of the proof */
    assert_int_equal(sasl_step(&s, &w->env, b64(STR("n,,n=dora,r=abc")), S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
    /* an empty answer in place of it */
    in.auth_data = b64(STR("n,,n=dora,r=abc"));
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
    assert_int_equal(sasl_step(&s, &w->env, STR(""), S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
    /* cancelled, too slow, no base64 */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
        enum sasl_next next = sasl_step(&s, &w->env,
                                        i == 0   ? STR("*")
                                        : i == 3 ? STR("!!!!")
                                                 : STR("eA=="),
                                        i == 1   ? S + w->env.exchange_time + 1
                                        : i == 2 ? S + w->env.exchange_time
                                                 : S);
        assert_int_equal(next, SASL_DONE);
        assert_int_equal(s.err, i < 2    ? ERR_AUTH_CANCELLED
                                : i == 2 ? ERR_AUTH_FAILED
                                         : ERR_ATTR_VALUE);
        sasl_end(&s);
    }
}

static void test_sessionid(void **state)
{
    struct sasl s;
    struct sasl_login in = base();
    (void)state;
    /* vector of protocol 1, 3.5 */
    in.method = STR("SESSIONID");
    in.auth_data = STR("ZG9yYUBoYXJib3IuZXhhbXBsZSAxMDAwNDItazJWYjdRbVoweFQ0THJOY1lwV2Q=");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_SESSION);
    assert_string_equal(s.session, "100042-k2Vb7QmZ0xT4LrNcYpWd");
    assert_int_equal(s.account.id, 1);
    assert_int_equal(s.session_bank, 46 * 62 + 2);
    assert_int_equal(sasl_checked(&s, &w->env, true, S), SASL_DONE);
    assert_int_equal(s.err, ERR_OK);
    assert_string_equal(s.session, "100042-k2Vb7QmZ0xT4LrNcYpWd"); /* for killOld */
    sasl_end(&s);
    assert_string_equal(s.session, "");
    in = base();
    in.user_name = STR("nobody");
    in.session_id = STR("100042-k2Vb7QmZ0xT4LrNcYpWd");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_SESSION);
    assert_int_equal(s.account.id, 0);
    assert_int_equal(sasl_checked(&s, &w->env, true, S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
    in.user_name = STR("dora");
    in.session_id = STR("100042-k2Vb7QmZ0xT4LrNcYpW");
    assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_DONE);
    assert_int_equal(s.err, ERR_AUTH_FAILED);
    sasl_end(&s);
}

static void test_methods(void **state)
{
    static const char *const unknown[] = {
        "DIGEST-MD5",         "GSSAPI",  "EXTERNAL", "SCRAM-SHA-1",
        "SCRAM-SHA-256-PLUS", "(clear)", "(nonce)",  "X"};
    struct sasl s;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        struct sasl_login in = base();
        in.method = str_of(unknown[i]);
        in.auth_data = STR("dora");
        in.password = STR(RIGHT);
        assert_int_equal(settle(&s, sasl_start(&s, &w->env, &in, S), S), ERR_AUTH_METHOD);
        sasl_end(&s);
    }
}

/* The longest base64 text that a client may send. */
static void test_data_cap(void **state)
{
    static char text[SASL_DATA_MAX + 8];
    (void)state;
    memset(text, 'A', sizeof text);
    for (size_t n = SASL_DATA_MAX - 4; n <= SASL_DATA_MAX + 4; n += 4) {
        struct sasl s;
        struct sasl_login in = base();
        in.method = STR("PLAIN");
        in.auth_data = (struct str){text, n};
        enum err e = settle(&s, sasl_start(&s, &w->env, &in, S), S);
        assert_int_equal(e, n <= SASL_DATA_MAX ? ERR_AUTH_FAILED : ERR_ATTR_VALUE);
        sasl_end(&s);
        in.auth_data = STR_NONE;
        assert_int_equal(sasl_start(&s, &w->env, &in, S), SASL_CHALLENGE);
        assert_int_equal(settle(&s, sasl_step(&s, &w->env, (struct str){text, n}, S), S), e);
        sasl_end(&s);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_clear),     T(test_password_lengths), T(test_plain),    T(test_login),
        T(test_cram),      T(test_cram_nonce),       T(test_scram),    T(test_scram_order),
        T(test_sessionid), T(test_methods),          T(test_data_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
