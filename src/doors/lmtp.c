// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/lmtp_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COMMANDS_PER_ROUND 64
#define LMTP_IDS           100000
#define RCPT_TIME          (10 * CLOCK_SEC) /* auth's, for one question (design 2.3) */
#define UNSENT_MAX         65536 /* bytes that the client has not read: then no more is read of him */

/* --- answers */

void lmtp_say(struct lmtp_conn *c, const char *line)
{
    lmtp_log(c, LOG_LOW, "out: %s", line);
    conn_write(&c->conn, str_of(line));
    conn_write(&c->conn, STR("\r\n"));
}

void lmtp_finish(struct lmtp_conn *c, const char *line)
{
    lmtp_say(c, line);
    c->state = LMTP_END;
    conn_close(&c->conn);
}

void lmtp_restart_idle(struct lmtp_conn *c)
{
    loop_timer_set(c->d->loop, &c->idle, c->rcpt_seq != 0 ? RCPT_TIME : c->d->conf->lmtp.idle);
}

static void idle_over(struct timer *t)
{
    struct lmtp_conn *c = CONTAINER_OF(t, struct lmtp_conn, idle);
    if (c->rcpt_seq != 0)
        lmtp_rcpt_late(c);
    else if (c->state == LMTP_WAIT)
        lmtp_restart_idle(c);
    else
        lmtp_finish(c, "421 4.4.2 idle for too long");
}

void lmtp_go_on(struct lmtp_conn *c)
{
    if (!conn_is_open(&c->conn))
        return;
    if (c->d->stopping) { /* it was in the middle of a delivery when the others were told */
        lmtp_finish(c, "421 4.3.2 shutting down");
        return;
    }
    if (c->paused)
        conn_resume(&c->conn);
    else
        conn_again(&c->conn);
    c->paused = false;
}

uint32_t lmtp_seq(struct lmtp_door *d)
{
    if (++d->next_seq == 0)
        d->next_seq = 1;
    return d->next_seq;
}

/* --- input */

/* Input waits: for an answer, or for the client to read what he was told. */
static bool must_wait(const struct lmtp_conn *c)
{
    return c->state == LMTP_WAIT || conn_unsent(&c->conn) >= UNSENT_MAX;
}

/* What is no command of ours may hold a password (AUTH, and what follows it): it is counted. */
static void log_line(const struct lmtp_conn *c, struct str line)
{
    struct str rest;
    if (!log_enabled(LOG_LOW))
        return;
    if (smtpline_verb(line, &rest) != SMTP_UNKNOWN)
        lmtp_log(c, LOG_LOW, "inp(%zu): %.*s", line.n, STR_FMT(line));
    else
        lmtp_log(c, LOG_LOW, "inp(%zu): no command", line.n);
}

static void take_input(struct lmtp_conn *c, struct str *in)
{
    struct str line;
    for (uint32_t n = 0; conn_is_open(&c->conn) && c->state != LMTP_END && !must_wait(c); n++) {
        if (n == COMMANDS_PER_ROUND) {
            conn_again(&c->conn);
            return;
        }
        if (c->state == LMTP_DATA) {
            if (!lmtp_message_take(c, in))
                return;
            continue;
        }
        enum err e = smtpline_next(in, &line);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_OK)
            log_line(c, line);
        if (e == ERR_TOO_LONG)
            lmtp_finish(c, "500 5.5.2 line is too long");
        else if (e == ERR_SYNTAX)
            lmtp_say(c, "500 5.5.2 lines end with CR LF");
        else
            lmtp_command(c, line);
    }
}

static void on_data(struct conn *conn, struct str fresh)
{
    struct lmtp_conn *c = CONTAINER_OF(conn, struct lmtp_conn, conn);
    struct str in = fresh;
    if (fresh.n != 0)
        lmtp_restart_idle(c);
    if (c->in.n != 0) {
        buf_str(&c->in, fresh);
        in = buf_slice(&c->in);
        if (buf_err(&c->in) != ERR_OK) {
            lmtp_finish(c, "421 4.3.0 no memory for input");
            return;
        }
    }
    take_input(c, &in);
    if (!conn_is_open(conn))
        return;
    if (c->in.n != 0)
        buf_consume(&c->in, c->in.n - in.n);
    else
        buf_str(&c->in, in);
    if (buf_err(&c->in) != ERR_OK) {
        lmtp_finish(c, "421 4.3.0 no memory for input");
        return;
    }
    if (c->in.n == 0)
        buf_free(&c->in);
    if (must_wait(c) && !c->paused) {
        conn_pause(conn);
        c->paused = true;
    } else if (c->eof && c->state != LMTP_WAIT) {
        conn_close(conn);
    }
}

static void on_sent(struct conn *conn, size_t n)
{
    struct lmtp_conn *c = CONTAINER_OF(conn, struct lmtp_conn, conn);
    (void)n;
    if (c->paused && c->state != LMTP_END && !must_wait(c))
        lmtp_go_on(c);
}

static void on_eof(struct conn *conn)
{
    struct lmtp_conn *c = CONTAINER_OF(conn, struct lmtp_conn, conn);
    c->eof = true;
    if (c->state != LMTP_WAIT)
        conn_close(conn);
}

static void on_closed(struct conn *conn, enum conn_end why)
{
    struct lmtp_conn *c = CONTAINER_OF(conn, struct lmtp_conn, conn);
    struct lmtp_door *d = c->d;
    (void)why;
    lmtp_log(c, LOG_MAJOR, "connection closed");
    if (c->rcpt_seq != 0)
        idmap_remove(&d->waits, c->rcpt_seq);
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq != 0)
            idmap_remove(&d->waits, c->rcpt[i].seq);
    }
    loop_timer_cancel(d->loop, &c->idle);
    lmtp_message_forget(c);
    buf_free(&c->in);
    buf_free(&c->rcpt_to);
    free(c->rcpt);
    *c->back = c->next;
    if (c->next != NULL)
        c->next->back = c->back;
    d->count--;
    free(c);
}

static const struct conn_ops ops = {
    .on_data = on_data, .on_eof = on_eof, .on_sent = on_sent, .on_closed = on_closed};

/* --- answers of the others */

void lmtp_door_item(struct lmtp_door *d, struct bus_peer *from, const struct ipc_item *it)
{
    struct lmtp_conn *c = it->seq != 0 ? idmap_get(&d->waits, it->seq) : NULL;
    if (c == NULL)
        return;
    if (it->type == IPC_RCPT_ANSWER && c->rcpt_seq == it->seq) {
        idmap_remove(&d->waits, it->seq);
        lmtp_rcpt_answer(c, it);
    } else if (it->type == IPC_DELIVERED && lmtp_is_asked(c, from->number, it->seq)) {
        idmap_remove(&d->waits, it->seq);
        lmtp_delivered(c, it);
    }
}

void lmtp_door_peer_gone(struct lmtp_door *d, enum ipc_role role, uint32_t number)
{
    for (struct lmtp_conn *c = d->first; c != NULL; c = c->next) {
        if (role == IPC_ROLE_KEEPER && c->state == LMTP_WAIT && c->waiting != 0)
            lmtp_lose_keeper(c, number);
    }
}

void lmtp_door_auth_up(struct lmtp_door *d)
{
    for (struct lmtp_conn *c = d->first; c != NULL; c = c->next) {
        if (c->rcpt_seq != 0)
            lmtp_rcpt_ask(c);
    }
}

/* --- life */

enum err lmtp_door_init(struct lmtp_door *d)
{
    idmap_init(&d->waits);
    addrlist_init(&d->allow);
    return addrlist_parse(&d->allow, d->conf->lmtp.allow, NULL);
}

static bool may_connect(const struct lmtp_door *d, const struct listen_addr *peer,
                        const struct conf_listener *l)
{
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    /* A listener's own list was looked at by the worker and stands in place of the common one. */
    return peer->family == LISTEN_LOCAL || l->allow.n != 0 || l->deny.n != 0 ||
           addrlist_match(&d->allow, &ip);
}

void lmtp_door_accept(struct lmtp_door *d, int fd, const struct listen_addr *peer,
                      const struct conf_listener *l)
{
    char line[300];
    struct lmtp_conn *c = NULL;
    bool tls = l->tls == CONF_TLS_YES;
    bool welcome = may_connect(d, peer, l) && d->count < d->conf->lmtp.connections && !d->stopping;
    if (!welcome || (tls && d->tls == NULL) || (c = calloc(1, sizeof *c)) == NULL ||
        conn_open(&c->conn, d->net, fd, &ops, tls ? d->tls : NULL) != ERR_OK) {
        free(c);
        close(fd);
        return;
    }
    c->d = d;
    c->id = d->next_id = d->next_id % (LMTP_IDS - 1) + 1;
    listen_addr_text(peer, c->who);
    lmtp_log(c, LOG_MAJOR, "got connection");
    c->next = d->first;
    c->back = &d->first;
    if (c->next != NULL)
        c->next->back = &c->next;
    d->first = c;
    d->count++;
    buf_init(&c->in, CONN_READ_MAX * 2 + SMTPLINE_MAX);
    buf_init(&c->body, SMTPLINE_MAX);
    buf_init(&c->rcpt_to, SMTPLINE_MAX);
    timer_init(&c->idle, idle_over);
    lmtp_restart_idle(c);
    snprintf(line, sizeof line, "220 %.*s LMTP ximssd", STR_FMT(d->conf->domains[0].name));
    lmtp_say(c, line);
}

void lmtp_door_stop(struct lmtp_door *d)
{
    d->stopping = true;
    for (struct lmtp_conn *c = d->first; c != NULL; c = c->next) {
        if ((c->state != LMTP_WAIT || c->rcpt_seq != 0) && c->state != LMTP_END)
            lmtp_finish(c, "421 4.3.2 shutting down");
    }
}

uint32_t lmtp_door_count(const struct lmtp_door *d)
{
    return d->count;
}
