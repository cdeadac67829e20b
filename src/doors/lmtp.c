// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/lmtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/smtpline.h"

#define COMMANDS_PER_ROUND 64
#define UNSENT_MAX         65536 /* bytes that the client has not read: then no more is read of him */
#define FIRST_LINE_MAX     (SMTPPATH_MAX + 64) /* our own "Return-Path: <...>" */

enum lmtp_state {
    LMTP_START, /* before LHLO */
    LMTP_IDLE,  /* between messages */
    LMTP_MAIL,  /* a sender is known, recipients come */
    LMTP_DATA,  /* the message comes */
    LMTP_WAIT,  /* auth or keepers work; input waits */
    LMTP_END,
};

struct recipient {
    uint64_t account;
    uint32_t bank;
    uint32_t seq;    /* of the DELIVER that carries it; 0: answered */
    uint32_t result; /* enum err */
};

struct lmtp_conn {
    struct conn conn;
    struct timer idle;
    struct lmtp_door *d;
    struct lmtp_conn *next, **back;
    struct buf in;   /* what is not used yet */
    struct buf body; /* the message */
    struct smtp_data data;
    struct recipient *rcpt;
    uint32_t nrcpt, room;
    uint32_t rcpt_seq; /* a RCPT that waits for auth; 0: none */
    uint32_t waiting;  /* DELIVERs without an answer */
    enum lmtp_state state;
    size_t prefix;  /* bytes of `body` that are our own first line */
    size_t counted; /* bytes of the door's memory that are ours */
    bool too_large, no_memory;
    bool paused;
    bool eof;
};

/* --- answers */

static void say(struct lmtp_conn *c, const char *line)
{
    conn_write(&c->conn, str_of(line));
    conn_write(&c->conn, STR("\r\n"));
}

static void finish(struct lmtp_conn *c, const char *line)
{
    say(c, line);
    c->state = LMTP_END;
    conn_close(&c->conn);
}

static void restart_idle(struct lmtp_conn *c)
{
    loop_timer_set(c->d->loop, &c->idle, c->d->conf->lmtp.idle);
}

static void idle_over(struct timer *t)
{
    struct lmtp_conn *c = CONTAINER_OF(t, struct lmtp_conn, idle);
    if (c->state == LMTP_WAIT)
        restart_idle(c);
    else
        finish(c, "421 4.4.2 idle for too long");
}

static void go_on(struct lmtp_conn *c)
{
    if (!conn_is_open(&c->conn))
        return;
    if (c->d->stopping) { /* it was in the middle of a delivery when the others were told */
        finish(c, "421 4.3.2 shutting down");
        return;
    }
    if (c->paused)
        conn_resume(&c->conn);
    else
        conn_again(&c->conn);
    c->paused = false;
}

static void count_memory(struct lmtp_conn *c)
{
    c->d->bytes += c->body.cap - c->counted;
    c->counted = c->body.cap;
}

static void forget_message(struct lmtp_conn *c)
{
    buf_free(&c->body);
    count_memory(c);
    c->nrcpt = 0;
    c->too_large = c->no_memory = false;
}

/* --- commands */

static void op_lhlo(struct lmtp_conn *c, struct str rest)
{
    char line[256];
    if (rest.n == 0) {
        say(c, "501 5.5.4 LHLO needs a name");
        return;
    }
    forget_message(c);
    c->state = LMTP_IDLE;
    snprintf(line, sizeof line, "250-%.*s", STR_FMT(c->d->conf->domains[0].name));
    say(c, line);
    say(c, "250-PIPELINING");
    say(c, "250-ENHANCEDSTATUSCODES");
    say(c, "250-8BITMIME");
    say(c, "250-SMTPUTF8");
    snprintf(line, sizeof line, "250 SIZE %zu", c->d->conf->lmtp.max_message);
    say(c, line);
}

static const char *path_error(enum err e)
{
    return e == ERR_UNSUPPORTED ? "555 5.5.4 parameter is not known"
           : e == ERR_TOO_LONG  ? "501 5.1.3 address is too long"
                                : "501 5.5.4 syntax error in parameters";
}

static void op_mail(struct lmtp_conn *c, struct str rest)
{
    struct smtp_path p;
    if (c->state != LMTP_IDLE) {
        say(c, c->state == LMTP_START ? "503 5.5.1 LHLO first" : "503 5.5.1 nested MAIL");
        return;
    }
    enum err e = smtp_path_parse(rest, true, &p);
    if (e != ERR_OK) {
        say(c, path_error(e));
        return;
    }
    if (p.has_size && p.size > c->d->conf->lmtp.max_message) {
        say(c, "552 5.3.4 message is too large");
        return;
    }
    forget_message(c);
    buf_init(&c->body, c->d->conf->lmtp.max_message + FIRST_LINE_MAX);
    /* Final delivery notes the envelope sender (RFC 5321 4.4); the server that hands over has written Received. */
    buf_printf(&c->body, "Return-Path: <%.*s>\r\n", STR_FMT(p.address));
    c->prefix = c->body.n;
    c->state = LMTP_MAIL;
    say(c, "250 2.1.0 sender ok");
}

static uint32_t new_seq(struct lmtp_door *d)
{
    if (++d->next_seq == 0)
        d->next_seq = 1;
    return d->next_seq;
}

static void op_rcpt(struct lmtp_conn *c, struct str rest)
{
    struct lmtp_door *d = c->d;
    struct bus_peer *auth = d->auth(d->ctx);
    struct smtp_path p;
    uint32_t seq;
    if (c->state != LMTP_MAIL) {
        say(c, "503 5.5.1 MAIL first");
        return;
    }
    enum err e = smtp_path_parse(rest, false, &p);
    if (e != ERR_OK) {
        say(c, path_error(e));
        return;
    }
    if (c->nrcpt >= d->conf->lmtp.recipients) {
        say(c, "452 4.5.3 too many recipients");
        return;
    }
    seq = new_seq(d);
    if (auth == NULL || idmap_put(&d->waits, seq, c) != ERR_OK) {
        say(c, "451 4.3.0 try again later");
        return;
    }
    c->rcpt_seq = seq;
    c->state = LMTP_WAIT;
    bus_put(auth, IPC_RCPT, 0, seq, p.address);
}

static void op_data(struct lmtp_conn *c)
{
    if (c->state != LMTP_MAIL || c->nrcpt == 0) {
        say(c, c->state == LMTP_MAIL ? "503 5.5.1 no valid recipients" : "503 5.5.1 MAIL first");
        return;
    }
    smtp_data_init(&c->data);
    c->state = LMTP_DATA;
    say(c, "354 go ahead, end with a dot on its own line");
}

static void op_rset(struct lmtp_conn *c)
{
    forget_message(c);
    if (c->state != LMTP_START)
        c->state = LMTP_IDLE;
    say(c, "250 2.0.0 ok");
}

static void command(struct lmtp_conn *c, struct str line)
{
    struct str rest;
    switch (smtpline_verb(line, &rest)) {
    case SMTP_LHLO:
        op_lhlo(c, rest);
        break;
    case SMTP_MAIL:
        op_mail(c, rest);
        break;
    case SMTP_RCPT:
        op_rcpt(c, rest);
        break;
    case SMTP_DATA:
        op_data(c);
        break;
    case SMTP_RSET:
        op_rset(c);
        break;
    case SMTP_NOOP:
        say(c, "250 2.0.0 ok");
        break;
    case SMTP_QUIT:
        finish(c, "221 2.0.0 bye");
        break;
    case SMTP_VRFY:
        say(c, "252 2.5.0 try and see");
        break;
    case SMTP_HELO:
    case SMTP_EHLO:
        say(c, "500 5.5.1 this is LMTP: LHLO");
        break;
    default:
        say(c, "500 5.5.2 command not recognised");
        break;
    }
}

/* --- the message */

static const char *answer_to(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "250 2.0.0 delivered";
    case ERR_QUOTA:
        return "452 4.2.2 mailbox is full";
    case ERR_MESSAGE_TOO_LARGE:
        return "552 5.3.4 message is too large";
    default:
        return "451 4.3.0 not stored, try again later";
    }
}

static void answer_recipients(struct lmtp_conn *c)
{
    for (uint32_t i = 0; i < c->nrcpt; i++)
        say(c, answer_to((enum err)c->rcpt[i].result));
    forget_message(c);
    c->state = LMTP_IDLE;
}

static void set_results(struct lmtp_conn *c, enum err e)
{
    for (uint32_t i = 0; i < c->nrcpt; i++)
        c->rcpt[i].result = (uint32_t)e;
}

/* One packet for recipients from `first` on that are of its bank and have none yet (design 4). */
static void deliver_bank(struct lmtp_conn *c, uint32_t first)
{
    struct lmtp_door *d = c->d;
    uint32_t bank = c->rcpt[first].bank;
    struct bus_peer *k = d->keeper(d->ctx, bank % d->keepers);
    struct buf b;
    uint32_t seq = new_seq(d), count = 0, end = first;
    for (; end < c->nrcpt && count < IPC_DELIVER_MAX; end++)
        count += c->rcpt[end].bank == bank && c->rcpt[end].seq == 0;
    buf_init(&b, c->body.n + 64 + count * 8u);
    ipc_put_u32(&b, bank);
    ipc_put_u32(&b, count);
    for (uint32_t i = first; i < end; i++) {
        if (c->rcpt[i].bank == bank && c->rcpt[i].seq == 0) {
            ipc_put_u64(&b, c->rcpt[i].account);
            c->rcpt[i].seq = seq;
            c->rcpt[i].result = ERR_INTERNAL;
        }
    }
    buf_str(&b, buf_slice(&c->body));
    if (k != NULL && buf_err(&b) == ERR_OK && idmap_put(&d->waits, seq, c) == ERR_OK) {
        bus_put(k, IPC_DELIVER, 0, seq, buf_slice(&b));
        c->waiting++;
    }
    buf_free(&b);
}

static void message_complete(struct lmtp_conn *c)
{
    if (c->too_large || c->body.n - c->prefix > c->d->conf->lmtp.max_message) {
        set_results(c, ERR_MESSAGE_TOO_LARGE);
        answer_recipients(c);
        return;
    }
    if (c->no_memory) {
        for (uint32_t i = 0; i < c->nrcpt; i++)
            say(c, "452 4.3.1 no memory for this message now");
        forget_message(c);
        c->state = LMTP_IDLE;
        return;
    }
    c->state = LMTP_WAIT;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq == 0)
            deliver_bank(c, i);
    }
    buf_free(&c->body); /* the packets hold it now: it stays counted until it is answered */
    if (c->waiting == 0)
        answer_recipients(c);
}

/* true: the message is complete. What does not fit is read and thrown away, so that the dialogue goes on. */
static bool take_data(struct lmtp_conn *c, struct str *in)
{
    size_t most = c->body.n + in->n;
    bool end = smtp_data_feed(&c->data, in, &c->body);
    c->too_large = c->too_large || (c->body.failed && most > c->body.max);
    c->no_memory = c->no_memory || (c->body.failed && most <= c->body.max);
    count_memory(c);
    /* Alone it always has room: max_message is not more than `memory`, but buffers grow by more than they need. */
    c->no_memory =
        c->no_memory || (c->d->bytes > c->d->conf->lmtp.memory && c->d->bytes != c->counted);
    if (c->too_large || c->no_memory) {
        buf_free(&c->body);
        buf_init(&c->body, CONN_READ_MAX * 2);
        c->prefix = 0;
        count_memory(c);
    }
    return end;
}

/* --- input */

/* Input waits: for an answer, or for the client to read what he was told. */
static bool must_wait(const struct lmtp_conn *c)
{
    return c->state == LMTP_WAIT || conn_unsent(&c->conn) >= UNSENT_MAX;
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
            if (!take_data(c, in))
                return;
            message_complete(c);
            continue;
        }
        enum err e = smtpline_next(in, &line);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_TOO_LONG)
            finish(c, "500 5.5.2 line is too long");
        else if (e == ERR_SYNTAX)
            say(c, "500 5.5.2 lines end with CR LF");
        else
            command(c, line);
    }
}

static void on_data(struct conn *conn, struct str fresh)
{
    struct lmtp_conn *c = CONTAINER_OF(conn, struct lmtp_conn, conn);
    struct str in = fresh;
    if (fresh.n != 0)
        restart_idle(c);
    if (c->in.n != 0) {
        buf_str(&c->in, fresh);
        in = buf_slice(&c->in);
        if (buf_err(&c->in) != ERR_OK) {
            finish(c, "421 4.3.0 no memory for input");
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
        finish(c, "421 4.3.0 no memory for input");
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
        go_on(c);
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
    if (c->rcpt_seq != 0)
        idmap_remove(&d->waits, c->rcpt_seq);
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq != 0)
            idmap_remove(&d->waits, c->rcpt[i].seq);
    }
    loop_timer_cancel(d->loop, &c->idle);
    forget_message(c);
    buf_free(&c->in);
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

static void rcpt_answer(struct lmtp_conn *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint64_t account = ipc_get_u64(&in);
    uint32_t bank = ipc_get_u32(&in);
    (void)ipc_get_str(&in);
    c->rcpt_seq = 0;
    c->state = LMTP_MAIL;
    if (it->id == ERR_OK && ipc_in_end(&in) == ERR_OK && c->nrcpt == c->room) {
        uint32_t room = c->room != 0 ? c->room * 2 : 4;
        struct recipient *r = realloc(c->rcpt, room * sizeof *r);
        if (r != NULL) {
            c->rcpt = r;
            c->room = room;
        }
    }
    if (it->id == ERR_UNKNOWN_USER) {
        say(c, "550 5.1.1 unknown user account");
    } else if (it->id != ERR_OK || in.bad || c->nrcpt == c->room) {
        say(c, "451 4.3.0 try again later");
    } else {
        c->rcpt[c->nrcpt++] = (struct recipient){.account = account, .bank = bank};
        say(c, "250 2.1.5 recipient ok");
    }
    go_on(c);
}

static void one_delivered(struct lmtp_conn *c)
{
    if (--c->waiting != 0)
        return;
    answer_recipients(c);
    go_on(c);
}

static void delivered(struct lmtp_conn *c, const struct ipc_item *it)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        uint32_t e = ERR_INTERNAL;
        if (c->rcpt[i].seq != it->seq)
            continue;
        if ((at + 1) * sizeof e <= it->body.n)
            memcpy(&e, it->body.p + at * sizeof e, sizeof e);
        c->rcpt[i].result = e < ERR_COUNT ? e : ERR_INTERNAL;
        c->rcpt[i].seq = 0;
        at++;
    }
    one_delivered(c);
}

/* Was that keeper given a message under this number? It has no say about what others store. */
static bool is_asked(const struct lmtp_conn *c, uint32_t keeper, uint32_t seq)
{
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        if (c->rcpt[i].seq == seq)
            return c->rcpt[i].bank % c->d->keepers == keeper;
    }
    return false;
}

void lmtp_door_item(struct lmtp_door *d, struct bus_peer *from, const struct ipc_item *it)
{
    struct lmtp_conn *c = it->seq != 0 ? idmap_get(&d->waits, it->seq) : NULL;
    if (c == NULL)
        return;
    if (it->type == IPC_RCPT_ANSWER && c->rcpt_seq == it->seq) {
        idmap_remove(&d->waits, it->seq);
        rcpt_answer(c, it);
    } else if (it->type == IPC_DELIVERED && is_asked(c, from->number, it->seq)) {
        idmap_remove(&d->waits, it->seq);
        delivered(c, it);
    }
}

static void lose_keeper(struct lmtp_conn *c, uint32_t keeper)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < c->nrcpt; i++) {
        uint32_t seq = c->rcpt[i].seq;
        if (seq == 0 || c->rcpt[i].bank % c->d->keepers != keeper)
            continue;
        lost += idmap_get(&c->d->waits, seq) != NULL; /* counts each packet once */
        idmap_remove(&c->d->waits, seq);
        c->rcpt[i].seq = 0;
        c->rcpt[i].result = ERR_DB;
    }
    while (lost-- != 0)
        one_delivered(c);
}

void lmtp_door_peer_gone(struct lmtp_door *d, enum ipc_role role, uint32_t number)
{
    for (struct lmtp_conn *c = d->first; c != NULL; c = c->next) {
        if (role == IPC_ROLE_KEEPER && c->state == LMTP_WAIT && c->waiting != 0)
            lose_keeper(c, number);
        if (role == IPC_ROLE_AUTH && c->rcpt_seq != 0) {
            idmap_remove(&d->waits, c->rcpt_seq);
            c->rcpt_seq = 0;
            c->state = LMTP_MAIL;
            say(c, "451 4.3.0 try again later");
            go_on(c);
        }
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
    c->next = d->first;
    c->back = &d->first;
    if (c->next != NULL)
        c->next->back = &c->next;
    d->first = c;
    d->count++;
    buf_init(&c->in, CONN_READ_MAX * 2 + SMTPLINE_MAX);
    buf_init(&c->body, SMTPLINE_MAX);
    timer_init(&c->idle, idle_over);
    restart_idle(c);
    snprintf(line, sizeof line, "220 %.*s LMTP ximssd", STR_FMT(d->conf->domains[0].name));
    say(c, line);
}

void lmtp_door_stop(struct lmtp_door *d)
{
    d->stopping = true;
    for (struct lmtp_conn *c = d->first; c != NULL; c = c->next) {
        if (c->state != LMTP_WAIT && c->state != LMTP_END)
            finish(c, "421 4.3.2 shutting down");
    }
}

uint32_t lmtp_door_count(const struct lmtp_door *d)
{
    return d->count;
}
