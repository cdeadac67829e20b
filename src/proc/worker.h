// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * worker: the process that accepts, and carries bytes between clients and keepers (design 2). What its files share.
 *
 * worker.c: packets, what the doors need, life. worker_accept.c: listeners and who is let in. worker_reload.c: a new configuration.
 */
#include "doors/http.h"
#include "doors/lmtp.h"
#include "doors/tcp.h"
#include "net/tls.h"
#include "proc/child.h"
#include "proc/gate.h"

#define WORKER_LINGER (2 * CLOCK_SEC)

struct worker;

/* Who may connect: made from the texts of the configuration. */
struct worker_lists {
    struct addrlist allow, deny;
};

struct worker_listener {
    struct worker *w;
    const struct conf_listener *conf;
    struct listener l;
    int fd; /* until it is opened */
    struct worker_lists lists;
};

/* What a reload needs and could fail to make; as long as it is prepared. */
struct worker_next {
    struct addrlist clients, lmtp, proxies;
    struct worker_lists lists[CONF_LISTENERS_MAX + 2]; /* of conf->listeners */
    size_t count;
};

struct worker {
    struct child *c;
    struct conn_net *net;
    struct tls_context *tls, *tls_http; /* the same, for another ALPN */
    struct gate gate;
    struct addrlist clients;
    struct tcp_door tcp;
    struct http_door http;
    struct lmtp_door lmtp;
    struct worker_listener *listeners[CONF_LISTENERS_MAX + 2];
    uint32_t nlisteners;
    struct worker_next *next; /* NULL: no reload is prepared */
    uint32_t unsaid;          /* refusals since the last line about them */
    struct timer unsaid_timer;
    struct timer stop_check, stop_end;
    bool stopping;
};

struct conn_options worker_conn_options(const struct conf *c);

/* --- worker_accept.c */
/* A place for an XIMSS connection. false: the refusal is logged. */
bool worker_enter_ximss(struct worker *w, const struct listen_addr *peer, struct gate_place *place);
/* Of w->unsaid_timer: the line about refusals that had none. */
void worker_say_unsaid(struct timer *t);
/* The lists of a listener. ERR_NOMEM. */
enum err worker_lists_make(struct worker_lists *l, const struct conf_listener *conf) CHECKED;
void worker_lists_free(struct worker_lists *l);
/* Its packet: opened at once, or together with all others by the start. */
void worker_listener_take(struct worker *w, const struct ipc_item *it);
enum err worker_listener_open(struct worker_listener *l) CHECKED;

/* --- worker_reload.c */
/* Takes in who waits in its queue, then closes and frees it. */
void worker_listener_drain(struct worker_listener *l);
/* Hooks of struct child_hooks */
enum err worker_prepare(struct child *c, const struct conf *next);
void worker_apply(struct child *c, const struct conf *old);
void worker_forget(struct child *c);
