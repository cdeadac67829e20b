// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The door as a whole: packets of auth and keepers, what comes and goes, a new configuration, the end. */
#include "doors/tcp.h"

#include <stdlib.h>

#include "base/clock.h"

#define PARSE_MEMORY  ((size_t)4 << 20)
#define KICK_PATIENCE (5 * CLOCK_SEC) /* with a client who does not take his last output */

enum err tcp_door_init(struct tcp_door *d)
{
    arena_init(&d->arena, PARSE_MEMORY);
    buf_init(&d->scratch, PARSE_MEMORY);
    buf_init(&d->illegal, PARSE_MEMORY);
    d->arena.secret = d->illegal.secret = true; /* passwords do not stay */
    idmap_init(&d->conns);
    d->parser = xmsg_parser_new();
    if (d->parser == NULL)
        return ERR_NOMEM;
    xmsg_parser_limits(d->parser, &d->xml);
    return ERR_OK;
}

/* --- packets */

/* Nobody waits for this session any more. */
static void refuse(struct bus_peer *keeper, const struct ipc_item *it)
{
    uint32_t body[2] = {IPC_WHY_CLOSED, 0};
    bus_put(keeper, IPC_DETACH, it->id, it->seq, (struct str){(const char *)body, sizeof body});
}

static void attached(struct tcp_conn *c, struct bus_peer *keeper, const struct ipc_item *it)
{
    struct tcp_door *d = c->door;
    struct ipc_in in = {it->body, false};
    struct str name = ipc_get_str(&in);
    struct str output = ipc_get_rest(&in);
    if (c->login == NULL || c->login->attempt != it->seq || c->state != TCP_WAIT ||
        !conn_is_open(&c->conn)) {
        if (c->login != NULL && c->state != TCP_WAIT)
            d->host.no_session(d->host.ctx, c->id, c->place);
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
    tcp_make_response(c, c->login->id, ERR_OK);
    tcp_input_logged_in(c);
    tcp_login_free(&c->login);
    shm_row_op_end(d->shm, c->row);
    shm_row_login(d->shm, c->row, name.p, name.n, SHM_STATE_READING_REQUEST);
    tcp_write(c, output);
    tcp_write_scratch(c);
    tcp_go_on(c);
}

static void session_output(struct tcp_conn *c, const struct ipc_item *it)
{
    bool was_full = tcp_flight_full(c);
    tcp_write(c, it->body);
    tcp_flight_answered(c, it->seq);
    if (was_full && !tcp_flight_full(c) && conn_is_open(&c->conn))
        tcp_go_on(c);
    else
        tcp_end_if_done(c);
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
            tcp_end(c);
        }
        break;
    default:
        if (c != NULL && c->login != NULL)
            tcp_login_item(c, it);
        break;
    }
}

/* --- all connections */

static void for_each(struct tcp_door *d, void (*fn)(struct tcp_conn *, uint32_t), uint32_t arg)
{
    uint32_t at = 0;
    struct tcp_conn *c;
    /* Connections leave the map only in on_closed, later. */
    while ((c = idmap_next(&d->conns, &at)) != NULL)
        fn(c, arg);
}

static void ask_auth_again(struct tcp_conn *c, uint32_t role)
{
    if (c->login != NULL && role == IPC_ROLE_AUTH)
        tcp_login_auth_up(c);
    else if (c->login != NULL)
        tcp_login_keeper_up(c);
}

void tcp_door_auth_up(struct tcp_door *d)
{
    for_each(d, ask_auth_again, IPC_ROLE_AUTH);
}

void tcp_door_keeper_up(struct tcp_door *d)
{
    for_each(d, ask_auth_again, IPC_ROLE_KEEPER);
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
    tcp_pause(c);
    c->state = TCP_WAIT; /* nothing more is read */
    loop_timer_cancel(c->door->loop, &c->idle);
    timer_init(&c->idle, keeper_is_gone);
    loop_timer_set(c->door->loop, &c->idle, (int64_t)arc4random_uniform(2000) * CLOCK_MS);
}

void tcp_door_keeper_gone(struct tcp_door *d, uint32_t keeper)
{
    for_each(d, end_soon, keeper);
}

/* Its target domain may be gone; then the main one takes its place. */
static void find_domain_again(struct tcp_conn *c, const struct conf *conf)
{
    const struct conf_domain *d = conf_domain_find(conf, c->login->domain->name);
    c->login->domain = d != NULL ? d : &conf->domains[0];
}

void tcp_door_reload(struct tcp_door *d, const struct conf *conf)
{
    uint32_t at = 0;
    struct tcp_conn *c;
    while ((c = idmap_next(&d->conns, &at)) != NULL) {
        if (c->login != NULL)
            find_domain_again(c, conf);
    }
    d->conf = conf;
    xmsg_parser_limits(d->parser, &d->xml);
}

/* --- ends */

static void kicked_long_ago(struct timer *t)
{
    struct tcp_conn *c = CONTAINER_OF(t, struct tcp_conn, idle);
    conn_abort(&c->conn);
}

bool tcp_door_kick(struct tcp_door *d, uint32_t id)
{
    struct tcp_conn *c = id != 0 ? idmap_get(&d->conns, id) : NULL;
    if (c == NULL)
        return false;
    if (c->state == TCP_CLOSING) {
        conn_abort(&c->conn);
        return true;
    }
    tcp_bye(c, IPC_WHY_KICKED);
    shm_row_state(d->shm, c->row, SHM_STATE_CLOSING, 0);
    loop_timer_cancel(d->loop, &c->idle);
    timer_init(&c->idle, kicked_long_ago);
    loop_timer_set(d->loop, &c->idle, KICK_PATIENCE);
    return true;
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
