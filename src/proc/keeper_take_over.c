// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A new keeper takes what the one before has left (proc/keeper_handover.h). It believes nothing of it. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/memfd.h"
#include "proc/gate.h"
#include "proc/keeper_handover.h"
#include "ximss/snapfile.h"

static struct store *store_of(void *ctx, uint32_t bank)
{
    const struct keeper *k = ctx;
    return bank < BANKS_MAX ? k->stores[bank] : NULL;
}

/* Its client is told, as far as it is known who that is. */
static void lost(struct keeper *k, const struct snapfile_entry *entry)
{
    struct bus_peer *w = keeper_worker(k, entry->worker, entry->worker_generation);
    struct buf b;
    if (entry->worker == UINT32_MAX)
        gate_leave(&k->gate, (struct gate_place){entry->seq, entry->id});
    if (w == NULL)
        return;
    buf_init(&b, IPC_BODY_MAX);
    if ((entry->flags & SNAPFILE_MID_MESSAGE) == 0)
        session_write_bye(&b);
    if (b.n != 0 && buf_err(&b) == ERR_OK)
        bus_put(w, IPC_OUT, entry->id, 0, buf_slice(&b));
    bus_put(w, IPC_END, entry->id, 0, STR_NONE);
    buf_free(&b);
}

static bool is_session(const struct keeper *k, const struct snapfile_entry *entry)
{
    return entry->id >= GATE_ID_FIRST && entry->id <= GATE_ID_LAST &&
           idmap_get(&k->sessions, entry->id) == NULL;
}

static bool fits(const struct kept *s, const struct snapfile_entry *entry)
{
    return s->s->id == entry->id && s->worker == entry->worker &&
           s->worker_generation == entry->worker_generation &&
           (s->http != NULL) == (s->worker == UINT32_MAX);
}

static enum err make_session(struct keeper *k, const struct snapfile_entry *entry,
                             struct str record, struct kept **out)
{
    struct kept *s = calloc(1, sizeof *s);
    struct snapshot_from from = {.x = &k->x,
                                 .store = store_of,
                                 .ctx = k,
                                 .user = s,
                                 .more = keeper_parts,
                                 .nmore = KEEPER_PARTS};
    if (s == NULL)
        return ERR_NOMEM;
    keeper_begin_session(k, s);
    enum err e = snapshot_get(&from, record, &s->s);
    if (e == ERR_OK && !fits(s, entry))
        e = ERR_PACKET;
    if (e == ERR_OK)
        e = idmap_put(&k->sessions, entry->id, s);
    if (e != ERR_OK) {
        session_free(&s->s);
        if (s->http != NULL)
            keeper_http_end(s);
        free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

/* false: it is lost. */
static bool take_session(struct keeper *k, const struct snapfile_entry *entry, struct str record)
{
    struct kept *s = NULL;
    if (!is_session(k, entry))
        return false;
    enum err e = record.p != NULL ? make_session(k, entry, record, &s) : ERR_PACKET;
    if (e != ERR_OK) {
        log_write(LOG_FAILURES, "KEEPER", entry->id, NULL, "session is lost at an upgrade: %s",
                  err_name(e));
        lost(k, entry);
        return false;
    }
    shm_count_add(&k->c->shm, SHM_XIMSS_SESSIONS_ACTIVE, 1);
    if (s->http == NULL && keeper_worker(k, s->worker, s->worker_generation) == NULL)
        keeper_end_by_worker(s, IPC_WHY_NO_WORKER);
    keeper_make_ready(s);
    return true;
}

static void take_delivery(struct keeper *k, const struct snapfile_entry *entry, struct str record)
{
    struct bus_peer *w = keeper_worker(k, entry->worker, entry->worker_generation);
    if (w != NULL && record.p != NULL)
        keeper_deliver(k, w, &(struct ipc_item){.seq = entry->seq, .body = record, .fd = -1});
}

static void take_http(struct keeper *k, const struct snapfile_entry *entry, struct str record)
{
    struct bus_peer *w = keeper_worker(k, entry->worker, entry->worker_generation);
    if (w != NULL && record.p != NULL)
        keeper_http_take(
            k, w, &(struct ipc_item){.id = entry->id, .seq = entry->seq, .body = record, .fd = -1});
}

static void take_upload(struct keeper *k, const struct snapfile_entry *entry, struct str record)
{
    struct bus_peer *w = keeper_worker(k, entry->worker, entry->worker_generation);
    struct exchange *x =
        w != NULL && entry->id != 0 ? keeper_exchange_new(k, w, entry->id, entry->seq) : NULL;
    if (x != NULL)
        keeper_upload_resume(x, record);
}

/* What is no session. false: it is one. */
static bool take_other(struct keeper *k, const struct snapfile_entry *entry, struct str record)
{
    switch (entry->kind) {
    case SNAPFILE_DELIVERY:
        take_delivery(k, entry, record);
        return true;
    case SNAPFILE_HTTP:
        take_http(k, entry, record);
        return true;
    case SNAPFILE_UPLOAD:
        take_upload(k, entry, record);
        return true;
    case SNAPFILE_LAST:
        if (record.p != NULL && keeper_http_get_last(k, entry->id, record) != ERR_OK)
            log_write(LOG_PROBLEMS, "KEEPER", entry->id, NULL,
                      "the last reply of a session is lost");
        return true;
    default:
        return false;
    }
}

static void take_all(struct keeper *k, struct snapfile *f)
{
    struct snapfile_entry entry;
    struct str record;
    uint32_t taken = 0, gone = 0;
    while (snapfile_next(f, &entry, &record)) {
        if (take_other(k, &entry, record))
            continue;
        if (entry.kind == SNAPFILE_SESSION && take_session(k, &entry, record))
            taken++;
        else
            gone++;
    }
    log_write(gone != 0 ? LOG_FAILURES : LOG_LOW, "KEEPER", 0, NULL,
              "keeper %u: %u sessions taken over, %u lost", k->c->number + 1, taken, gone);
}

void keeper_take_over(struct child *c)
{
    struct keeper *k = c->data;
    struct snapfile f;
    if (k->handed_fd < 0)
        return;
    struct str bytes = memfd_map(k->handed_fd, SNAPFILE_MAX);
    close(k->handed_fd);
    k->handed_fd = -1;
    if (bytes.p == NULL || snapfile_open(bytes, &f) != ERR_OK) {
        /* With our end of the sockets goes the last hope of the sessions: their workers end them. */
        child_cannot_start(c, "the sessions of the keeper before", "they cannot be read");
    }
    take_all(k, &f);
    memfd_unmap(bytes);
    spool_sweep(&k->x.uploads.spool);
    loop_again(c->loop);
}
