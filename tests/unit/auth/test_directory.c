// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/pwchange.h"
#include "tests/unit/auth/is_right.h"

#define S INT64_C(1000000000)

static const struct str domains[] = {{"harbor.example", 14}, {"pier.example", 12}};
static const struct directory_options options = {.banks = 4, .domains = domains, .ndomains = 2};
static const struct verifier_options quick = {.cost = 1, .iterations = 10000, .min_length = 6};

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_directory.XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/accounts.db", dir);
    return 0;
}

static int teardown(void **state)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    char name[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
    return rmdir(dir);
}

static struct directory *open_it(void)
{
    struct directory *d;
    assert_int_equal(directory_open(&d, path, &options), ERR_OK);
    assert_non_null(d);
    return d;
}

static struct account draft(const char *name)
{
    struct account a = {.flags = 0};
    assert_int_equal(name_canon(str_of(name), domains[0], &a.name), ERR_OK);
    verifier_none(&a.verifiers);
    return a;
}

static uint64_t add(struct directory *d, const char *name)
{
    struct account a = draft(name);
    assert_int_equal(directory_add(d, &a, 1700000000), ERR_OK);
    return a.id;
}

static void assert_same(const struct verifiers *a, const struct verifiers *b)
{
    struct buf x, y;
    buf_init(&x, VERIFIER_TEXT_MAX);
    buf_init(&y, VERIFIER_TEXT_MAX);
    verifier_put(&x, a);
    verifier_put(&y, b);
    assert_true(x.n != 0 && str_eq(buf_slice(&x), buf_slice(&y)));
    buf_free(&x);
    buf_free(&y);
}

static void test_add_find(void **state)
{
    struct directory *d = open_it();
    struct account a = draft("dora"), b;
    uint8_t secret[32];
    (void)state;
    snprintf(a.real_name, sizeof a.real_name, "Dora Quay");
    snprintf(a.language, sizeof a.language, "english");
    snprintf(a.recovery, sizeof a.recovery, "dora@elsewhere.example");
    a.flags = ACCOUNT_EXPIRED;
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &a.verifiers), ERR_OK);
    assert_int_equal(directory_add(d, &a, 1700000000), ERR_OK);
    assert_int_equal(a.id, 1);
    assert_int_equal(directory_find(d, STR("dora@harbor.example"), &b), ERR_OK);
    assert_same(&a.verifiers, &b.verifiers);
    assert_string_equal(b.real_name, "Dora Quay");
    assert_string_equal(b.language, "english");
    assert_string_equal(b.recovery, "dora@elsewhere.example");
    assert_string_equal(b.name.text, "dora@harbor.example");
    assert_int_equal(b.name.local_n, 4);
    assert_int_equal(b.flags, ACCOUNT_EXPIRED);
    assert_int_equal(b.created, 1700000000);
    assert_int_equal(b.version, 1);
    assert_int_equal(directory_find(d, STR("otto@harbor.example"), &b), ERR_NOT_FOUND);
    assert_int_equal(directory_find(d, STR("dora@elsewhere.example"), &b), ERR_NOT_FOUND);
    assert_int_equal(directory_find(d, STR("dora"), &b), ERR_NOT_FOUND);
    assert_int_equal(directory_find(d, STR(""), &b), ERR_NOT_FOUND);
    a = draft("DORA");
    assert_int_equal(directory_add(d, &a, 0), ERR_EXISTS);
    a = draft("dora@elsewhere.example");
    assert_int_equal(directory_add(d, &a, 0), ERR_NOT_FOUND);
    memcpy(secret, directory_secret(d), sizeof secret);
    directory_close(&d);
    d = open_it(); /* all of it is still there */
    assert_memory_equal(secret, directory_secret(d), sizeof secret);
    assert_int_equal(directory_find(d, STR("dora@harbor.example"), &b), ERR_OK);
    assert_int_equal(b.id, 1);
    directory_set_domains(d, domains + 1, 1); /* her domain is taken out of the configuration */
    assert_int_equal(directory_find(d, STR("dora@harbor.example"), &b), ERR_NOT_FOUND);
    directory_close(&d);
    directory_close(&d);
}

/* Banks fill evenly, also after removals; an id is never given twice. */
static void test_banks(void **state)
{
    struct directory *d = open_it();
    uint32_t per_bank[4] = {0};
    uint64_t id = 0, n;
    struct account a;
    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%02d", i);
        id = add(d, name);
        assert_int_equal(id, i + 1);
        assert_int_equal(directory_find_id(d, id, &a), ERR_OK);
        per_bank[a.bank]++;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(per_bank[i], 5);
    assert_int_equal(directory_remove(d, 20), ERR_OK);
    assert_int_equal(directory_remove(d, 20), ERR_NOT_FOUND);
    assert_int_equal(directory_remove(d, 2), ERR_OK);
    assert_int_equal(directory_remove(d, 6), ERR_OK); /* the bank of n01 twice */
    assert_int_equal(directory_count(d, &n), ERR_OK);
    assert_int_equal(n, 17);
    directory_close(&d);
    d = open_it();
    id = add(d, "new");
    assert_int_equal(id, 21);
    assert_int_equal(directory_find_id(d, id, &a), ERR_OK);
    assert_int_equal(a.bank, 1);
    assert_int_equal(directory_count(d, &n), ERR_OK);
    assert_int_equal(n, 18);
    directory_close(&d);
}

static void test_list(void **state)
{
    struct directory *d = open_it();
    static struct account page[7];
    char after[NAME_MAX + 1] = "", last[NAME_MAX + 1] = "";
    uint32_t n, all = 0;
    (void)state;
    assert_int_equal(directory_list(d, STR(""), page, 7, &n), ERR_OK);
    assert_int_equal(n, 0);
    for (int i = 0; i < 20; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%02d", (i * 7) % 20);
        (void)add(d, name);
    }
    do {
        assert_int_equal(directory_list(d, str_of(after), page, 7, &n), ERR_OK);
        for (uint32_t i = 0; i < n; i++, all++) {
            assert_true(strcmp(last, page[i].name.text) < 0);
            memcpy(last, page[i].name.text, sizeof last);
            assert_string_equal(page[i].verifiers.hash, "*");
        }
        memcpy(after, last, sizeof after);
    } while (n == 7);
    assert_int_equal(all, 20);
    directory_close(&d);
}

static void test_aliases(void **state)
{
    struct directory *d = open_it();
    struct account a;
    (void)state;
    uint64_t dora = add(d, "dora"), otto = add(d, "otto@pier.example");
    assert_int_equal(directory_alias_add(d, STR("d.quay@pier.example"), dora), ERR_OK);
    assert_int_equal(directory_find(d, STR("d.quay@pier.example"), &a), ERR_OK);
    assert_int_equal(a.id, dora);
    assert_string_equal(a.name.text, "dora@harbor.example");
    assert_int_equal(directory_alias_add(d, STR("d.quay@pier.example"), otto), ERR_EXISTS);
    assert_int_equal(directory_alias_add(d, STR("otto@pier.example"), dora), ERR_EXISTS);
    assert_int_equal(directory_alias_add(d, STR("x@pier.example"), 77), ERR_NOT_FOUND);
    assert_int_equal(directory_alias_add(d, STR("x@elsewhere.example"), dora), ERR_NOT_FOUND);
    a = draft("d.quay@pier.example");
    assert_int_equal(directory_add(d, &a, 0), ERR_EXISTS);
    assert_int_equal(directory_alias_add(d, STR("gone@pier.example"), dora), ERR_OK);
    assert_int_equal(directory_alias_remove(d, STR("gone@pier.example")), ERR_OK);
    assert_int_equal(directory_alias_remove(d, STR("gone@pier.example")), ERR_NOT_FOUND);
    assert_int_equal(directory_remove(d, dora), ERR_OK);
    assert_int_equal(directory_find(d, STR("d.quay@pier.example"), &a), ERR_NOT_FOUND);
    (void)add(d, "d.quay@pier.example");
    directory_close(&d);
}

/* Whose row was read for it is nobody's business, and who is gone is no decoy. */
static void assert_nobody(struct directory *d, const char *name)
{
    static const struct account none;
    struct account a;
    memset(&a, 1, sizeof a);
    assert_int_equal(directory_find(d, str_of(name), &a), ERR_NOT_FOUND);
    assert_memory_equal(&a, &none, sizeof a);
}

static void test_nobody(void **state)
{
    struct directory *d = open_it();
    struct account a;
    (void)state;
    assert_nobody(d, "dora@harbor.example");
    uint64_t dora = add(d, "dora"), otto = add(d, "otto");
    assert_nobody(d, "nobody@harbor.example");
    assert_nobody(d, "dora@elsewhere.example");
    assert_int_equal(directory_remove(d, dora), ERR_OK);
    assert_nobody(d, "dora@harbor.example");
    assert_int_equal(directory_find(d, STR("otto@harbor.example"), &a), ERR_OK);
    assert_int_equal(a.id, otto);
    assert_int_equal(directory_remove(d, otto), ERR_OK);
    assert_nobody(d, "otto@harbor.example");
    (void)add(d, "eve");
    assert_nobody(d, "otto@harbor.example");
    directory_close(&d);
    d = open_it();
    assert_nobody(d, "otto@harbor.example");
    assert_int_equal(directory_find(d, STR("eve@harbor.example"), &a), ERR_OK);
    directory_close(&d);
}

static void test_changes(void **state)
{
    struct directory *d = open_it();
    static char text[ACCOUNT_REAL_NAME_MAX + 2];
    struct verifiers v;
    struct account a;
    (void)state;
    uint64_t id = add(d, "dora");
    assert_int_equal(directory_set_flags(d, id, ACCOUNT_EXPIRED | ACCOUNT_FIXED), ERR_OK);
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &v), ERR_OK);
    assert_int_equal(directory_rehash(d, id, 2, &v), ERR_NOT_FOUND);
    assert_int_equal(directory_set_password(d, id, &v), ERR_OK);
    assert_int_equal(directory_find_id(d, id, &a), ERR_OK);
    assert_int_equal(a.flags, ACCOUNT_FIXED);
    assert_int_equal(a.version, 2);
    assert_same(&a.verifiers, &v);
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &v), ERR_OK);
    assert_int_equal(directory_rehash(d, id, 1, &v), ERR_NOT_FOUND);
    assert_int_equal(directory_rehash(d, id, 2, &v), ERR_OK);
    assert_int_equal(directory_find_id(d, id, &a), ERR_OK);
    assert_int_equal(a.version, 2);
    assert_same(&a.verifiers, &v);
    assert_int_equal(directory_set_password(d, 99, &v), ERR_NOT_FOUND);
    assert_int_equal(directory_set_flags(d, 99, 0), ERR_NOT_FOUND);
    memset(text, 'x', sizeof text - 1);
    for (size_t n = ACCOUNT_REAL_NAME_MAX - 1; n <= ACCOUNT_REAL_NAME_MAX + 1; n++)
        assert_int_equal(directory_set_text(d, id, DIRECTORY_REAL_NAME, (struct str){text, n}),
                         n <= ACCOUNT_REAL_NAME_MAX ? ERR_OK : ERR_TOO_LONG);
    assert_int_equal(directory_set_text(d, id, DIRECTORY_REAL_NAME, STR("a\xff")), ERR_SYNTAX);
    assert_int_equal(directory_set_text(d, id, DIRECTORY_LANGUAGE, STR("german")), ERR_OK);
    assert_int_equal(directory_set_text(d, id, DIRECTORY_RECOVERY, STR("")), ERR_OK);
    assert_int_equal(directory_set_text(d, 99, DIRECTORY_RECOVERY, STR("")), ERR_NOT_FOUND);
    assert_int_equal(directory_find_id(d, id, &a), ERR_OK);
    assert_int_equal(strlen(a.real_name), ACCOUNT_REAL_NAME_MAX);
    assert_string_equal(a.language, "german");
    directory_close(&d);
}

/* --- passwordModify (protocol 1, 6) */

struct world {
    struct directory *d;
    struct sasl_env env;
    struct pwcache cache;
    struct faillog fails;
    void *mem;
    uint64_t id;
};

static void begin(struct world *w)
{
    static const struct faillog_options fo = FAILLOG_DEFAULTS;
    struct account a = draft("dora");
    *w = (struct world){.d = open_it()};
    w->mem = calloc(1, faillog_size(&fo));
    assert_int_equal(faillog_attach(&w->fails, w->mem, faillog_size(&fo), &fo), ERR_OK);
    assert_int_equal(pwcache_init(&w->cache, 64, PWCACHE_LIFE), ERR_OK);
    w->env = (struct sasl_env){.find = directory_sasl_find,
                               .ctx = w->d,
                               .cache = &w->cache,
                               .fails = &w->fails,
                               .verifier = quick};
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &a.verifiers), ERR_OK);
    assert_int_equal(directory_add(w->d, &a, 0), ERR_OK);
    w->id = a.id;
}

static void end(struct world *w)
{
    pwcache_free(&w->cache);
    free(w->mem);
    directory_close(&w->d);
}

/* What auth and a hasher do together. */
static enum err change(struct world *w, const char *old, const char *new, const char *recovery)
{
    struct pwchange c;
    struct pwchange_request rq = {w->id, str_of(old), str_of(new), str_of(recovery)};
    enum pwchange_next next = pwchange_start(&c, w->d, &w->env, &rq, S);
    if (next == PWCHANGE_CHECK)
        next = pwchange_checked(
            &c, w->d, &w->env,
            is_right(str_of(c.account.verifiers.hash), buf_slice(&c.old_password)), S);
    if (next == PWCHANGE_MAKE) {
        struct verifiers v;
        enum err e = verifier_make(buf_slice(&c.new_password), &quick, &v);
        next = pwchange_made(&c, w->d, &w->env, e, &v);
    }
    assert_int_equal(next, PWCHANGE_DONE);
    enum err e = c.err;
    assert_null(c.old_password.p);
    assert_null(c.new_password.p);
    pwchange_end(&c);
    return e;
}

static bool is_password(struct world *w, const char *password)
{
    struct account a;
    assert_int_equal(directory_find_id(w->d, w->id, &a), ERR_OK);
    return is_right(str_of(a.verifiers.hash), str_of(password));
}

static void test_pwchange(void **state)
{
    static char long_text[VERIFIER_PASSWORD_MAX + 2];
    struct world w;
    struct account a;
    (void)state;
    begin(&w);
    memset(long_text, 'x', sizeof long_text - 1);
    assert_int_equal(change(&w, "wrong", "new-horse", NULL), ERR_AUTH_FAILED);
    assert_int_equal(change(&w, "correct-horse", "short", NULL), ERR_PASSWORD_POLICY);
    assert_int_equal(change(&w, "correct-horse", "", NULL), ERR_PASSWORD_POLICY);
    assert_int_equal(change(&w, "correct-horse", long_text, NULL), ERR_PASSWORD_POLICY);
    assert_int_equal(change(&w, long_text, "new-horse", NULL), ERR_AUTH_FAILED);
    assert_int_equal(change(&w, "correct-horse", NULL, NULL), ERR_ATTR_MISSING);
    assert_int_equal(change(&w, NULL, "new-horse", NULL), ERR_ATTR_MISSING);
    assert_int_equal(change(&w, "correct-horse", NULL, "nonsense"), ERR_ATTR_VALUE);
    assert_true(is_password(&w, "correct-horse"));
    pwcache_put(&w.cache, w.id, STR("correct-horse"), S);
    assert_int_equal(change(&w, "correct-horse", "new & <horse>\"", NULL), ERR_OK);
    assert_true(is_password(&w, "new & <horse>\""));
    assert_false(pwcache_hit(&w.cache, w.id, STR("correct-horse"), S));
    assert_int_equal(change(&w, "new & <horse>\"", NULL, "dora@elsewhere.example"), ERR_OK);
    assert_int_equal(directory_find_id(w.d, w.id, &a), ERR_OK);
    assert_string_equal(a.recovery, "dora@elsewhere.example");
    assert_int_equal(change(&w, "new & <horse>\"", "third-horse", ""), ERR_OK);
    assert_int_equal(directory_find_id(w.d, w.id, &a), ERR_OK);
    assert_string_equal(a.recovery, "");
    assert_int_equal(directory_set_flags(w.d, w.id, ACCOUNT_FIXED), ERR_OK);
    assert_int_equal(change(&w, "third-horse", "fourth-horse", NULL), ERR_PASSWORD_FIXED);
    assert_int_equal(change(&w, "wrong", "fourth-horse", NULL), ERR_AUTH_FAILED);
    assert_int_equal(change(&w, "third-horse", NULL, "dora@elsewhere.example"), ERR_OK);
    /* wrong old passwords are failed logins */
    for (int i = 0; i < 10; i++)
        assert_int_equal(change(&w, "wrong", "fourth-horse", NULL), ERR_AUTH_FAILED);
    assert_int_equal(change(&w, "third-horse", NULL, ""), ERR_ACCOUNT_BLOCKED);
    end(&w);
}

/* Two changes at once: the slower one's old password is not the account's any more. */
static void test_pwchange_race(void **state)
{
    struct world w;
    struct pwchange c;
    struct verifiers v;
    (void)state;
    begin(&w);
    struct pwchange_request rq = {w.id, STR("correct-horse"), STR("slow-horse"), STR_NONE};
    assert_int_equal(pwchange_start(&c, w.d, &w.env, &rq, S), PWCHANGE_CHECK);
    assert_int_equal(pwchange_checked(&c, w.d, &w.env, true, S), PWCHANGE_MAKE);
    assert_int_equal(change(&w, "correct-horse", "fast-horse", NULL), ERR_OK);
    assert_int_equal(verifier_make(STR("slow-horse"), &quick, &v), ERR_OK);
    assert_int_equal(pwchange_made(&c, w.d, &w.env, ERR_OK, &v), PWCHANGE_DONE);
    assert_int_equal(c.err, ERR_AUTH_FAILED);
    pwchange_end(&c);
    assert_true(is_password(&w, "fast-horse"));
    end(&w);
}

static struct verifiers keys(bool cram)
{
    struct verifier_options opt = quick;
    struct verifiers v;
    opt.cram = cram;
    assert_int_equal(verifier_make(STR("correct-horse"), &opt, &v), ERR_OK);
    return v;
}

/* Does anybody of a domain have what CRAM-MD5 needs? Right after every change, and for the other domain too. */
static void test_has_cram(void **state)
{
    struct directory *d = open_it();
    struct verifiers with = keys(true), without = keys(false);
    struct account a = draft("dora"), b = draft("dora@pier.example");
    (void)state;
    assert_false(directory_has_cram(d, domains[0]));
    a.verifiers = without;
    assert_int_equal(directory_add(d, &a, 0), ERR_OK);
    assert_false(directory_has_cram(d, domains[0]));
    b.verifiers = with;
    assert_int_equal(directory_add(d, &b, 0), ERR_OK);
    assert_false(directory_has_cram(d, domains[0]));
    assert_true(directory_has_cram(d, domains[1]));
    assert_false(directory_has_cram(d, STR("example")));
    assert_false(directory_has_cram(d, STR("")));
    assert_int_equal(directory_rehash(d, a.id, 1, &with), ERR_OK);
    assert_true(directory_has_cram(d, domains[0]));
    assert_int_equal(directory_set_password(d, a.id, &without), ERR_OK);
    assert_false(directory_has_cram(d, domains[0]));
    assert_int_equal(directory_set_password(d, a.id, &with), ERR_OK);
    assert_int_equal(directory_remove(d, b.id), ERR_OK);
    assert_false(directory_has_cram(d, domains[1]));
    assert_true(directory_has_cram(d, domains[0]));
    directory_set_domains(d, domains + 1, 1);
    assert_false(directory_has_cram(d, domains[0]));
    assert_false(directory_has_cram(d, domains[1]));
    directory_close(&d);
    d = open_it();
    assert_true(directory_has_cram(d, domains[0]));
    directory_close(&d);
    verifier_wipe(&with);
    verifier_wipe(&without);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_add_find), T(test_banks),         T(test_list),     T(test_aliases), T(test_changes),
        T(test_pwchange), T(test_pwchange_race), T(test_has_cram), T(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
