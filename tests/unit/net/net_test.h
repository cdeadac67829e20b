// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * net_test: a loop, connections and their peers in one process, for the tests of net.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/tls.h"

#define OK(call) assert_int_equal((call), ERR_OK)

/* A door that keeps everything it is told. */
struct door {
    struct conn conn;
    struct buf in;
    size_t sent;
    int calls; /* of on_data */
    int eofs, tls_ok, closed;
    char problem[128];
    enum conn_end why;
    void (*hook)(struct door *d, struct str in); /* called by on_data */
    struct tls_context *tls;                     /* for hooks */
    size_t steps;
    int last_round;
};

struct world {
    struct loop *loop;
    struct conn_net *net;
    int rounds; /* until the loop is stopped */
    int total;  /* rounds that have ended */
};

static inline struct door *door_of(struct conn *c)
{
    return CONTAINER_OF(c, struct door, conn);
}

static inline void door_data(struct conn *c, struct str in)
{
    struct door *d = door_of(c);
    d->calls++;
    buf_str(&d->in, in);
    if (d->hook != NULL)
        d->hook(d, in);
}

static inline void door_eof(struct conn *c)
{
    door_of(c)->eofs++;
}

static inline void door_sent(struct conn *c, size_t n)
{
    door_of(c)->sent += n;
}

static inline void door_tls(struct conn *c, const char *problem)
{
    struct door *d = door_of(c);
    if (problem == NULL) {
        d->tls_ok++;
        return;
    }
    assert_int_equal(d->problem[0], '\0');
    assert_true(problem[0] != '\0');
    strncpy(d->problem, problem, sizeof d->problem - 1);
}

static inline void door_closed(struct conn *c, enum conn_end why)
{
    struct door *d = door_of(c);
    assert_int_equal(d->closed, 0);
    d->closed = 1;
    d->why = why;
}

static const struct conn_ops door_ops = {door_data, door_eof, door_sent, door_tls, door_closed};

static inline void world_round(void *arg)
{
    struct world *w = arg;
    w->total++;
    if (w->rounds-- <= 0)
        loop_stop(w->loop);
    else
        loop_again(w->loop);
}

static inline void world_open(struct world *w, const struct conn_options *opt)
{
    *w = (struct world){0};
    OK(loop_new(&w->loop));
    OK(conn_net_new(w->loop, opt, &w->net));
    loop_check_add(w->loop, world_round, w);
}

static inline void world_close(struct world *w)
{
    conn_net_free(&w->net);
    loop_free(&w->loop);
}

/* So many rounds, none of which waits. */
static inline void spin(struct world *w, int rounds)
{
    w->rounds = rounds;
    loop_run(w->loop);
}

/* Until *flag is set, or so many seconds are over. */
static inline void await(struct world *w, const int *flag, int seconds)
{
    int64_t deadline = clock_mono() + seconds * CLOCK_SEC;
    while (*flag == 0 && clock_mono() < deadline) {
        spin(w, 1);
        usleep(500);
    }
}

static inline void door_init(struct door *d)
{
    *d = (struct door){0};
    buf_init(&d->in, 64 * 1024 * 1024);
}

/* A door on one end of a socket pair; the other end, non-blocking, is returned. */
static inline int door_open(struct world *w, struct door *d, struct tls_context *tls)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    door_init(d);
    OK(conn_open(&d->conn, w->net, fds[0], &door_ops, tls));
    return fds[1];
}

static inline void door_end(struct world *w, struct door *d)
{
    if (!d->closed)
        conn_abort(&d->conn);
    while (!d->closed)
        spin(w, 1);
    buf_free(&d->in);
}

/* What the door has been told, in all. */
static inline void heard(const struct door *d, struct str want)
{
    assert_int_equal(d->in.n, want.n);
    assert_memory_equal(d->in.p, want.p, want.n);
}

/* --- the peer's end */

static inline void say(int fd, struct str s)
{
    assert_int_equal(send(fd, s.p, s.n, MSG_NOSIGNAL), s.n);
}

/* What it can read now; -1: nothing yet, 0: end. */
static inline ssize_t hear(int fd, char *to, size_t n)
{
    return recv(fd, to, n, MSG_DONTWAIT);
}
