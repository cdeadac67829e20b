// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * How connections in clear end: with output that nobody has read yet, or will read; from within callbacks; by the peer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

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

/* A TCP pair over the loopback: only there does unread input at close() destroy output on its way. */
static int tcp_pair(struct door *d)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(l, 5), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&a, sizeof a), 0);
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(l);
    door_init(d);
    OK(conn_open(&d->conn, w.net, fd, &door_ops, NULL));
    return peer;
}

/* "<bye/>" because a message is too long: the client is still sending, and must get it all the same. */
static void last_output_survives_unread_input(void **state)
{
    (void)state;
    static char flood[300000], got[70000];
    for (int rounds = 0; rounds < 20; rounds++) {
        struct door d;
        size_t n = 0;
        int peer = tcp_pair(&d);
        (void)send(peer, flood, sizeof flood, MSG_DONTWAIT);
        spin(&w, 1);
        for (int i = 0; i < 10000; i++)
            conn_write(&d.conn, STR("<bye/>\0"));
        conn_close(&d.conn);
        size_t calls = (size_t)d.calls;
        for (int i = 0; i < 1000 && !d.closed; i++) {
            (void)send(peer, flood, 5000, MSG_DONTWAIT | MSG_NOSIGNAL); /* and on */
            spin(&w, 1);
            ssize_t r = hear(peer, got + n, sizeof got - n);
            if (r == 0)
                shutdown(peer, SHUT_WR);
            else if (r > 0)
                n += (size_t)r;
            else
                assert_int_equal(errno, EAGAIN); /* never ECONNRESET */
        }
        assert_int_equal(n, 70000);
        assert_int_equal(d.closed, 1);
        assert_int_equal(d.why, CONN_END_DONE);
        assert_int_equal(d.calls, calls); /* input after the end is discarded */
        door_end(&w, &d);
        close(peer);
    }
}

static void lingering_ends(void **state)
{
    (void)state;
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    o.linger = 50 * CLOCK_MS;
    with_options(o);
    struct door d;
    char got[4];
    int peer = door_open(&w, &d, NULL);
    conn_close(&d.conn);
    spin(&w, 2);
    assert_int_equal(hear(peer, got, sizeof got), 0); /* our FIN */
    assert_int_equal(d.closed, 0);
    await(&w, &d.closed, 20);
    assert_int_equal(d.why, CONN_END_DONE);
    door_end(&w, &d);
    close(peer);
}

#define STALL (500 * CLOCK_MS)

/* Slow is not stalled. false: this process was not given the time to be slow in time. */
static bool is_read_slowly(struct door *d, int peer)
{
    static char got[70000];
    int64_t since = clock_mono(); /* or later something was taken */
    for (int i = 0; i < 4; i++) {
        usleep(200000);
        spin(&w, 2);
        ssize_t first = hear(peer, got, sizeof got);
        while (hear(peer, got, sizeof got) >
               0) /* a Unix socket is writable when it is nearly empty */
            ;
        int64_t now = clock_mono();
        spin(&w, 2);
        if (clock_mono() - since >= STALL)
            return false;
        since = now;
        assert_true(first > 0);
        assert_int_equal(d->closed, 0);
    }
    return true;
}

static void stalled_output_ends(void **state)
{
    (void)state;
    static char bytes[4000000];
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    int good[2] = {0, 0};
    o.out_stall = STALL;
    with_options(o);
    for (int turn = 0; good[0] == 0 || good[1] == 0; turn++) {
        struct door d;
        int closing = turn % 2;
        assert_true(turn < 60);
        int peer = door_open(&w, &d, NULL);
        conn_write(&d.conn, (struct str){bytes, sizeof bytes});
        if (closing)
            conn_close(&d.conn);
        good[closing] += is_read_slowly(&d, peer);
        /* ... but this is. */
        await(&w, &d.closed, 20);
        assert_int_equal(d.closed, 1);
        assert_int_equal(d.why, CONN_END_STALLED);
        door_end(&w, &d);
        close(peer);
    }
}

static void abort_on_data(struct door *d, struct str in)
{
    (void)in;
    conn_abort(&d->conn);
    conn_write(&d->conn, STR("lost"));
    conn_close(&d->conn);
    conn_again(&d->conn);
    conn_pause(&d->conn);
    conn_resume(&d->conn);
    assert_false(conn_is_open(&d->conn));
    assert_int_equal(d->closed, 0); /* not from within */
}

static void abort_from_a_callback(void **state)
{
    (void)state;
    struct door d;
    char got[8];
    int peer = door_open(&w, &d, NULL);
    d.hook = abort_on_data;
    say(peer, STR("x"));
    spin(&w, 3);
    assert_int_equal(d.closed, 1);
    assert_int_equal(d.why, CONN_END_ABORT);
    assert_int_equal(hear(peer, got, sizeof got), 0);
    door_end(&w, &d);
    close(peer);
}

static void close_on_data(struct door *d, struct str in)
{
    (void)in;
    conn_write(&d->conn, STR("bye"));
    conn_close(&d->conn);
    conn_write(&d->conn, STR("not this"));
}

static void close_from_a_callback(void **state)
{
    (void)state;
    struct door d;
    char got[16];
    int peer = door_open(&w, &d, NULL);
    d.hook = close_on_data;
    say(peer, STR("x"));
    spin(&w, 2);
    say(peer, STR("y")); /* discarded */
    spin(&w, 2);
    assert_int_equal(hear(peer, got, sizeof got), 3);
    assert_int_equal(hear(peer, got, sizeof got), 0);
    heard(&d, STR("x"));
    close(peer);
    spin(&w, 3);
    assert_int_equal(d.closed, 1);
    assert_int_equal(d.eofs, 0);
    door_end(&w, &d);
}

static void reset_by_the_peer(void **state)
{
    (void)state;
    for (int paused = 0; paused < 2; paused++) {
        struct door d;
        int peer = door_open(&w, &d, NULL);
        conn_write(&d.conn, STR("unread"));
        spin(&w, 2);
        if (paused)
            conn_pause(&d.conn);
        close(peer);
        spin(&w, 3);
        assert_int_equal(d.closed, !paused);
        if (paused) { /* noticed at the next write */
            conn_write(&d.conn, STR("x"));
            spin(&w, 3);
            assert_int_equal(d.closed, 1);
        }
        assert_int_equal(d.why, CONN_END_RESET);
        door_end(&w, &d);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(last_output_survives_unread_input),
        T(lingering_ends),
        T(stalled_output_ends),
        T(abort_from_a_callback),
        T(close_from_a_callback),
        T(reset_by_the_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
