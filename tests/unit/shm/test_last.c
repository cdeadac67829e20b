// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Last words of a process: whatever state it left its segment in. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/shm/shmkit.h"

static void poke(struct kit *k, uint64_t at, const void *data, size_t n)
{
    int fd = open(kit_path(k, "worker-1.1"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
    close(fd);
}

static uint64_t row_at(uint32_t row)
{
    return sizeof(struct shm_segment) + row * sizeof(struct shm_row);
}

/* A row in use, whose operation runs since `started`; op 0: none runs. */
static void busy(struct proc *p, uint32_t session, const char *account, uint16_t op,
                 int64_t started)
{
    uint32_t row = shm_row_alloc(&p->w);
    struct shm_row r = kit_row(session, account);
    assert_true(row != SHM_NO_ROW);
    shm_row_publish(&p->w, row, &r);
    if (op != 0)
        shm_row_op_begin(&p->w, row, op, started);
}

static void the_oldest_operations(void **state)
{
    (void)state;
    static const struct {
        uint32_t session;
        uint16_t op;
        int64_t started;
    } rows[] = {{100010, 2, 50 * SEC}, {100011, 0, 0},        {100012, 7, 20 * SEC},
                {100013, 1, 70 * SEC}, {100014, 2, 10 * SEC}, {100015, 2, 60 * SEC},
                {100016, 7, 30 * SEC}, {100017, 1, 40 * SEC}};
    static const uint32_t want[] = {100014, 100012, 100016, 100017, 100010};
    struct kit k;
    struct proc p;
    struct shm_last l;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 200);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.running, 0);
    assert_int_equal(l.state, SHM_STATE_NONE);
    for (uint32_t i = 0; i < 100; i++) /* more than one read */
        busy(&p, 200000 + i, "idle@harbor.example", 0, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        busy(&p, rows[i].session, "dora@harbor.example", rows[i].op, rows[i].started);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.running, 7);
    assert_int_equal(l.n, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(l.ops[i].session, want[i]);
        assert_int_equal(l.ops[i].started, (10 + 10 * i) * SEC);
        assert_string_equal(l.ops[i].account, "dora@harbor.example");
    }
    assert_int_equal(l.ops[0].op, 2);
    assert_int_equal(l.ops[1].op, 7);
    shm_detach(&p.w);
    kit_free(&k);
}

/* It died inside a change: numbers are words, hence whole; the name need not be. */
static void a_torn_row(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_last l;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 3);
    busy(&p, 100001, "dora@harbor.example", 2, 5 * SEC);
    busy(&p, 100002, "otto@harbor.example", 2, 6 * SEC);
    (void)shm_begin(p.w.row);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.ops[0].session, 100001);
    assert_string_equal(l.ops[0].account, "");
    assert_string_equal(l.ops[1].account, "otto@harbor.example");
    shm_detach(&p.w);
    kit_free(&k);
}

static void a_keepers_word(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_last l;
    kit_init(&k, 1);
    kit_proc(&k, &p, "keeper", 1, 1);
    shm_doing(&p.w, SHM_STATE_ROUND, 100077, 2, 9 * SEC);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.state, SHM_STATE_ROUND);
    assert_int_equal(l.session, 100077);
    assert_int_equal(l.op, 2);
    assert_int_equal(l.since, 9 * SEC);
    shm_doing(&p.w, SHM_STATE_COMMIT, 0, 0, 10 * SEC);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.state, SHM_STATE_COMMIT);
    assert_int_equal(l.session, 0);
    assert_int_equal(l.op, 0);
    shm_detach(&p.w);
    kit_free(&k);
}

/* Of a process that was taken over: any bytes at all, more rows than there are, a file that was cut. */
static void hostile(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_last l;
    uint32_t all = UINT32_MAX, sessions[] = {0, 1, 100000, 1000000, UINT32_MAX};
    uint8_t rubbish[sizeof(struct shm_row)];
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 4);
    busy(&p, 100001, "\x1b[2Jd\xff\r\n", 65535, -1);
    poke(&k, offsetof(struct shm_segment, rows_used), &all, 4);
    shm_master_last(k.m, p.slot, &l);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.ops[0].op, 65535);
    assert_string_equal(l.ops[0].account, "\xef\xbf\xbd[2Jd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    for (size_t i = 0; i < sizeof(sessions) / 4; i++) {
        poke(&k, row_at(0) + offsetof(struct shm_row, session), &sessions[i], 4);
        shm_master_last(k.m, p.slot, &l);
        assert_int_equal(l.running, 0);
    }
    for (int i = 0; i < 2000; i++) {
        arc4random_buf(rubbish, sizeof(rubbish));
        poke(&k, i % 2 == 0 ? row_at((uint32_t)i % 4) : offsetof(struct shm_segment, rows_used),
             rubbish, i % 2 == 0 ? sizeof(rubbish) : 32);
        shm_master_last(k.m, p.slot, &l);
        assert_true(l.n <= SHM_LAST_OPS && l.running <= 4 && l.state < SHM_STATE_END);
    }
    shm_detach(&p.w);
    static const off_t cuts[] = {(off_t)sizeof(struct shm_segment) + 300,
                                 (off_t)sizeof(struct shm_segment), 100, 0};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(truncate(kit_path(&k, "worker-1.1"), cuts[i]), 0);
        shm_master_last(k.m, p.slot, &l);
        assert_int_equal(l.running, 0);
    }
    kit_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_operations),
        cmocka_unit_test(a_torn_row),
        cmocka_unit_test(a_keepers_word),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
