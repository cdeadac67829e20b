// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The gate: caps at n-1, n, n+1, exactness under racing processes and kill -9, against a plain model. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bug.h"
#include "proc/gate.h"

static void *memory;

static struct gate *gate_make(uint32_t channels, size_t *size)
{
    static struct gate g;
    *size = gate_size(channels);
    memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    gate_init(memory, channels);
    assert_int_equal(gate_attach(&g, memory, *size - 1), ERR_RANGE);
    assert_int_equal(gate_attach(&g, memory, *size), ERR_OK);
    return &g;
}

static void v4(uint8_t to[16], uint32_t host)
{
    memset(to, 0, 16);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, &host, 4);
}

static void test_limits(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {
        .channels = 10, .per_address = 3, .per_client_address = 5, .reserve = 2};
    struct gate_place place[10];
    uint8_t a[16];
    v4(a, 7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[i]), GATE_IN);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[3]), GATE_ADDRESS_FULL);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[3]), GATE_IN);
    for (uint32_t i = 4; i < 8; i++) {
        v4(a, 100 + i);
        assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[i]), GATE_IN);
    }
    v4(a, 200); /* two free, both reserved */
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[8]), GATE_FULL);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[8]), GATE_IN);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[9]), GATE_IN);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[9]), GATE_FULL);
    gate_leave(g, place[0]);
    gate_leave(g, place[0]); /* a second time changes nothing */
    assert_int_equal(gate_count(g, GATE_XIMSS), 9);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[0]), GATE_IN);
    munmap(memory, size);
}

/* Of the last login of the place that failed, and of the connection that has it. */
static void test_verdicts(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(2, &size);
    struct gate_limits lim = {.channels = 2};
    struct gate_place place, other, beyond = {2, GATE_ID_FIRST};
    uint8_t a[16];
    v4(a, 7);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place), GATE_IN);
    assert_int_equal(gate_login_verdict(g, place, 0), 0);
    assert_int_equal(gate_login_verdict(g, place, 5), 0);
    gate_login_failed(g, place, 5, ERR_AUTH_FAILED);
    assert_int_equal(gate_login_verdict(g, place, 4), 0);
    assert_int_equal(gate_login_verdict(g, place, 5), ERR_AUTH_FAILED);
    assert_int_equal(gate_login_verdict(g, place, 6), 0);
    gate_login_failed(g, place, 6, ERR_TIMEOUT);
    assert_int_equal(gate_login_verdict(g, place, 5), 0);
    assert_int_equal(gate_login_verdict(g, place, 6), ERR_TIMEOUT);
    other = place;
    other.id++;
    gate_login_failed(g, other, 6, ERR_AUTH_FAILED); /* of somebody else: nothing */
    assert_int_equal(gate_login_verdict(g, other, 6), 0);
    assert_int_equal(gate_login_verdict(g, place, 6), ERR_TIMEOUT);
    gate_login_failed(g, beyond, 6, ERR_AUTH_FAILED);
    assert_int_equal(gate_login_verdict(g, beyond, 6), 0);
    gate_leave(g, place);
    assert_int_equal(gate_login_verdict(g, place, 6), 0);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &other), GATE_IN);
    assert_int_equal(other.entry, place.entry);
    assert_int_equal(gate_login_verdict(g, other, 6), 0);
    munmap(memory, size);
}

/* n - 1, n, n + 1 of both: who has no session, and who has one. */
static void test_sessions(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {.channels = 10, .before_login = 3};
    struct gate_place place[10], gone;
    uint8_t a[16];
    v4(a, 7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[i]), GATE_IN);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[3]), GATE_IDLERS);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, true, 0, &place[3]),
                     GATE_IN); /* exempt */
    assert_true(gate_session_begin(g, place[3], 2));
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[4]), GATE_IDLERS);
    assert_true(gate_session_begin(g, place[0], 2));
    assert_true(gate_session_begin(g, place[0], 2)); /* once more is no second one */
    assert_int_equal(gate_sessions(g), 2);
    assert_false(gate_session_begin(g, place[1], 2));
    assert_true(
        gate_session_begin(g, place[0], 1)); /* the limit was lowered: nobody is thrown out */
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &place[4]), GATE_IN);
    gate_session_end(g, place[0]);
    gate_session_end(g, place[0]);
    assert_int_equal(gate_sessions(g), 1);
    assert_true(gate_session_begin(g, place[1], 2));
    gone = place[1];
    gate_leave(g, place[1]);
    assert_int_equal(gate_sessions(g), 1);
    gate_session_end(g, gone); /* of somebody who is gone: nothing */
    assert_true(gate_session_begin(g, gone, 2));
    gone.entry = 10;
    assert_false(gate_session_begin(g, gone, 2));
    gate_session_end(g, gone);
    assert_int_equal(gate_sessions(g), 1);
    assert_int_equal(gate_clear_owner(g, 1), 4);
    assert_int_equal(gate_sessions(g), 0);
    munmap(memory, size);
}

static void test_ipv6_counts_by_64(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {.channels = 10, .per_address = 1};
    struct gate_place p;
    uint8_t a[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2};
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_IN);
    a[15] = 9;
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_ADDRESS_FULL);
    a[7] = 3;
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_IN);
    munmap(memory, size);
}

static void test_block(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {.channels = 10};
    struct gate_place p;
    uint8_t a[16];
    v4(a, 7);
    gate_block(g, a, 1000, 0);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 999, &p), GATE_BLOCKED);
    assert_true(gate_is_blocked(g, a, 999));
    assert_false(gate_is_blocked(g, a, 1000));
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 1000, &p), GATE_IN);
    munmap(memory, size);
}

static void test_unblock(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {.channels = 10};
    struct gate_place p;
    uint8_t a[16];
    for (uint8_t i = 1; i <= 9; i++) {
        v4(a, i);
        gate_block(g, a, 1000, 0);
    }
    v4(a, 7);
    assert_true(gate_unblock(g, a, 999));
    assert_false(gate_unblock(g, a, 999));
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 999, &p), GATE_IN);
    v4(a, 8);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 999, &p), GATE_BLOCKED);
    assert_false(gate_unblock(g, a, 1000)); /* over by itself */
    v4(a, 99);
    assert_false(gate_unblock(g, a, 0)); /* never seen */
    assert_int_equal(gate_unblock_all(g, 999), 7);
    for (uint8_t i = 1; i <= 9; i++) {
        v4(a, i);
        assert_false(gate_is_blocked(g, a, 0));
    }
    assert_int_equal(gate_unblock_all(g, 0), 0);
    assert_int_equal(gate_count(g, GATE_XIMSS), 1);
    munmap(memory, size);
}

static void test_ids(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(3, &size);
    struct gate_limits lim = {.channels = 3};
    struct gate_place keep, p;
    uint8_t a[16];
    v4(a, 7);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &keep), GATE_IN);
    assert_int_equal(keep.id, GATE_ID_FIRST);
    for (uint32_t want = GATE_ID_FIRST + 1; want <= GATE_ID_LAST; want++) {
        assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_IN);
        assert_int_equal(p.id, want);
        gate_leave(g, p);
    }
    /* Round the corner, past the one that is still in use. */
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_IN);
    assert_int_equal(p.id, GATE_ID_FIRST + 1);
    munmap(memory, size);
}

_Noreturn static void race(struct gate *g, uint32_t owner, uint32_t rounds)
{
    struct gate_limits lim = {.channels = 40, .per_address = 5, .before_login = 20};
    struct gate_place held[8];
    uint32_t n = 0;
    if (gate_attach(g, memory, gate_size(64)) != ERR_OK) /* as another process */
        _exit(2);
    srandom(owner);
    for (uint32_t i = 0; i < rounds; i++) {
        uint8_t a[16];
        v4(a, (uint32_t)random() % 12);
        if (n < ARRAY_LEN(held) && random() % 2 == 0) {
            if (gate_enter(g, GATE_XIMSS, &lim, owner, a, false, 0, &held[n]) == GATE_IN)
                n++;
        } else if (n != 0) {
            gate_leave(g, held[--n]);
        }
        if (n != 0 && random() % 3 == 0)
            (void)gate_session_begin(g, held[(uint32_t)random() % n], 15);
        else if (n != 0 && random() % 3 == 0)
            gate_session_end(g, held[(uint32_t)random() % n]);
        if (gate_count(g, GATE_XIMSS) > lim.channels || gate_sessions(g) > 15)
            _exit(1);
    }
    while (n != 0)
        gate_leave(g, held[--n]);
    _exit(0);
}

static void test_race(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(64, &size);
    pid_t pid[8];
    for (uint32_t i = 0; i < ARRAY_LEN(pid); i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            race(g, i + 1, 20000);
    }
    for (uint32_t i = 0; i < ARRAY_LEN(pid); i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(gate_count(g, GATE_XIMSS), 0);
    assert_int_equal(gate_sessions(g), 0);
    munmap(memory, size);
}

static void test_kill(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(64, &size);
    struct gate_limits lim = {.channels = 64};
    struct gate_place mine;
    uint8_t a[16];
    v4(a, 3);
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 99, a, false, 0, &mine), GATE_IN);
    for (uint32_t round = 0; round < 100; round++) {
        pid_t pid = fork();
        if (pid == 0)
            race(g, 7, UINT32_MAX);
        nanosleep(&(struct timespec){.tv_nsec = 500000 + (long)round * 7001}, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        gate_clear_owner(g, 7);
        assert_int_equal(gate_count(g, GATE_XIMSS), 1);
        assert_int_equal(gate_sessions(g), 0);
    }
    gate_leave(g, mine);
    assert_int_equal(gate_count(g, GATE_XIMSS), 0);
    munmap(memory, size);
}

/* A process that was taken over writes anything anywhere; the others count wrongly, but come to no harm. */
static void test_spoilt(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(16, &size);
    struct gate_limits lim = {.channels = 16};
    char *bytes = memory;
    srandom(4);
    for (int round = 0; round < 3000; round++) {
        struct gate_place p = {0};
        uint8_t a[16];
        v4(a, (uint32_t)random() % 5);
        memset(bytes + 24, 0, sizeof(struct gate_word)); /* not locked */
        size_t at = 24 + sizeof(struct gate_word);
        size_t head = size - at < 4096 || round % 2 != 0 ? size - at : 64;
        for (int n = 0; n < 40; n++)
            bytes[at + (size_t)random() % head] = (char)(random() % 4 != 0 ? random() : -1);
        (void)gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p);
        (void)gate_clear_owner(g, 1);
        (void)gate_clear_before(g, 1);
        gate_block(g, a, 5, 1);
        (void)gate_is_blocked(g, a, 1);
        p.entry = (uint32_t)random() % 20;
        (void)gate_session_begin(g, p, 3);
        gate_session_end(g, p);
        gate_leave(g, (struct gate_place){(uint32_t)random() % 20, p.id});
    }
    munmap(memory, size);
}

/* Nobody waits for ever for a lock that is not given back. */
static void test_never_unlocked(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(4, &size);
    struct gate_limits lim = {.channels = 4};
    struct gate_place p;
    uint8_t a[16];
    v4(a, 1);
    memset((char *)memory + 24, 0x11, sizeof(struct gate_word));
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_FULL);
    memset((char *)memory + 24, 0, sizeof(struct gate_word));
    assert_int_equal(gate_enter(g, GATE_XIMSS, &lim, 1, a, false, 0, &p), GATE_IN);
    munmap(memory, size);
}

static void test_generations(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(10, &size);
    struct gate_limits lim = {.channels = 10};
    struct gate_place p;
    uint8_t a[16];
    v4(a, 1);
    for (uint32_t generation = 1; generation < 4; generation++) {
        assert_int_equal(
            gate_enter(g, GATE_XIMSS, &lim, gate_owner(0, generation), a, false, 0, &p), GATE_IN);
        assert_int_equal(
            gate_enter(g, GATE_XIMSS, &lim, gate_owner(1, generation), a, false, 0, &p), GATE_IN);
    }
    assert_int_equal(gate_clear_owner(g, gate_owner(0, 2)), 1);
    assert_int_equal(gate_clear_before(g, gate_owner(1, 3)), 2);
    assert_int_equal(gate_clear_before(g, gate_owner(1, 3)), 0);
    assert_int_equal(gate_count(g, GATE_XIMSS), 3);
    munmap(memory, size);
}

static uint32_t say(struct gate *g, uint32_t times, int64_t now)
{
    uint32_t said = 0;
    for (uint32_t i = 0; i < times; i++)
        said += gate_may_say(g, now);
    return said;
}

/* Ten a second, whoever says them (protocol 1, 7.3). */
static void test_said(void **state)
{
    (void)state;
    size_t size;
    struct gate *g = gate_make(4, &size), other;
    const int64_t sec = 1000000000;
    pid_t pid[8];
    uint32_t sum = 0;
    assert_int_equal(gate_attach(&other, memory, size), ERR_OK);
    assert_int_equal(say(g, GATE_SAID - 1, 5 * sec), GATE_SAID - 1);
    assert_int_equal(say(&other, 1, 6 * sec - 1), 1);
    assert_int_equal(say(g, 100, 6 * sec - 1), 0);
    assert_int_equal(say(&other, 100, 6 * sec), GATE_SAID);
    assert_int_equal(say(g, 100, 6 * sec), 0);
    for (uint32_t i = 0; i < ARRAY_LEN(pid); i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            _exit((int)say(g, 100, 9 * sec));
    }
    for (uint32_t i = 0; i < ARRAY_LEN(pid); i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status));
        sum += (uint32_t)WEXITSTATUS(status);
    }
    assert_int_equal(sum, GATE_SAID);
    munmap(memory, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_ipv6_counts_by_64),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_unblock),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_never_unlocked),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
