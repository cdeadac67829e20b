// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * At an upgrade a keeper leaves everything to its successor (design 2.5; the master's side is proc/handover.h).
 *
 * The old one begins no further request. What runs comes to its end in ordinary rounds, while workers are still heard:
 * from them comes the credit, and what else comes waits in the sessions' queues. An answer whose client does not read is made
 * ahead and goes along as bytes. Once nothing runs of which more than output is left, and all that was said is with the kernel, it writes the sessions into a memfd, closes its banks, and gives the
 * master that memfd and its ends of the sockets to workers and auth. What they send meanwhile waits in these sockets: they
 * notice nothing, and nothing can be lost, doubled or out of order.
 *
 * Who is not ready in time ends: a request that still waits for auth is answered as if auth were gone; a session whose
 * request has more to do gets <bye/>; the sessions of a worker who does not read go with it. Mail that has no digest yet
 * goes along and is parsed anew; of other mail what was begun is stored and answered.
 *
 * Sessions over HTTP: proc/keeper_http_saved.c.
 *
 * When the memfd cannot be made, the sessions end as they do when a keeper dies.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/gate.h"
#include "proc/keeper.h"
#include "ximss/snapfile.h"
#include "ximss/snapshot.h"

#define ROUNDS_MAX 1000 /* for those who have to end */

/* --- what the keeper knows of a session */

static bool put_kept(const struct session *x, uint32_t i, struct buf *b)
{
    const struct kept *s = x->user;
    if (i != 0)
        return false;
    ipc_put_u32(b, s->worker);
    ipc_put_u32(b, s->worker_generation);
    ipc_put_u32(b, s->attempt);
    ipc_put_u32(b, s->asks);
    ipc_put_u64(b, (uint64_t)s->opened);
    ipc_put_u64(b, (uint64_t)s->credit);
    buf_add(b, s->addr, sizeof s->addr);
    return true;
}

static enum err get_kept(struct session *x, struct str body)
{
    struct kept *s = x->user;
    struct ipc_in in = {body, false};
    s->worker = ipc_get_u32(&in);
    s->worker_generation = ipc_get_u32(&in);
    s->attempt = ipc_get_u32(&in);
    s->asks = ipc_get_u32(&in);
    s->opened = (int64_t)ipc_get_u64(&in);
    int64_t credit = (int64_t)ipc_get_u64(&in);
    struct str addr = ipc_get_rest(&in);
    bool http = s->worker == UINT32_MAX;
    if (in.bad || addr.n != sizeof s->addr || (!http && s->worker != x->worker))
        return ERR_PACKET;
    if (http)
        keeper_session_of_no_worker(s);
    memcpy(s->addr, addr.p, sizeof s->addr);
    if (credit < s->credit) /* the most there is, until now */
        s->credit = credit;
    return ERR_OK;
}

static const struct snapshot_part parts[] = {{"kept", true, put_kept, get_kept},
                                             {"http", false, keeper_http_put, keeper_http_get}};

/* --- coming to the end */

/* Of answers over HTTP whose client takes too long. */
static void break_exchanges(struct keeper *k)
{
    uint32_t at = 0;
    struct exchange *x;
    while ((x = idmap_next(&k->exchanges, &at)) != NULL) {
        struct bus_peer *w = keeper_worker(k, x->worker, x->worker_generation);
        if (w != NULL)
            bus_put(w, IPC_HTTP_BREAK, x->conn, x->seq, STR_NONE);
        keeper_exchange_free(x);
        at = 0; /* the map has changed */
    }
}

static bool all_ready(const struct keeper *k)
{
    uint32_t at = 0;
    const struct kept *s;
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (!snapshot_ready(s->s))
            return false;
    }
    return k->storing == NULL && k->exchanges.count == 0;
}

/* Whose sockets are handed over: those of all others are made anew. */
static const enum ipc_role handed[] = {IPC_ROLE_WORKER, IPC_ROLE_AUTH};

static bool is_flushed(struct child_peer *p)
{
    return p != NULL && bus_flush(&p->bus) == ERR_OK && bus_unsent(&p->bus) == 0;
}

static bool all_flushed(const struct keeper *k)
{
    for (size_t r = 0; r < ARRAY_LEN(handed); r++) {
        for (uint32_t i = 0; i < k->c->npeers[handed[r]]; i++) {
            struct child_peer *p = child_peer(k->c, handed[r], i);
            if (p != NULL && !is_flushed(p) && !p->bus.broken)
                return false;
        }
    }
    return true;
}

static void some_rounds(struct keeper *k, uint32_t n)
{
    while (n-- != 0 && !all_ready(k))
        keeper_round(k);
}

/* The time is over. */
static void cut_short(struct keeper *k)
{
    uint32_t at = 0, n = 0;
    struct kept *s;
    keeper_questions_late(k, 0, true);
    some_rounds(k, ROUNDS_MAX / 10);
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        struct child_peer *w = child_peer(k->c, IPC_ROLE_WORKER, s->worker);
        if (s->http == NULL && !is_flushed(w))
            keeper_end_by_worker(s, IPC_WHY_NO_WORKER);
        else if (!s->s->closing && !snapshot_ready(s->s) && ++n)
            keeper_end_session(s, IPC_WHY_UPGRADE);
    }
    break_exchanges(k);
    some_rounds(k, ROUNDS_MAX);
    if (n != 0)
        log_write(LOG_PROBLEMS, "KEEPER", 0, NULL,
                  "%u sessions had requests that did not come to an end: they got <bye/>", n);
}

/* --- out */

struct out {
    int fd;
    struct buf b; /* a record */
    struct snapfile_entry *entries;
    uint32_t n, sessions;
};

static enum err write_out(int fd, struct str bytes)
{
    while (bytes.n != 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_SYS;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return ERR_OK;
}

/* The record stands in o->b. */
static enum err add_record(struct out *o, struct snapfile_entry entry)
{
    enum err e = buf_err(&o->b);
    entry.bytes = o->b.n;
    o->entries[o->n++] = entry;
    if (e == ERR_OK)
        e = write_out(o->fd, buf_slice(&o->b));
    if (o->b.p != NULL)
        explicit_bzero(o->b.p, o->b.n);
    buf_clear(&o->b);
    return e;
}

static bool is_handed(const struct kept *s)
{
    return s->attached;
}

static enum err add_session(struct out *o, const struct kept *s)
{
    struct snapfile_entry entry = {.kind = SNAPFILE_SESSION,
                                   .id = s->s->id,
                                   .worker = s->worker,
                                   .worker_generation = s->worker_generation,
                                   .flags = s->s->mid_message ? SNAPFILE_MID_MESSAGE : 0};
    enum err e = ERR_OK;
    if (s->http != NULL)
        entry.seq = s->http->place.entry;
    o->sessions++;
    if (snapshot_ready(s->s)) /* else it did not even end: whoever reads this tells the client */
        e = snapshot_put(s->s, parts, ARRAY_LEN(parts), &o->b);
    return e == ERR_OK ? add_record(o, entry) : e;
}

static enum err add_http(struct keeper *k, struct out *o)
{
    uint32_t at = 0;
    const struct kept_http *h;
    enum err e = ERR_OK;
    while (e == ERR_OK && (h = idmap_next(&k->http, &at)) != NULL) {
        if (h->kept != NULL)
            continue;
        binding_put(h->b, &o->b);
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_LAST, .id = h->place.id});
    }
    for (const struct deferred *d = k->deferred; e == ERR_OK && d != NULL; d = d->next) {
        buf_str(&o->b, buf_slice(&d->body));
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_HTTP,
                                                  .id = d->conn,
                                                  .worker = d->worker,
                                                  .worker_generation = d->worker_generation,
                                                  .seq = d->seq});
    }
    return e;
}

static enum err add_all(struct keeper *k, struct out *o)
{
    uint32_t at = 0, unparsed = keeper_unparsed(k);
    const struct kept *s;
    enum err e = ERR_OK;
    while (e == ERR_OK && (s = idmap_next(&k->sessions, &at)) != NULL) {
        if (is_handed(s))
            e = add_session(o, s);
    }
    for (uint32_t i = 0; i < unparsed && e == ERR_OK; i++) {
        const struct delivery *d = keeper_put_unparsed(k, i, &o->b);
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_DELIVERY,
                                                  .worker = d->worker,
                                                  .worker_generation = d->worker_generation,
                                                  .seq = d->seq});
    }
    return e == ERR_OK ? add_http(k, o) : e;
}

/* Of sessions, over or not, and of requests over HTTP that wait. */
static uint32_t count_records(const struct keeper *k)
{
    uint32_t at = 0, n = 0;
    const struct kept *s;
    const struct kept_http *h;
    while ((s = idmap_next(&k->sessions, &at)) != NULL)
        n += is_handed(s);
    for (at = 0; (h = idmap_next(&k->http, &at)) != NULL;)
        n += h->kept == NULL;
    for (const struct deferred *d = k->deferred; d != NULL; d = d->next)
        n++;
    return n;
}

/* The place of the head and its entries, first empty, in the end with what is known then. */
static enum err write_head(struct out *o, uint32_t count, bool whole)
{
    size_t size = snapfile_head_size(count);
    buf_clear(&o->b);
    if (whole) {
        snapfile_put_head(&o->b, o->entries, count);
    } else if (buf_room(&o->b, size) != NULL) {
        memset(o->b.p, 0, size);
        buf_grow(&o->b, size);
    }
    enum err e = buf_err(&o->b);
    if (e == ERR_OK && whole)
        e = pwrite(o->fd, o->b.p, size, 0) == (ssize_t)size ? ERR_OK : ERR_SYS;
    else if (e == ERR_OK)
        e = write_out(o->fd, buf_slice(&o->b));
    buf_clear(&o->b);
    return e;
}

/* -1: it cannot be made. */
static int make_file(struct keeper *k, uint32_t *sessions)
{
    uint32_t count = count_records(k) + keeper_unparsed(k);
    struct out o = {.fd = memfd_create("ximssd-sessions", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    o.entries = calloc(count + 1, sizeof *o.entries);
    buf_init(&o.b, SNAPFILE_MAX);
    o.b.secret = true;
    enum err e = o.fd >= 0 && o.entries != NULL ? write_head(&o, count, false) : ERR_NOMEM;
    if (e == ERR_OK)
        e = add_all(k, &o);
    if (e == ERR_OK)
        e = write_head(&o, count, true);
    if (e == ERR_OK && !bus_memfd_seal(o.fd))
        e = ERR_SYS;
    buf_free(&o.b);
    free(o.entries);
    *sessions = o.sessions;
    if (e != ERR_OK && o.fd >= 0)
        close(o.fd);
    return e == ERR_OK ? o.fd : -1;
}

static void give_sockets(struct keeper *k)
{
    for (size_t r = 0; r < ARRAY_LEN(handed); r++) {
        for (uint32_t i = 0; i < k->c->npeers[handed[r]]; i++) {
            struct child_peer *p = child_peer(k->c, handed[r], i);
            if (!is_flushed(p))
                continue;
            uint32_t body[3] = {p->bus.role, p->bus.number, p->bus.generation};
            bus_send(&k->c->master, &(struct ipc_item){.type = IPC_HANDED_PEER,
                                                       .fd = p->bus.fd,
                                                       .body = {(const char *)body, sizeof body}});
        }
    }
}

static void hand(struct keeper *k)
{
    uint32_t sessions = 0;
    int fd = make_file(k, &sessions);
    if (fd < 0) {
        log_write(LOG_FAILURES, "KEEPER", 0, NULL,
                  "keeper %u: no memory to hand its sessions over: they end", k->c->number + 1);
        k->handover = KEEPER_KEEPS;
        k->x.pausing = false;
        keeper_close(k);
        child_leave(k->c, 0);
        return;
    }
    k->handover = KEEPER_HAS_HANDED;
    k->stopped = true;
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++)
        store_close(&k->stores[bank]);
    give_sockets(k);
    bus_send(&k->c->master, &(struct ipc_item){.type = IPC_HANDED, .fd = fd});
    close(fd);
    child_drop_peers(k->c);
    log_write(LOG_LOW, "KEEPER", 0, NULL, "keeper %u: %u sessions are handed over",
              k->c->number + 1, sessions);
    loop_again(k->c->loop);
}

void keeper_hand_begin(struct keeper *k, int64_t within)
{
    k->handover = KEEPER_DRAINS;
    k->x.pausing = true;
    k->hand_until = clock_mono() + within;
    keeper_http_hand_begin(k);
    uint32_t at = 0;
    struct kept *s;
    while ((s = idmap_next(&k->sessions, &at)) != NULL)
        keeper_make_ready(s); /* also those that waited for credit */
}

void keeper_hand_round(struct keeper *k)
{
    if (k->handover == KEEPER_HAS_HANDED) {
        if (bus_unsent(&k->c->master) == 0)
            child_leave(k->c, 0);
        return;
    }
    keeper_round(k);
    if (clock_mono() >= k->hand_until)
        cut_short(k);
    else if (!all_ready(k) || !all_flushed(k))
        return; /* something has to happen first; the tick looks after the time */
    hand(k);
}

/* --- in */

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
                                 .more = parts,
                                 .nmore = ARRAY_LEN(parts)};
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
    struct str bytes = bus_memfd_map(k->handed_fd, SNAPFILE_MAX);
    close(k->handed_fd);
    k->handed_fd = -1;
    if (bytes.p == NULL || snapfile_open(bytes, &f) != ERR_OK) {
        /* With our end of the sockets goes the last hope of the sessions: their workers end them. */
        child_cannot_start(c, "the sessions of the keeper before", "they cannot be read");
    }
    take_all(k, &f);
    bus_memfd_unmap(bytes);
    loop_again(c->loop);
}
