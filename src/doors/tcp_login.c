// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a client may say before login (protocol 1, sections 2, 3 and 5). Messages are parsed whole here, with the
 * worker's one parser; after login no message is.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcbody.h"
#include "codec/xout.h"
#include "codec/xscan.h"
#include "doors/tcp.h"
#include "ximss/vocab.h"

#define ANSWER_TIME (10 * CLOCK_SEC) /* auth's, for one question (design 2.3) */
#define ID_MAX      256              /* protocol 1, 1.3 */
#define TEXTS_MAX   1024
#define LOGIN_HEADS 128 /* of a LOGIN body: all but its strings */

/* --- life */

static void timer_over(struct timer *t);

struct tcp_login *tcp_login_new(struct tcp_conn *c, const struct listen_addr *peer)
{
    struct tcp_login *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->owner = c;
    l->peer = *peer;
    l->domain = &c->door->conf->domains[0];
    buf_init(&l->texts, TEXTS_MAX);
    buf_init(&l->body, IPC_BODY_MAX);
    timer_init(&l->timer, timer_over);
    return l;
}

static void forget_body(struct tcp_login *l)
{
    if (l->body.p != NULL)
        explicit_bzero(l->body.p, l->body.cap);
    buf_free(&l->body);
}

void tcp_login_free(struct tcp_login **lp)
{
    struct tcp_login *l = *lp;
    if (l == NULL)
        return;
    forget_body(l);
    buf_free(&l->texts);
    *lp = NULL;
    loop_timer_cancel(l->owner->door->loop, &l->timer);
    free(l);
}

static void stop_timer(struct tcp_conn *c)
{
    loop_timer_cancel(c->door->loop, &c->login->timer);
}

/* --- answers */

static void not_waiting(struct tcp_conn *c)
{
    struct tcp_login *l = c->login;
    stop_timer(c);
    forget_body(l);
    l->asked = OP_NONE;
    l->resent = l->stepped = false;
    c->state = TCP_PRE;
    shm_row_op_end(c->door->shm, c->row);
}

static void protocol_error(struct tcp_conn *c, struct str id, enum err e)
{
    tcp_respond(c, id, e);
    if (++c->login->errors > c->door->conf->limits.protocol_errors_before_login)
        tcp_bye(c, IPC_WHY_ERRORS);
}

/* auth need not go on with it. */
static void drop_login(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (a != NULL)
        bus_put(a, IPC_LOGIN_DROP, c->id, c->login->attempt, STR_NONE);
}

/* The answer to what auth was asked (a login's delay is over by now), and on with what waits behind it. */
static void tell(struct tcp_conn *c, enum err e)
{
    struct tcp_login *l = c->login;
    not_waiting(c);
    tcp_respond(c, l->id, e);
    if (e == ERR_AUTH_FAILED)
        l->failures++;
    if (l->failures >= c->door->conf->login.fail_connection) {
        tcp_bye(c, IPC_WHY_LOGINS);
        return;
    }
    tcp_go_on(c);
}

static void timer_over(struct timer *t)
{
    struct tcp_login *l = CONTAINER_OF(t, struct tcp_login, timer);
    struct tcp_conn *c = l->owner;
    if (!conn_is_open(&c->conn))
        return;
    if (l->verdict == ERR_OK)
        drop_login(c);
    if (c->state == TCP_STEP) /* the client took too long over a challenge (protocol 1, 3.2) */
        tell(c, ERR_AUTH_CANCELLED);
    else
        tell(c, l->verdict != ERR_OK ? l->verdict : ERR_TIMEOUT);
}

/* --- questions to auth */

static bool keep_id(struct tcp_login *l, struct str id)
{
    buf_clear(&l->texts);
    buf_str(&l->texts, id);
    l->id = (struct str){l->texts.p != NULL ? l->texts.p : "", l->texts.n};
    return buf_err(&l->texts) == ERR_OK;
}

/* The body stands in l->body. The client's later messages wait. */
static void ask(struct tcp_conn *c, enum op_id op)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    l->asked = op;
    l->verdict = ERR_OK;
    l->attempt = ++d->next_attempt;
    c->state = TCP_WAIT;
    shm_row_op_begin(d->shm, c->row, (uint16_t)op, loop_now(d->loop));
    loop_timer_set(d->loop, &l->timer, ANSWER_TIME);
    if (a != NULL)
        bus_put(a, op == OP_LOGIN ? IPC_LOGIN : IPC_FEATURES, c->id, l->attempt,
                buf_slice(&l->body));
}

void tcp_login_resend(struct tcp_conn *c)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    if (c->state != TCP_WAIT || l->asked == OP_NONE || l->resent || l->stepped ||
        l->verdict != ERR_OK || a == NULL)
        return;
    l->resent = true;
    bus_put(a, l->asked == OP_LOGIN ? IPC_LOGIN : IPC_FEATURES, c->id, l->attempt,
            buf_slice(&l->body));
}

/* --- login, auth */

static uint32_t link_flags(const struct tcp_conn *c)
{
    if (!conn_is_tls(&c->conn))
        return 0;
    bool v13 = strcmp(conn_tls_version(&c->conn), "TLSv1.3") == 0;
    return IPC_LOGIN_TLS | (v13 ? IPC_LOGIN_TLS13 : 0u);
}

static void op_login(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct tcp_login *l = c->login;
    struct ipc_login out = {
        .flags = link_flags(c),
        .failures = l->failures,
        .domain = l->domain->name,
        .method = xelem_attr(e, "method"),
        .auth_data = xelem_attr(e, "authData"),
        .user_name = xelem_attr(e, "userName"),
        .password = xelem_attr(e, "password"),
        .nonce = xelem_attr(e, "nonce"),
        .session_id = xelem_attr(e, "sessionid"),
    };
    bool kill_old = false, can_update = false;
    struct str flag = xelem_attr(e, "killOld");
    enum err err = str_bool(flag, &kill_old);
    flag = xelem_attr(e, "canUpdatePwd");
    if (err == ERR_OK)
        err = str_bool(flag, &can_update);
    if (err != ERR_OK) {
        tcp_respond(c, id, ERR_ATTR_VALUE);
        return;
    }
    out.flags |= (kill_old ? IPC_LOGIN_KILL_OLD : 0u) | (can_update ? IPC_LOGIN_CAN_UPDATE : 0u);
    memcpy(out.addr, l->peer.ip, sizeof out.addr);
    size_t secrets = out.method.n + out.auth_data.n + out.user_name.n + out.password.n +
                     out.nonce.n + out.session_id.n;
    keep_id(l, id);
    out.request_id = l->id;
    buf_clear(&l->body);
    (void)buf_room(&l->body, LOGIN_HEADS + id.n + l->domain->name.n +
                                 secrets); /* growing leaves copies behind */
    ipc_login_put(&l->body, &out);
    if (buf_err(&l->body) != ERR_OK) {
        forget_body(l);
        tcp_respond(c, id, ERR_ATTR_VALUE);
        return;
    }
    ask(c, OP_LOGIN);
}

/* An answer to a challenge; the state is STEP. */
static void op_auth(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct tcp_door *d = c->door;
    struct tcp_login *l = c->login;
    struct bus_peer *a = d->host.auth(d->host.ctx);
    struct str value = xelem_attr(e, "value");
    if (value.p == NULL) {
        tcp_respond(c, id, ERR_ATTR_MISSING);
        return;
    }
    if (a == NULL || value.n > IPC_INLINE_MAX) {
        drop_login(c);
        tell(c, a == NULL ? ERR_TIMEOUT : ERR_ATTR_VALUE);
        return;
    }
    l->stepped = true;
    c->state = TCP_WAIT;
    loop_timer_set(d->loop, &l->timer, ANSWER_TIME);
    bus_put(a, IPC_LOGIN_STEP, c->id, l->attempt, value);
}

/* Another request came where an `auth` was due (protocol 1, 3.2). */
static void cancel_login(struct tcp_conn *c)
{
    drop_login(c);
    not_waiting(c);
    tcp_respond(c, c->login->id, ERR_AUTH_CANCELLED);
}

/* --- the others */

/* An unknown domain has no effect (protocol 1, 2.1). */
static void target_domain(struct tcp_conn *c, const struct xelem *e)
{
    const struct conf_domain *d = conf_domain_find(c->door->conf, xelem_attr(e, "domain"));
    if (d != NULL)
        c->login->domain = d;
}

static void op_list_features(struct tcp_conn *c, const struct xelem *e, struct str id)
{
    struct tcp_login *l = c->login;
    target_domain(c, e);
    keep_id(l, id);
    buf_clear(&l->body);
    ipc_put_u32(&l->body, conn_is_tls(&c->conn) ? IPC_LOGIN_TLS : 0);
    ipc_put_str(&l->body, l->domain->name);
    ipc_put_str(&l->body, (struct str){(const char *)l->peer.ip, sizeof l->peer.ip});
    ask(c, OP_LIST_FEATURES);
}

static bool can_starttls(const struct tcp_conn *c)
{
    return !conn_is_tls(&c->conn) && c->door->tls != NULL && c->tls_mode == CONF_TLS_STARTTLS;
}

static void features(struct tcp_conn *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct str domain = ipc_get_str(&in), methods = ipc_get_str(&in), nonce = ipc_get_str(&in);
    struct str language = ipc_get_str(&in), method;
    struct buf *b = &c->door->scratch;
    if (ipc_in_end(&in) != ERR_OK)
        return;
    buf_clear(b);
    xout_open(b, "features");
    xout_attr(b, "id", c->login->id);
    xout_attr(b, "domain", domain);
    xout_body(b);
    if (can_starttls(c))
        buf_lit(b, "<starttls/>");
    while (str_split(&methods, ' ', &method)) {
        if (method.n != 0)
            xout_elem(b, "sasl", method);
    }
    if (nonce.n != 0)
        xout_elem(b, "nonce", nonce);
    if (language.n != 0)
        xout_elem(b, "language", language);
    xout_close(b, "features");
    xout_end(b);
    tcp_write(c, buf_slice(b));
    tell(c, ERR_OK);
}

static void op_starttls(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    if (conn_is_tls(&c->conn)) {
        tcp_respond(c, id, ERR_TLS_ACTIVE);
        return;
    }
    if (!can_starttls(c)) {
        tcp_respond(c, id, ERR_TLS_UNAVAILABLE);
        return;
    }
    target_domain(c, e);
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
    buf_clear(b);
    enum err err = vocab_answer(e, id, b);
    if (err == ERR_OK)
        tcp_write(c, buf_slice(b));
    tcp_respond(c, id, err);
}

static void op_disabled(struct tcp_conn *c, const struct xelem *e, struct str id, enum err disabled)
{
    bool complete = xelem_attr(e, "userName").p != NULL &&
                    (disabled != ERR_SIGNUP_DISABLED || xelem_attr(e, "password").p != NULL);
    target_domain(c, e);
    tcp_respond(c, id, complete ? disabled : ERR_ATTR_MISSING);
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
    tcp_write(c, buf_slice(b));
    c->state = TCP_CLOSING;
    conn_close(&c->conn);
    return true;
}

/* --- dispatch */

static void run(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    enum op_id op = optag_find(e->name);
    switch (op) {
    case OP_NOOP:
        tcp_respond(c, id, ERR_OK);
        break;
    case OP_BYE:
        op_bye(c, id);
        break;
    case OP_LOGIN:
        op_login(c, e, id);
        break;
    case OP_AUTH:
        tcp_respond(c, id, ERR_NO_AUTH_IN_PROGRESS);
        break;
    case OP_LIST_FEATURES:
        op_list_features(c, e, id);
        break;
    case OP_STARTTLS:
        op_starttls(c, e, id, behind);
        break;
    case OP_RECOVER_PASSWORD:
    case OP_PASSWORD_RECOVER:
        op_disabled(c, e, id, ERR_RECOVERY_DISABLED);
        break;
    case OP_SIGNUP:
        op_disabled(c, e, id, ERR_SIGNUP_DISABLED);
        break;
    case OP_READ_STRINGS:
        op_read_strings(c, e, id);
        break;
    default:
        tcp_respond(c, id, op == OP_NONE ? ERR_UNKNOWN_COMMAND : ERR_NOT_AUTHENTICATED);
        break;
    }
}

static void step(struct tcp_conn *c, const struct xelem *e, struct str id, struct str behind)
{
    enum op_id op = optag_find(e->name);
    if (op == OP_AUTH && str_eq(id, c->login->id)) {
        op_auth(c, e, id);
        return;
    }
    cancel_login(c);
    if (op == OP_BYE)
        run(c, e, id, behind);
    else
        tcp_respond(c, id, op == OP_NONE ? ERR_UNKNOWN_COMMAND : ERR_NOT_AUTHENTICATED);
}

static void illegal(struct tcp_conn *c, struct str msg)
{
    struct xscan x;
    char id[ID_MAX];
    size_t n = 0;
    xscan_rescue(msg, &x);
    bool known = x.id.p != NULL && x.id.n <= sizeof id && xscan_decode(x.id, id, &n) == ERR_OK;
    protocol_error(c, known ? (struct str){id, n} : STR_NONE, ERR_ILLEGAL_XML);
}

/* Passwords do not stay in the arena after their message. */
static void wipe_secrets(const struct xelem *e)
{
    for (uint32_t i = 0; i < e->nattrs; i++) {
        char *p;
        memcpy(&p, &e->attrs[i].value.p, sizeof p);
        explicit_bzero(p, e->attrs[i].value.n);
    }
}

/* exeTime (protocol 1, 1.4): what is answered at once took so many milliseconds. */
static void note_time(struct tcp_conn *c, const struct xelem *e)
{
    struct str wanted = xelem_attr(e, "exeTime");
    bool yes = false;
    if (wanted.p != NULL && str_bool(wanted, &yes) == ERR_OK && yes)
        c->login->since = clock_mono();
}

bool tcp_login_message(struct tcp_conn *c, struct str msg, bool legal, struct str behind)
{
    struct tcp_door *d = c->door;
    struct xelem *e = NULL;
    if (c->state == TCP_PRE)
        c->login->since = 0;
    arena_reset(&d->arena);
    enum err err = legal ? xmsg_parse(d->parser, msg, &d->arena, &e) : ERR_ILLEGAL_XML;
    if (err != ERR_OK) {
        illegal(c, msg);
    } else if (!flash_policy(c, e)) {
        struct str id = xelem_attr(e, "id");
        note_time(c, e);
        if (id.p == NULL)
            protocol_error(c, STR_NONE, ERR_ID_MISSING);
        else if (id.n > ID_MAX)
            protocol_error(c, STR_NONE, ERR_ATTR_VALUE);
        else if (c->state == TCP_STEP)
            step(c, e, id, behind);
        else
            run(c, e, id, behind);
        wipe_secrets(e);
    }
    return conn_is_open(&c->conn) && !conn_in_handshake(&c->conn) &&
           (c->state == TCP_PRE || c->state == TCP_STEP);
}

/* --- auth's and keepers' answers */

static void challenge(struct tcp_conn *c, const struct ipc_item *it)
{
    struct buf *b = &c->door->scratch;
    buf_clear(b);
    xout_open(b, "challenge");
    xout_attr(b, "id", c->login->id);
    xout_attr(b, "value", it->body.p != NULL ? it->body : STR(""));
    xout_empty(b);
    xout_end(b);
    tcp_write(c, buf_slice(b));
    forget_body(c->login);
    c->state = TCP_STEP;
    loop_timer_set(c->door->loop, &c->login->timer, c->door->conf->login.exchange_timeout);
    tcp_go_on(c);
}

static void failed(struct tcp_conn *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t e = ipc_get_u32(&in);
    uint32_t delay_ms = it->type == IPC_LOGIN_FAILED ? ipc_get_u32(&in) : 0;
    if (ipc_in_end(&in) != ERR_OK || e == ERR_OK || e >= ERR_COUNT)
        e = ERR_INTERNAL;
    if (delay_ms == 0) {
        tell(c, (enum err)e);
        return;
    }
    c->login->verdict = (enum err)e;
    loop_timer_set(c->door->loop, &c->login->timer, (int64_t)delay_ms * CLOCK_MS);
}

void tcp_login_item(struct tcp_conn *c, const struct ipc_item *it)
{
    if (c->login->attempt != it->seq || c->state != TCP_WAIT || c->login->verdict != ERR_OK ||
        !conn_is_open(&c->conn))
        return;
    switch (it->type) {
    case IPC_FEATURES_ANSWER:
        features(c, it);
        break;
    case IPC_LOGIN_CHALLENGE:
        challenge(c, it);
        break;
    case IPC_LOGIN_FAILED:
    case IPC_ATTACH_FAILED:
        failed(c, it);
        break;
    default:
        break;
    }
}
