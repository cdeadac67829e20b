// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/faillog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define S INT64_C(1000000000)

static struct faillog_options opt = FAILLOG_DEFAULTS;

static void *fresh(struct faillog *f, const struct faillog_options *o)
{
    size_t n = faillog_size(o);
    void *mem = calloc(1, n);
    assert_non_null(mem);
    assert_int_equal(faillog_attach(f, mem, n, o), ERR_OK);
    return mem;
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_int_equal(ip_parse(str_of(text), &ip), ERR_OK);
    return ip;
}

/* Protocol 1, 3.9: 10 in 5 minutes; then refused until the window has passed; success clears. */
static void test_account(void **state)
{
    struct faillog f;
    struct str dora = STR("dora@harbor.example"), otto = STR("otto@harbor.example");
    int64_t t = 1000 * S;
    (void)state;
    void *mem = fresh(&f, &opt);
    for (int i = 1; i <= 9; i++) {
        assert_false(faillog_account_fail(&f, dora, t));
        assert_false(faillog_account_blocked(&f, dora, t));
    }
    faillog_account_ok(&f, dora);
    for (int i = 1; i <= 9; i++)
        assert_false(faillog_account_fail(&f, dora, t + i * S));
    assert_true(faillog_account_fail(&f, dora, t + 20 * S));
    assert_true(faillog_account_blocked(&f, dora, t + 20 * S));
    assert_false(faillog_account_blocked(&f, otto, t + 20 * S));
    assert_true(faillog_account_blocked(&f, dora, t + 320 * S - 1));
    assert_false(faillog_account_blocked(&f, dora, t + 320 * S));
    /* a slow guesser: nine, then the window is over, and it counts from one */
    for (int i = 0; i < 9; i++)
        assert_false(faillog_account_fail(&f, otto, t + i));
    assert_false(faillog_account_fail(&f, otto, t + 300 * S));
    assert_false(faillog_account_blocked(&f, otto, t + 300 * S));
    free(mem);
}

/* 20 in 5 minutes; IPv6 by /64; a success of the account changes nothing here. */
static void test_address(void **state)
{
    struct faillog f;
    struct ip a = ip_of("2001:db8:1:2::1"), b = ip_of("2001:db8:1:2:ffff::9");
    struct ip c = ip_of("2001:db8:1:3::1"), v4 = ip_of("192.0.2.7");
    (void)state;
    void *mem = fresh(&f, &opt);
    for (int i = 1; i <= 19; i++) {
        assert_int_equal(faillog_address_fail(&f, i % 2 ? &a : &b, i * S), 0);
        faillog_account_ok(&f, STR("dora@harbor.example"));
    }
    assert_int_equal(faillog_address_blocked(&f, &a, 20 * S), 0);
    assert_int_equal(faillog_address_fail(&f, &b, 20 * S), 320 * S);
    assert_int_equal(faillog_address_blocked(&f, &a, 21 * S), 320 * S);
    assert_int_equal(faillog_address_blocked(&f, &a, 320 * S), 0);
    assert_int_equal(faillog_address_blocked(&f, &c, 21 * S), 0);
    assert_int_equal(faillog_address_blocked(&f, &v4, 21 * S), 0);
    free(mem);
}

/* A brute-force model of the rule: what was counted when, per name, in a plain list. */
struct model {
    int64_t start;
    uint32_t count;
};

static void test_model(void **state)
{
    enum { NAMES = 200 };
    static struct model m[NAMES];
    struct faillog f;
    uint32_t seed = 12345;
    int64_t t = 0;
    (void)state;
    void *mem = fresh(&f, &opt);
    memset(m, 0, sizeof m);
    for (int i = 0; i < 100000; i++) {
        char name[32];
        seed = seed * 1664525 + 1013904223;
        uint32_t who = seed >> 20 & 127 ? (seed >> 8) % 20 : (seed >> 8) % NAMES;
        uint32_t what = seed >> 28;
        int n = snprintf(name, sizeof name, "n%u@x", who);
        struct str s = {name, (size_t)n};
        t += seed >> 12 & 0xfff ? (int64_t)(seed & 0xff) * 1000000 : 50 * S;
        struct model *w = &m[who];
        if (w->count != 0 && t - w->start >= 300 * S)
            *w = (struct model){0};
        assert_int_equal(faillog_account_blocked(&f, s, t), w->count >= 10);
        if (what == 0) {
            faillog_account_ok(&f, s);
            *w = (struct model){0};
        } else if (what < 8) {
            if (w->count == 0)
                w->start = t;
            if (w->count < 10 && ++w->count == 10)
                w->start = t;
            assert_int_equal(faillog_account_fail(&f, s, t), w->count == 10);
        }
    }
    free(mem);
}

/*
 * Somebody sprays names to push a counter out of a table that is far too small: it stays, because it is larger
 * than theirs; the sprayers gain no place for a fresh start either.
 */
static void test_eviction(void **state)
{
    struct faillog_options small = opt;
    struct faillog f;
    (void)state;
    small.accounts = 64;
    void *mem = fresh(&f, &small);
    struct str dora = STR("dora@harbor.example");
    for (int i = 0; i < 9; i++)
        assert_false(faillog_account_fail(&f, dora, i * S));
    for (int i = 0; i < 200; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "spray%d@x", i);
        (void)faillog_account_fail(&f, (struct str){name, (size_t)n}, 10 * S);
    }
    assert_true(faillog_account_fail(&f, dora, 11 * S)); /* the tenth */
    for (int i = 0; i < 100000; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "more%d@x", i);
        (void)faillog_account_fail(&f, (struct str){name, (size_t)n}, 12 * S);
        assert_true(faillog_account_blocked(&f, dora, 12 * S));
    }
    /* a name that has not failed is never blocked, and a newcomer inherits half a limit at most */
    struct str otto = STR("otto@harbor.example");
    assert_false(faillog_account_blocked(&f, otto, 12 * S));
    for (int i = 0; i < 4; i++)
        assert_false(faillog_account_fail(&f, otto, 12 * S));
    faillog_account_ok(&f, otto);
    assert_false(faillog_account_blocked(&f, otto, 12 * S));
    free(mem);
}

static void test_handed_on(void **state)
{
    struct faillog f, next;
    struct str dora = STR("dora@harbor.example");
    size_t n = faillog_size(&opt);
    struct faillog_options other = opt;
    (void)state;
    void *mem = fresh(&f, &opt);
    for (int i = 0; i < 10; i++)
        (void)faillog_account_fail(&f, dora, 0);
    assert_int_equal(faillog_attach(&next, mem, n, &opt), ERR_OK);
    assert_true(faillog_account_blocked(&next, dora, 1));
    other.account_limit = 11; /* a reload raises the limit */
    assert_int_equal(faillog_attach(&next, mem, n, &other), ERR_OK);
    assert_false(faillog_account_blocked(&next, dora, 1));
    other.account_limit = 0; /* or takes it away */
    assert_int_equal(faillog_attach(&next, mem, n, &other), ERR_OK);
    assert_false(faillog_account_fail(&next, dora, 1));
    assert_false(faillog_account_blocked(&next, dora, 1));
    assert_int_equal(faillog_attach(&next, mem, n - 1, &opt), ERR_RANGE);
    /* other sizes: begun anew */
    other = opt;
    other.accounts /= 2;
    assert_int_equal(faillog_attach(&next, mem, n, &other), ERR_OK);
    assert_false(faillog_account_blocked(&next, dora, 1));
    free(mem);
}

/* What an admin sees, and clears: one name, one address, or all; nobody else's. */
static void test_clear(void **state)
{
    struct faillog f;
    struct str dora = STR("dora@harbor.example"), otto = STR("otto@harbor.example");
    struct ip a = ip_of("2001:db8:1:2::1"), b = ip_of("2001:db8:1:2:ffff::9"),
              c = ip_of("192.0.2.7");
    int64_t t = 1000 * S;
    (void)state;
    void *mem = fresh(&f, &opt);
    for (int i = 1; i <= 10; i++) {
        (void)faillog_account_fail(&f, dora, t);
        assert_int_equal(faillog_account_state(&f, dora, t).count, i);
        assert_int_equal(faillog_account_state(&f, dora, t).until, i < 10 ? 0 : t + 300 * S);
    }
    (void)faillog_account_fail(&f, otto, t);
    for (int i = 1; i <= 20; i++) {
        (void)faillog_address_fail(&f, &a, t);
        (void)faillog_address_fail(&f, &c, t);
    }
    assert_int_equal(faillog_account_clear(&f, STR("nobody@x"), t).count, 0);
    struct faillog_state was = faillog_account_clear(&f, dora, t);
    assert_true(was.count == 10 && was.until == t + 300 * S);
    assert_false(faillog_account_blocked(&f, dora, t));
    assert_int_equal(faillog_account_clear(&f, dora, t).count, 0);
    assert_int_equal(faillog_account_state(&f, otto, t).count, 1);
    for (int i = 1; i <= 9; i++) /* it begins from nothing */
        assert_false(faillog_account_fail(&f, dora, t));
    assert_true(faillog_account_fail(&f, dora, t));
    was = faillog_address_clear(&f, &b, t); /* the /64 */
    assert_true(was.count == 20 && was.until != 0);
    assert_int_equal(faillog_address_blocked(&f, &a, t), 0);
    assert_true(faillog_address_blocked(&f, &c, t) != 0);
    struct faillog_sums sums = faillog_clear(&f, t);
    assert_true(sums.accounts == 2 && sums.blocked_accounts == 1);
    assert_true(sums.addresses == 1 && sums.blocked_addresses == 1);
    assert_false(faillog_account_blocked(&f, dora, t));
    assert_int_equal(faillog_address_blocked(&f, &c, t), 0);
    sums = faillog_clear(&f, t);
    assert_true(sums.accounts == 0 && sums.addresses == 0);
    /* what the window has left behind is nothing */
    (void)faillog_account_fail(&f, dora, t);
    assert_int_equal(faillog_account_clear(&f, dora, t + 300 * S).count, 0);
    assert_int_equal(faillog_clear(&f, t + 300 * S).accounts, 0);
    free(mem);
}

/* Whatever stands in the memory, nothing breaks. */
static void test_rubbish(void **state)
{
    struct faillog_options small = opt;
    struct faillog f;
    uint32_t seed = 99;
    (void)state;
    small.accounts = small.addresses = 8;
    size_t n = faillog_size(&small);
    unsigned char *mem = fresh(&f, &small);
    struct ip ip = ip_of("192.0.2.7");
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 16; k < n; k++) { /* the magic and the sizes stay: it is taken over */
            seed = seed * 1664525 + 1013904223;
            mem[k] = (unsigned char)(seed >> 24);
        }
        assert_int_equal(faillog_attach(&f, mem, n, &small), ERR_OK);
        for (int k = 0; k < 12; k++) {
            (void)faillog_account_fail(&f, STR("dora@harbor.example"), i * S);
            (void)faillog_address_fail(&f, &ip, i * S);
        }
        (void)faillog_account_state(&f, STR("dora@harbor.example"), i * S);
        assert_true(faillog_account_blocked(&f, STR("dora@harbor.example"), i * S));
    }
    free(mem);
}

static void test_delay(void **state)
{
    (void)state;
    assert_int_equal(faillog_delay(&opt, 0), 0);
    assert_int_equal(faillog_delay(&opt, 1), 1 * S);
    assert_int_equal(faillog_delay(&opt, 4), 4 * S);
    assert_int_equal(faillog_delay(&opt, 5), 5 * S);
    assert_int_equal(faillog_delay(&opt, 6), 5 * S);
    assert_int_equal(faillog_delay(&opt, UINT32_MAX), 5 * S);
}

/* Memory that the kernel has just made costs nothing until somebody fails. */
static void test_fresh_memory_is_not_touched(void **state)
{
    size_t n = faillog_size(&opt);
    struct faillog f;
    struct stat st;
    (void)state;
    int fd = memfd_create("faillog", 0);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)n) == 0 && n > 1000000);
    void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(mem, MAP_FAILED);
    assert_int_equal(faillog_attach(&f, mem, n, &opt), ERR_OK);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks * 512 <= 8192);
    assert_false(faillog_account_fail(&f, STR("dora@harbor.example"), S));
    munmap(mem, n);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_handed_on),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_fresh_memory_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
