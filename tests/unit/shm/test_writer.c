// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/shm/shmkit.h"

static struct shm_row seen(const struct proc *p, uint32_t row)
{
    struct shm_row copy;
    assert_true(shm_get(p->w.row + row * SHM_ROW_WORDS, &copy, SHM_ROW_WORDS));
    return copy;
}

/* n - 1, n and n + 1 rows; freed ones come again; readers never see a row before it is published. */
static void rows_and_free_list(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    enum { N = 5 };
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, N);
    assert_int_equal(p.w.rows, N);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t row = shm_row_alloc(&p.w);
        assert_int_equal(row, i); /* lowest first: rows_used stays small */
        assert_int_equal(seen(&p, row).session, 0);
    }
    assert_int_equal(shm_row_alloc(&p.w), SHM_NO_ROW);
    struct shm_row local = kit_row(100001, "dora@harbor.example");
    shm_row_publish(&p.w, 3, &local);
    assert_int_equal(seen(&p, 3).session, 100001);
    shm_row_free(&p.w, 3);
    struct shm_row zero = {0}, gone = seen(&p, 3);
    gone.seq = 0;
    assert_memory_equal(&gone, &zero, sizeof(zero));
    shm_row_free(&p.w, 1);
    assert_int_equal(shm_row_alloc(&p.w), 1);
    assert_int_equal(shm_row_alloc(&p.w), 3);
    assert_int_equal(shm_row_alloc(&p.w), SHM_NO_ROW);
    shm_detach(&p.w);
    kit_free(&k);
}

static void no_rows_at_all(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "auth", 1, 0);
    assert_int_equal(shm_row_alloc(&p.w), SHM_NO_ROW);
    shm_count_add(&p.w, SHM_XIMSS_LOGINS_FAILED, 2);
    shm_detach(&p.w);
    kit_free(&k);
}

static void changes(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 2);
    uint32_t row = shm_row_alloc(&p.w);
    struct shm_row want = kit_row(100042, "");
    want.state = SHM_STATE_AUTHENTICATING;
    want.tls = 0;
    shm_row_publish(&p.w, row, &want);
    struct shm_row got = seen(&p, row);
    want.seq = got.seq;
    assert_memory_equal(&got, &want, sizeof(got));

    shm_row_op_begin(&p.w, row, 7, NOW);
    want.op = 7, want.started = NOW, want.seq += 2;
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_row_login(&p.w, row, "otto@harbor.example", 19, SHM_STATE_READING_REQUEST);
    want.state = SHM_STATE_READING_REQUEST, want.seq += 2;
    memcpy(want.account, "otto@harbor.example", 19);
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_row_op_end(&p.w, row);
    want.op = 0, want.started = 0, want.seq += 2;
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_row_tls(&p.w, row, 0x0303);
    want.tls = 0x0303, want.seq += 2;
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_row_add(&p.w, row, 10, 20, 30);
    want.bytes_in += 10, want.bytes_out += 20, want.requests += 30, want.seq += 2;
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_row_state(&p.w, row, SHM_STATE_POLLING, NOW + 1);
    want.state = SHM_STATE_POLLING, want.started = NOW + 1, want.seq += 2;
    got = seen(&p, row);
    assert_memory_equal(&got, &want, sizeof(got));
    shm_detach(&p.w);
    kit_free(&k);
}

/* What the owner reads back is what others see. */
static void own_copy(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 3);
    assert_int_equal(shm_row_end(&p.w), 0);
    uint32_t first = shm_row_alloc(&p.w), second = shm_row_alloc(&p.w);
    struct shm_row row = kit_row(100042, "dora@harbor.example"), got;
    shm_row_publish(&p.w, second, &row);
    shm_row_op_begin(&p.w, second, 7, NOW);
    assert_int_equal(shm_row_end(&p.w), 2);
    shm_row_copy(&p.w, second, &got);
    row = seen(&p, second);
    assert_memory_equal(&got, &row, sizeof(got));
    assert_int_equal(got.op, 7);
    shm_row_copy(&p.w, first, &got);
    assert_int_equal(got.session, 0);
    shm_row_free(&p.w, second);
    shm_row_copy(&p.w, second, &got);
    assert_int_equal(got.session, 0);
    assert_int_equal(shm_row_end(&p.w), 2); /* it may be used again */
    shm_detach(&p.w);
    kit_free(&k);
}

/* 159, 160 and 161 bytes. */
static void account_cap(void **state)
{
    (void)state;
    char name[SHM_ACCOUNT_LEN + 1];
    struct shm_row row;
    memset(name, 'x', sizeof(name));
    for (size_t n = SHM_ACCOUNT_LEN - 1; n <= SHM_ACCOUNT_LEN + 1; n++) {
        memset(&row, 0xff, sizeof(row));
        shm_row_set_account(&row, name, n);
        assert_int_equal(strnlen(row.account, SHM_ACCOUNT_LEN),
                         n < SHM_ACCOUNT_LEN ? n : SHM_ACCOUNT_LEN);
        assert_int_equal(row.spare[0], 0xff);
    }
    shm_row_set_account(&row, NULL, 0);
    assert_int_equal(row.account[0], 0);
}

static void peers(void **state)
{
    (void)state;
    struct shm_row row = {0};
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(1234), .sin_addr.s_addr = htonl(0xc0000207)};
    shm_row_set_peer(&row, (const struct sockaddr *)&in);
    assert_int_equal(row.family, SHM_FAMILY_IP4);
    assert_int_equal(row.port, 1234);
    assert_memory_equal(row.address, "\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\0", 16);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};
    memcpy(&six.sin6_addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    shm_row_set_peer(&row, (const struct sockaddr *)&six);
    assert_int_equal(row.family, SHM_FAMILY_IP6);
    assert_memory_equal(row.address, &six.sin6_addr, 16);
    memcpy(&six.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x07", 16);
    shm_row_set_peer(&row, (const struct sockaddr *)&six);
    assert_int_equal(row.family, SHM_FAMILY_IP4);
    assert_memory_equal(row.address, "\xc0\0\2\7\0\0\0\0\0\0\0\0\0\0\0", 16);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    shm_row_set_peer(&row, (const struct sockaddr *)&un);
    assert_int_equal(row.family, SHM_FAMILY_UNIX);
    assert_int_equal(row.port, 0);
}

static void gauges_stay_above_zero(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_count_add(&p.w, SHM_XIMSS_ACTIVE, 2);
    shm_count_sub(&p.w, SHM_XIMSS_ACTIVE, 1);
    assert_int_equal(shm_load(&p.w.count[SHM_XIMSS_ACTIVE]), 1);
    shm_count_sub(&p.w, SHM_XIMSS_ACTIVE, 2);
    assert_int_equal(shm_load(&p.w.count[SHM_XIMSS_ACTIVE]), 0);
    shm_detach(&p.w);
    kit_free(&k);
}

/* A descriptor that holds no segment of this size and version is refused. */
static void attach_refuses(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_writer w;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 2);
    int fd = open(kit_path(&k, "worker-1.1"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(shm_attach(&w, fd, p.size - 8), EPROTO);
    assert_int_equal(shm_attach(&w, fd, 255), EPROTO);
    assert_int_equal(pwrite(fd, "\2", 1, offsetof(struct shm_head, major)), 1);
    assert_int_equal(shm_attach(&w, fd, p.size), EPROTO);
    close(fd);
    assert_int_equal(shm_attach(&w, -1, p.size), EBADF);
    shm_detach(&p.w);
    kit_free(&k);
}

/* A row that is not ours is a bug: the process ends and writes nothing elsewhere. */
static void wrong_row_aborts(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    int st;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 2);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        shm_row_op_end(&p.w, 2);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &st, 0), pid);
    assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGABRT);
    shm_detach(&p.w);
    kit_free(&k);
}

/* Goal S3: at most 50 ns for a change of status. Printed; held to ten times that, as machines are busy. */
static void cost(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    enum { N = 200000 };
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 2);
    uint32_t row = shm_row_alloc(&p.w);
    struct shm_row local = kit_row(100001, "dora@harbor.example");
    int64_t t0 = clock_mono();
    for (int i = 0; i < N; i++)
        shm_row_op_begin(&p.w, row, (uint16_t)i, i);
    int64_t t1 = clock_mono();
    for (int i = 0; i < N; i++)
        shm_row_publish(&p.w, row, &local);
    int64_t t2 = clock_mono();
    print_message("op_begin %.1f ns, publish %.1f ns\n", (double)(t1 - t0) / N,
                  (double)(t2 - t1) / N);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true((t1 - t0) / N < 500);
#endif
    shm_detach(&p.w);
    kit_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_and_free_list),
                                       cmocka_unit_test(no_rows_at_all),
                                       cmocka_unit_test(changes),
                                       cmocka_unit_test(own_copy),
                                       cmocka_unit_test(account_cap),
                                       cmocka_unit_test(peers),
                                       cmocka_unit_test(gauges_stay_above_zero),
                                       cmocka_unit_test(attach_refuses),
                                       cmocka_unit_test(wrong_row_aborts),
                                       cmocka_unit_test(cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
