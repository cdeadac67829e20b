// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gsasl.h>

struct row {
    const char *keys, *first, *added, *answer, *final, *verdict;
};

static const struct row rows[] = {
#define SCRAM(password, keys, first, added, answer, final, verdict) \
    {keys, first, added, answer, final, verdict},
#define CRAM(password, challenge, digest)
#include "tests/unit/auth/vectors.tbl"
#undef CRAM
#undef SCRAM
};

static void keys_of(const char *text, struct scram_keys *out)
{
    char whole[VERIFIER_TEXT_MAX];
    struct verifiers v;
    int n = snprintf(whole, sizeof whole, "* %s", text);
    assert_int_equal(verifier_get((struct str){whole, (size_t)n}, &v), ERR_OK);
    *out = v.scram;
}

/* One exchange; the error of the last step that was taken. The verdict text, if any, is in `out`. */
static enum err run(const struct scram_keys *keys, struct str first, const char *added,
                    struct str final, struct buf *answer, struct buf *out)
{
    struct scram_server *s = malloc(sizeof *s);
    struct buf user, authzid;
    assert_non_null(s);
    scram_init(s);
    buf_init(&user, SCRAM_MESSAGE_MAX);
    buf_init(&authzid, SCRAM_MESSAGE_MAX);
    buf_clear(answer);
    buf_clear(out);
    enum err e = scram_first(s, first, &user, &authzid);
    if (e == ERR_OK)
        e = scram_challenge(s, keys, str_of(added), answer);
    if (e == ERR_OK)
        e = scram_final(s, final, out);
    buf_free(&user);
    buf_free(&authzid);
    scram_free(s);
    free(s);
    return e;
}

/* RFC 7677, section 3: the server's nonce, salt and 4,096 iterations are the RFC's. */
static void test_rfc7677(void **state)
{
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct scram_keys keys;
    struct buf answer, out;
    (void)state;
    buf_init(&answer, 4096);
    buf_init(&out, 4096);
    assert_int_equal(verifier_scram(STR("pencil"), mac_str(salt, sizeof salt), 4096, &keys),
                     ERR_OK);
    assert_int_equal(run(&keys, STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
                         "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                         STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                             "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                         &answer, &out),
                     ERR_OK);
    assert_true(
        str_eq(buf_slice(&answer), STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                       "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")));
    assert_true(str_eq(buf_slice(&out), STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    buf_free(&answer);
    buf_free(&out);
}

/* Whole exchanges by Python's hmac. */
static void test_against_python(void **state)
{
    struct buf answer, out;
    (void)state;
    buf_init(&answer, 4096);
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scram_keys keys;
        keys_of(rows[i].keys, &keys);
        assert_int_equal(
            run(&keys, str_of(rows[i].first), rows[i].added, str_of(rows[i].final), &answer, &out),
            ERR_OK);
        assert_true(str_eq(buf_slice(&answer), str_of(rows[i].answer)));
        assert_true(str_eq(buf_slice(&out), str_of(rows[i].verdict)));
    }
    buf_free(&answer);
    buf_free(&out);
}

/* A message cut anywhere, or with any one bit turned, is refused: nothing but the true one gets through. */
static void test_broken(void **state)
{
    const struct row *r = &rows[1];
    struct buf answer, out;
    struct scram_keys keys;
    char text[512];
    (void)state;
    buf_init(&answer, 4096);
    buf_init(&out, 4096);
    keys_of(r->keys, &keys);
    struct str final = str_of(r->final), first = str_of(r->first);
    for (size_t n = 0; n < final.n; n++)
        assert_int_not_equal(run(&keys, first, r->added, str_sub(final, 0, n), &answer, &out),
                             ERR_OK);
    for (size_t n = 0; n < first.n; n++)
        assert_int_not_equal(run(&keys, str_sub(first, 0, n), r->added, final, &answer, &out),
                             ERR_OK);
    for (size_t bit = 0; bit < final.n * 8; bit++) {
        memcpy(text, final.p, final.n);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        assert_int_not_equal(
            run(&keys, first, r->added, (struct str){text, final.n}, &answer, &out), ERR_OK);
        assert_int_equal(out.n, 0);
    }
    for (size_t bit = 0; bit < first.n * 8; bit++) {
        memcpy(text, first.p, first.n);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        assert_int_not_equal(
            run(&keys, (struct str){text, first.n}, r->added, final, &answer, &out), ERR_OK);
    }
    /* the final message of one exchange in another one: the server's nonce differs */
    assert_int_equal(run(&keys, first, "4094cd1d6ee97187964d8623", final, &answer, &out),
                     ERR_SYNTAX);
    buf_free(&answer);
    buf_free(&out);
}

static void test_grammar(void **state)
{
    static const struct {
        const char *first;
        const char *user, *authzid; /* user NULL: refused */
    } cases[] = {
        {"n,,n=dora,r=x", "dora", ""},
        {"y,,n=dora,r=x", "dora", ""},
        {"n,a=otto,n=dora,r=x", "dora", "otto"},
        {"n,,n=a=2Cb=3Dc,r=x", "a,b=c", ""},
        {"n,,n=dora,r=x,z=ext", "dora", ""},
        {"n,,n=dora@harbor.example,r=x", "dora@harbor.example", ""},
        {"p=tls-unique,,n=dora,r=x", NULL, NULL},
        {"p=tls-exporter,,n=dora,r=x", NULL, NULL},
        {"n,,m=x,n=dora,r=x", NULL, NULL},
        {"n,,n=dora,r=x,m=x", NULL, NULL},
        {"n,,r=x,n=dora", NULL, NULL},
        {"n,,n=,r=x", NULL, NULL},
        {"n,a=,n=dora,r=x", NULL, NULL},
        {"n,b=x,n=dora,r=x", NULL, NULL},
        {"n,,n=dora=2c,r=x", NULL, NULL},
        {"n,,n=dora=,r=x", NULL, NULL},
        {"n,,n=dora=2,r=x", NULL, NULL},
        {"n,,n=dora,r=", NULL, NULL},
        {"n,,n=dora,r=a b", NULL, NULL},
        {"n,,n=dora,r=\xc3\xa9", NULL, NULL},
        {"n,,n=dora,r=x,", NULL, NULL},
        {"n,,n=dora,r=x,z", NULL, NULL},
        {"n,,n=dora,r=x,z=", NULL, NULL},
        {"n,,n=dora", NULL, NULL},
        {"n,n=dora,r=x", NULL, NULL},
        {"n=dora,r=x", NULL, NULL},
        {"x,,n=dora,r=x", NULL, NULL},
        {"N,,n=dora,r=x", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_server s;
        struct buf user, authzid;
        scram_init(&s);
        buf_init(&user, 100);
        buf_init(&authzid, 100);
        enum err e = scram_first(&s, str_of(cases[i].first), &user, &authzid);
        assert_int_equal(e == ERR_OK, cases[i].user != NULL);
        if (e == ERR_OK) {
            assert_true(str_eq(buf_slice(&user), str_of(cases[i].user)));
            assert_true(str_eq(buf_slice(&authzid), str_of(cases[i].authzid)));
        }
        buf_free(&user);
        buf_free(&authzid);
        scram_free(&s);
    }
}

static void test_caps(void **state)
{
    static char text[SCRAM_MESSAGE_MAX + 10];
    (void)state;
    for (size_t nonce = SCRAM_NONCE_MAX - 1; nonce <= SCRAM_NONCE_MAX + 1; nonce++) {
        struct scram_server s;
        struct buf user, authzid;
        int n = snprintf(text, sizeof text, "n,,n=d,r=");
        memset(text + n, 'x', nonce);
        scram_init(&s);
        buf_init(&user, 100);
        buf_init(&authzid, 100);
        assert_int_equal(scram_first(&s, (struct str){text, (size_t)n + nonce}, &user, &authzid),
                         nonce <= SCRAM_NONCE_MAX ? ERR_OK : ERR_TOO_LONG);
        buf_free(&user);
        buf_free(&authzid);
        scram_free(&s);
    }
    for (size_t size = SCRAM_MESSAGE_MAX - 1; size <= SCRAM_MESSAGE_MAX + 1; size++) {
        struct scram_server s;
        struct buf user, authzid;
        int n = snprintf(text, sizeof text, "n,,n=d,r=x,z=");
        memset(text + n, 'x', size - (size_t)n);
        scram_init(&s);
        buf_init(&user, 100);
        buf_init(&authzid, 100);
        assert_int_equal(scram_first(&s, (struct str){text, size}, &user, &authzid),
                         size <= SCRAM_MESSAGE_MAX ? ERR_OK : ERR_TOO_LONG);
        buf_free(&user);
        buf_free(&authzid);
        scram_free(&s);
    }
}

/* libgsasl's client against our server. */
static void gsasl_login(Gsasl *lib, const struct scram_keys *keys, const char *password, bool right)
{
    Gsasl_session *client;
    struct scram_server s;
    struct buf user, authzid, out;
    char random[SCRAM_NONCE_NEW + 1], *text = NULL, zero[4096];
    size_t n = 0;
    scram_init(&s);
    buf_init(&user, 500);
    buf_init(&authzid, 500);
    buf_init(&out, 4000);
    assert_int_equal(gsasl_client_start(lib, "SCRAM-SHA-256", &client), GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, "dora,=x@harbor.example");
    gsasl_property_set(client, GSASL_PASSWORD, password);
    assert_int_equal(gsasl_step(client, "", 0, &text, &n), GSASL_NEEDS_MORE);
    assert_int_equal(scram_first(&s, (struct str){text, n}, &user, &authzid), ERR_OK);
    assert_true(str_eq(buf_slice(&user), STR("dora,=x@harbor.example")));
    gsasl_free(text);
    scram_random(random);
    assert_int_equal(scram_challenge(&s, keys, str_of(random), &out), ERR_OK);
    memcpy(zero, out.p, out.n);
    zero[out.n] = '\0';
    assert_int_equal(gsasl_step(client, zero, out.n, &text, &n), GSASL_NEEDS_MORE);
    buf_clear(&out);
    assert_int_equal(scram_final(&s, (struct str){text, n}, &out),
                     right ? ERR_OK : ERR_AUTH_FAILED);
    gsasl_free(text);
    if (right) {
        memcpy(zero, out.p, out.n);
        zero[out.n] = '\0';
        assert_int_equal(gsasl_step(client, zero, out.n, &text, &n), GSASL_OK);
        gsasl_free(text);
    }
    gsasl_finish(client);
    buf_free(&user);
    buf_free(&authzid);
    buf_free(&out);
    scram_free(&s);
}

static void test_against_gsasl(void **state)
{
    static const char *const passwords[] = {"correct-horse", " a&b<c\"d ", "\xc3\xa9t\xc3\xa9",
                                            "e\xcc\x81te\xcc\x81", "\xe2\x85\xa8 nine"};
    Gsasl *lib;
    (void)state;
    assert_int_equal(gsasl_init(&lib), GSASL_OK);
    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        struct scram_keys keys;
        assert_int_equal(
            verifier_scram(str_of(passwords[i]), STR("sixteen-bytes-ok"), 10000, &keys), ERR_OK);
        for (size_t k = 0; k < ARRAY_LEN(passwords);
             k++) /* the third and fourth are one password */
            gsasl_login(lib, &keys, passwords[k], i == k || ((i | 1) == 3 && (k | 1) == 3));
    }
    gsasl_done(lib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc7677), cmocka_unit_test(test_against_python),
        cmocka_unit_test(test_broken),  cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_caps),    cmocka_unit_test(test_against_gsasl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
