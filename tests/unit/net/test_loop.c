// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <signal.h>

#include "net/loop.h"
#include "tests/unit/net/net_test.h"

static struct loop *loop;
static char trace[64];
static size_t ntrace;

static void note(char c)
{
    if (ntrace < sizeof trace - 1)
        trace[ntrace++] = c;
    trace[ntrace] = '\0';
}

static int setup(void **state)
{
    (void)state;
    ntrace = 0;
    trace[0] = '\0';
    return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    return 0;
}

struct end {
    struct loop_io io;
    int fd;
    bool closed;
};

static void on_end(void *arg, unsigned events)
{
    struct end *e = arg;
    char byte;
    if (events & LOOP_READ && read(e->fd, &byte, 1) == 1) {
        note(byte);
        if (byte == '.')
            loop_stop(loop);
    }
    if (events & LOOP_WRITE) {
        note('w');
        loop_io_set(&e->io, LOOP_READ);
    }
}

static void on_end_closed(void *arg)
{
    ((struct end *)arg)->closed = true;
}

static void note_a(void *arg)
{
    (void)arg;
    note('A');
}

static void note_b(void *arg)
{
    (void)arg;
    note('B');
}

static void round_ends_follow_events_in_order(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct end e = {.fd = fds[0]};
    OK(loop_io_open(loop, &e.io, fds[0], LOOP_READ | LOOP_WRITE, on_end, &e));
    loop_check_add(loop, note_a, NULL);
    loop_check_add(loop, note_b, NULL);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(write(fds[1], ".", 1), 1);
    loop_run(loop);
    assert_string_equal(trace, "ABxwAB.AB");
    loop_io_close(&e.io, on_end_closed);
    assert_false(e.closed); /* never from within */
    close(fds[0]);
    loop_run(loop);
    assert_true(e.closed);
    close(fds[1]);
}

static void a_regular_file_is_refused(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    struct end e = {.fd = fileno(f)};
    assert_int_not_equal(loop_io_open(loop, &e.io, e.fd, LOOP_READ, on_end, &e), ERR_OK);
    assert_false(loop_io_is_open(&e.io));
    fclose(f);
}

/* A reset peer must be noticed by whoever only reads, and not spin when the watch is taken off. */
static void errors_come_as_events(void **state)
{
    (void)state;
    int fds[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    static struct end e; /* outlives the loop */
    e.fd = fds[0];
    OK(loop_io_open(loop, &e.io, fds[0], LOOP_READ, on_end, &e));
    assert_int_equal(write(fds[0], "unread", 6), 6);
    assert_int_equal(write(fds[1], ".", 1), 1);
    close(fds[1]); /* with unread input: ECONNRESET at the other end */
    loop_run(loop);
    assert_string_equal(trace, ".");
    assert_true(read(fds[0], &byte, 1) <= 0);
    loop_io_close(&e.io, NULL);
    close(fds[0]);
}

static int64_t fired_at[3];
static struct timer timers[3];

static void on_timer(struct timer *t)
{
    fired_at[t - timers] = clock_mono();
    if (t == &timers[2])
        loop_stop(loop);
}

static void timers_fire_in_time(void **state)
{
    (void)state;
    int64_t began = clock_mono();
    for (int i = 0; i < 3; i++)
        timer_init(&timers[i], on_timer);
    loop_timer_set(loop, &timers[0], 60 * CLOCK_MS);
    loop_timer_set(loop, &timers[1], 90 * CLOCK_MS);
    loop_timer_set_at(loop, &timers[2], began + 150 * CLOCK_MS);
    loop_timer_cancel(loop, &timers[1]);
    loop_run(loop);
    assert_true(fired_at[0] - began >= 60 * CLOCK_MS);
    assert_true(fired_at[2] - began >= 150 * CLOCK_MS);
    assert_true(fired_at[2] - began < 20 * CLOCK_SEC);
    assert_true(fired_at[1] == 0);
}

static void on_signal(void *arg)
{
    (void)arg;
    note('S');
    loop_stop(loop);
}

static void kill_myself(struct timer *t)
{
    (void)t;
    kill(getpid(), SIGUSR1);
}

static void signals_arrive(void **state)
{
    (void)state;
    struct timer t;
    timer_init(&t, kill_myself);
    OK(loop_signal(loop, SIGUSR1, on_signal, NULL));
    loop_timer_set(loop, &t, 1);
    while (ntrace == 0) {
        struct timer keep;
        timer_init(&keep, on_timer);
        loop_timer_set(loop, &keep, CLOCK_SEC);
        loop_run(loop);
        loop_timer_cancel(loop, &keep);
    }
    assert_string_equal(trace, "S");
}

static int rounds;

static void again_until_1000(void *arg)
{
    (void)arg;
    if (++rounds < 1000)
        loop_again(loop);
}

static void again_does_not_wait(void **state)
{
    (void)state;
    int64_t began = clock_mono();
    timer_init(&timers[2], on_timer);
    loop_check_add(loop, again_until_1000, NULL);
    loop_timer_set(loop, &timers[2], 500 * CLOCK_MS);
    loop_run(loop);
    assert_true(rounds >= 1000);
    assert_true(rounds < 1100); /* ... and then it did wait */
    assert_true(clock_mono() - began >= 500 * CLOCK_MS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(round_ends_follow_events_in_order),
                                       T(a_regular_file_is_refused),
                                       T(errors_come_as_events),
                                       T(timers_fire_in_time),
                                       T(signals_arrive),
                                       T(again_does_not_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
