// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * worker: accepts, and carries bytes between clients and keepers (design 2). It opens no files, connects nowhere,
 * checks no passwords.
 */
#include "proc/worker.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/memfd.h"
#include "proc/banks.h"
#include "proc/settings.h"
#include "proc/worker_ctl.h"

/* --- what the doors need of us */

static struct bus_peer *auth_peer(void *ctx)
{
    struct child_peer *p = child_peer(ctx, IPC_ROLE_AUTH, 0);
    return p != NULL ? &p->bus : NULL;
}

static struct bus_peer *keeper_peer(void *ctx, uint32_t number)
{
    struct child_peer *p = child_peer(ctx, IPC_ROLE_KEEPER, number);
    return p != NULL ? &p->bus : NULL;
}

static uint32_t number_of_bank(void *ctx, uint32_t bank)
{
    const struct child *c = ctx;
    return bank < c->banks ? banks_keeper(bank, c->keepers) : UINT32_MAX;
}

static struct bus_peer *keeper_of_bank(void *ctx, uint32_t bank)
{
    return keeper_peer(ctx, number_of_bank(ctx, bank));
}

static void left(void *ctx, uint32_t id, uint32_t place)
{
    struct child *c = ctx;
    struct worker *w = c->data;
    gate_leave(&w->gate, (struct gate_place){place, id});
}

/* protocol 1, 4.12: the limits of XIMSS hold for it from now on. */
static bool passes(void *ctx, const struct listen_addr *peer, uint32_t *id, uint32_t *place)
{
    struct child *c = ctx;
    struct worker *w = c->data;
    struct gate_place fresh;
    if (c->conf->server.channels == 0 || !worker_enter_ximss(w, peer, &fresh))
        return false;
    gate_leave(&w->gate, (struct gate_place){*place, *id});
    *id = fresh.id;
    *place = fresh.entry;
    return true;
}

static bool is_blocked(void *ctx, const uint8_t addr[16])
{
    struct child *c = ctx;
    struct worker *w = c->data;
    return gate_is_blocked(&w->gate, addr, loop_now(c->loop));
}

static void no_session(void *ctx, uint32_t id, uint32_t place)
{
    struct child *c = ctx;
    struct worker *w = c->data;
    gate_session_end(&w->gate, (struct gate_place){place, id});
}

/* --- start */

struct conn_options worker_conn_options(const struct conf *c)
{
    return (struct conn_options){.out_limit = c->limits.out_limit,
                                 .out_stall = c->limits.out_stall,
                                 .linger = WORKER_LINGER,
                                 .handshake_timeout = c->tls.handshake_timeout,
                                 .handshakes = c->tls.handshakes};
}

static void check_stopped(struct timer *t);
static void end_all(struct timer *t);

static void wire_tcp(struct worker *w)
{
    struct child *c = w->c;
    w->tcp.host = (struct tcp_host){.ctx = c,
                                    .auth = auth_peer,
                                    .keeper = keeper_peer,
                                    .closed = left,
                                    .no_session = no_session};
    w->tcp.loop = c->loop;
    w->tcp.net = w->net;
    w->tcp.conf = c->conf;
    w->tcp.shm = &c->shm;
    w->tcp.tls = w->tls;
    w->tcp.xml = settings_frame(c->conf);
}

static void wire_lmtp(struct worker *w)
{
    struct child *c = w->c;
    w->lmtp.ctx = c;
    w->lmtp.auth = auth_peer;
    w->lmtp.keeper = keeper_peer;
    w->lmtp.loop = c->loop;
    w->lmtp.net = w->net;
    w->lmtp.conf = c->conf;
    w->lmtp.tls = w->tls;
    w->lmtp.keepers = c->keepers;
}

static void wire_http(struct worker *w)
{
    struct child *c = w->c;
    w->http.host = (struct http_host){.ctx = c,
                                      .auth = auth_peer,
                                      .keeper = keeper_of_bank,
                                      .keeper_number = number_of_bank,
                                      .closed = left,
                                      .pass = passes,
                                      .blocked = is_blocked};
    w->http.loop = c->loop;
    w->http.net = w->net;
    w->http.conf = c->conf;
    w->http.shm = &c->shm;
    w->http.tls = w->tls_http;
    w->http.tcp = &w->tcp;
}

static enum err start(struct child *c)
{
    struct worker *w = c->data;
    const struct conf *conf = c->conf;
    struct conn_options opt = worker_conn_options(conf);
    w->c = c;
    timer_init(&w->unsaid_timer, worker_say_unsaid);
    timer_init(&w->stop_check, check_stopped);
    timer_init(&w->stop_end, end_all);
    BUG_IF(gate_attach(&w->gate, c->gate_mem, c->gate_bytes) != ERR_OK);
    addrlist_init(&w->clients);
    enum err e = addrlist_parse(&w->clients, conf->server.client_addresses, NULL);
    if (e == ERR_OK)
        e = conn_net_new(c->loop, &opt, &w->net);
    if (e != ERR_OK)
        return e;
    wire_tcp(w);
    wire_lmtp(w);
    wire_http(w);
    e = tcp_door_init(&w->tcp);
    if (e == ERR_OK)
        e = lmtp_door_init(&w->lmtp);
    if (e == ERR_OK)
        e = http_door_init(&w->http);
    for (uint32_t i = 0; i < w->nlisteners && e == ERR_OK; i++)
        e = worker_listener_open(w->listeners[i]);
    return e;
}

/* --- certificates */

/* The one in use stays; the first one must be there, or this worker alone would do without TLS. */
static void no_certificate(const struct worker *w, const char *why)
{
    if (w->tls == NULL)
        child_cannot_start(w->c, "certificate", why);
    log_write(LOG_FAILURES, "XIMSSI", 0, NULL, "certificate: %s: the one in use stays", why);
}

static void take_certificate(struct worker *w, const struct ipc_item *it)
{
    char problem[TLS_PROBLEM];
    struct ipc_in in = {it->body, false};
    uint64_t cert_bytes = ipc_get_u64(&in);
    struct str keys = ipc_get_rest(&in);
    struct str pem = memfd_map(it->fd, 2 * TLS_PEM_MAX);
    close(it->fd);
    BUG_IF(ipc_in_end(&in) != ERR_OK || (pem.p != NULL && cert_bytes > pem.n));
    if (pem.p == NULL) {
        no_certificate(w, "no memory map");
        return;
    }
    struct tls_options opt = {.cert_pem = str_sub(pem, 0, (size_t)cert_bytes),
                              .key_pem = str_sub(pem, (size_t)cert_bytes, pem.n),
                              .min = w->c->conf->tls.min_version == CONF_TLS_1_3 ? TLS_MIN_1_3
                                                                                 : TLS_MIN_1_2,
                              .ticket_keys = keys,
                              .alpn = STR("ximss")};
    struct tls_context *fresh = NULL, *http = NULL;
    enum err e = tls_context_new(&opt, &fresh, problem);
    opt.alpn = STR("http/1.1 http/1.0 ximss");
    if (e == ERR_OK)
        e = tls_context_new(&opt, &http, problem);
    if (e != ERR_OK) {
        tls_context_unref(&fresh);
        no_certificate(w, problem);
    } else {
        tls_context_unref(&w->tls); /* connections that use it keep it alive */
        tls_context_unref(&w->tls_http);
        w->tls = w->tcp.tls = w->lmtp.tls = fresh;
        w->tls_http = w->http.tls = http;
    }
    memfd_unmap(pem);
}

/* --- life */

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct worker *w = c->data;
    w->c = c;
    switch (it->type) {
    case IPC_LISTENER:
        worker_listener_take(w, it);
        break;
    case IPC_TLS:
        take_certificate(w, it);
        break;
    case IPC_RCPT_ANSWER:
    case IPC_DELIVERED:
        lmtp_door_item(&w->lmtp, from, it);
        break;
    default:
        if (!http_door_item(&w->http, from, it))
            tcp_door_item(&w->tcp, from, it);
        break;
    }
}

static void peer_up(struct child *c, struct child_peer *p)
{
    struct worker *w = c->data;
    if (p->bus.role == IPC_ROLE_AUTH) {
        tcp_door_auth_up(&w->tcp);
        lmtp_door_auth_up(&w->lmtp);
        http_door_auth_up(&w->http);
    } else if (p->bus.role == IPC_ROLE_KEEPER) {
        tcp_door_keeper_up(&w->tcp);
        http_door_keeper_up(&w->http, p->bus.number);
    }
}

static void peer_gone(struct child *c, struct child_peer *p)
{
    struct worker *w = c->data;
    if (p->bus.role == IPC_ROLE_KEEPER) {
        tcp_door_keeper_gone(&w->tcp, p->bus.number);
        http_door_keeper_gone(&w->http, p->bus.number);
    }
    lmtp_door_peer_gone(&w->lmtp, p->bus.role, p->bus.number);
}

static void check_stopped(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, stop_check);
    if (w->tcp.conns.count == 0 && w->http.conns.count == 0 && lmtp_door_count(&w->lmtp) == 0)
        child_leave(w->c, 0);
    else
        loop_timer_set(w->c->loop, t, 20 * CLOCK_MS);
}

/* The time is over: everybody who is left gets <bye/>. */
static void end_all(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, stop_end);
    tcp_door_stop(&w->tcp);
    http_door_end(&w->http);
}

/*
 * Sessions have `within` to come to an end by themselves; deliveries end with the message that is under way. With CLOSE the
 * listening sockets go, after all who stand in their queues were taken in: a client that comes now is refused at once and
 * can try another server, instead of waiting for one that is about to go.
 */
static void stop(struct child *c, enum ipc_stop how, int64_t within)
{
    struct worker *w = c->data;
    if (how == IPC_STOP_CLOSE)
        w->tcp.no_logins = w->http.no_logins = true;
    for (uint32_t i = 0; i < w->nlisteners && how == IPC_STOP_CLOSE; i++)
        worker_listener_drain(w->listeners[i]);
    if (how == IPC_STOP_CLOSE)
        w->nlisteners = 0;
    for (uint32_t i = 0; i < w->nlisteners; i++)
        listen_accept(&w->listeners[i]->l, false);
    loop_timer_set(c->loop, &w->stop_end, within);
    if (w->stopping)
        return;
    w->stopping = true;
    lmtp_door_stop(&w->lmtp);
    http_door_stop(&w->http);
    loop_timer_set(c->loop, &w->stop_check, 0);
}

static void ctl(struct child *c, const struct ipc_item *it)
{
    struct worker *w = c->data;
    worker_ctl(c, &w->tcp, it);
}

static const struct child_hooks hooks = {.load = tls_prepare,
                                         .start = start,
                                         .item = item,
                                         .peer_up = peer_up,
                                         .peer_gone = peer_gone,
                                         .ctl = ctl,
                                         .stop = stop,
                                         .prepare = worker_prepare,
                                         .apply = worker_apply,
                                         .forget = worker_forget};

void worker_setup(struct child *c)
{
    static struct worker w;
    c->hooks = &hooks;
    c->data = &w;
}
