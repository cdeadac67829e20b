// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Connections in clear. The peer is the other end of a socket pair, so that every byte and its time are known.
 */
#include <errno.h>

#include "tests/unit/net/net_test.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_open(&w, &CONN_OPTIONS_DEFAULT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static void with_options(struct conn_options o)
{
    conn_net_set_options(w.net, &o);
}

static void every_cut_of_input(void **state)
{
    (void)state;
    struct str msg = STR("<noop id=\"1\"/>\0<bye id=\"2\"/>\0");
    for (size_t cut = 0; cut <= msg.n; cut++) {
        struct door d;
        int peer = door_open(&w, &d, NULL);
        say(peer, str_sub(msg, 0, cut));
        spin(&w, 2);
        heard(&d, str_sub(msg, 0, cut));
        say(peer, str_sub(msg, cut, msg.n - cut));
        spin(&w, 2);
        heard(&d, msg);
        assert_int_equal(d.calls, cut == 0 || cut == msg.n ? 1 : 2);
        door_end(&w, &d);
        close(peer);
    }
}

static void echo(struct door *d, struct str in)
{
    for (size_t i = 0; i < in.n; i++)
        conn_write(&d->conn, str_sub(in, i, 1));
}

/* Five pieces of output, one arrival. */
static void one_write_a_round(void **state)
{
    (void)state;
    struct door d;
    char got[64];
    int peer = door_open(&w, &d, NULL);
    d.hook = echo;
    say(peer, STR("hello"));
    spin(&w, 2);
    assert_int_equal(hear(peer, got, sizeof got), 5);
    assert_int_equal(d.sent, 5);
    assert_int_equal(conn_unsent(&d.conn), 0);
    door_end(&w, &d);
    close(peer);
}

/* Written from a timer, when no descriptor is ready: it must not wait for one. */
static struct door *timed_door;

static void write_late(struct timer *t)
{
    (void)t;
    conn_write(&timed_door->conn, STR("late"));
}

static void output_of_a_timer_leaves_at_once(void **state)
{
    (void)state;
    struct door d;
    struct timer t;
    char got[8];
    int peer = door_open(&w, &d, NULL);
    timed_door = &d;
    timer_init(&t, write_late);
    loop_timer_set(w.loop, &t, 20 * CLOCK_MS);
    int64_t end = clock_mono() + 20 * CLOCK_SEC;
    ssize_t n = -1;
    while (n < 0 && clock_mono() < end) {
        spin(&w, 1);
        n = hear(peer, got, sizeof got);
    }
    assert_int_equal(n, 4);
    door_end(&w, &d);
    close(peer);
}

static void fill(char *p, size_t n, unsigned from)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((from + i) * 2654435761u >> 13);
}

static void partial_writes(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    struct door d;
    int small = 4096;
    int peer = door_open(&w, &d, NULL);
    char *sent = malloc(BYTES), *got = malloc(BYTES + 1);
    assert_int_equal(setsockopt(d.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    fill(sent, BYTES, 1);
    conn_write(&d.conn, (struct str){sent, BYTES / 2});
    size_t written = BYTES / 2, n = 0;
    while (n < BYTES) {
        spin(&w, 1);
        assert_int_equal(d.sent + conn_unsent(&d.conn), written);
        if (written < BYTES) { /* more while it is blocked */
            size_t more = BYTES - written < 7777 ? BYTES - written : 7777;
            conn_write(&d.conn, (struct str){sent + written, more});
            written += more;
        }
        size_t room = BYTES + 1 - n;
        ssize_t r = hear(peer, got + n, room < 5000 ? room : 5000);
        if (r > 0)
            n += (size_t)r;
    }
    spin(&w, 2);
    assert_memory_equal(sent, got, BYTES);
    assert_int_equal(d.sent, BYTES);
    assert_int_equal(conn_unsent(&d.conn), 0);
    assert_null(d.conn.out); /* no buffer stays with an idle connection */
    free(sent);
    free(got);
    door_end(&w, &d);
    close(peer);
}

static void out_limit_is_exact(void **state)
{
    (void)state;
    static char bytes[10001];
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    o.out_limit = 10000;
    with_options(o);
    for (size_t n = 9999; n <= 10001; n++) {
        for (size_t first = 0; first <= 5000; first += 2500) {
            struct door d;
            int peer = door_open(&w, &d, NULL);
            conn_write(&d.conn, (struct str){bytes, first});
            conn_write(&d.conn, (struct str){bytes, n - first});
            assert_int_equal(conn_is_open(&d.conn), n <= 10000);
            conn_write(&d.conn, STR("ab")); /* one too many, or harmless when it is over */
            spin(&w, 2);
            assert_int_equal(d.closed, 1);
            assert_int_equal(d.why, CONN_END_OVERFLOW);
            door_end(&w, &d);
            close(peer);
        }
    }
}

/* The limit counts what waits, not what has gone. */
static void out_limit_forgets_what_has_gone(void **state)
{
    (void)state;
    char bytes[9000] = {0}, got[10000];
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    o.out_limit = 10000;
    with_options(o);
    struct door d;
    int peer = door_open(&w, &d, NULL);
    for (int i = 0; i < 20; i++) {
        conn_write(&d.conn, (struct str){bytes, sizeof bytes});
        spin(&w, 1);
        while (hear(peer, got, sizeof got) > 0)
            ;
    }
    assert_true(conn_is_open(&d.conn));
    assert_int_equal(d.sent, 20 * sizeof bytes);
    door_end(&w, &d);
    close(peer);
}

static void once_a_round(struct door *d, struct str in)
{
    assert_true(in.n <= CONN_READ_MAX);
    assert_int_not_equal(d->last_round, w.total);
    d->last_round = w.total;
}

static void at_most_64k_a_round(void **state)
{
    (void)state;
    static char bytes[150000];
    struct door d;
    int peer = door_open(&w, &d, NULL);
    int big = 1 << 20;
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    fill(bytes, sizeof bytes, 7);
    say(peer, (struct str){bytes, sizeof bytes});
    d.hook = once_a_round;
    d.last_round = -1;
    spin(&w, 10);
    heard(&d, (struct str){bytes, sizeof bytes});
    assert_true(d.calls >= 3);
    door_end(&w, &d);
    close(peer);
}

static void half_close(void **state)
{
    (void)state;
    struct door d;
    char got[16];
    int peer = door_open(&w, &d, NULL);
    say(peer, STR("last"));
    shutdown(peer, SHUT_WR);
    spin(&w, 3);
    heard(&d, STR("last"));
    assert_int_equal(d.eofs, 1);
    spin(&w, 5);
    assert_int_equal(d.eofs, 1);
    assert_true(conn_is_open(&d.conn));
    conn_write(&d.conn, STR("answer"));
    conn_close(&d.conn);
    spin(&w, 3);
    assert_int_equal(hear(peer, got, sizeof got), 6);
    assert_int_equal(hear(peer, got, sizeof got), 0);
    assert_int_equal(d.closed, 1); /* no lingering: the peer has said that it is done */
    assert_int_equal(d.why, CONN_END_DONE);
    door_end(&w, &d);
    close(peer);
}

static void pause_on_data(struct door *d, struct str in)
{
    (void)in;
    conn_pause(&d->conn);
}

static void pausing(void **state)
{
    (void)state;
    struct door d;
    int peer = door_open(&w, &d, NULL);
    d.hook = pause_on_data;
    say(peer, STR("a"));
    spin(&w, 2);
    say(peer, STR("b"));
    spin(&w, 5);
    heard(&d, STR("a"));
    d.hook = NULL;
    conn_resume(&d.conn);
    spin(&w, 4);
    heard(&d, STR("ab"));
    int calls = d.calls;
    /* With nothing to read, resuming still gives the door its turn. */
    conn_pause(&d.conn);
    conn_resume(&d.conn);
    spin(&w, 3);
    assert_int_equal(d.calls, calls + 1);
    /* A pause that comes before the turn holds it back. */
    conn_again(&d.conn);
    conn_pause(&d.conn);
    spin(&w, 3);
    assert_int_equal(d.calls, calls + 1);
    door_end(&w, &d);
    close(peer);
}

static void again_always(struct door *d, struct str in)
{
    (void)in;
    d->steps++;
    conn_again(&d->conn);
}

/* A turn a round, not more, and nothing is read while the door has something left. */
static void one_turn_a_round(void **state)
{
    (void)state;
    struct door d;
    int peer = door_open(&w, &d, NULL);
    d.hook = again_always;
    say(peer, STR("x"));
    spin(&w, 2);
    say(peer, STR("y"));
    size_t before = d.steps;
    int rounds = w.total;
    spin(&w, 20);
    rounds = w.total - rounds;
    assert_true(d.steps - before <= (size_t)rounds && d.steps - before + 2 >= (size_t)rounds);
    heard(&d, STR("x"));
    d.hook = NULL;
    spin(&w, 3);
    heard(&d, STR("xy"));
    door_end(&w, &d);
    close(peer);
}

/* Everybody with output is served, also those who came while others ended. */
static void many_connections(void **state)
{
    (void)state;
    enum { N = 200 };
    static struct door d[N];
    int peer[N];
    char got[64];
    for (int i = 0; i < N; i++) {
        peer[i] = door_open(&w, &d[i], NULL);
        d[i].hook = echo;
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++)
            say(peer[i], STR("ping"));
        if (round == 10) {
            for (int i = 0; i < N; i += 3)
                conn_abort(&d[i].conn);
        }
        spin(&w, 2);
        for (int i = 0; i < N; i++) {
            if (round < 10 || i % 3 != 0)
                assert_int_equal(hear(peer[i], got, sizeof got), 4);
        }
        if (round == 10) {
            for (int i = 0; i < N; i += 3)
                close(peer[i]);
            for (int i = 0; i < N; i += 3) {
                door_end(&w, &d[i]);
                peer[i] = door_open(&w, &d[i], NULL);
                d[i].hook = echo;
            }
        } else if (round > 10) {
            for (int i = 0; i < N; i += 3)
                (void)hear(peer[i], got, sizeof got);
        }
    }
    for (int i = 0; i < N; i++) {
        close(peer[i]);
        door_end(&w, &d[i]);
    }
}

static void texts(void **state)
{
    (void)state;
    for (int i = 0; i < CONN_END_COUNT; i++)
        assert_true(strlen(conn_end_text((enum conn_end)i)) > 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_cut_of_input),  T(one_write_a_round),  T(output_of_a_timer_leaves_at_once),
        T(partial_writes),      T(out_limit_is_exact), T(out_limit_forgets_what_has_gone),
        T(at_most_64k_a_round), T(half_close),         T(pausing),
        T(one_turn_a_round),    T(many_connections),   T(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
