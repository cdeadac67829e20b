// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"

/* A test clock may jump at any moment; nothing but looking at it tells. */
#ifdef TEST_CLOCK
#define LONGEST_SLEEP (50 * CLOCK_MS)
#else
#define LONGEST_SLEEP INT64_MAX
#endif

_Static_assert(sizeof(uv_poll_t) <= sizeof(((struct loop_io *)0)->handle), "room for the handle");
_Static_assert(_Alignof(uv_poll_t) <= _Alignof(struct loop_io), "alignment of the handle");
_Static_assert(sizeof(struct loop_io) == 184, "the idle connection is budgeted (design 9.9)");
_Static_assert((int)LOOP_READ == (int)UV_READABLE && (int)LOOP_WRITE == (int)UV_WRITABLE,
               "passed on as they are");

struct round_end {
    loop_fn *fn;
    void *arg;
};

struct signal_watch {
    uv_signal_t handle;
    loop_fn *fn;
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_timer_t timer;     /* the next thing the wheel has to do */
    uv_prepare_t prepare; /* the end of a round: just before the loop waits */
    uv_idle_t idle;       /* active: the next wait does not block */
    struct wheel wheel;
    int64_t now;    /* 0: not read in this round */
    int64_t waking; /* when `timer` fires, or WHEEL_NEVER */
    struct round_end ends[LOOP_ROUND_ENDS];
    struct signal_watch signals[LOOP_SIGNALS];
    uint8_t nends, nsignals;
    bool in_check, more, stopping;
    bool was_long; /* the round before this one */
};

static uv_poll_t *handle_of(struct loop_io *io)
{
    return (uv_poll_t *)(void *)io->handle;
}

/* --- rounds */

int64_t loop_now(struct loop *loop)
{
    if (loop->now == 0)
        loop->now = clock_mono();
    return loop->now;
}

static void on_timer(uv_timer_t *t)
{
    struct loop *loop = t->data;
    loop->waking = WHEEL_NEVER;
}

/* Makes libuv wake up when the wheel has something to do. */
static void plan_waking(struct loop *loop)
{
    int64_t next = wheel_next(&loop->wheel);
    bool idle = next == WHEEL_NEVER;
    int64_t now = loop_now(loop);
    if (next - now > LONGEST_SLEEP)
        next = now + LONGEST_SLEEP;
    if (next == loop->waking)
        return;
    loop->waking = next;
    if (next == WHEEL_NEVER) {
        uv_timer_stop(&loop->timer);
        return;
    }
    /* libuv counts whole milliseconds and rounds its clock down. */
    int64_t delay = next > now ? (next - now) / CLOCK_MS + 1 : 1;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->timer, on_timer, (uint64_t)delay, 0);
    if (idle)
        uv_unref((uv_handle_t *)&loop->timer); /* looking at a test clock keeps no loop alive */
    else
        uv_ref((uv_handle_t *)&loop->timer);
}

/* Its being active is all that is wanted of it. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void end_round(struct loop *loop)
{
    wheel_advance(&loop->wheel, loop_now(loop));
    loop->in_check = true;
    for (uint8_t i = 0; i < loop->nends; i++)
        loop->ends[i].fn(loop->ends[i].arg);
    loop->in_check = false;
    if (loop->more)
        uv_idle_start(&loop->idle, on_idle);
    else
        uv_idle_stop(&loop->idle);
    loop->more = false;
    plan_waking(loop);
    loop->was_long = loop->now != 0 && clock_mono() - loop->now > LOOP_LONG_ROUND;
    loop->now = 0;
}

static void on_prepare(uv_prepare_t *p)
{
    end_round(p->data);
}

void loop_again(struct loop *loop)
{
    loop->more = true;
}

void loop_check_add(struct loop *loop, loop_fn *fn, void *arg)
{
    BUG_IF(loop->nends == LOOP_ROUND_ENDS);
    loop->ends[loop->nends++] = (struct round_end){fn, arg};
}

bool loop_was_long(const struct loop *loop)
{
    return loop->was_long;
}

bool loop_in_check(const struct loop *loop)
{
    return loop->in_check;
}

/* --- life */

enum err loop_new(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return ERR_NOMEM;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return ERR_SYS;
    }
    /* OpenSSL and libuv write to sockets without MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->uv.data = loop->timer.data = loop->prepare.data = loop->idle.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    /* The loop lives for the sake of descriptors, timers and signals, not of its own hooks. */
    uv_unref((uv_handle_t *)&loop->prepare);
    wheel_init(&loop->wheel, clock_mono());
    loop->waking = WHEEL_NEVER;
    *out = loop;
    return ERR_OK;
}

void loop_free(struct loop **ref)
{
    struct loop *loop = *ref;
    if (loop == NULL)
        return;
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    for (uint8_t i = 0; i < loop->nsignals; i++)
        uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
    int rounds = 0;
    do
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    while (uv_loop_close(&loop->uv) != 0 && ++rounds < 100);
    BUG_IF(rounds == 100); /* somebody's loop_io is still open */
    free(loop);
    *ref = NULL;
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    loop->now = 0;
    plan_waking(loop); /* a loop with nothing but timers is alive too */
    while (!loop->stopping) {
        if (uv_run(&loop->uv, UV_RUN_ONCE) != 0)
            continue;
        /* The last thing that it lived for may have led to more. */
        end_round(loop);
        if (uv_loop_alive(&loop->uv) == 0)
            return;
    }
    end_round(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    loop->more = true;
}

/* --- descriptors */

static void on_ready(uv_poll_t *p, int status, int events)
{
    struct loop_io *io = p->data;
    unsigned ready = (unsigned)events & (LOOP_READ | LOOP_WRITE);
    if (status < 0) {
        /* libuv has stopped the watch; the owner's read or write will find the error. */
        ready = io->events;
        uv_poll_start(p, io->events, on_ready);
    }
    ready &= io->events;
    (void)loop_now((struct loop *)p->loop->data); /* the round begins */
    if (ready != 0)
        io->fn.ready(io->arg, ready);
}

enum err loop_io_open(struct loop *loop, struct loop_io *io, int fd, unsigned events,
                      loop_io_fn *fn, void *arg)
{
    *io = (struct loop_io){.fn.ready = fn, .arg = arg};
    uv_poll_t *p = handle_of(io);
    int rc = uv_poll_init(&loop->uv, p, fd);
    if (rc != 0)
        return rc == UV_ENOMEM ? ERR_NOMEM : ERR_SYS;
    p->data = io;
    io->open = true;
    loop_io_set(io, events);
    return ERR_OK;
}

void loop_io_set(struct loop_io *io, unsigned events)
{
    BUG_IF(!io->open);
    if (io->events == events)
        return;
    io->events = (uint8_t)events;
    if (events == 0)
        uv_poll_stop(handle_of(io));
    else
        uv_poll_start(handle_of(io), (int)events, on_ready);
}

static void on_closed(uv_handle_t *h)
{
    struct loop_io *io = h->data;
    if (io->fn.closed != NULL)
        io->fn.closed(io->arg);
}

void loop_io_close(struct loop_io *io, loop_closed_fn *closed)
{
    if (!io->open)
        return;
    io->open = false;
    io->events = 0;
    io->fn.closed = closed;
    uv_close((uv_handle_t *)handle_of(io), on_closed);
}

/* --- timers and signals */

void loop_timer_set(struct loop *loop, struct timer *t, int64_t delay)
{
    int64_t now = loop_now(loop);
    wheel_set(&loop->wheel, t, delay > INT64_MAX - now ? INT64_MAX : now + delay);
}

void loop_timer_set_at(struct loop *loop, struct timer *t, int64_t deadline)
{
    wheel_set(&loop->wheel, t, deadline);
}

void loop_timer_cancel(struct loop *loop, struct timer *t)
{
    wheel_cancel(&loop->wheel, t);
}

static void on_signal(uv_signal_t *h, int signo)
{
    struct signal_watch *s = h->data;
    (void)signo;
    s->fn(s->arg);
}

enum err loop_signal(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
    if (loop->nsignals == LOOP_SIGNALS)
        return ERR_RANGE;
    struct signal_watch *s = &loop->signals[loop->nsignals];
    s->fn = fn;
    s->arg = arg;
    if (uv_signal_init(&loop->uv, &s->handle) != 0)
        return ERR_SYS;
    loop->nsignals++;
    s->handle.data = s;
    if (uv_signal_start(&s->handle, on_signal, signo) != 0)
        return ERR_SYS;
    uv_unref((uv_handle_t *)&s->handle);
    return ERR_OK;
}
