// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * A worker's part of a reload (design 2.5): no connection is touched. Limits hold for what begins from now on; listeners
 * that stay keep their sockets, those that are gone take in who has been waiting and are closed, new ones come from the
 * master afterwards.
 */
#include <stdlib.h>

#include "base/log.h"
#include "proc/settings.h"
#include "proc/worker.h"

static void next_free(struct worker *w)
{
    struct worker_next *n = w->next;
    if (n == NULL)
        return;
    addrlist_free(&n->clients);
    addrlist_free(&n->lmtp);
    addrlist_free(&n->proxies);
    for (size_t i = 0; i < n->count; i++)
        worker_lists_free(&n->lists[i]);
    free(n);
    w->next = NULL;
}

enum err worker_prepare(struct child *c, const struct conf *next)
{
    struct worker *w = c->data;
    struct worker_next *n = w->next = calloc(1, sizeof *w->next);
    if (n == NULL)
        return ERR_NOMEM;
    addrlist_init(&n->clients);
    addrlist_init(&n->lmtp);
    addrlist_init(&n->proxies);
    enum err e = addrlist_parse(&n->clients, next->server.client_addresses, NULL);
    if (e == ERR_OK)
        e = addrlist_parse(&n->lmtp, next->lmtp.allow, NULL);
    if (e == ERR_OK)
        e = addrlist_parse(&n->proxies, next->http.trusted_proxies, NULL);
    for (size_t i = 0; i < next->nlisteners && e == ERR_OK; i++, n->count++)
        e = worker_lists_make(&n->lists[i], &next->listeners[i]);
    if (e != ERR_OK)
        next_free(w);
    return e;
}

void worker_forget(struct child *c)
{
    next_free(c->data);
}

static void swap_lists(struct addrlist *a, struct addrlist *b)
{
    struct addrlist was = *a;
    *a = *b;
    *b = was;
}

static void listener_closed(void *arg)
{
    struct worker_listener *l = arg;
    worker_lists_free(&l->lists);
    free(l);
}

/* What stands in its queue has been promised a connection by the kernel. */
void worker_listener_drain(struct worker_listener *l)
{
    listen_drain(&l->l);
    listen_close(&l->l, listener_closed);
}

static void apply_listeners(struct worker *w)
{
    const struct conf *conf = w->c->conf;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->nlisteners; i++) {
        struct worker_listener *l = w->listeners[i];
        size_t at = settings_listener_find(conf, &l->conf->at);
        if (at == conf->nlisteners) {
            worker_listener_drain(l);
            continue;
        }
        l->conf = &conf->listeners[at];
        swap_lists(&l->lists.allow, &w->next->lists[at].allow);
        swap_lists(&l->lists.deny, &w->next->lists[at].deny);
        w->listeners[kept++] = l;
    }
    w->nlisteners = kept;
}

void worker_apply(struct child *c, const struct conf *old)
{
    struct worker *w = c->data;
    struct conn_options opt = worker_conn_options(c->conf);
    (void)old;
    BUG_IF(w->next == NULL);
    apply_listeners(w);
    swap_lists(&w->clients, &w->next->clients);
    swap_lists(&w->lmtp.allow, &w->next->lmtp);
    swap_lists(&w->http.proxies, &w->next->proxies);
    next_free(w);
    conn_net_set_options(w->net, &opt);
    w->lmtp.conf = c->conf;
    w->tcp.xml = settings_frame(c->conf);
    tcp_door_reload(&w->tcp, c->conf);
    http_door_reload(&w->http, c->conf);
}
