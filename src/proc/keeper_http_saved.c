// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Sessions over HTTP at an upgrade (proc/keeper_handover.h). Batches that have begun come to their end and are answered;
 * polls are answered empty, so that clients ask anew; every later request waits unread, and is the successor's. So none is lost,
 * none is carried out twice, and whoever waits for an answer gets it.
 */
#include <stdlib.h>

#include "proc/keeper.h"

#define DEFERRED_MAX ((size_t)64 << 20)

void keeper_http_hand_begin(struct keeper *k)
{
    uint32_t at = 0;
    struct kept_http *h;
    k->deferred_tail = &k->deferred;
    while ((h = idmap_next(&k->http, &at)) != NULL)
        binding_poll_over(h->b);
}

bool keeper_http_defer(struct keeper *k, const struct bus_peer *worker, const struct ipc_item *it)
{
    struct deferred *d = NULL;
    if (k->deferred_bytes + it->body.n <= DEFERRED_MAX)
        d = calloc(1, sizeof *d);
    if (d == NULL)
        return false;
    d->worker = worker->number;
    d->worker_generation = worker->generation;
    d->conn = it->id;
    d->seq = it->seq;
    buf_init(&d->body, it->body.n);
    d->body.secret = true;
    buf_str(&d->body, it->body);
    if (buf_err(&d->body) != ERR_OK) {
        free(d);
        return false;
    }
    k->deferred_bytes += it->body.n;
    *k->deferred_tail = d;
    k->deferred_tail = &d->next;
    return true;
}

static void undefer(struct keeper *k, struct deferred **at)
{
    struct deferred *d = *at;
    *at = d->next;
    if (d->next == NULL)
        k->deferred_tail = at;
    k->deferred_bytes -= d->body.n;
    buf_free(&d->body);
    free(d);
}

void keeper_http_undefer(struct keeper *k, uint32_t worker, uint32_t conn, uint32_t seq)
{
    struct deferred **at = &k->deferred;
    while (*at != NULL && ((*at)->worker != worker || (*at)->conn != conn || (*at)->seq != seq))
        at = &(*at)->next;
    if (*at != NULL)
        undefer(k, at);
}

void keeper_http_undefer_all(struct keeper *k, uint32_t worker)
{
    struct deferred **at = &k->deferred;
    while (*at != NULL) {
        if ((*at)->worker == worker)
            undefer(k, at);
        else
            at = &(*at)->next;
    }
}

/* --- records */

bool keeper_http_put(const struct session *x, uint32_t i, struct buf *b)
{
    const struct kept *s = x->user;
    struct shm_row row;
    if (i != 0 || s->http == NULL)
        return false;
    shm_row_copy(&s->k->c->shm, s->http->row, &row);
    ipc_put_u32(b, s->http->place.entry);
    ipc_put_str(b, (struct str){(const char *)&row, sizeof row});
    binding_put(s->http->b, b);
    return true;
}

/* What readers see of it stays what it was. */
static enum err get_row(struct kept_http *h, struct str bytes)
{
    struct shm_row row;
    if (bytes.n != sizeof row)
        return ERR_PACKET;
    memcpy(&row, bytes.p, sizeof row);
    h->row = shm_row_alloc(&h->k->c->shm);
    if (h->row == SHM_NO_ROW)
        return ERR_NOMEM;
    row.session = h->place.id;
    row.transport = SHM_TRANSPORT_HTTP;
    row.state = SHM_STATE_WAITING_FOR_REQUEST;
    row.op = OP_NONE;
    row.started = 0;
    shm_row_publish(&h->k->c->shm, h->row, &row);
    return ERR_OK;
}

enum err keeper_http_get(struct session *x, struct str body)
{
    struct kept *s = x->user;
    struct keeper *k = s->k;
    struct ipc_in in = {body, false};
    struct gate_place place = {ipc_get_u32(&in), x->id};
    struct str row = ipc_get_str(&in);
    struct str rest = ipc_get_rest(&in);
    if (in.bad || s->http != NULL || idmap_get(&k->http, x->id) != NULL)
        return ERR_PACKET;
    struct kept_http *h = keeper_http_new(k, place);
    if (h == NULL)
        return ERR_NOMEM;
    enum err e = get_row(h, row);
    if (e == ERR_OK)
        e = binding_get(rest, x, &k->binding_host, k->x.limits.reply, &h->b);
    if (e != ERR_OK) {
        x->binding = NULL;
        keeper_http_free(h);
        return e;
    }
    h->b->user = h;
    h->kept = s;
    s->http = h;
    keeper_http_start(h, s->opened);
    return ERR_OK;
}

enum err keeper_http_get_last(struct keeper *k, uint32_t number, struct str body)
{
    if (idmap_get(&k->http, number) != NULL)
        return ERR_PACKET;
    struct kept_http *h = keeper_http_new(k, (struct gate_place){0, number});
    if (h == NULL)
        return ERR_NOMEM;
    enum err e = binding_get(body, NULL, &k->binding_host, k->x.limits.reply, &h->b);
    if (e != ERR_OK) {
        keeper_http_free(h);
        return e;
    }
    h->b->user = h;
    keeper_http_start(h, 0);
    return ERR_OK;
}
