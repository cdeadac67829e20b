// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * same-work FOLDER FORM NAME: failed logins of that form for NAME00 ... NAME07 against a directory that is made in FOLDER with
 * the accounts known00 ... known39, as auth does them, without the other processes. For test_same_work.py, which has the
 * instructions within attempt() counted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/attempts.h"
#include "auth/directory.h"
#include "auth/sasl.h"
#include "base/utf8.h"
#include "codec/b64.h"

#define NAMES    8
#define ACCOUNTS 40
#define WARM     16
#define COUNTED  200

static const struct verifier_options options = {
    .cost = 1, .iterations = VERIFIER_ITER_MIN, .min_length = 6, .cram = true};
static struct sasl_env env;
static struct attempts *attempts;

static void must(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_name(e));
    exit(1);
}

static struct directory *make_directory(const char *folder)
{
    static const struct str domains[] = {STR("harbor.example")};
    const struct directory_options opt = {.banks = 2, .domains = domains, .ndomains = 1};
    struct directory *d;
    struct verifiers v;
    char path[512], name[32];
    snprintf(path, sizeof path, "%s/accounts.db", folder);
    must(directory_open(&d, path, &opt), "open");
    must(verifier_make(STR("correct-horse"), &options, &v), "verifiers");
    for (int i = 0; i < ACCOUNTS; i++) {
        struct account a = {.verifiers = v};
        snprintf(name, sizeof name, "known%02d", i);
        snprintf(a.real_name, sizeof a.real_name, "Known the %dth", i);
        must(name_canon(str_of(name), domains[0], &a.name), "name");
        must(directory_add(d, &a, 1), "add");
    }
    return d;
}

static void make_env(struct directory *d)
{
    static struct pwcache cache;
    static struct nonces nonces;
    static struct faillog fails;
    struct faillog_options fo = FAILLOG_DEFAULTS;
    struct verifiers dummy;
    fo.account_limit = fo.address_limit = 1000000;
    void *mem = calloc(1, faillog_size(&fo));
    must(mem != NULL ? faillog_attach(&fails, mem, faillog_size(&fo), &fo) : ERR_NOMEM, "faillog");
    must(pwcache_init(&cache, 64, PWCACHE_LIFE), "pwcache");
    must(nonces_init(&nonces, 1000), "nonces");
    must(attempts_new(&attempts, 100), "attempts");
    must(verifier_make(STR("anything"), &options, &dummy), "verifiers");
    env = (struct sasl_env){.find = directory_sasl_find,
                            .ctx = d,
                            .cache = &cache,
                            .nonces = &nonces,
                            .fails = &fails,
                            .verifier = options,
                            .host = "mx1.harbor.example",
                            .exchange_time = INT64_C(60000000000)};
    must(sasl_env_init(&env, directory_secret(d), str_of(dummy.hash)), "env");
}

/* The client's next step, in base64: of CRAM-MD5 digits that fit nothing, of SCRAM a proof that proves nothing. */
static void answer(const char *form, const char *name, struct str challenge, struct buf *out)
{
    static const char zeros[MAC_LEN];
    struct buf theirs, clear, proof;
    buf_init(&theirs, 4096);
    buf_init(&clear, 4096);
    buf_init(&proof, 4096);
    must(b64_decode(&theirs, challenge), "challenge");
    struct str nonce = str_sub(buf_slice(&theirs), 2, str_find(buf_slice(&theirs), ','));
    b64_encode(&proof, (struct str){zeros, sizeof zeros});
    if (strcmp(form, "cram") == 0)
        buf_printf(&clear, "%s %032d", name, 0);
    else
        buf_printf(&clear, "c=biws,r=%.*s,p=%.*s", STR_FMT(nonce), STR_FMT(buf_slice(&proof)));
    b64_encode(out, buf_slice(&clear));
    buf_free(&theirs);
    buf_free(&clear);
    buf_free(&proof);
}

static struct sasl_login request(const char *form, const char *name, struct buf *first)
{
    struct sasl_login in = {.target_domain = STR("harbor.example"), .tls = true};
    struct buf clear;
    must(ip_parse(STR("192.0.2.7"), &in.address), "address");
    buf_init(&clear, 4096);
    if (strcmp(form, "cram") == 0) {
        in.method = STR("CRAM-MD5");
    } else if (strcmp(form, "scram") == 0) {
        in.method = STR("SCRAM-SHA-256");
        buf_printf(&clear, "n,,n=%s,r=0123456789abcdef0123456789abcdef", name);
        b64_encode(first, buf_slice(&clear));
        in.auth_data = buf_slice(first);
    } else if (strcmp(form, "session") == 0) {
        in.user_name = str_of(name);
        in.session_id = STR("100001-00vyGAE3VFSPzb63QgfD");
    } else {
        in.auth_data = str_of(name);
        in.password = STR("oops-oops");
    }
    buf_free(&clear);
    return in;
}

/* What is counted, all of it: what auth does between two packets, and remembers at the end. */
__attribute__((noinline)) void attempt_start(struct sasl *s, const struct sasl_login *in);
__attribute__((noinline)) void attempt_start(struct sasl *s, const struct sasl_login *in)
{
    enum sasl_next next = sasl_start(s, &env, in, 1);
    if (next == SASL_CHECK || next == SASL_SESSION)
        (void)!sasl_checked(s, &env, false, 1);
}

__attribute__((noinline)) void attempt_step(struct sasl *s, struct str value);
__attribute__((noinline)) void attempt_step(struct sasl *s, struct str value)
{
    (void)!sasl_step(s, &env, value, 1);
}

__attribute__((noinline)) void attempt_end(struct sasl *s);
__attribute__((noinline)) void attempt_end(struct sasl *s)
{
    const struct attempt at = {.wall = 1, .err = (uint16_t)s->err, .reason = (uint8_t)s->reason};
    attempts_add(attempts, name_str(&s->account.name), s->account.id != 0, &at);
    sasl_end(s);
}

static void log_in(const char *form, const char *name)
{
    struct sasl s;
    struct buf first, next;
    buf_init(&first, 4096);
    buf_init(&next, 4096);
    struct sasl_login in = request(form, name, &first);
    attempt_start(&s, &in);
    if (s.next == SASL_CHALLENGE) {
        answer(form, name, buf_slice(&s.challenge), &next);
        attempt_step(&s, buf_slice(&next));
    }
    if (s.next != SASL_DONE || s.err != ERR_AUTH_FAILED)
        must(ERR_INTERNAL, "a login that must fail");
    attempt_end(&s);
    buf_free(&first);
    buf_free(&next);
}

int main(int argc, char **argv)
{
    char name[64];
    if (argc != 4)
        return 2;
    struct directory *d = make_directory(argv[1]);
    make_env(d);
    for (int i = 0; i < WARM + COUNTED; i++) {
        snprintf(name, sizeof name, "%s%02d", argv[3], i % NAMES);
        log_in(argv[2], name);
    }
    directory_close(&d);
    return 0;
}
