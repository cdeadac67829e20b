// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/verifier.h"

#include <crypt.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "codec/ipcmsg.h"
#include "tests/unit/auth/is_right.h"

/* The cheapest yescrypt: what is tested is not its cost. */
static const struct verifier_options quick = {.cost = 1, .iterations = 10000, .min_length = 6};

static bool no_memory; /* to be mapped */

/* What libcrypt calls. */
void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    if (!no_memory)
        return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, from);
    errno = ENOMEM;
    return MAP_FAILED;
}

static void check_round(struct str password)
{
    struct verifiers v, again;
    struct buf text;
    assert_int_equal(verifier_make(password, &quick, &v), ERR_OK);
    assert_true(v.has_scram);
    assert_false(v.has_cram);
    assert_true(str_starts(str_of(v.hash), STR("$y$")));
    assert_true(is_right(str_of(v.hash), password));
    buf_init(&text, VERIFIER_TEXT_MAX);
    verifier_put(&text, &v);
    assert_int_equal(buf_err(&text), ERR_OK);
    assert_int_equal(verifier_get(buf_slice(&text), &again), ERR_OK);
    struct buf twice;
    buf_init(&twice, VERIFIER_TEXT_MAX);
    verifier_put(&twice, &again);
    assert_true(str_eq(buf_slice(&text), buf_slice(&twice)));
    buf_free(&twice);
    buf_free(&text);
}

static void test_passwords(void **state)
{
    (void)state;
    check_round(STR("correct-horse"));
    check_round(STR(" a&b<c\"d' e "));
    check_round(STR("\xc3\xa9t\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91-key"));
    check_round(STR("\t\n\x01\x02\x03\x04 control"));
}

/* One password whatever the keyboard: composed or not, ligatures, no-break space (RFC 4013). */
static void test_saslprep(void **state)
{
    static const struct {
        const char *set, *typed;
        bool same;
    } rows[] = {
        {"\xc3\xa9t\xc3\xa9-horse", "e\xcc\x81te\xcc\x81-horse", true},
        {"IX-horse", "\xe2\x85\xa8-horse", true}, /* RFC 4013, 3: U+2168 is "IX" */
        {"IX-horse", "I\xc2\xadX-horse", true},   /* the same: U+00AD is nothing */
        {"two words", "two\xc2\xa0words", true},
        {"correct-horse", "Correct-horse", false},
        {"correct-horse", "correct-horse ", false},
        {"control\x01x", "controlx", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct verifiers v;
        assert_int_equal(verifier_make(str_of(rows[i].set), &quick, &v), ERR_OK);
        assert_int_equal(is_right(str_of(v.hash), str_of(rows[i].typed)), rows[i].same);
    }
}

static void test_lengths(void **state)
{
    static char text[VERIFIER_PASSWORD_MAX + 2];
    static const size_t n[] = {5, 6, 7, 510, 511, 512, 513, 1023, 1024, 1025};
    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        struct verifiers v;
        struct str password = {text, n[i]};
        bool fine = n[i] >= 6 && n[i] <= VERIFIER_PASSWORD_MAX;
        assert_int_equal(verifier_policy(password, &quick), fine ? ERR_OK : ERR_PASSWORD_POLICY);
        assert_int_equal(verifier_make(password, &quick, &v), fine ? ERR_OK : ERR_PASSWORD_POLICY);
        if (!fine)
            continue;
        assert_true(is_right(str_of(v.hash), password));
        /* every byte counts, also those that libxcrypt does not take */
        assert_false(is_right(str_of(v.hash), str_sub(password, 0, n[i] - 1)));
        if (n[i] < VERIFIER_PASSWORD_MAX)
            assert_false(is_right(str_of(v.hash), (struct str){text, n[i] + 1}));
    }
}

static void test_policy(void **state)
{
    struct verifier_options none = {.min_length = 0};
    (void)state;
    assert_int_equal(verifier_policy(STR(""), &none), ERR_PASSWORD_POLICY);
    assert_int_equal(verifier_policy(STR("x"), &none), ERR_OK);
    assert_int_equal(verifier_policy(STR("corr\0ect"), &quick), ERR_PASSWORD_POLICY);
    assert_int_equal(verifier_policy(STR("correct\xff"), &quick), ERR_PASSWORD_POLICY);
    /* characters, not bytes */
    assert_int_equal(verifier_policy(STR("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"), &quick),
                     ERR_PASSWORD_POLICY);
    assert_int_equal(
        verifier_policy(STR("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"), &quick), ERR_OK);
}

/* Forms of other systems, as `openssl passwd` (-6, -5, -1; not libxcrypt) writes them. */
static void test_foreign_hashes(void **state)
{
    static const char *const hash[] = {
        ("$6$saltsalt$K7UFl//Wp07xMvFGF5CNr3JVL52HTe9O9C8NXwEvinkuKFSKIlvZQXSwQoNHq5D"
         ".BYsXc7IkvOpvWCBRDof1g1"),
        "$5$saltsalt$CCKm5X4kzVCLWT/Hq5GucahpjziEZzqHdFDbxBDxFT8",
        "$1$saltsalt$JQBbW9mZ9/NDOyIlEImyp.",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hash); i++) {
        assert_true(is_right(str_of(hash[i]), STR("correct-horse")));
        assert_false(is_right(str_of(hash[i]), STR("correct-house")));
    }
    assert_false(is_right(STR("*"), STR("correct-horse")));
    assert_false(is_right(STR(""), STR("correct-horse")));
    assert_false(is_right(STR("correct-horse"), STR("correct-horse")));
    assert_false(is_right(STR("*0"), STR("correct-horse")));
    assert_false(is_right(STR("$y$"), STR("correct-horse")));
}

static enum err check_without_memory(const char *hash)
{
    bool right = true;
    no_memory = true;
    enum err e = verifier_check(str_of(hash), STR("correct-horse"), &right);
    no_memory = false;
    assert_false(right);
    return e;
}

/* A password that cannot be checked is not wrong; one that a damaged hash belongs to is, with or without memory. */
static void test_no_memory(void **state)
{
    static const char *const prefixes[] = {"$y$", "$gy$", "$7$"};
    static const char *const others[] = {
        "*",
        "*0",
        "correct-horse",
        "$y$",
        "$y$j75$",
        "$y$j75$salt",
        "$y$$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "$y$j75$sa-t$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "$7$CU..../...$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "$z$j75$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct verifiers v;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        char setting[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE + 1];
        struct crypt_data data = {0};
        unsigned long cost = i < 2 ? 1 : 6; /* the least of each */
        assert_non_null(crypt_gensalt_rn(prefixes[i], cost, NULL, 0, setting, sizeof setting));
        assert_non_null(crypt_rn("correct-horse", setting, &data, sizeof data));
        snprintf(hash, sizeof hash, "%s", data.output);
        assert_true(is_right(str_of(hash), STR("correct-horse")));
        assert_int_equal(check_without_memory(hash), ERR_NOMEM);
        assert_true(is_right(str_of(hash), STR("correct-horse")));
        size_t n = strlen(hash);
        hash[n] = 'a'; /* longer by one, then shorter by one */
        hash[n + 1] = '\0';
        assert_int_equal(check_without_memory(hash), ERR_OK);
        hash[n - 1] = '\0';
        assert_int_equal(check_without_memory(hash), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(check_without_memory(others[i]), ERR_OK);
    no_memory = true;
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &v), ERR_NOMEM);
    no_memory = false;
    assert_string_equal(v.hash, "*");
}

/* StoredKey and ServerKey as Python's hashlib computes them. */
static void test_scram_keys(void **state)
{
    static const struct {
        const char *password, *keys;
    } rows[] = {
#define SCRAM(password, keys, first, added, answer, final, verdict) {password, keys},
#define CRAM(password, challenge, digest)
#include "tests/unit/auth/vectors.tbl"
#undef CRAM
#undef SCRAM
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text;
        struct verifiers v;
        struct scram_keys k;
        buf_init(&text, VERIFIER_TEXT_MAX);
        buf_printf(&text, "* %s", rows[i].keys);
        assert_int_equal(verifier_get(buf_slice(&text), &v), ERR_OK);
        assert_true(v.has_scram);
        assert_int_equal(verifier_scram(str_of(rows[i].password),
                                        mac_str(v.scram.salt, v.scram.salt_n), v.scram.iterations,
                                        &k),
                         ERR_OK);
        assert_memory_equal(k.stored, v.scram.stored, MAC_LEN);
        assert_memory_equal(k.server, v.scram.server, MAC_LEN);
        buf_free(&text);
    }
}

#define KEYS                                                                                    \
    "SCRAM-SHA-256$10000:VHxkazDEbdw2Pr4R/YbZdQ==$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg=" \
    ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo="
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_text(void **state)
{
    static const char *const good[] = {"*", "$y$j9T$x", "* " KEYS, "* CRAM-MD5$" HEX,
                                       "$1$a$b " KEYS " CRAM-MD5$" HEX};
    static const char *const bad[] = {
        "",
        " ",
        "* ",
        " *",
        "*  " KEYS,
        "* " KEYS " ",
        "* " KEYS " " KEYS,
        "* CRAM-MD5$" HEX " " KEYS,
        "* CRAM-MD5$" HEX "0",
        "* CRAM-MD5$00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff",
        "a:b",
        "a\nb",
        "\xc3\xa9",
        "* SCRAM-SHA-1$10000:VHxk$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
        "* "
        "SCRAM-SHA-256$010000:VHxkazDEbdw2Pr4R/YbZdQ==$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
        "* SCRAM-SHA-256$9999:VHxkazDEbdw2Pr4R/YbZdQ==$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
        "* "
        "SCRAM-SHA-256$1000001:VHxkazDEbdw2Pr4R/"
        "YbZdQ==$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
        "* SCRAM-SHA-256$10000:VHxkazDEbdw2Pr4R/YbZdQ$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
        "* SCRAM-SHA-256$10000:$wPozNqPo6AGkpPqK6Hf7iGaFSHGBrFrccZWZBuh9Fcg="
        ":1fpQVZXLCEu1X8hiaamFgDpr+nA54tK18Cgd4oo3PFo=",
    };
    struct verifiers v;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(verifier_get(str_of(good[i]), &v), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(verifier_get(str_of(bad[i]), &v), ERR_SYNTAX);
        assert_string_equal(v.hash, "*");
        assert_false(v.has_scram || v.has_cram);
    }
    /* any cut of the longest form is refused, or is one of the shorter forms */
    struct str whole = str_of(good[4]);
    for (size_t n = 0; n < whole.n; n++) {
        bool hash_alone = n >= 1 && n <= 6;
        bool no_cram = n == 7 + sizeof KEYS - 1;
        assert_int_equal(verifier_get(str_sub(whole, 0, n), &v),
                         hash_alone || no_cram ? ERR_OK : ERR_SYNTAX);
    }
}

static void test_cram_opt_in(void **state)
{
    struct verifier_options on = quick;
    struct verifiers v;
    uint8_t key[MAC_CRAM_KEY];
    (void)state;
    on.cram = true;
    assert_int_equal(verifier_make(STR("correct-horse"), &on, &v), ERR_OK);
    assert_true(v.has_cram);
    mac_cram_key(STR("correct-horse"), key);
    assert_memory_equal(key, v.cram, sizeof key);
    assert_false(verifier_stale(&v, &on));
    assert_true(verifier_stale(&v, &quick)); /* opted out again */
    assert_int_equal(verifier_make(STR("correct-horse"), &quick, &v), ERR_OK);
    assert_false(verifier_stale(&v, &quick));
    assert_true(verifier_stale(&v, &on));
    on = quick;
    on.iterations = 20000;
    assert_true(verifier_stale(&v, &on));
    on = quick;
    on.cost = 2;
    assert_true(verifier_stale(&v, &on));
    verifier_none(&v);
    assert_true(verifier_stale(&v, &quick));
}

static void test_jobs(void **state)
{
    struct buf job, answer;
    struct verifiers v;
    bool right = false;
    (void)state;
    buf_init(&job, 4096);
    buf_init(&answer, 4096);
    verifier_job_make(&job, &quick, STR("correct-horse"));
    assert_int_equal(verifier_job_run(VERIFIER_MAKE, buf_slice(&job), &answer), ERR_OK);
    assert_int_equal(verifier_job_made(buf_slice(&answer), &v), ERR_OK);
    for (int i = 0; i < 2; i++) {
        buf_clear(&job);
        buf_clear(&answer);
        verifier_job_check(&job, str_of(v.hash),
                           i == 0 ? STR("correct-horse") : STR("correct-house"));
        assert_int_equal(verifier_job_run(VERIFIER_CHECK, buf_slice(&job), &answer), ERR_OK);
        assert_int_equal(verifier_job_checked(buf_slice(&answer), &right), ERR_OK);
        assert_int_equal(right, i == 0);
    }
    for (size_t n = 0; n < job.n; n++) {
        buf_clear(&answer);
        assert_int_equal(verifier_job_run(VERIFIER_CHECK, (struct str){job.p, n}, &answer),
                         ERR_PACKET);
        assert_int_equal(verifier_job_run(VERIFIER_MAKE, (struct str){job.p, n}, &answer),
                         ERR_PACKET);
    }
    assert_int_equal(verifier_job_run(2, buf_slice(&job), &answer), ERR_PACKET);
    assert_int_equal(verifier_job_checked(STR("\2\0\0\0"), &right), ERR_PACKET);
    assert_int_equal(verifier_job_made(STR(""), &v), ERR_PACKET);
    buf_free(&job);
    buf_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwords),      cmocka_unit_test(test_saslprep),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_foreign_hashes), cmocka_unit_test(test_scram_keys),
        cmocka_unit_test(test_text),           cmocka_unit_test(test_cram_opt_in),
        cmocka_unit_test(test_jobs),           cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
