// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a client may say before login (protocol 1, sections 2 and 5), except what auth has to be asked for: that is
 * tcp_login.c. Messages are parsed whole here, with the worker's one parser; after login no message is.
 */
#include "base/clock.h"
#include "base/log.h"
#include "codec/xout.h"
#include "codec/xscan.h"
#include "doors/before.h"
#include "doors/tcp.h"
#include "ximss/vocab.h"

static void protocol_error(struct tcp_conn *c, struct str id, enum err e)
{
    char peer[LISTEN_TEXT];
    log_write(LOG_PROBLEMS, "XIMSSI", c->id, tcp_who(c, peer), "protocol error: %s", err_text(e));
    tcp_respond(c, id, e);
    if (++c->login->errors > c->door->conf->limits.protocol_errors_before_login)
        tcp_bye(c, IPC_WHY_ERRORS);
}

/* --- the operations */

/* An unknown domain has no effect (protocol 1, 2.1). */
void tcp_target_domain(struct tcp_conn *c, const struct xelem *e)
{
    const struct conf_domain *d = conf_domain_find(c->door->conf, xelem_attr(e, "domain"));
    if (d == NULL)
        return;
    c->login->domain = d;
    c->login->named = true;
}

bool tcp_can_starttls(const struct tcp_conn *c)
{
    return !conn_is_tls(&c->conn) && c->door->tls != NULL && c->tls_mode == CONF_TLS_STARTTLS;
}

static void op_starttls(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    if (conn_is_tls(&c->conn)) {
        tcp_respond(c, id, ERR_TLS_ACTIVE);
        return;
    }
    if (!tcp_can_starttls(c)) {
        tcp_respond(c, id, ERR_TLS_UNAVAILABLE);
        return;
    }
    tcp_target_domain(c, e);
    tcp_respond(c, id, ERR_OK);
    shm_row_state(c->door->shm, c->row, SHM_STATE_TLS_HANDSHAKE, 0);
    conn_start_tls(&c->conn, c->door->tls, behind);
}

static void op_bye(struct tcp_conn *c, struct str id)
{
    tcp_respond(c, id, ERR_OK);
    c->why = IPC_WHY_BYE;
    c->state = TCP_CLOSING;
    conn_close(&c->conn);
}

static void op_read_strings(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct buf *b = &c->door->scratch;
    tcp_target_domain(c, e);
    buf_clear(b);
    enum err err = vocab_answer(e, id, c->login->domain->language, b);
    if (err == ERR_OK)
        tcp_write_scratch(c);
    tcp_respond(c, id, err);
}

static void op_disabled(struct tcp_conn *c, const struct xelem *e, struct str id, enum op_id op)
{
    tcp_target_domain(c, e);
    tcp_respond(c, id, before_disabled(e, op));
}

/* Flash Player's question, the one message without id (protocol 1, section 5). */
static bool flash_policy(struct tcp_conn *c, const struct xelem *e)
{
    struct tcp_door *d = c->door;
    struct buf *b = &d->scratch;
    if (!xelem_is(e, "policy-file-request"))
        return false;
    buf_clear(b);
    if (d->conf->server.flash_policy == CONF_FLASH_ALL) {
        buf_lit(b, "<cross-domain-policy><allow-access-from domain=\"*\" "
                   "to-ports=\"*\"/></cross-domain-policy>");
        buf_char(b, 0);
    } else if (d->conf->server.flash_policy == CONF_FLASH_OWN) {
        const char *sep = "";
        buf_lit(b, "<cross-domain-policy><allow-access-from domain=\"*\" to-ports=\"");
        for (size_t i = 0; i < d->conf->nlisteners; i++) {
            const struct conf_listener *l = &d->conf->listeners[i];
            if (l->protocol == CONF_XIMSS && l->at.kind == CONF_TCP) {
                buf_printf(b, "%s%u", sep, l->at.port);
                sep = ",";
            }
        }
        buf_lit(b, "\"/></cross-domain-policy>");
        buf_char(b, 0);
    }
    tcp_write_scratch(c);
    c->state = TCP_CLOSING;
    conn_close(&c->conn);
    return true;
}

/* --- dispatch */

static void run(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    enum op_id op = optag_find(e->name);
    bool timed;
    enum err err = before_check(e, op, id, &timed);
    c->login->since = timed ? clock_mono() : 0;
    if (err != ERR_OK) {
        tcp_respond(c, id, err);
        return;
    }
    switch (op) {
    case OP_NOOP:
        tcp_respond(c, id, ERR_OK);
        break;
    case OP_BYE:
        op_bye(c, id);
        break;
    case OP_LOGIN:
        if (c->door->no_logins) {
            tcp_respond(c, id, ERR_SHUTTING_DOWN);
            break;
        }
        tcp_login_begin(c, e, id);
        break;
    case OP_AUTH:
        tcp_respond(c, id, ERR_NO_AUTH_IN_PROGRESS);
        break;
    case OP_LIST_FEATURES:
        tcp_login_features(c, e, id);
        break;
    case OP_STARTTLS:
        op_starttls(c, e, id, behind);
        break;
    case OP_RECOVER_PASSWORD:
    case OP_PASSWORD_RECOVER:
    case OP_SIGNUP:
        op_disabled(c, e, id, op);
        break;
    case OP_READ_STRINGS:
        op_read_strings(c, e, id);
        break;
    default:
        tcp_respond(c, id, ERR_NOT_AUTHENTICATED);
        break;
    }
}

/* A challenge is out: anything but its answer cancels the login and, `bye` excepted, is refused (protocol 1, 3.2). */
static void step(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    enum op_id op = optag_find(e->name);
    if (op == OP_AUTH && str_eq(id, c->login->id)) {
        tcp_login_answer(c, e);
        return;
    }
    tcp_login_cancel(c);
    if (op == OP_BYE) {
        run(c, e, id, behind);
        return;
    }
    c->login->since = 0;
    tcp_respond(c, id, op == OP_NONE ? ERR_UNKNOWN_COMMAND : ERR_NOT_AUTHENTICATED);
}

/* A message that no parser accepts (protocol 1, 1.7), or for which there is no memory. */
static void unreadable(struct tcp_conn *c, struct str msg, enum err e)
{
    struct xscan x;
    char id[XMSG_ID_MAX];
    size_t n = 0;
    xscan_rescue(msg, &x);
    bool known = x.id.p != NULL && x.id.n <= sizeof id && xscan_decode(x.id, id, &n) == ERR_OK;
    struct str name = known ? (struct str){id, n} : STR_NONE;
    if (c->state == TCP_PRE)
        c->login->since = 0;
    if (e == ERR_ILLEGAL_XML)
        protocol_error(c, name, e);
    else
        tcp_respond(c, name, e);
}

bool tcp_before_message(struct tcp_conn *c, struct str msg, bool legal, struct str behind)
{
    struct tcp_door *d = c->door;
    struct xelem *e = NULL;
    enum err err = legal ? xmsg_parse(d->parser, msg, &d->arena, &e) : ERR_ILLEGAL_XML;
    if (err != ERR_OK) {
        unreadable(c, msg, err);
    } else if (!flash_policy(c, e)) {
        struct str id = xelem_attr(e, "id");
        if (id.p == NULL)
            protocol_error(c, STR_NONE, ERR_ID_MISSING);
        else if (c->state == TCP_STEP)
            step(c, e, id, behind);
        else
            run(c, e, id, behind);
    }
    /* Passwords do not stay. */
    arena_reset(&d->arena);
    xmsg_parser_wipe(d->parser);
    return conn_is_open(&c->conn) && !conn_in_handshake(&c->conn) &&
           (c->state == TCP_PRE || c->state == TCP_STEP);
}
