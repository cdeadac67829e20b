// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * loop: the event loop of every process but the master, over libuv, which nobody outside net sees.
 *
 * A round: wait for descriptors, call the functions of those that are ready, fire timers that are due, then call the
 * round-end functions in the order of their registration, then wait again. Whatever is produced during a round leaves
 * in its round-end functions: one packet per peer, one write per connection, one write of the log (design §2.2).
 *
 * Created after fork() only: libuv's state must not be carried into a child. loop_new() makes the process ignore SIGPIPE.
 * One loop per process is the custom; nothing here is global, though.
 */
#include "base/err.h"
#include "net/wheel.h"

#define LOOP_READ  1u
#define LOOP_WRITE 2u

struct loop;

enum err loop_new(struct loop **out) CHECKED;
/* Every loop_io must have been closed (loop_io_close called; its closed function is called here at the latest). */
void loop_free(struct loop **loop);

/* Runs rounds until loop_stop(), or until nothing is left that could ever wake it. Ends with the round-end functions. */
void loop_run(struct loop *loop);
/* Ends loop_run() after the current round. */
void loop_stop(struct loop *loop);

/* clock_mono(), read at most once a round: cheap. */
int64_t loop_now(struct loop *loop);

/* --- descriptors */

/*
 * The descriptor is ready, `events` of LOOP_READ | LOOP_WRITE. Level-triggered. An error on the descriptor reports all
 * the events that were asked for: the read or write that follows tells.
 */
typedef void loop_io_fn(void *arg, unsigned events);
typedef void loop_closed_fn(void *arg);

/* Embedded in its owner, 184 bytes. The fields are loop.c's. */
struct loop_io {
    uint64_t handle[20]; /* uv_poll_t; loop.c asserts the size */
    union {
        loop_io_fn *ready;
        loop_closed_fn *closed;
    } fn;
    void *arg;
    uint8_t events; /* wanted */
    bool open;
};

/*
 * Watches fd, which becomes non-blocking and stays the caller's. events may be 0. On failure (no memory, not a
 * pollable descriptor, already watched) nothing is watched and io need not be closed.
 */
enum err loop_io_open(struct loop *loop, struct loop_io *io, int fd, unsigned events,
                      loop_io_fn *fn, void *arg) CHECKED;
/* Other events from now on, 0 for none. Costs a system call at the end of the round when they differ. */
void loop_io_set(struct loop_io *io, unsigned events);
/*
 * Ends the watch: no more calls of fn, and the caller may close the descriptor as soon as this returns. The memory of
 * io must live until `closed` is called, later in the same round or in the next, never from within this call.
 * `closed` may be NULL when the memory outlives the loop.
 */
void loop_io_close(struct loop_io *io, loop_closed_fn *closed);

static inline bool loop_io_is_open(const struct loop_io *io)
{
    return io->open;
}

/* --- timers: the process's wheel, 16.8 ms ticks (net/wheel.h). timer_init() first. */

/* Fires once, `delay` nanoseconds from loop_now() or later. Setting a pending timer again is nearly free. */
void loop_timer_set(struct loop *loop, struct timer *t, int64_t delay);
/* The same with a time of clock_mono(). */
void loop_timer_set_at(struct loop *loop, struct timer *t, int64_t deadline);
void loop_timer_cancel(struct loop *loop, struct timer *t);

/* --- rounds and signals */

typedef void loop_fn(void *arg);

/* fn is called at the end of every round, before the loop waits. At most LOOP_ROUND_ENDS of them. */
#define LOOP_ROUND_ENDS 16
void loop_check_add(struct loop *loop, loop_fn *fn, void *arg);
/* True while round-end functions run: what is produced now and belongs to an earlier one needs loop_again(). */
bool loop_in_check(const struct loop *loop);
/* The next wait does not block: there is more to do than this round allowed. */
void loop_again(struct loop *loop);
/*
 * The round before this one took so long (over LOOP_LONG_ROUND) that more than one thing may wait at a descriptor. Who
 * reads a queue until it is empty pays a system call for learning that it is; in short rounds that call is most of
 * what a request costs, and one thing at a time is enough.
 */
#define LOOP_LONG_ROUND (100 * CLOCK_US)
bool loop_was_long(const struct loop *loop);

/* fn is called from the loop after the signal has come. At most LOOP_SIGNALS of them, for the life of the loop. */
#define LOOP_SIGNALS 8
enum err loop_signal(struct loop *loop, int signo, loop_fn *fn, void *arg) CHECKED;
