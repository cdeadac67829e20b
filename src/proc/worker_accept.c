// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Listeners: how they are opened, and who is let in at which door (protocol 1, 7.3). */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/settings.h"
#include "proc/worker.h"

/* --- who is let in */

void worker_say_unsaid(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, unsaid_timer);
    log_write(LOG_MAJOR, "XIMSSI", 0, NULL, "%u more connections refused", w->unsaid);
    w->unsaid = 0;
}

/* A line each, but not many a second; then one that counts (protocol 1, 7.3). */
static void refused(struct worker *w, const struct listen_addr *peer, const char *why)
{
    char text[LISTEN_TEXT];
    shm_count_add(&w->c->shm, SHM_XIMSS_REJECTED, 1);
    if (gate_may_say(&w->gate, loop_now(w->c->loop)))
        log_write(LOG_MAJOR, "XIMSSI", 0, listen_addr_text(peer, text), "connection refused: %s",
                  why);
    else if (w->unsaid++ == 0)
        loop_timer_set(w->c->loop, &w->unsaid_timer, CLOCK_SEC);
}

static bool restricted(const struct worker_listener *l, const struct ip *ip)
{
    if (l->conf->allow.n != 0 && !addrlist_match(&l->lists.allow, ip))
        return true;
    return l->conf->deny.n != 0 && addrlist_match(&l->lists.deny, ip);
}

bool worker_enter_ximss(struct worker *w, const struct listen_addr *peer, struct gate_place *place)
{
    static const char *const why[] = {[GATE_BLOCKED] = "address is blocked",
                                      [GATE_FULL] = "too many channels",
                                      [GATE_IDLERS] = "too many channels without a login",
                                      [GATE_ADDRESS_FULL] = "too many channels from this address"};
    struct gate_limits lim = settings_gate(w->c->conf);
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    bool client = peer->family == LISTEN_LOCAL || addrlist_match(&w->clients, &ip);
    enum gate_answer got =
        gate_enter(&w->gate, GATE_XIMSS, &lim, gate_owner(w->c->number, w->c->generation), ip.b,
                   client, loop_now(w->c->loop), place);
    if (got != GATE_IN)
        refused(w, peer, why[got]);
    return got == GATE_IN;
}

/* Order of checks: protocol 1, 7.3. */
static void accept_ximss(struct worker_listener *l, int fd, const struct listen_addr *peer)
{
    struct worker *w = l->w;
    struct gate_place place;
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    if (restricted(l, &ip)) {
        refused(w, peer, "address is not allowed here");
        close(fd);
    } else if (worker_enter_ximss(w, peer, &place)) {
        tcp_door_accept(&w->tcp, fd, peer, place.id, place.entry, l->conf);
    } else {
        close(fd);
    }
}

static void accept_http(struct worker_listener *l, int fd, const struct listen_addr *peer)
{
    struct worker *w = l->w;
    struct gate_limits lim = settings_gate_http(w->c->conf);
    struct gate_place place;
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    bool free = peer->family == LISTEN_LOCAL || addrlist_match(&w->http.proxies, &ip);
    enum gate_answer got =
        restricted(l, &ip)
            ? GATE_BLOCKED
            : gate_enter(&w->gate, GATE_HTTP, &lim, gate_owner(w->c->number, w->c->generation),
                         ip.b, free, loop_now(w->c->loop), &place);
    if (got == GATE_IN) {
        http_door_accept(&w->http, fd, peer, place.id, place.entry, l->conf);
        return;
    }
    refused(w, peer,
            got == GATE_BLOCKED ? "address is not allowed here"
            : got == GATE_FULL  ? "too many HTTP connections"
                                : "too many HTTP connections from this address");
    close(fd);
}

static void accepted(void *arg, int fd, const struct listen_addr *peer)
{
    struct worker_listener *l = arg;
    struct ip ip;
    memcpy(ip.b, peer->ip, sizeof ip.b);
    switch (l->conf->protocol) {
    case CONF_XIMSS:
        accept_ximss(l, fd, peer);
        break;
    case CONF_LMTP:
        if (peer->family != LISTEN_LOCAL && restricted(l, &ip))
            close(fd);
        else
            lmtp_door_accept(&l->w->lmtp, fd, peer, l->conf);
        break;
    case CONF_HTTP:
        accept_http(l, fd, peer);
        break;
    default:
        close(fd);
        break;
    }
}

/* --- listeners */

enum err worker_lists_make(struct worker_lists *l, const struct conf_listener *conf)
{
    addrlist_init(&l->allow);
    addrlist_init(&l->deny);
    enum err e = addrlist_parse(&l->allow, conf->allow, NULL);
    return e == ERR_OK ? addrlist_parse(&l->deny, conf->deny, NULL) : e;
}

void worker_lists_free(struct worker_lists *l)
{
    addrlist_free(&l->allow);
    addrlist_free(&l->deny);
}

enum err worker_listener_open(struct worker_listener *l)
{
    enum err e = worker_lists_make(&l->lists, l->conf);
    return e == ERR_OK ? listen_open(&l->l, l->w->c->loop, l->fd, accepted, l) : e;
}

/* The kernel gives us connections that we would never take: better another worker in our place. */
static void no_listener(struct worker *w, const struct conf_listener *conf)
{
    log_write(LOG_FAILURES, "XIMSSI", 0, NULL, "[listener %.*s] cannot be opened: ending",
              STR_FMT(conf->name));
    child_leave(w->c, 1);
}

/* At the start all are opened together, by the start; later ones come with a reload. */
void worker_listener_take(struct worker *w, const struct ipc_item *it)
{
    BUG_IF(w->nlisteners == ARRAY_LEN(w->listeners) || it->id >= w->c->conf->nlisteners);
    struct worker_listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        close(it->fd);
        no_listener(w, &w->c->conf->listeners[it->id]);
        return;
    }
    l->w = w;
    l->conf = &w->c->conf->listeners[it->id];
    l->fd = it->fd;
    w->listeners[w->nlisteners++] = l;
    if (w->c->started && worker_listener_open(l) != ERR_OK)
        no_listener(w, l->conf);
    else if (w->stopping)
        listen_accept(&l->l, false);
}
