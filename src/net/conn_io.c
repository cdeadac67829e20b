// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * conn_io.c: bytes in and out of one connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/conn_priv.h"

/* --- in */

/* Like recv() into the shared buffer; 0: end of input or nothing now, and c->flags or its end say which. */
static size_t receive(struct conn *c)
{
    ssize_t n;
    do
        n = recv(c->fd, c->net->in, sizeof c->net->in, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        c->flags |= CONN_F_EOF;
    else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        conn_die(c, c->state == CONN_LINGERS ? (enum conn_end)c->why : CONN_END_RESET);
    return n > 0 ? (size_t)n : 0;
}

static void tell_eof(struct conn *c)
{
    c->flags |= CONN_F_EOF;
    conn_watch(c);
    if (c->ops->on_eof != NULL)
        c->ops->on_eof(c);
}

static void read_tls(struct conn *c, struct str in)
{
    size_t n;
    enum tls_step step = tls_link_read(c->tls.link, in, c->net->plain, &n);
    if (n != 0) {
        c->ops->on_data(c, (struct str){c->net->plain, n});
        explicit_bzero(c->net->plain, n);
    }
    if (c->state == CONN_DEAD)
        return;
    if (step == TLS_FAILED)
        conn_linger(c, CONN_END_TLS); /* so that the alert arrives */
    else if (step == TLS_EOF && c->state == CONN_OPEN)
        tell_eof(c);
    else if (step == TLS_EOF)
        c->flags |= CONN_F_EOF; /* the door has closed it meanwhile */
}

void conn_read(struct conn *c)
{
    size_t n = receive(c);
    if (c->state == CONN_DEAD)
        return;
    if (n != 0 && c->flags & CONN_F_TLS)
        read_tls(c, (struct str){c->net->in, n});
    else if (n != 0) {
        c->ops->on_data(c, (struct str){c->net->in, n});
        explicit_bzero(c->net->in, n); /* there may be a password in it, whole or in half */
    } else if (c->flags & CONN_F_EOF)
        tell_eof(c);
}

void conn_discard(struct conn *c)
{
    (void)receive(c);
    if (c->state == CONN_DEAD || !(c->flags & CONN_F_EOF))
        return;
    if (c->state == CONN_LINGERS)
        conn_die(c, c->why);
    else
        conn_watch(c);
}

/* --- out */

static struct conn_out *out_take(struct conn_net *net)
{
    struct conn_out *o = net->pool;
    if (o != NULL) {
        net->pool = o->next;
        net->npool--;
    } else {
        o = malloc(sizeof *o);
        if (o == NULL)
            return NULL;
        buf_init(&o->b, 0);
    }
    o->b.max = net->opt.out_limit;
    o->head = 0;
    o->clear_end = 0;
    return o;
}

void conn_out_free(struct conn *c)
{
    struct conn_out *o = c->out;
    struct conn_net *net = c->net;
    if (o == NULL)
        return;
    c->out = NULL;
    if (net->npool < CONN_POOL && o->b.cap <= CONN_POOL_BYTES) {
        buf_clear(&o->b);
        o->next = net->pool;
        net->pool = o;
        net->npool++;
        return;
    }
    buf_free(&o->b);
    free(o);
}

void conn_write(struct conn *c, struct str bytes)
{
    if (!conn_is_open(c) || bytes.n == 0)
        return;
    if (c->out == NULL && (c->out = out_take(c->net)) == NULL) {
        conn_die(c, CONN_END_NOMEM);
        return;
    }
    struct conn_out *o = c->out;
    size_t waits = o->b.n - o->head;
    if (bytes.n > o->b.max || waits > o->b.max - bytes.n) {
        conn_die(c, CONN_END_OVERFLOW);
        return;
    }
    if (o->head != 0 && bytes.n > o->b.cap - o->b.n) {
        buf_consume(&o->b, o->head);
        o->clear_end -= o->head < o->clear_end ? o->head : o->clear_end;
        o->head = 0;
    }
    buf_str(&o->b, bytes);
    if (buf_err(&o->b) != ERR_OK)
        conn_die(c, CONN_END_NOMEM);
    else if (c->state == CONN_OPEN && !(c->flags & CONN_F_BLOCKED))
        conn_queue_write(c);
}

/* Nothing may lie behind the starttls message when its response leaves (CVE-2011-0411). */
static bool is_injected(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0)
        conn_die(c, CONN_END_INJECTION);
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        conn_die(c, CONN_END_RESET);
    return c->state == CONN_DEAD;
}

/* Like send(): bytes that went; fewer than asked for: blocked, or dead. */
static size_t put(struct conn *c, struct str bytes)
{
    if (c->flags & CONN_F_TLS) {
        size_t n;
        enum tls_step step = tls_link_write(c->tls.link, bytes, &n);
        if (step != TLS_DONE && step != TLS_WANT_WRITE)
            conn_die(c, CONN_END_RESET);
        return n;
    }
    ssize_t n;
    do
        n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        conn_die(c, CONN_END_RESET);
    return n > 0 ? (size_t)n : 0;
}

/* False: not all of it could be written. */
static bool write_out(struct conn *c)
{
    struct conn_out *o = c->out;
    size_t end = c->state == CONN_STARTTLS ? o->clear_end : o->b.n;
    struct str bytes = {o->b.p + o->head, end - o->head};
    if (bytes.n == 0)
        return true;
    size_t n = put(c, bytes);
    if (c->state == CONN_DEAD)
        return false;
    o->head += n;
    if (o->head == o->b.n)
        conn_out_free(c);
    bool blocked = n < bytes.n;
    if (blocked)
        c->flags |= CONN_F_BLOCKED;
    else
        c->flags &= (uint16_t)~CONN_F_BLOCKED;
    if (c->state == CONN_OPEN && !blocked)
        loop_timer_cancel(c->net->loop, &c->timer);
    else if (c->state != CONN_STARTTLS && (n != 0 || !timer_pending(&c->timer)))
        loop_timer_set(c->net->loop, &c->timer, c->net->opt.out_stall);
    conn_watch(c);
    if (n != 0 && c->ops->on_sent != NULL)
        c->ops->on_sent(c, n);
    return !blocked;
}

/* All output of a closing connection is out. */
static void say_goodbye(struct conn *c)
{
    if (c->flags & CONN_F_TLS && !(c->flags & CONN_F_SHUT)) {
        if (tls_link_shutdown(c->tls.link) == TLS_WANT_WRITE) {
            c->flags |= CONN_F_BLOCKED;
            conn_watch(c);
            return;
        }
        c->flags |= CONN_F_SHUT;
    }
    conn_linger(c, CONN_END_DONE);
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_STARTTLS && is_injected(c))
        return;
    if (c->out != NULL && !write_out(c))
        return;
    if (c->state == CONN_STARTTLS) {
        c->state = CONN_AWAITED;
        conn_watch(c);
    } else if (c->state == CONN_CLOSING && c->out == NULL) {
        say_goodbye(c);
    }
}
