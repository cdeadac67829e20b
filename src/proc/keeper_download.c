// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Messages and parts on their way to clients over HTTP (protocol 2, 9.1). One costs its struct here and a window of
 * IPC_HTTP_WINDOW bytes in its worker: nothing is read from the store before there is credit for it, and all that is read is sent.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/keeper.h"

#define PIECE 49152    /* bytes of a body in one step */
#define ROUND CLOCK_MS /* for all of them together */
#define KEEP_ROOM \
    ((size_t)4 << 20) /* the buffers of steps are kept while somebody needs them, up to this size */

/* A download and its exchange. */
struct sending {
    struct sending *next, **at; /* of all */
    struct sending *next_ready;
    struct exchange *x;
    struct kept_http *h;
    struct download *d;
    struct buf range; /* the field, until the head is out */
    bool head;        /* the head is out */
    bool only_head;
    bool ready; /* stands in the line */
};

void keeper_download_init(struct keeper *k)
{
    k->senders.ready_tail = &k->senders.ready;
    buf_init(&k->senders.scratch, DOWNLOAD_STEP);
    buf_init(&k->senders.out, IPC_BODY_MAX);
}

/* --- the line */

static void stand(struct sending *s)
{
    struct senders *all = &s->x->k->senders;
    s->ready = true;
    s->next_ready = NULL;
    *all->ready_tail = s;
    all->ready_tail = &s->next_ready;
}

static void join(struct sending *s)
{
    if (s->ready)
        return;
    stand(s);
    loop_again(s->x->k->c->loop);
}

static void leave(struct sending *s)
{
    struct senders *all = &s->x->k->senders;
    struct sending **at = &all->ready;
    if (!s->ready)
        return;
    while (*at != s)
        at = &(*at)->next_ready;
    *at = s->next_ready;
    if (s->next_ready == NULL)
        all->ready_tail = at;
    s->ready = false;
}

/* --- life */

static uint32_t status_of(enum err e)
{
    switch (e) {
    case ERR_FOLDER_NOT_OPEN:
    case ERR_MAILBOX_REMOVED:
    case ERR_MESSAGE_MISSING:
    case ERR_PART_MISSING:
        return 404;
    default:
        return 503;
    }
}

CHECKED static enum err open_it(struct sending *s, const struct ipc_http *in)
{
    struct parturl ref = {.kind = (enum parturl_kind)in->ref, .uid = in->uid, .name = in->name};
    if (in->ref > PARTURL_PHOTO || in->part.n > sizeof ref.part)
        return ERR_PART_MISSING;
    ref.part_n = in->part.n;
    if (in->part.n != 0)
        memcpy(ref.part, in->part.p, in->part.n);
    buf_str(&s->range, in->range);
    if (buf_err(&s->range) != ERR_OK)
        return ERR_NOMEM;
    return download_open(s->h->kept->s, &s->x->k->senders.sizes, in->folder, &ref, &s->d);
}

void keeper_download_take(struct exchange *x, const struct ipc_http *in)
{
    struct kept *kept = x->h->kept;
    struct senders *all = &x->k->senders;
    struct sending *s = NULL;
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        keeper_exchange_end(x, 503);
        return;
    }
    *s = (struct sending){.next = all->all,
                          .at = &all->all,
                          .x = x,
                          .h = x->h,
                          .only_head = (in->flags & IPC_HTTP_HEAD) != 0};
    if (s->next != NULL)
        s->next->at = &s->next;
    all->all = s;
    buf_init(&s->range, IPC_BODY_MAX);
    x->sending = s;
    x->h->downloads++;
    enum err e = open_it(s, in);
    db_idle_check(store_db(kept->s->store));
    if (e == ERR_OK) {
        join(s);
        return;
    }
    keeper_download_end(x);
    keeper_exchange_end(x, status_of(e));
}

void keeper_download_end(struct exchange *x)
{
    struct sending *s = x->sending;
    x->sending = NULL;
    leave(s);
    *s->at = s->next;
    if (s->next != NULL)
        s->next->at = s->at;
    s->h->downloads--;
    download_free(&s->d);
    buf_free(&s->range);
    free(s);
}

/* It cannot be brought to its end. */
static void fail(struct sending *s, uint32_t status)
{
    struct exchange *x = s->x;
    struct bus_peer *w = keeper_worker(x->k, x->worker, x->worker_generation);
    bool head = s->head;
    keeper_download_end(x);
    if (!head) {
        keeper_exchange_end(x, status);
        return;
    }
    if (w != NULL)
        bus_put(w, IPC_HTTP_BREAK, x->conn, x->seq, STR_NONE);
    keeper_exchange_free(x);
}

void keeper_download_session_gone(struct kept_http *h)
{
    struct sending *next;
    for (struct sending *s = h->k->senders.all; s != NULL && h->downloads != 0; s = next) {
        next = s->next;
        if (s->h == h)
            fail(s, 550);
    }
}

/* --- steps */

static struct bus_peer *worker_of(const struct sending *s)
{
    return keeper_worker(s->x->k, s->x->worker, s->x->worker_generation);
}

static bool may_step(const struct sending *s)
{
    const struct bus_peer *w = worker_of(s);
    return w == NULL || bus_unsent(w) < KEEPER_WORKER_QUEUE;
}

static enum err send_head(struct sending *s)
{
    enum err e = download_head(s->d, buf_slice(&s->range));
    if (e != ERR_OK)
        return e;
    struct ipc_http_reply r = {.status = s->d->status,
                               .length = s->d->left,
                               .type = buf_slice(&s->d->type),
                               .fields = buf_slice(&s->d->fields)};
    keeper_exchange_head(s->x, &r);
    s->head = true;
    buf_free(&s->d->type);
    buf_free(&s->d->fields);
    buf_free(&s->range);
    return ERR_OK;
}

static enum err send_body(struct sending *s)
{
    struct exchange *x = s->x;
    struct senders *all = &x->k->senders;
    struct bus_peer *w = worker_of(s);
    size_t most = x->credit > 0 ? (size_t)x->credit : 0;
    buf_clear(&all->out);
    enum err e = download_read(s->d, most < PIECE ? most : PIECE, &all->scratch, &all->out);
    if (e == ERR_OK && w != NULL && all->out.n != 0)
        bus_put(w, IPC_HTTP_BODY, x->conn, x->seq, buf_slice(&all->out));
    x->credit -= (int64_t)all->out.n;
    return e;
}

/* One step; afterwards it stands in the line again, or waits for credit, or is over. */
static void step(struct sending *s)
{
    struct exchange *x = s->x;
    struct store *store = s->d->store;
    enum err e = s->head ? send_body(s) : download_measure(s->d, &x->k->senders.scratch);
    db_idle_check(store_db(store)); /* no read transaction outlives a slice */
    if (e == ERR_OK && !s->head)
        e = send_head(s);
    if (e != ERR_OK && e != ERR_MORE) {
        if (status_of(e) != 404)
            log_write(LOG_FAILURES, "KEEPER", 0, NULL, "a download failed: %s", err_text(e));
        fail(s, status_of(e));
    } else if (s->head && (s->d->left == 0 || s->only_head || worker_of(s) == NULL)) {
        keeper_exchange_free(x);
    } else if (!s->head || x->credit >= DOWNLOAD_LEAST) {
        join(s);
    }
}

void keeper_download_go_on(struct exchange *x)
{
    if (x->sending->head && x->credit >= DOWNLOAD_LEAST)
        join(x->sending);
}

void keeper_download_round(struct keeper *k, int64_t deadline)
{
    struct senders *all = &k->senders;
    struct sending *s, *full = NULL;
    int64_t until = clock_mono() + ROUND;
    if (until > deadline)
        until = deadline;
    if (all->ready == NULL)
        return;
    shm_doing(&k->c->shm, SHM_STATE_ROUND, 0, OP_NONE, clock_mono());
    do {
        s = all->ready;
        leave(s);
        if (may_step(s)) {
            step(s);
        } else { /* its worker's queue is full */
            s->next_ready = full;
            full = s;
        }
    } while (all->ready != NULL && clock_mono() < until);
    bool more = all->ready != NULL;
    while ((s = full) != NULL) {
        full = s->next_ready;
        stand(s); /* for the next round, whenever that is */
    }
    if (more)
        loop_again(k->c->loop);
    if (all->all == NULL) {
        buf_free(&all->scratch);
        buf_free(&all->out);
    }
}
