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

/* The pieces as another process has them, which is told of their runs and sizes. */
static void next_process(struct spool_piece *p, uint32_t n)
{
    struct spool now;
    uint32_t first = any(n);
    assert_int_equal(spool_adopt(&now, dup(spool.fd)), ERR_OK);
    for (uint32_t i = 0; i < n; i++) {
        struct spool_piece *old = &p[(first + i) % n], claimed = {0};
        for (uint32_t r = 0; r < old->run_n; r++)
            assert_int_equal(spool_claim(&now, &claimed, old->runs[r]), ERR_OK);
        assert_int_equal(spool_claim_end(&now, &claimed, old->size), ERR_OK);
        free(old->runs);
        *old = claimed;
    }
    assert_int_equal(now.used, spool.used);
    spool_leave(&spool);
    spool_close(&spool);
    spool = now;
    uint64_t was = on_disk();
    spool_sweep(&spool);
    assert_int_equal(on_disk(), was); /* all that stood there was claimed */
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
        if (any(50) == 0)
            next_process(p, PIECES);
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

/* --- from one process to the next */

#define FULL 3 /* blocks of the file, and one byte */

static void adopted(void)
{
    static char bytes[SPOOL_BLOCK];
    struct spool now;
    for (int i = 0; i < FULL; i++)
        assert_int_equal(pwrite(spool.fd, bytes, sizeof bytes, i * (off_t)sizeof bytes),
                         sizeof bytes);
    assert_int_equal(pwrite(spool.fd, "x", 1, FULL * (off_t)sizeof bytes), 1);
    assert_int_equal(spool_adopt(&now, dup(spool.fd)), ERR_OK);
    spool_close(&spool);
    spool = now;
}

static enum err claim(struct spool_piece *p, uint32_t first, uint32_t n)
{
    return spool_claim(&spool, p, (struct spool_run){first, n});
}

/* Nothing is claimed twice, or where nothing is, whatever is asked for; and what was refused leaves nothing. */
static void claims(void **state)
{
    struct spool_piece p = {0}, q = {0};
    (void)state;
    adopted();
    assert_int_equal(claim(&p, 0, 0), ERR_PACKET);
    assert_int_equal(claim(&p, FULL + 1, 1), ERR_PACKET);
    assert_int_equal(claim(&p, UINT32_MAX, 2), ERR_PACKET);
    assert_int_equal(claim(&p, 0, FULL + 2), ERR_PACKET);
    assert_int_equal(claim(&p, 1, UINT32_MAX), ERR_PACKET);
    assert_int_equal(spool.used, 0);
    assert_int_equal(claim(&p, 2, 1), ERR_OK);
    assert_int_equal(claim(&p, 2, 1), ERR_PACKET); /* its own */
    assert_int_equal(claim(&q, 0, 3), ERR_PACKET); /* another's */
    assert_int_equal(claim(&q, 0, 2), ERR_OK);
    assert_int_equal(spool.used, 3 * SPOOL_BLOCK);
    spool_free(&spool, &p);
    spool_free(&spool, &q);
    assert_int_equal(spool.used, 0);
    assert_int_equal(claim(&p, 0, 3), ERR_OK);
    spool_free(&spool, &p);
}

/* The size that is told, against the blocks that were claimed and the bytes that are there. */
static void sizes(void **state)
{
    static const struct {
        uint32_t first, n;
        uint64_t size;
        enum err want;
    } cases[] = {
        {0, 0, 0, ERR_OK},
        {0, 0, 1, ERR_PACKET},
        {0, 1, 0, ERR_PACKET},
        {0, 1, 1, ERR_OK},
        {0, 1, SPOOL_BLOCK, ERR_OK},
        {0, 1, SPOOL_BLOCK + 1, ERR_PACKET},
        {0, 2, SPOOL_BLOCK, ERR_PACKET},
        {0, 2, SPOOL_BLOCK + 1, ERR_OK},
        {0, 2, UINT64_MAX, ERR_PACKET},
        {0, 2, UINT64_MAX - SPOOL_BLOCK, ERR_PACKET},
        {FULL, 1, 1, ERR_OK}, /* the last byte of the file */
        {FULL, 1, 2, ERR_PACKET},
        {1, FULL, (FULL - 1) * SPOOL_BLOCK + 1, ERR_OK},
        {1, FULL, (FULL - 1) * SPOOL_BLOCK + 2, ERR_PACKET},
    };
    struct spool_piece p = {0};
    (void)state;
    adopted();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].n != 0)
            assert_int_equal(claim(&p, cases[i].first, cases[i].n), ERR_OK);
        assert_int_equal(spool_claim_end(&spool, &p, cases[i].size), cases[i].want);
        assert_int_equal(p.size, cases[i].want == ERR_OK ? cases[i].size : 0);
        spool_free(&spool, &p);
    }
    /* The file's last block is in the middle of a piece, and not all there. */
    assert_int_equal(claim(&p, FULL, 1), ERR_OK);
    assert_int_equal(claim(&p, 0, 1), ERR_OK);
    assert_int_equal(spool_claim_end(&spool, &p, SPOOL_BLOCK + 5), ERR_PACKET);
    spool_free(&spool, &p);
    assert_int_equal(spool.used, 0);
}

/* What nobody claimed takes no room, and is used again. */
static void sweep(void **state)
{
    static char bytes[2 * SPOOL_BLOCK];
    struct spool_piece p = {0}, q = {0};
    (void)state;
    adopted();
    assert_int_equal(claim(&p, 1, 1), ERR_OK);
    assert_int_equal(spool_claim_end(&spool, &p, 10), ERR_OK);
    spool_sweep(&spool);
    assert_int_equal(on_disk(), SPOOL_BLOCK);
    spool.max = 3 * SPOOL_BLOCK;
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, sizeof bytes}), ERR_OK);
    assert_int_equal(spool_add(&spool, &q, (struct str){bytes, 1}), ERR_QUOTA);
    assert_int_equal(spool_add(&spool, &p, (struct str){bytes, 100}), ERR_OK);
    spool_free(&spool, &p);
    spool_free(&spool, &q);
    assert_int_equal(on_disk(), 0);
}

/* Who has left changes nothing any more, though he forgets his pieces. */
static void left(void **state)
{
    struct spool_piece p = {0};
    struct buf out;
    (void)state;
    assert_int_equal(spool_add(&spool, &p, (struct str){"still here", 10}), ERR_OK);
    int fd = dup(spool.fd);
    spool_leave(&spool);
    buf_init(&out, 100);
    assert_int_equal(spool_add(&spool, &p, (struct str){"x", 1}), ERR_DB);
    assert_int_equal(spool_read(&spool, &p, 0, 10, &out), ERR_DB);
    spool_free(&spool, &p);
    char bytes[10];
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
    assert_memory_equal(bytes, "still here", sizeof bytes);
    buf_free(&out);
    close(fd);
}

/* Descriptors of something else, as a fault in the process before might send them. */
static void no_spool(void **state)
{
    char path[] = "/tmp/spool-test-XXXXXX";
    int ends[2], named = mkstemp(path), fds[5];
    struct spool s;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    fds[0] = ends[0];
    fds[1] = named; /* it has a name */
    fds[2] = open(path, O_RDONLY);
    fds[3] = open(path, O_RDWR | O_APPEND);
    fds[4] = -1;
    for (int i = 0; i < 5; i++) {
        if (i == 2)
            assert_int_equal(unlink(path), 0);
        assert_int_equal(spool_adopt(&s, fds[i]), ERR_PACKET);
        assert_int_equal(s.fd, -1);
        spool_close(&s);
    }
    assert_int_equal(spool_adopt(&s, named), ERR_OK); /* now it has none */
    assert_int_equal(s.used, 0);
    spool_close(&s);
    close(fds[2]);
    close(fds[3]);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(model), T(limit), T(disk_full), T(claims),
                                       T(sizes), T(sweep), T(left),      T(no_spool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
