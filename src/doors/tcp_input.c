// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* From bytes to requests: cutting, keeping what is not complete, and what is with the keeper (design 2.2). */
#include "doors/tcp.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/xscan.h"
#include "doors/tcp_log.h"

#define MESSAGES_PER_ROUND 64    /* of one connection (design 2.2) */
#define UNSENT_MAX         65536 /* bytes that he has not read: then no more is read of him */

/* --- requests in flight */

static struct tcp_flight *flight_of(struct tcp_conn *c)
{
    uint32_t room = c->door->conf->limits.requests;
    if (c->flight == NULL) {
        c->flight = calloc(1, sizeof *c->flight + room * sizeof c->flight->request[0]);
        if (c->flight != NULL)
            c->flight->room = room;
    }
    return c->flight;
}

bool tcp_flight_full(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    return f != NULL && (f->count == f->room || f->bytes >= c->door->conf->limits.request_bytes);
}

/* Input waits: for an answer, or for the client to read what he was sent (protocol 1, 1.5). */
bool tcp_must_wait(const struct tcp_conn *c)
{
    return c->state == TCP_WAIT || tcp_flight_full(c) || conn_unsent(&c->conn) >= UNSENT_MAX;
}

static void flight_add(struct tcp_conn *c, struct tcp_flight *f, enum op_id op, size_t bytes)
{
    uint32_t at = (f->first + f->count) % f->room;
    f->request[at].op = (uint16_t)op;
    f->request[at].bytes = (uint32_t)bytes;
    f->bytes += bytes;
    if (f->count++ == 0)
        shm_row_op_begin(c->door->shm, c->row, (uint16_t)op, loop_now(c->door->loop));
}

void tcp_flight_answered(struct tcp_conn *c, uint32_t responses)
{
    struct tcp_flight *f = c->flight;
    if (f == NULL || responses == 0)
        return;
    while (responses-- != 0 && f->count != 0) {
        f->bytes -= f->request[f->first].bytes;
        f->first = (f->first + 1) % f->room;
        f->count--;
    }
    if (f->count != 0) {
        shm_row_op_begin(c->door->shm, c->row, f->request[f->first].op, loop_now(c->door->loop));
        return;
    }
    shm_row_op_end(c->door->shm, c->row);
    free(c->flight);
    c->flight = NULL;
}

/* --- messages of a session */

/* A noop of the plainest form with nothing in flight is answered here (design 2.2). */
static bool answer_noop(struct tcp_conn *c, const struct xscan *x, enum op_id op)
{
    if (op != OP_NOOP || c->flight != NULL || !x->simple || x->nattrs != 1 || !x->id_plain ||
        x->id.n > XMSG_ID_MAX || c->mid_message)
        return false;
    tcp_respond(c, x->id, ERR_OK);
    c->answered++;
    return true;
}

/*
 * What frame_next() refused is only the message's beginning, and that could be legal by itself. With one more `<` behind it
 * nothing is, and the keeper, who refuses it in its turn, can still make out the id.
 */
static struct str surely_illegal(struct tcp_conn *c, struct str msg)
{
    struct buf *b = &c->door->illegal;
    buf_clear(b);
    buf_str(b, msg);
    buf_char(b, '<');
    return buf_err(b) == ERR_OK ? buf_slice(b) : STR("<");
}

static bool session_message(struct tcp_conn *c, struct str msg, bool legal)
{
    struct tcp_door *d = c->door;
    struct xscan x;
    if (!legal)
        msg = surely_illegal(c, msg);
    xscan_start(msg, &x);
    enum op_id op = legal && x.name.p != NULL ? optag_find(x.name) : OP_NONE;
    if (legal && answer_noop(c, &x, op))
        return true;
    struct bus_peer *k = d->host.keeper(d->host.ctx, c->keeper);
    struct tcp_flight *f = flight_of(c);
    if (k == NULL || f == NULL) {
        tcp_bye(c, IPC_WHY_NO_KEEPER);
        return false;
    }
    flight_add(c, f, op, msg.n);
    bool secret = !legal || op == OP_NONE || (optag_flags(op) & OPF_SECRET) != 0;
    bus_send(k, &(struct ipc_item){.type = IPC_MSG,
                                   .flags = secret ? IPC_FLAG_SECRET : 0,
                                   .id = c->id,
                                   .seq = c->answered,
                                   .body = msg,
                                   .fd = -1});
    c->answered = 0;
    return !tcp_flight_full(c);
}

/* --- input */

static bool take_message(struct tcp_conn *c, struct str msg, bool legal, struct str behind)
{
    tcp_restart_idle(c);
    shm_count_add(c->door->shm, SHM_XIMSS_REQUESTS, 1);
    shm_row_add(c->door->shm, c->row, 0, 0, 1);
    tcp_log_in(c, msg, legal);
    /* In a session the keeper judges illegal messages too, so that answers keep their order. */
    if (c->state == TCP_SESSION) {
        struct tcp_door *d = c->door;
        bool more = session_message(c, msg, legal);
        buf_free(&d->illegal);
        return more;
    }
    return tcp_before_message(c, msg, legal, behind);
}

static size_t message_cap(const struct tcp_conn *c)
{
    return c->state == TCP_SESSION ? c->door->conf->limits.message
                                   : c->door->conf->limits.message_before_login;
}

/*
 * Takes messages while the state lets it; *in is left at the first byte that was not taken. ERR_AGAIN: no whole message
 * is left; ERR_OK: there may be some.
 */
static enum err take_messages(struct tcp_conn *c, struct frame *f, struct str *in)
{
    struct str msg;
    uint32_t n = 0;
    while (conn_is_open(&c->conn) && c->state != TCP_CLOSING && !tcp_must_wait(c)) {
        if (n++ == MESSAGES_PER_ROUND) {
            conn_again(&c->conn);
            return ERR_OK;
        }
        frame_set_max(f, message_cap(c));
        enum err e = frame_next(f, &c->door->xml, in, &msg);
        if (e != ERR_OK && e != ERR_ILLEGAL_XML)
            return e;
        if (!take_message(c, msg, e == ERR_OK, *in))
            return ERR_OK;
    }
    return ERR_OK;
}

/* What is held for this connection becomes so much. */
static void count_held(struct tcp_conn *c, size_t was, size_t is)
{
    c->door->input_bytes += is - was;
    if (c->login != NULL)
        c->door->input_before += is - was;
}

void tcp_input_logged_in(struct tcp_conn *c)
{
    if (c->input != NULL)
        c->door->input_before -= c->input->held.n;
}

/* Is there memory for so much more? */
static bool has_room(const struct tcp_conn *c, size_t n)
{
    const struct tcp_door *d = c->door;
    const struct conf *conf = d->conf;
    uint64_t share = conf->limits.input_memory * conf->limits.input_share_before_login / 100;
    if (share < conf->limits.message_before_login)
        share = conf->limits.message_before_login;
    return d->input_bytes + n <= conf->limits.input_memory &&
           (c->login == NULL || d->input_before + n <= share);
}

void tcp_input_drop(struct tcp_conn *c)
{
    if (c->input == NULL)
        return;
    count_held(c, c->input->held.n, 0);
    buf_free(&c->input->held);
    free(c->input);
    c->input = NULL;
}

/* Keeps what was not taken. false: no room for it. */
static bool keep_rest(struct tcp_conn *c, struct tcp_input *work, struct str rest)
{
    size_t before = c->input != NULL ? c->input->held.n : 0;
    if (rest.n == 0 && !frame_begun(&work->frame)) {
        (void)!frame_stash(&work->held, rest);
        if (c->input != NULL) {
            free(c->input);
            c->input = NULL;
        }
        return true;
    }
    if (c->input == NULL && (c->input = malloc(sizeof *c->input)) == NULL)
        return false;
    bool kept = has_room(c, rest.n) && frame_stash(&work->held, rest) == ERR_OK;
    *c->input = *work;
    count_held(c, before, c->input->held.n);
    return kept;
}

static void forget_input(struct tcp_conn *c, struct tcp_input *work)
{
    buf_free(&work->held);
    free(c->input);
    c->input = NULL;
}

/* What to do with what take_messages() left. */
static void after_input(struct tcp_conn *c, struct tcp_input *work, struct str rest, enum err e)
{
    if (!conn_is_open(&c->conn) || c->state == TCP_CLOSING) {
        forget_input(c, work);
        return;
    }
    if (e == ERR_TOO_LONG || e == ERR_NOMEM) {
        forget_input(c, work);
        tcp_bye(c, e == ERR_TOO_LONG ? IPC_WHY_TOO_LONG : IPC_WHY_NO_MEMORY);
        return;
    }
    if (!keep_rest(c, work, rest)) {
        tcp_bye(c, IPC_WHY_NO_MEMORY);
        return;
    }
    if (tcp_must_wait(c))
        tcp_pause(c);
    else if (c->eof && e == ERR_AGAIN && c->flight == NULL)
        tcp_end(c);
}

void tcp_input(struct conn *conn, struct str fresh)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    struct tcp_door *d = c->door;
    struct tcp_input work;
    struct str in;
    if (c->state == TCP_CLOSING)
        return;
    if (c->input != NULL) {
        work = *c->input;
        count_held(c, c->input->held.n, 0);
        c->input->held.n = 0;
    } else {
        frame_init(&work.frame, message_cap(c));
        buf_init(&work.held, d->conf->limits.message + CONN_READ_MAX * 2);
        work.held.secret = true;
    }
    c->in += fresh.n;
    if (fresh.n != 0)
        tcp_log_bytes(c, "received", fresh.n);
    shm_row_add(d->shm, c->row, fresh.n, 0, 0);
    shm_count_add(d->shm, SHM_XIMSS_TRAFFIC_IN, fresh.n);
    enum err e = frame_join(&work.held, fresh, &in);
    if (e == ERR_OK)
        e = take_messages(c, &work.frame, &in);
    after_input(c, &work, in, e);
}
