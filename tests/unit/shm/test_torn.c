// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * No mixed copies: one writer at full speed, one reader, every word of a row derived from one number (anchors §2.3,
 * rule 2). Once between two processes over the reader library, as in life; once between two threads on the same
 * addresses, which is what a build with -fsanitize=thread can judge.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/shm/shmkit.h"

/*
 * The trial takes SPAN, and longer until it has seen ENOUGH new copies: on a busy machine the two sides seldom run at
 * the same time, and a fixed time would judge the scheduler.
 */
#define SPAN   (CLOCK_SEC * 9 / 10)
#define LIMIT  (CLOCK_SEC * 40)
#define ENOUGH 50

static bool go_on(int64_t start, unsigned long good)
{
    int64_t took = clock_mono() - start;
    return took < SPAN || (good < ENOUGH && took < LIMIT);
}

union words {
    struct shm_row row;
    uint64_t w[SHM_ROW_WORDS];
};

static void derive(union words *u, uint64_t n)
{
    for (size_t i = 1; i < SHM_ROW_WORDS; i++)
        u->w[i] = (n + i) * UINT64_C(0x9e3779b97f4a7c15) | 1; /* | 1: never a free row */
}

/* The number comes back from the sequence: the writer's round. */
static bool mixed(const union words *u)
{
    union words want;
    derive(&want, u->w[0] / 2);
    return memcmp(&u->w[1], &want.w[1], sizeof(*u) - 8) != 0;
}

static void write_on(struct shm_writer *w, uint32_t row, const atomic_bool *stop)
{
    union words u = {.w = {0}};
    for (uint64_t n = shm_load(w->row) / 2 + 1; !atomic_load_explicit(stop, memory_order_relaxed);
         n++) {
        derive(&u, n);
        shm_row_publish(w, row, &u.row);
    }
}

static void two_processes(void **state)
{
    (void)state;
    static const atomic_bool never = false;
    struct kit k;
    struct proc p;
    unsigned long good = 0, bad = 0, rounds = 0;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    uint32_t row = shm_row_alloc(&p.w);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        write_on(&p.w, row, &never);
        _exit(0);
    }
    struct shm_reader *r = shm_reader_new(k.dir);
    uint64_t last = 0;
    for (int64_t start = clock_mono(); go_on(start, good); rounds++) {
        struct shm_place at = {0};
        assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
        const struct shm_row *seen = shm_reader_next(r, &at);
        if (seen == NULL || seen->seq == last)
            continue;
        union words u = {.row = *seen};
        assert_int_equal(u.w[0] & 1, 0);
        bad += mixed(&u);
        good += u.w[0] > last;
        last = u.w[0];
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    print_message("library: %lu pictures, %lu new copies, %lu mixed\n", rounds, good, bad);
    assert_int_equal(bad, 0);
    assert_true(good >= ENOUGH);
    shm_reader_free(&r);
    shm_detach(&p.w);
    kit_free(&k);
}

struct side {
    struct shm_writer *w;
    atomic_bool stop;
};

static void *writer_main(void *arg)
{
    struct side *s = arg;
    write_on(s->w, 0, &s->stop);
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    pthread_t t;
    unsigned long good = 0, bad = 0, missed = 0, control = 0;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    struct side side = {.w = &p.w};
    assert_int_equal(shm_row_alloc(&p.w), 0);
    assert_int_equal(pthread_create(&t, NULL, writer_main, &side), 0);
    for (int64_t start = clock_mono(); go_on(start, good);) {
        union words u;
        if (!shm_get(p.w.row, &u, SHM_ROW_WORDS))
            missed++;
        else if (u.w[0] != 0 && mixed(&u))
            bad++;
        else
            good++;
    }
    /* What the protocol is for: copies without a second look at the number. On one core there may be none. */
    for (int i = 0; i < 100000; i++) {
        union words u;
        for (size_t n = 0; n < SHM_ROW_WORDS; n++)
            u.w[n] = shm_load(&p.w.row[n]);
        control += mixed(&u);
    }
    atomic_store(&side.stop, true);
    pthread_join(t, NULL);
    print_message("row: %lu copies, %lu given up, %lu mixed; without protocol %lu of 100000\n",
                  good, missed, bad, control);
    assert_int_equal(bad, 0);
    assert_true(good >= ENOUGH);
    shm_detach(&p.w);
    kit_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_processes),
                                       cmocka_unit_test(two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
