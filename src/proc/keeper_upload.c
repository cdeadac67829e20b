// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Files that come in over HTTP (protocol 2, 9.2). A worker sends what it has taken out of the request; every piece goes into the
 * spool at once, and the worker hears that it may send more. What is not complete belongs to nobody, and goes with its exchange.
 *
 * At an upgrade it goes on to its end in the successor: what has come stands in the spool that is handed over, what comes waits in the
 * worker's socket. So no upload holds up a hand-over, and none is refused because of one.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/keeper.h"

struct receiving {
    struct receiving *next, **at; /* of the session */
    struct exchange *x;
    struct kept_http *h;
    struct upload *u;
};

static uint32_t status_of(enum err e)
{
    switch (e) {
    case ERR_SYNTAX: /* no uploadID */
        return 404;
    case ERR_TOO_LONG:
        return 413;
    case ERR_QUOTA:
    case ERR_DB:
        return 507;
    default:
        return 503;
    }
}

static void say_more(struct exchange *x, uint32_t n)
{
    struct bus_peer *w = keeper_worker(x->k, x->worker, x->worker_generation);
    if (w != NULL)
        bus_put(w, IPC_UPLOAD_MORE, x->conn, x->seq, (struct str){(const char *)&n, sizeof n});
}

/* Takes the upload; r is zero. */
static void receive(struct exchange *x, struct receiving *r, struct upload *u)
{
    r->u = u;
    r->x = x;
    r->h = x->h;
    r->next = x->h->receiving;
    r->at = &x->h->receiving;
    if (r->next != NULL)
        r->next->at = &r->next;
    x->h->receiving = r;
    x->receiving = r;
}

void keeper_upload_take(struct exchange *x, const struct ipc_http *in)
{
    struct receiving *r = calloc(1, sizeof *r);
    struct upload *u = NULL;
    enum err e = r != NULL ? upload_begin(x->h->kept->s, in->folder, &u) : ERR_NOMEM;
    if (e != ERR_OK) {
        free(r);
        keeper_exchange_end(x, status_of(e));
        return;
    }
    receive(x, r, u);
    say_more(x, 0);
}

void keeper_upload_end(struct exchange *x)
{
    struct receiving *r = x->receiving;
    x->receiving = NULL;
    upload_abort(&r->u);
    *r->at = r->next;
    if (r->next != NULL)
        r->next->at = r->at;
    free(r);
}

static void answer(struct exchange *x, enum err e)
{
    if (e == ERR_QUOTA || e == ERR_DB)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "an upload was refused: %s",
                  e == ERR_QUOTA ? "upload_space is used up" : "the disk does not take it");
    keeper_upload_end(x);
    keeper_exchange_end(x, e == ERR_OK ? 200 : status_of(e));
}

static enum err begin_file(struct upload *u, struct str body)
{
    struct ipc_in in = {body, false};
    struct str name = ipc_get_str(&in), type = ipc_get_str(&in);
    return ipc_in_end(&in) == ERR_OK ? upload_file(u, name, type) : ERR_SYNTAX;
}

void keeper_upload_item(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct exchange *x = keeper_exchange_of(k, worker, it);
    enum err e = ERR_OK;
    if (x == NULL || x->receiving == NULL)
        return;
    struct upload **u = &x->receiving->u;
    shm_row_add(&k->c->shm, x->h->row, it->body.n, 0, 0);
    if (it->type == IPC_UPLOAD_FILE)
        e = begin_file(*u, it->body);
    else if (it->type == IPC_UPLOAD_DATA)
        e = upload_data(*u, it->body);
    else
        e = upload_commit(u, clock_mono());
    if (e != ERR_OK || it->type == IPC_UPLOAD_END)
        answer(x, e);
    else if (it->type == IPC_UPLOAD_DATA)
        say_more(x, (uint32_t)it->body.n);
}

void keeper_upload_session_gone(struct kept_http *h)
{
    while (h->receiving != NULL) {
        struct exchange *x = h->receiving->x;
        keeper_upload_end(x);
        keeper_exchange_end(x, 550);
    }
}

/* --- at an upgrade */

void keeper_upload_put(const struct exchange *x, struct buf *b)
{
    ipc_put_u32(b, x->h->place.id);
    upload_put(x->receiving->u, b);
}

void keeper_upload_resume(struct exchange *x, struct str record)
{
    struct ipc_in in = {record, record.p == NULL};
    struct kept_http *h = idmap_get(&x->k->http, ipc_get_u32(&in));
    struct receiving *r = NULL;
    struct upload *u = NULL;
    if (!in.bad && (h == NULL || h->kept == NULL || h->kept->said_end)) {
        keeper_exchange_end(x, 550); /* its session is lost */
        return;
    }
    enum err e = in.bad ? ERR_PACKET : ERR_OK;
    if (e == ERR_OK && (r = calloc(1, sizeof *r)) == NULL)
        e = ERR_NOMEM;
    if (e == ERR_OK)
        e = upload_get(h->kept->s, ipc_get_rest(&in), &u);
    if (e == ERR_OK) {
        x->h = h;
        receive(x, r, u);
        return;
    }
    free(r);
    log_write(LOG_FAILURES, "KEEPER", 0, NULL, "an upload is lost at an upgrade: %s", err_name(e));
    keeper_exchange_end(x, 503); /* the client may send it again */
}
