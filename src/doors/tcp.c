// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/xout.h"
#include "codec/xscan.h"
#include "doors/tcp_log.h"

#define MESSAGES_PER_ROUND 64    /* of one connection (design 2.2) */
#define UNSENT_MAX         65536 /* bytes that he has not read: then no more is read of him */
#define CREDIT_STEP        65536
#define CREDIT_REST        32768
#define PARSE_MEMORY       ((size_t)4 << 20)

static const struct conn_ops usual_ops;

/* --- small things */

const char *tcp_who(const struct tcp_conn *c, char to[LISTEN_TEXT])
{
    return c->login != NULL ? listen_addr_text(&c->login->peer, to) : c->account;
}

void tcp_log(const struct tcp_conn *c, int level, const char *text)
{
    char peer[LISTEN_TEXT];
    log_write((enum log_level)level, "XIMSSI", c->id, tcp_who(c, peer), "%s", text);
}

void tcp_write(struct tcp_conn *c, struct str bytes)
{
    if (bytes.n == 0)
        return;
    tcp_log_out(c, bytes);
    c->mid_message = bytes.p[bytes.n - 1] != 0;
    c->out += bytes.n;
    shm_row_add(c->door->shm, c->row, 0, bytes.n, 0);
    shm_count_add(c->door->shm, SHM_XIMSS_TRAFFIC_OUT, bytes.n);
    conn_write(&c->conn, bytes);
}

void tcp_respond(struct tcp_conn *c, struct str id, enum err e)
{
    struct buf *b = &c->door->scratch;
    int64_t since = c->login != NULL ? c->login->since : 0;
    buf_clear(b);
    xout_response_timed(b, id, e,
                        since != 0 ? (uint64_t)((clock_mono() - since) / CLOCK_MS) : XOUT_NO_TIME);
    tcp_write(c, buf_slice(b));
    if (err_num(e) != 0)
        shm_count_add(c->door->shm, SHM_XIMSS_ERRORS, 1);
}

/* The keeper need not wait until the last byte is out and the client has gone. */
static void detach(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    uint32_t why = c->why;
    struct bus_peer *k =
        c->login == NULL && !c->over ? d->host.keeper(d->host.ctx, c->keeper) : NULL;
    if (k != NULL)
        bus_put(k, IPC_DETACH, c->id, c->attempt, (struct str){(const char *)&why, sizeof why});
    c->over = true;
}

static void end(struct tcp_conn *c)
{
    c->state = TCP_CLOSING;
    detach(c);
    conn_close(&c->conn);
}

void tcp_bye(struct tcp_conn *c, enum ipc_why why)
{
    if (c->state == TCP_CLOSING)
        return;
    c->why = (uint8_t)why;
    if (!c->mid_message && !conn_in_handshake(&c->conn)) {
        buf_clear(&c->door->scratch);
        xout_open(&c->door->scratch, "bye");
        xout_empty(&c->door->scratch);
        xout_end(&c->door->scratch);
        tcp_write(c, buf_slice(&c->door->scratch));
    }
    end(c);
}

static void pause_input(struct tcp_conn *c)
{
    if (!c->paused)
        conn_pause(&c->conn);
    c->paused = true;
}

void tcp_go_on(struct tcp_conn *c)
{
    if (c->paused)
        conn_resume(&c->conn);
    else
        conn_again(&c->conn);
    c->paused = false;
}

static void idle_over(struct timer *t)
{
    struct tcp_conn *c = CONTAINER_OF(t, struct tcp_conn, idle);
    tcp_bye(c, IPC_WHY_IDLE);
}

static void restart_idle(struct tcp_conn *c)
{
    loop_timer_set(c->door->loop, &c->idle, c->door->conf->limits.idle);
}

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

static bool flight_full(const struct tcp_conn *c)
{
    const struct tcp_flight *f = c->flight;
    return f != NULL && (f->count == f->room || f->bytes >= c->door->conf->limits.request_bytes);
}

/* Input waits: for an answer, or for the client to read what he was sent (protocol 1, 1.5). */
static bool must_wait(const struct tcp_conn *c)
{
    return c->state == TCP_WAIT || flight_full(c) || conn_unsent(&c->conn) >= UNSENT_MAX;
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

static void flight_answered(struct tcp_conn *c, uint32_t responses)
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
        c->mid_message)
        return false;
    tcp_respond(c, x->id, ERR_OK);
    return true;
}

/*
 * What frame_next() refused is only the message's beginning, and that could be legal by itself. With one more `<` behind it
 * nothing is, and the keeper, who refuses it in its turn, can still make out the id.
 */
static struct str surely_illegal(struct tcp_conn *c, struct str msg)
{
    struct buf *b = &c->door->scratch;
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
    bus_put(k, IPC_MSG, c->id, 0, msg);
    return !flight_full(c);
}

/* --- input */

static bool first_byte_fits(struct str in)
{
    return in.n == 0 || in.p[0] == '<' || in.p[0] == ' ' || in.p[0] == '\t' || in.p[0] == '\r' ||
           in.p[0] == '\n' || in.p[0] == 0 || (unsigned char)in.p[0] == 0xef;
}

/* Passwords do not stay in the buffers that all connections share. */
static void wipe(struct str bytes)
{
    char *p;
    memcpy(&p, &bytes.p, sizeof p);
    if (bytes.n != 0)
        explicit_bzero(p, bytes.n);
}

static bool take_message(struct tcp_conn *c, struct str msg, bool legal, struct str behind)
{
    restart_idle(c);
    shm_count_add(c->door->shm, SHM_XIMSS_REQUESTS, 1);
    shm_row_add(c->door->shm, c->row, 0, 0, 1);
    tcp_log_in(c, msg, legal);
    /* In a session the keeper judges illegal messages too, so that answers keep their order. */
    if (c->state == TCP_SESSION)
        return session_message(c, msg, legal);
    bool more = tcp_login_message(c, msg, legal, behind);
    wipe(msg);
    return more;
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
    while (conn_is_open(&c->conn) && c->state != TCP_CLOSING && !must_wait(c)) {
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

static void drop_input(struct tcp_conn *c)
{
    if (c->input == NULL)
        return;
    c->door->input_bytes -= c->input->held.n;
    buf_free(&c->input->held);
    free(c->input);
    c->input = NULL;
}

/* Keeps what was not taken. false: no room for it. */
static bool keep_rest(struct tcp_conn *c, struct tcp_input *work, struct str rest)
{
    struct tcp_door *d = c->door;
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
    bool kept = d->input_bytes + rest.n <= d->conf->limits.input_memory &&
                frame_stash(&work->held, rest) == ERR_OK;
    *c->input = *work;
    d->input_bytes += c->input->held.n - before;
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
    if (must_wait(c))
        pause_input(c);
    else if (c->eof && e == ERR_AGAIN && c->flight == NULL)
        end(c);
}

static void on_data(struct conn *conn, struct str fresh)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    struct tcp_door *d = c->door;
    struct tcp_input work;
    struct str in;
    if (c->state == TCP_CLOSING)
        return;
    bool secret = c->login != NULL;
    if (c->input != NULL) {
        work = *c->input;
        d->input_bytes -= c->input->held.n;
        c->input->held.n = 0;
    } else {
        frame_init(&work.frame, message_cap(c));
        buf_init(&work.held, d->conf->limits.message + CONN_READ_MAX * 2);
    }
    c->in += fresh.n;
    shm_row_add(d->shm, c->row, fresh.n, 0, 0);
    shm_count_add(d->shm, SHM_XIMSS_TRAFFIC_IN, fresh.n);
    enum err e = frame_join(&work.held, fresh, &in);
    if (e == ERR_OK)
        e = take_messages(c, &work.frame, &in);
    after_input(c, &work, in, e);
    if (secret)
        wipe(fresh);
}

/* The very first bytes decide whether this is XIMSS at all (protocol 1, 4.12). */
static void on_first_data(struct conn *conn, struct str fresh)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    if (!first_byte_fits(fresh)) {
        c->why = IPC_WHY_NOT_XIMSS;
        conn_abort(conn);
        return;
    }
    if (fresh.n != 0)
        conn->ops = &usual_ops;
    on_data(conn, fresh);
}

/* Half-close: what was received is finished and answered (protocol 1, 1.1). */
static void end_if_done(struct tcp_conn *c)
{
    if (!c->eof || c->flight != NULL || c->paused || c->state == TCP_WAIT)
        return;
    if (c->input != NULL)
        conn_again(&c->conn); /* whole messages may stand there; if none does, on_data() ends it */
    else
        end(c);
}

static void on_eof(struct conn *conn)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    c->eof = true;
    end_if_done(c);
}

static void on_sent(struct conn *conn, size_t n)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    struct tcp_door *d = c->door;
    if (c->paused && c->state != TCP_CLOSING && !must_wait(c))
        tcp_go_on(c);
    if (c->state != TCP_SESSION)
        return;
    c->sent += (uint32_t)n;
    if (c->sent < CREDIT_STEP && (c->sent < CREDIT_REST || conn_unsent(conn) != 0))
        return;
    struct bus_peer *k = d->host.keeper(d->host.ctx, c->keeper);
    if (k != NULL)
        bus_put(k, IPC_CREDIT, c->id, c->sent, STR_NONE);
    c->sent = 0;
}

static void on_tls(struct conn *conn, const char *problem)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    char line[200];
    if (problem != NULL) {
        char peer[LISTEN_TEXT];
        log_write(LOG_FAILURES, "XIMSSI", c->id,
                  c->login != NULL ? listen_addr_text(&c->login->peer, peer) : NULL, "TLS: %s",
                  problem);
        return;
    }
    bool v13 = strcmp(conn_tls_version(conn), "TLSv1.3") == 0;
    shm_row_tls(c->door->shm, c->row, v13 ? 0x0304 : 0x0303);
    shm_row_state(c->door->shm, c->row, SHM_STATE_AUTHENTICATING, 0);
    const struct conf_domain *named = conf_domain_find(c->door->conf, str_of(conn_tls_name(conn)));
    if (named != NULL && c->login != NULL)
        c->login->domain = named;
    snprintf(line, sizeof line, "%s, %s", conn_tls_version(conn), conn_tls_cipher(conn));
    tcp_log(c, LOG_LOW, line);
}

static void note_end(struct tcp_conn *c, enum conn_end end)
{
    static const uint8_t why[CONN_END_COUNT] = {
        [CONN_END_RESET] = IPC_WHY_RESET,        [CONN_END_OVERFLOW] = IPC_WHY_NOT_READ,
        [CONN_END_STALLED] = IPC_WHY_NOT_READ,   [CONN_END_TLS] = IPC_WHY_TLS,
        [CONN_END_INJECTION] = IPC_WHY_INJECTED, [CONN_END_NOMEM] = IPC_WHY_NO_MEMORY};
    char peer[LISTEN_TEXT];
    if (c->why == IPC_WHY_CLOSED)
        c->why = why[end];
    if (c->why != IPC_WHY_CLOSED && c->why != IPC_WHY_BYE)
        log_write(LOG_PROBLEMS, "XIMSSI", c->id, tcp_who(c, peer), "ends: %s",
                  ipc_why_text(c->why));
    log_write(LOG_MAJOR, "XIMSSI", c->id, tcp_who(c, peer), "connection closed, in=%llu out=%llu",
              (unsigned long long)c->in, (unsigned long long)c->out);
}

static void on_closed(struct conn *conn, enum conn_end why)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    struct tcp_door *d = c->door;
    note_end(c, why);
    detach(c);
    struct bus_peer *a =
        c->login != NULL && c->login->asked != OP_NONE ? d->host.auth(d->host.ctx) : NULL;
    if (a != NULL)
        bus_put(a, IPC_LOGIN_DROP, c->id, c->login->attempt, STR_NONE);
    loop_timer_cancel(d->loop, &c->idle);
    drop_input(c);
    free(c->flight);
    free(c->account);
    tcp_login_free(&c->login);
    shm_row_free(d->shm, c->row);
    shm_count_sub(d->shm, SHM_XIMSS_ACTIVE, 1);
    idmap_remove(&d->conns, c->id);
    d->host.closed(d->host.ctx, c->id, c->place);
    free(c);
}

static const struct conn_ops first_ops = {.on_data = on_first_data,
                                          .on_eof = on_eof,
                                          .on_sent = on_sent,
                                          .on_tls = on_tls,
                                          .on_closed = on_closed};
static const struct conn_ops usual_ops = {.on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_sent = on_sent,
                                          .on_tls = on_tls,
                                          .on_closed = on_closed};

/* --- life */

enum err tcp_door_init(struct tcp_door *d)
{
    arena_init(&d->arena, PARSE_MEMORY);
    buf_init(&d->scratch, PARSE_MEMORY);
    idmap_init(&d->conns);
    d->parser = xmsg_parser_new();
    if (d->parser == NULL)
        return ERR_NOMEM;
    xmsg_parser_limits(d->parser, &d->xml);
    return ERR_OK;
}

static void publish(struct tcp_conn *c, const struct listen_addr *peer, bool tls)
{
    struct shm_row row;
    memset(&row, 0, sizeof row);
    row.session = c->id;
    row.state = tls ? SHM_STATE_TLS_HANDSHAKE : SHM_STATE_AUTHENTICATING;
    row.connected = loop_now(c->door->loop);
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    row.family = ip_is_v4(&ip) ? SHM_FAMILY_IP4 : SHM_FAMILY_IP6;
    memcpy(row.address, row.family == SHM_FAMILY_IP4 ? ip.b + 12 : ip.b,
           row.family == SHM_FAMILY_IP4 ? 4 : 16);
    row.port = peer->port;
    row.transport = SHM_TRANSPORT_TCP;
    shm_row_publish(c->door->shm, c->row, &row);
}

static void say_connected(const struct tcp_conn *c, int fd)
{
    char peer[LISTEN_TEXT], text[LISTEN_TEXT] = "";
    struct listen_addr local;
    if (log_enabled(LOG_MAJOR) && listen_addr_local(fd, &local) == ERR_OK)
        listen_addr_port_text(&local, text);
    log_write(LOG_MAJOR, "XIMSSI", c->id, tcp_who(c, peer), "got connection on %s", text);
}

void tcp_door_accept(struct tcp_door *d, int fd, const struct listen_addr *peer, uint32_t id,
                     uint32_t place, const struct conf_listener *l)
{
    struct tcp_conn *c = calloc(1, sizeof *c);
    bool tls = l->tls == CONF_TLS_YES;
    enum err e = c != NULL ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK) {
        c->door = d;
        c->id = id;
        c->place = place;
        c->tls_mode = (uint8_t)l->tls;
        c->row = shm_row_alloc(d->shm);
        timer_init(&c->idle, idle_over);
        c->login = tcp_login_new(c, peer);
        if (c->login == NULL || c->row == SHM_NO_ROW || (tls && d->tls == NULL))
            e = ERR_NOMEM;
    }
    if (e == ERR_OK)
        e = idmap_put(&d->conns, id, c);
    if (e == ERR_OK &&
        (e = conn_open(&c->conn, d->net, fd, &first_ops, tls ? d->tls : NULL)) != ERR_OK)
        idmap_remove(&d->conns, id);
    if (e != ERR_OK) {
        close(fd);
        if (c != NULL) {
            tcp_login_free(&c->login);
            if (c->row != SHM_NO_ROW)
                shm_row_free(d->shm, c->row);
            free(c);
        }
        d->host.closed(d->host.ctx, id, place);
        return;
    }
    publish(c, peer, tls);
    shm_count_add(d->shm, SHM_XIMSS_ACTIVE, 1);
    shm_count_add(d->shm, SHM_XIMSS_TOTAL, 1);
    restart_idle(c);
    say_connected(c, fd);
    if (d->stopping)
        tcp_bye(c, IPC_WHY_SHUTDOWN);
}

/* --- packets */

/* Nobody waits for this session any more. */
static void refuse(struct bus_peer *keeper, const struct ipc_item *it)
{
    uint32_t why = IPC_WHY_CLOSED;
    bus_put(keeper, IPC_DETACH, it->id, it->seq, (struct str){(const char *)&why, sizeof why});
}

static void attached(struct tcp_conn *c, struct bus_peer *keeper, const struct ipc_item *it)
{
    struct tcp_door *d = c->door;
    struct ipc_in in = {it->body, false};
    struct str name = ipc_get_str(&in);
    struct str output = ipc_get_rest(&in);
    if (c->login == NULL || c->login->attempt != it->seq || c->state != TCP_WAIT ||
        !conn_is_open(&c->conn)) {
        refuse(keeper, it);
        return;
    }
    c->keeper = (uint16_t)keeper->number;
    c->state = TCP_SESSION;
    c->attempt = it->seq;
    c->account = malloc(name.n + 1);
    if (c->account != NULL) {
        memcpy(c->account, name.n != 0 ? name.p : "", name.n);
        c->account[name.n] = 0;
    }
    tcp_login_free(&c->login);
    shm_row_op_end(d->shm, c->row);
    shm_row_login(d->shm, c->row, name.p, name.n, SHM_STATE_READING_REQUEST);
    tcp_write(c, output);
    tcp_go_on(c);
}

static void session_output(struct tcp_conn *c, const struct ipc_item *it)
{
    bool was_full = flight_full(c);
    tcp_write(c, it->body);
    flight_answered(c, it->seq);
    if (was_full && !flight_full(c) && conn_is_open(&c->conn))
        tcp_go_on(c);
    else
        end_if_done(c);
}

void tcp_door_item(struct tcp_door *d, struct bus_peer *from, const struct ipc_item *it)
{
    struct tcp_conn *c = it->id != 0 ? idmap_get(&d->conns, it->id) : NULL;
    bool mine = c != NULL && c->login == NULL && c->keeper == from->number;
    switch (it->type) {
    case IPC_ATTACHED:
        if (c != NULL)
            attached(c, from, it);
        else
            refuse(from, it);
        break;
    case IPC_OUT:
        if (mine)
            session_output(c, it);
        break;
    case IPC_END:
        if (mine) {
            c->over = true;
            c->why = IPC_WHY_BYE;
            end(c);
        }
        break;
    default:
        if (c != NULL && c->login != NULL)
            tcp_login_item(c, it);
        break;
    }
}

static void for_each(struct tcp_door *d, void (*fn)(struct tcp_conn *, uint32_t), uint32_t arg)
{
    uint32_t at = 0;
    struct tcp_conn *c;
    /* Connections leave the map only in on_closed, later. */
    while ((c = idmap_next(&d->conns, &at)) != NULL)
        fn(c, arg);
}

static void resend(struct tcp_conn *c, uint32_t unused)
{
    (void)unused;
    if (c->login != NULL)
        tcp_login_resend(c);
}

void tcp_door_auth_up(struct tcp_door *d)
{
    for_each(d, resend, 0);
}

static void keeper_is_gone(struct timer *t)
{
    struct tcp_conn *c = CONTAINER_OF(t, struct tcp_conn, idle);
    tcp_bye(c, IPC_WHY_NO_KEEPER);
}

static void end_soon(struct tcp_conn *c, uint32_t keeper)
{
    if (c->login != NULL || c->keeper != keeper || c->state == TCP_CLOSING)
        return;
    pause_input(c);
    c->state = TCP_WAIT; /* nothing more is read */
    loop_timer_cancel(c->door->loop, &c->idle);
    timer_init(&c->idle, keeper_is_gone);
    loop_timer_set(c->door->loop, &c->idle, (int64_t)arc4random_uniform(2000) * CLOCK_MS);
}

void tcp_door_keeper_gone(struct tcp_door *d, uint32_t keeper)
{
    for_each(d, end_soon, keeper);
}

static void stop_one(struct tcp_conn *c, uint32_t unused)
{
    (void)unused;
    tcp_bye(c, IPC_WHY_SHUTDOWN);
}

void tcp_door_stop(struct tcp_door *d)
{
    d->stopping = true;
    for_each(d, stop_one, 0);
}
