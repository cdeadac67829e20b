// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gsasl.h>

#include "codec/b64.h"

#define S        INT64_C(1000000000)
#define RIGHT    "correct-horse"
#define FAIL_N   10
#define LOGIN_OK "dora@harbor.example"

/* Three accounts in a row: dora, otto (no keys: a hash of another system), and one whose flags a test sets. */
struct world {
    struct sasl_env env;
    struct pwcache cache;
    struct nonces nonces;
    struct faillog fails;
    void *mem;
    struct account account[3];
    uint32_t finds;
    bool broken;
};

static struct world *w;

static enum err find(void *ctx, struct str name, struct account *out)
{
    struct world *in = ctx;
    in->finds++;
    if (in->broken)
        return ERR_DB;
    if (str_eq(name, STR("d.quay@harbor.example"))) /* an alias */
        name = STR("dora@harbor.example");
    for (size_t i = 0; i < ARRAY_LEN(in->account); i++) {
        if (str_eq(name, name_str(&in->account[i].name))) {
            *out = in->account[i];
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static const struct verifier_options options = {
    .cost = 1, .iterations = 10000, .min_length = 6, .cram = true};

static void add(size_t i, const char *name, const char *password)
{
    struct account *a = &w->account[i];
    *a = (struct account){.id = i + 1, .bank = (uint32_t)i, .version = 1};
    assert_int_equal(name_canon(str_of(name), STR("harbor.example"), &a->name), ERR_OK);
    assert_int_equal(verifier_make(str_of(password), &options, &a->verifiers), ERR_OK);
}

static int setup(void **state)
{
    static const struct faillog_options fo = FAILLOG_DEFAULTS;
    static const uint8_t secret[32] = {1, 2, 3};
    struct verifiers dummy;
    (void)state;
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return -1;
    w->mem = calloc(1, faillog_size(&fo));
    assert_int_equal(faillog_attach(&w->fails, w->mem, faillog_size(&fo), &fo), ERR_OK);
    assert_int_equal(pwcache_init(&w->cache, 64, PWCACHE_LIFE), ERR_OK);
    assert_int_equal(nonces_init(&w->nonces, 1000), ERR_OK);
    w->env = (struct sasl_env){.find = find,
                               .ctx = w,
                               .cache = &w->cache,
                               .nonces = &w->nonces,
                               .fails = &w->fails,
                               .verifier = options,
                               .host = "mx1.harbor.example"};
    assert_int_equal(verifier_make(STR("anything"), &options, &dummy), ERR_OK);
    assert_int_equal(sasl_env_init(&w->env, secret, str_of(dummy.hash)), ERR_OK);
    add(0, "dora", RIGHT);
    w->account[0].real_name[0] = 'D';
    add(1, "otto", "otto's \"pass&word<");
    w->account[1].verifiers.has_scram = w->account[1].verifiers.has_cram = false;
    add(2, "eve", RIGHT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pwcache_free(&w->cache);
    nonces_free(&w->nonces);
    free(w->mem);
    free(w);
    return 0;
}

static struct sasl_login base(void)
{
    struct sasl_login in = {.target_domain = STR("harbor.example"), .tls = true};
    assert_int_equal(ip_parse(STR("192.0.2.7"), &in.address), ERR_OK);
    return in;
}

static struct str b64(struct str clear)
{
    static struct buf b[4];
    static int turn;
    struct buf *to = &b[turn++ & 3];
    buf_free(to);
    buf_init(to, 1 << 16);
    b64_encode(to, clear);
    return to->p != NULL ? buf_slice(to) : STR("");
}

static struct str said(const struct sasl *s)
{
    static struct buf b;
    buf_free(&b);
    buf_init(&b, 1 << 16);
    assert_int_equal(b64_decode(&b, buf_slice(&s->challenge)), ERR_OK);
    return b.p != NULL ? buf_slice(&b) : STR("");
}

/* What auth and a hasher do together. */
static enum err settle(struct sasl *s, enum sasl_next next, int64_t now)
{
    if (next == SASL_CHECK)
        next = sasl_checked(s, &w->env, verifier_check(s->hash, buf_slice(&s->password)), now);
    assert_int_equal(next, SASL_DONE);
    return s->err;
}

static enum err clear_login(const char *name, const char *password, int64_t now)
{
    struct sasl s;
    struct sasl_login in = base();
    in.auth_data = str_of(name);
    in.password = str_of(password);
    enum err e = settle(&s, sasl_start(&s, &w->env, &in, now), now);
    if (e == ERR_OK)
        assert_true(s.account.id != 0);
    sasl_end(&s);
    return e;
}

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
    assert_string_equal(s.account.name.text, LOGIN_OK);
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

static enum err scram(const char *user, const char *authzid, const char *password, struct buf *salt)
{
    Gsasl *lib;
    Gsasl_session *client;
    struct sasl s;
    struct sasl_login in = base();
    char *text = NULL, *next_text = NULL;
    in.method = STR("Scram-Sha-256");
    in.tls = false;
    in.clear_login = SASL_CLEAR_NO;
    assert_int_equal(gsasl_init(&lib), GSASL_OK);
    assert_int_equal(gsasl_client_start(lib, "SCRAM-SHA-256", &client), GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, user);
    gsasl_property_set(client, GSASL_PASSWORD, password);
    if (authzid != NULL)
        gsasl_property_set(client, GSASL_AUTHZID, authzid);
    assert_int_equal(gsasl_step64(client, "", &text), GSASL_NEEDS_MORE);
    in.auth_data = str_of(text);
    enum sasl_next next = sasl_start(&s, &w->env, &in, S);
    gsasl_free(text);
    int rc = GSASL_NEEDS_MORE;
    while (next == SASL_CHALLENGE) {
        char zero[4096];
        struct str c = buf_slice(&s.challenge);
        memcpy(zero, c.p, c.n);
        zero[c.n] = '\0';
        if (salt != NULL && salt->n == 0) {
            struct str first = said(&s);
            size_t at = str_find(first, ',');
            buf_str(salt, str_sub(first, at, first.n));
        }
        rc = gsasl_step64(client, zero, &next_text);
        assert_true(rc == GSASL_NEEDS_MORE || rc == GSASL_OK);
        next = sasl_step(&s, &w->env, str_of(next_text), S);
        gsasl_free(next_text);
    }
    enum err e = s.err;
    assert_int_equal(e == ERR_OK, rc == GSASL_OK);
    sasl_end(&s);
    gsasl_finish(client);
    gsasl_done(lib);
    return e;
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
                                        i == 1   ? S + SASL_TIME + 1
                                        : i == 2 ? S + SASL_TIME
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
    sasl_end(&s);
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
        buf_init(&list, 100);
        sasl_methods(&w->env, ok, &list);
        assert_true(str_eq(buf_slice(&list), ok ? STR("SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN")
                                                : STR("SCRAM-SHA-256 CRAM-MD5")));
        buf_free(&list);
    }
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_clear),
        T(test_password_lengths),
        T(test_cache),
        T(test_unknown_name),
        T(test_plain),
        T(test_login),
        T(test_cram),
        T(test_cram_nonce),
        T(test_scram),
        T(test_scram_order),
        T(test_sessionid),
        T(test_limits),
        T(test_parallel_guesses),
        T(test_flags),
        T(test_clear_rule),
        T(test_methods),
        T(test_data_cap),
        T(test_rehash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
