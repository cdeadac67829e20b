// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The spool against a model in memory: pieces that grow in turn and go; holes; full by its own limit and by the disk's. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "store/spool.h"

#define PIECES 12

static struct spool spool;

static int setup(void **state)
{
    char dir[] = "/tmp/spool-test-XXXXXX", was[4096];
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(spool_open(&spool), ERR_OK);
    assert_int_equal(chdir(was), 0);
    assert_int_equal(rmdir(dir), 0); /* it has no name there */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    spool_close(&spool);
    return 0;
}

static uint64_t on_disk(void)
{
    struct stat st;
    assert_int_equal(fstat(spool.fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static uint32_t seed = 7;
static uint32_t any(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void same(const struct spool_piece *p, const struct buf *model)
{
    struct buf got;
    size_t from = model->n != 0 ? any((uint32_t)model->n) : 0, n = any(200000);
    struct str want = str_sub(buf_slice(model), from, n);
    buf_init(&got, 64 << 20);
    assert_int_equal(spool_read(&spool, p, from, n, &got), ERR_OK);
    assert_int_equal(got.n, want.n);
    if (want.n != 0)
        assert_memory_equal(got.p, want.p, want.n);
    buf_free(&got);
}

static void model(void **state)
{
    struct spool_piece p[PIECES] = {0};
    struct buf m[PIECES];
    char bytes[150000];
    (void)state;
    for (int i = 0; i < PIECES; i++)
        buf_init(&m[i], 64 << 20);
    for (int round = 0; round < 1500; round++) {
        uint32_t i = any(PIECES);
        if (any(12) == 0) {
            spool_free(&spool, &p[i]);
            buf_clear(&m[i]);
            continue;
        }
        size_t n = any(3) == 0 ? any(sizeof bytes) : any(300);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)any(256);
        assert_int_equal(spool_add(&spool, &p[i], (struct str){bytes, n}), ERR_OK);
        buf_add(&m[i], bytes, n);
        assert_int_equal(p[i].size, m[i].n);
        i = any(PIECES);
        same(&p[i], &m[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        spool_free(&spool, &p[i]);
        buf_free(&m[i]);
    }
    assert_int_equal(spool.used, 0);
    assert_int_equal(on_disk(), 0);
}

static void limit(void **state)
{
    static char bytes[2 * SPOOL_BLOCK];
    struct spool_piece p = {0}, q = {0};
    (void)state;
    spool.max = 3 * SPOOL_BLOCK;
    assert_int_equal(spool_add(&spool, &p, (struct str){bytes, SPOOL_BLOCK}), ERR_OK);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, SPOOL_BLOCK + 1}), ERR_OK);
    assert_int_equal(spool_add(&spool, &p, (struct str){bytes, 1}), ERR_QUOTA);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, SPOOL_BLOCK - 1}), ERR_OK);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, 1}), ERR_QUOTA);
    assert_int_equal(p.size, SPOOL_BLOCK);
    spool_free(&spool, &p);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, 2 * SPOOL_BLOCK}), ERR_QUOTA);
    assert_int_equal(q.size, 2 * SPOOL_BLOCK);
    assert_int_equal(spool.used, 2 * SPOOL_BLOCK);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, SPOOL_BLOCK}), ERR_OK);
    spool_free(&spool, &q);
    assert_int_equal(spool.used, 0);
}

/* A file that may grow no further stands for a full disk: what was there stays, what came is nowhere. */
static void disk_full(void **state)
{
    static char bytes[4 * SPOOL_BLOCK];
    struct spool_piece p = {0};
    struct rlimit was, now;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    now = was;
    now.rlim_cur = 3 * SPOOL_BLOCK + 1000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    assert_int_equal(spool_add(&spool, &p, (struct str){bytes, 2 * SPOOL_BLOCK - 5}), ERR_OK);
    enum err e = spool_add(&spool, &p, (struct str){bytes, sizeof bytes});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(e, ERR_DB);
    assert_int_equal(p.size, 2 * SPOOL_BLOCK - 5);
    assert_int_equal(spool.used, 2 * SPOOL_BLOCK);
    assert_int_equal(spool_add(&spool, &p, (struct str){bytes, sizeof bytes}), ERR_OK);
    spool_free(&spool, &p);
    assert_int_equal(on_disk(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(model, setup, teardown),
                                       cmocka_unit_test_setup_teardown(limit, setup, teardown),
                                       cmocka_unit_test_setup_teardown(disk_full, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
