// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "net/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_priv.h"

_Static_assert(sizeof(struct conn) == 296, "the idle connection is budgeted (design 9.9)");

const char *conn_end_text(enum conn_end why)
{
    static const char *const text[CONN_END_COUNT] = {
        [CONN_END_DONE] = "closed",
        [CONN_END_ABORT] = "aborted",
        [CONN_END_RESET] = "connection reset",
        [CONN_END_OVERFLOW] = "too much output waits for a client that does not read",
        [CONN_END_STALLED] = "the client does not read",
        [CONN_END_TLS] = "TLS failed",
        [CONN_END_INJECTION] = "input in clear behind starttls",
        [CONN_END_NOMEM] = "no memory",
    };
    return text[why];
}

/* --- events */

void conn_watch(struct conn *c)
{
    unsigned events = 0;
    switch ((enum conn_state)c->state) {
    case CONN_OPEN:
        /* A pause is mostly over before more input comes: the watch goes on until it says so (on_ready). */
        if (!(c->flags & CONN_F_EOF))
            events |= c->flags & CONN_F_PAUSED ? c->io.events & LOOP_READ : LOOP_READ;
        break;
    case CONN_CLOSING:
    case CONN_LINGERS:
        if (!(c->flags & CONN_F_EOF))
            events |= LOOP_READ;
        break;
    case CONN_AWAITED:
        if (!(c->flags & CONN_F_IN_QUEUE))
            events |= LOOP_READ;
        break;
    case CONN_SHAKING:
        events |= c->flags & CONN_F_WRITABLE ? LOOP_WRITE : LOOP_READ;
        break;
    case CONN_STARTTLS:
        break;
    case CONN_DEAD:
        return;
    }
    if (c->flags & CONN_F_BLOCKED)
        events |= LOOP_WRITE;
    loop_io_set(&c->io, events);
}

static void on_ready(void *arg, unsigned events)
{
    struct conn *c = arg;
    if (c->flags & CONN_F_BLOCKED && events & LOOP_WRITE)
        conn_queue_write(c);
    switch ((enum conn_state)c->state) {
    case CONN_OPEN:
        if (events & LOOP_READ && c->flags & CONN_F_PAUSED)
            loop_io_set(&c->io, c->io.events & ~(unsigned)LOOP_READ);
        else if (events & LOOP_READ && !(c->flags & CONN_F_IN_TURNS))
            conn_read(c);
        break;
    case CONN_AWAITED:
        conn_begin_handshake(c);
        break;
    case CONN_SHAKING:
        conn_queue_step(c);
        break;
    case CONN_CLOSING:
    case CONN_LINGERS:
        if (events & LOOP_READ)
            conn_discard(c);
        break;
    case CONN_STARTTLS:
    case CONN_DEAD:
        break;
    }
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    switch ((enum conn_state)c->state) {
    case CONN_STARTTLS:
    case CONN_AWAITED:
    case CONN_SHAKING:
        if (c->ops->on_tls != NULL)
            c->ops->on_tls(c, "the handshake took too long");
        conn_die(c, CONN_END_TLS);
        break;
    case CONN_OPEN:
    case CONN_CLOSING:
        conn_die(c, CONN_END_STALLED);
        break;
    case CONN_LINGERS:
        conn_die(c, c->why);
        break;
    case CONN_DEAD:
        break;
    }
}

/* --- ends */

static void drop_tls(struct conn *c)
{
    if (c->state == CONN_STARTTLS || c->state == CONN_AWAITED)
        tls_context_unref(&c->tls.wanted);
    else
        tls_link_free(&c->tls.link);
}

static void on_io_closed(void *arg)
{
    struct conn *c = arg;
    c->ops->on_closed(c, c->why);
}

void conn_die(struct conn *c, enum conn_end why)
{
    if (c->state == CONN_DEAD)
        return;
    conn_unqueue(c);
    loop_timer_cancel(c->net->loop, &c->timer);
    drop_tls(c);
    conn_out_free(c);
    loop_io_close(&c->io, on_io_closed);
    close(c->fd);
    c->fd = -1;
    c->state = CONN_DEAD;
    c->why = (uint8_t)why;
}

void conn_linger(struct conn *c, enum conn_end why)
{
    conn_unqueue(c);
    c->why = (uint8_t)why;
    if (c->flags & CONN_F_EOF || shutdown(c->fd, SHUT_WR) != 0) {
        conn_die(c, why);
        return;
    }
    c->state = CONN_LINGERS;
    c->flags &= (uint16_t)~CONN_F_BLOCKED;
    loop_timer_cancel(c->net->loop, &c->timer);
    loop_timer_set(c->net->loop, &c->timer, c->net->opt.linger);
    conn_watch(c);
}

void conn_abort(struct conn *c)
{
    conn_die(c, CONN_END_ABORT);
}

void conn_close(struct conn *c)
{
    if (!conn_is_open(c))
        return;
    if (c->state == CONN_AWAITED || c->state == CONN_SHAKING) {
        conn_die(c, CONN_END_DONE); /* there is no channel to say anything */
        return;
    }
    if (c->state == CONN_STARTTLS) {
        drop_tls(c);
        if (c->out != NULL)
            buf_cut(&c->out->b, c->out->clear_end);
    }
    c->state = CONN_CLOSING;
    loop_timer_set(c->net->loop, &c->timer, c->net->opt.out_stall);
    conn_queue_write(c);
    conn_watch(c);
}

/* --- the door's calls */

enum err conn_open(struct conn *c, struct conn_net *net, int fd, const struct conn_ops *ops,
                   struct tls_context *tls)
{
    *c = (struct conn){.net = net, .ops = ops, .fd = fd};
    timer_init(&c->timer, on_timer);
    enum err e = loop_io_open(net->loop, &c->io, fd, LOOP_READ, on_ready, c);
    if (e != ERR_OK || tls == NULL)
        return e;
    c->state = CONN_AWAITED;
    c->tls.wanted = tls_context_ref(tls);
    loop_timer_set(net->loop, &c->timer, net->opt.handshake_timeout);
    return ERR_OK;
}

void conn_start_tls(struct conn *c, struct tls_context *tls, struct str behind)
{
    if (!conn_is_open(c))
        return;
    BUG_IF(c->state != CONN_OPEN || c->flags & CONN_F_TLS);
    if (behind.n != 0) {
        conn_die(c, CONN_END_INJECTION);
        return;
    }
    conn_unqueue(c); /* no more turns: the door holds nothing */
    c->flags &= (uint16_t)~CONN_F_PAUSED;
    c->state = CONN_STARTTLS;
    c->tls.wanted = tls_context_ref(tls);
    if (c->out != NULL)
        c->out->clear_end = c->out->b.n;
    loop_timer_cancel(c->net->loop, &c->timer);
    loop_timer_set(c->net->loop, &c->timer, c->net->opt.handshake_timeout);
    conn_queue_write(c);
    conn_watch(c);
}

void conn_pause(struct conn *c)
{
    c->flags |= CONN_F_PAUSED;
    conn_watch(c);
}

void conn_resume(struct conn *c)
{
    if (!(c->flags & CONN_F_PAUSED))
        return;
    c->flags &= (uint16_t)~CONN_F_PAUSED;
    conn_watch(c);
    conn_again(c);
}

void conn_again(struct conn *c)
{
    if (c->state == CONN_OPEN)
        conn_queue_turn(c);
}

size_t conn_unsent(const struct conn *c)
{
    return c->out != NULL ? c->out->b.n - c->out->head : 0;
}

bool conn_is_open(const struct conn *c)
{
    return c->state < CONN_CLOSING;
}

bool conn_is_tls(const struct conn *c)
{
    return (c->flags & CONN_F_TLS) != 0;
}

bool conn_in_handshake(const struct conn *c)
{
    return c->state >= CONN_STARTTLS && c->state <= CONN_SHAKING;
}

static bool has_link(const struct conn *c)
{
    return c->flags & CONN_F_TLS && c->state != CONN_DEAD;
}

const char *conn_tls_version(const struct conn *c)
{
    return has_link(c) ? tls_link_version(c->tls.link) : "";
}

const char *conn_tls_cipher(const struct conn *c)
{
    return has_link(c) ? tls_link_cipher(c->tls.link) : "";
}

const char *conn_tls_name(const struct conn *c)
{
    return has_link(c) ? tls_link_name(c->tls.link) : "";
}

bool conn_tls_resumed(const struct conn *c)
{
    return has_link(c) && tls_link_resumed(c->tls.link);
}
