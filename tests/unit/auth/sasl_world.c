// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tests/unit/auth/sasl_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/auth/is_right.h"
#include <gsasl.h>

#include "codec/b64.h"

struct world *w;

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

int world_setup(void **state)
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
                               .host = "mx1.harbor.example",
                               .exchange_time = 60 * S};
    assert_int_equal(verifier_make(STR("anything"), &options, &dummy), ERR_OK);
    assert_int_equal(sasl_env_init(&w->env, secret, str_of(dummy.hash)), ERR_OK);
    add(0, "dora", RIGHT);
    w->account[0].real_name[0] = 'D';
    add(1, "otto", "otto's \"pass&word<");
    w->account[1].verifiers.has_scram = w->account[1].verifiers.has_cram = false;
    add(2, "eve", RIGHT);
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    pwcache_free(&w->cache);
    nonces_free(&w->nonces);
    free(w->mem);
    free(w);
    return 0;
}

struct sasl_login base(void)
{
    struct sasl_login in = {.target_domain = STR("harbor.example"), .tls = true};
    assert_int_equal(ip_parse(STR("192.0.2.7"), &in.address), ERR_OK);
    return in;
}

struct str b64(struct str clear)
{
    static struct buf b[4];
    static int turn;
    struct buf *to = &b[turn++ & 3];
    buf_free(to);
    buf_init(to, 1 << 16);
    b64_encode(to, clear);
    return to->p != NULL ? buf_slice(to) : STR("");
}

struct str said(const struct sasl *s)
{
    static struct buf b;
    buf_free(&b);
    buf_init(&b, 1 << 16);
    assert_int_equal(b64_decode(&b, buf_slice(&s->challenge)), ERR_OK);
    return b.p != NULL ? buf_slice(&b) : STR("");
}

enum err settle(struct sasl *s, enum sasl_next next, int64_t now)
{
    if (next == SASL_CHECK)
        next = sasl_checked(s, &w->env, is_right(s->hash, buf_slice(&s->password)), now);
    assert_int_equal(next, SASL_DONE);
    return s->err;
}

enum err clear_login(const char *name, const char *password, int64_t now)
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

enum err scram(const char *user, const char *authzid, const char *password, struct buf *salt)
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
