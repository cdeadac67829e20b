// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The life of a connection: how it begins, what it is told and reports, how it ends. */
#include "doors/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/xout.h"
#include "doors/tcp_log.h"

#define CREDIT_STEP 65536
#define CREDIT_REST 32768

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

/* The keeper need not wait until the last byte is out and the client has gone. */
static void detach(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    uint32_t body[2] = {c->why, c->answered};
    struct bus_peer *k =
        c->login == NULL && !c->over ? d->host.keeper(d->host.ctx, c->keeper) : NULL;
    if (k != NULL)
        bus_put(k, IPC_DETACH, c->id, c->attempt, (struct str){(const char *)body, sizeof body});
    c->over = true;
}

void tcp_end(struct tcp_conn *c)
{
    c->state = TCP_CLOSING;
    detach(c);
    conn_close(&c->conn);
}

void tcp_write_scratch(struct tcp_conn *c)
{
    const struct buf *b = &c->door->scratch;
    if (buf_err(b) == ERR_OK) {
        tcp_write(c, buf_slice(b));
        return;
    }
    c->why = IPC_WHY_NO_MEMORY;
    tcp_end(c);
}

void tcp_make_response(struct tcp_conn *c, struct str id, enum err e)
{
    struct buf *b = &c->door->scratch;
    int64_t since = c->login != NULL ? c->login->since : 0;
    buf_clear(b);
    xout_response_timed(b, id, e,
                        since != 0 ? (uint64_t)((clock_mono() - since) / CLOCK_MS) : XOUT_NO_TIME);
}

void tcp_respond(struct tcp_conn *c, struct str id, enum err e)
{
    tcp_make_response(c, id, e);
    tcp_write_scratch(c);
    if (err_num(e) != 0)
        shm_count_add(c->door->shm, SHM_XIMSS_ERRORS, 1);
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
        tcp_write_scratch(c);
    }
    tcp_end(c);
}

void tcp_pause(struct tcp_conn *c)
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
    tcp_log(c, LOG_ALL, "the idle timer has run out");
    tcp_bye(c, IPC_WHY_IDLE);
}

void tcp_restart_idle(struct tcp_conn *c)
{
    loop_timer_set(c->door->loop, &c->idle, c->door->conf->limits.idle);
}

/* --- callbacks of the connection */

static bool first_byte_fits(struct str in)
{
    return in.n == 0 || in.p[0] == '<' || in.p[0] == ' ' || in.p[0] == '\t' || in.p[0] == '\r' ||
           in.p[0] == '\n' || in.p[0] == 0 || (unsigned char)in.p[0] == 0xef;
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
    tcp_input(conn, fresh);
}

void tcp_end_if_done(struct tcp_conn *c)
{
    if (!c->eof || c->flight != NULL || c->paused || c->state == TCP_WAIT)
        return;
    if (c->input != NULL)
        conn_again(
            &c->conn); /* whole messages may stand there; if none does, tcp_input() ends it */
    else
        tcp_end(c);
}

static void on_eof(struct conn *conn)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    c->eof = true;
    tcp_end_if_done(c);
}

static void on_sent(struct conn *conn, size_t n)
{
    struct tcp_conn *c = CONTAINER_OF(conn, struct tcp_conn, conn);
    struct tcp_door *d = c->door;
    tcp_log_bytes(c, "sent", n);
    if (c->paused && c->state != TCP_CLOSING && !tcp_must_wait(c))
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
    if (named != NULL && c->login != NULL && !c->login->named)
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
        log_write(c->why == IPC_WHY_KICKED ? LOG_MAJOR : LOG_PROBLEMS, "XIMSSI", c->id,
                  tcp_who(c, peer), "ends: %s", ipc_why_text(c->why));
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
    tcp_input_drop(c);
    free(c->flight);
    free(c->account);
    tcp_login_free(&c->login);
    idmap_remove(&d->conns, c->id);
    /* Its place first: who sees in ximss-top that there is room finds it. */
    d->host.closed(d->host.ctx, c->id, c->place);
    shm_row_free(d->shm, c->row);
    shm_count_sub(d->shm, SHM_XIMSS_ACTIVE, 1);
    free(c);
}

static const struct conn_ops first_ops = {.on_data = on_first_data,
                                          .on_eof = on_eof,
                                          .on_sent = on_sent,
                                          .on_tls = on_tls,
                                          .on_closed = on_closed};
static const struct conn_ops usual_ops = {.on_data = tcp_input,
                                          .on_eof = on_eof,
                                          .on_sent = on_sent,
                                          .on_tls = on_tls,
                                          .on_closed = on_closed};

/* --- life */

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

/* Which of our addresses it came to: the socket knows, when the listener has more than one. */
static void say_connected(const struct tcp_conn *c, int fd, const struct conf_listener *l)
{
    char peer[LISTEN_TEXT], text[LISTEN_TEXT] = "";
    struct listen_addr local;
    if (l->at.kind == CONF_TCP && !str_eq(l->at.host, STR("*")))
        snprintf(text, sizeof text, "[%.*s]:%u", STR_FMT(l->at.host), l->at.port);
    else if (log_enabled(LOG_MAJOR) && listen_addr_local(fd, &local) == ERR_OK)
        listen_addr_port_text(&local, text);
    log_write(LOG_MAJOR, "XIMSSI", c->id, tcp_who(c, peer), "got connection on %s", text);
}

/* Everything but the connection itself, which is open or about to be opened. */
CHECKED static enum err make(struct tcp_door *d, struct tcp_conn *c, const struct listen_addr *peer,
                             uint32_t id, uint32_t place)
{
    c->door = d;
    c->id = id;
    c->place = place;
    timer_init(&c->idle, idle_over);
    c->row = shm_row_alloc(d->shm);
    c->login = tcp_login_new(c, peer);
    enum err e = c->login != NULL && c->row != SHM_NO_ROW ? idmap_put(&d->conns, id, c) : ERR_NOMEM;
    if (e == ERR_OK)
        return ERR_OK;
    tcp_login_free(&c->login);
    if (c->row != SHM_NO_ROW)
        shm_row_free(d->shm, c->row);
    return e;
}

static void begin(struct tcp_conn *c, const struct listen_addr *peer, bool tls)
{
    struct tcp_door *d = c->door;
    publish(c, peer, tls);
    shm_count_add(d->shm, SHM_XIMSS_ACTIVE, 1);
    shm_count_add(d->shm, SHM_XIMSS_TOTAL, 1);
    tcp_restart_idle(c);
}

void tcp_door_accept(struct tcp_door *d, int fd, const struct listen_addr *peer, uint32_t id,
                     uint32_t place, const struct conf_listener *l)
{
    struct tcp_conn *c = calloc(1, sizeof *c);
    bool tls = l->tls == CONF_TLS_YES;
    enum err e = c != NULL && (!tls || d->tls != NULL) ? make(d, c, peer, id, place) : ERR_NOMEM;
    if (e == ERR_OK &&
        (e = conn_open(&c->conn, d->net, fd, &first_ops, tls ? d->tls : NULL)) != ERR_OK) {
        idmap_remove(&d->conns, id);
        tcp_login_free(&c->login);
        shm_row_free(d->shm, c->row);
    }
    if (e != ERR_OK) {
        close(fd);
        free(c);
        d->host.closed(d->host.ctx, id, place);
        return;
    }
    c->tls_mode = (uint8_t)l->tls;
    begin(c, peer, tls);
    say_connected(c, fd, l);
    if (d->stopping)
        tcp_bye(c, IPC_WHY_SHUTDOWN);
}

/* A connection that could not be made ours: it ends, and somebody has to free it. */
static void on_orphan_data(struct conn *conn, struct str in)
{
    (void)conn;
    (void)in;
}

static void on_orphan_closed(struct conn *conn, enum conn_end why)
{
    (void)why;
    free(CONTAINER_OF(conn, struct tcp_conn, conn));
}

static const struct conn_ops orphan_ops = {.on_data = on_orphan_data,
                                           .on_closed = on_orphan_closed};

void tcp_door_adopt(struct tcp_door *d, struct tcp_conn *c, const struct listen_addr *peer,
                    uint32_t id, uint32_t place, struct str fresh, bool eof, bool proxy_tls)
{
    char who[LISTEN_TEXT];
    memset((char *)c + sizeof c->conn, 0, sizeof *c - sizeof c->conn);
    c->conn.ops = &orphan_ops;
    if (make(d, c, peer, id, place) != ERR_OK) {
        d->host.closed(d->host.ctx, id, place);
        conn_abort(&c->conn);
        return;
    }
    c->conn.ops = &usual_ops;
    c->tls_mode = CONF_TLS_NO; /* a listener for http has no starttls */
    c->proxy_tls = proxy_tls;
    begin(c, peer, false);
    shm_count_add(d->shm, SHM_XIMSS_PASSED, 1);
    log_write(LOG_MAJOR, "XIMSSI", c->id, tcp_who(c, who), "taken over from an HTTP port");
    if (conn_is_tls(&c->conn))
        on_tls(&c->conn, NULL);
    if (d->stopping)
        tcp_bye(c, IPC_WHY_SHUTDOWN);
    c->eof = eof;
    tcp_input(&c->conn, fresh);
}
