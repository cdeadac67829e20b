// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * conn_net.c: what the connections of a process share: lists, rounds, and whose handshake goes on when.
 *
 * A handshake is the one thing here that costs much (some 400 µs of CPU), and strangers ask for it. So a step is never
 * run when the descriptor becomes ready but at the end of the round, few of them, while established sessions are
 * served in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/conn_priv.h"

/* --- lists */

void conn_queue_write(struct conn *c)
{
    if (c->flags & CONN_F_IN_WRITES)
        return;
    c->flags |= CONN_F_IN_WRITES;
    TAILQ_INSERT_TAIL(&c->net->writes, c, write_link);
    c->net->nwrites++;
    if (loop_in_check(c->net->loop))
        loop_again(c->net->loop);
}

void conn_queue_turn(struct conn *c)
{
    if (c->flags & CONN_F_IN_TURNS)
        return;
    c->flags =
        (uint16_t)((c->flags & ~CONN_F_ODD) | CONN_F_IN_TURNS | (c->net->odd ? CONN_F_ODD : 0));
    TAILQ_INSERT_TAIL(&c->net->turns, c, turn_link);
    loop_again(c->net->loop);
}

static void leave_turns(struct conn *c)
{
    c->flags &= (uint16_t)~CONN_F_IN_TURNS;
    TAILQ_REMOVE(&c->net->turns, c, turn_link);
}

static void leave_steps(struct conn *c)
{
    c->flags &= (uint16_t)~CONN_F_IN_STEPS;
    TAILQ_REMOVE(&c->net->steps, c, turn_link);
}

static void leave_queue(struct conn *c)
{
    c->flags &= (uint16_t)~CONN_F_IN_QUEUE;
    TAILQ_REMOVE(&c->net->queue, c, turn_link);
}

static void leave_writes(struct conn *c)
{
    c->flags &= (uint16_t)~CONN_F_IN_WRITES;
    TAILQ_REMOVE(&c->net->writes, c, write_link);
    c->net->nwrites--;
}

/* --- handshakes */

void conn_queue_step(struct conn *c)
{
    if (c->flags & CONN_F_IN_STEPS)
        return;
    c->flags |= CONN_F_IN_STEPS;
    TAILQ_INSERT_TAIL(&c->net->steps, c, turn_link);
}

static void enter_handshake(struct conn *c)
{
    c->flags |= CONN_F_COUNTED;
    c->net->handshakes++;
    struct tls_link *link = tls_link_new(c->tls.wanted, c->fd);
    if (link == NULL) {
        conn_die(c, CONN_END_NOMEM);
        return;
    }
    tls_context_unref(&c->tls.wanted);
    c->state = CONN_SHAKING;
    c->tls.link = link;
    conn_queue_step(c);
    conn_watch(c);
}

/* One place is free again. */
static void leave_handshake(struct conn *c)
{
    struct conn_net *net = c->net;
    c->flags &= (uint16_t) ~(CONN_F_COUNTED | CONN_F_WRITABLE);
    net->handshakes--;
    if (!TAILQ_EMPTY(&net->queue))
        loop_again(net->loop);
}

static void fail_handshake(struct conn *c, const char *problem)
{
    if (c->ops->on_tls != NULL)
        c->ops->on_tls(c, problem);
    if (c->state == CONN_SHAKING)
        conn_linger(c, CONN_END_TLS); /* so that the alert arrives */
    else
        conn_die(c, CONN_END_TLS);
}

void conn_begin_handshake(struct conn *c)
{
    struct conn_net *net = c->net;
    char byte;
    /* Who connects and leaves without a word (health checks) costs no TLS state. */
    if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
        fail_handshake(c, "the client closed the connection");
        return;
    }
    if (TAILQ_EMPTY(&net->queue) && net->handshakes < net->opt.handshakes) {
        enter_handshake(c);
        return;
    }
    c->flags |= CONN_F_IN_QUEUE;
    TAILQ_INSERT_TAIL(&net->queue, c, turn_link);
    conn_watch(c);
}

static void step(struct conn *c)
{
    switch (tls_link_handshake(c->tls.link)) {
    case TLS_WANT_READ:
        c->flags &= (uint16_t)~CONN_F_WRITABLE;
        conn_watch(c);
        break;
    case TLS_WANT_WRITE:
        c->flags |= CONN_F_WRITABLE;
        conn_watch(c);
        break;
    case TLS_DONE:
        leave_handshake(c);
        loop_timer_cancel(c->net->loop, &c->timer);
        c->state = CONN_OPEN;
        c->flags |= CONN_F_TLS;
        conn_watch(c);
        if (c->out != NULL)
            conn_queue_write(c);
        if (c->ops->on_tls != NULL)
            c->ops->on_tls(c, NULL);
        break;
    case TLS_EOF:
    case TLS_FAILED:
        fail_handshake(c, tls_link_problem(c->tls.link));
        break;
    }
}

void conn_unqueue(struct conn *c)
{
    if (c->flags & CONN_F_IN_WRITES)
        leave_writes(c);
    if (c->flags & CONN_F_IN_TURNS)
        leave_turns(c);
    if (c->flags & CONN_F_IN_STEPS)
        leave_steps(c);
    if (c->flags & CONN_F_IN_QUEUE)
        leave_queue(c);
    if (c->flags & CONN_F_COUNTED)
        leave_handshake(c);
}

/* --- rounds */

/* Those that were put there in the round before; who asks again now waits for the next one. */
static void give_turns(struct conn_net *net)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&net->turns)) != NULL && ((c->flags & CONN_F_ODD) != 0) != net->odd) {
        leave_turns(c);
        if (c->state == CONN_OPEN && !(c->flags & CONN_F_PAUSED))
            c->ops->on_data(c, STR(""));
    }
}

static void run_steps(struct conn_net *net)
{
    struct conn *c;
    while (net->handshakes < net->opt.handshakes && (c = TAILQ_FIRST(&net->queue)) != NULL) {
        leave_queue(c);
        enter_handshake(c);
    }
    for (int n = 0; n < CONN_STEPS && (c = TAILQ_FIRST(&net->steps)) != NULL; n++) {
        leave_steps(c);
        step(c);
    }
    if (!TAILQ_EMPTY(&net->steps))
        loop_again(net->loop);
}

static void flush_all(struct conn_net *net)
{
    struct conn *c;
    for (uint32_t n = net->nwrites; n != 0 && (c = TAILQ_FIRST(&net->writes)) != NULL; n--) {
        leave_writes(c);
        conn_flush(c);
    }
}

static void end_round(void *arg)
{
    struct conn_net *net = arg;
    give_turns(net);
    run_steps(net);
    flush_all(net);
    net->odd = !net->odd;
    if (!TAILQ_EMPTY(&net->turns) || !TAILQ_EMPTY(&net->writes))
        loop_again(net->loop);
}

/* --- life */

enum err conn_net_new(struct loop *loop, const struct conn_options *opt, struct conn_net **out)
{
    struct conn_net *net = malloc(sizeof *net);
    if (net == NULL)
        return ERR_NOMEM;
    memset(net, 0, offsetof(struct conn_net, in));
    net->loop = loop;
    net->opt = *opt;
    TAILQ_INIT(&net->writes);
    TAILQ_INIT(&net->turns);
    TAILQ_INIT(&net->steps);
    TAILQ_INIT(&net->queue);
    loop_check_add(loop, end_round, net);
    *out = net;
    return ERR_OK;
}

void conn_net_free(struct conn_net **ref)
{
    struct conn_net *net = *ref;
    if (net == NULL)
        return;
    BUG_IF(!TAILQ_EMPTY(&net->writes) || !TAILQ_EMPTY(&net->turns) || net->handshakes != 0);
    while (net->pool != NULL) {
        struct conn_out *o = net->pool;
        net->pool = o->next;
        buf_free(&o->b);
        free(o);
    }
    free(net);
    *ref = NULL;
}

void conn_net_set_options(struct conn_net *net, const struct conn_options *opt)
{
    net->opt = *opt;
}

struct loop *conn_net_loop(struct conn_net *net)
{
    return net->loop;
}

uint32_t conn_net_handshakes(const struct conn_net *net)
{
    return net->handshakes;
}
