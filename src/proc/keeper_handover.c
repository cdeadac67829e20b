// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The old keeper comes to its end, and gives what it has (proc/keeper_handover.h). */
#include "proc/keeper_handover.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define ROUNDS_MAX 1000 /* for those who have to end */

/* --- coming to the end */

/* An upload goes on in the successor, if its session does. */
static bool goes_along(const struct exchange *x)
{
    return x->receiving != NULL && x->h->kept->attached;
}

/* Of answers over HTTP whose client takes too long. */
static void break_exchanges(struct keeper *k)
{
    uint32_t at = 0;
    struct exchange *x;
    while ((x = idmap_next(&k->exchanges, &at)) != NULL) {
        if (goes_along(x))
            continue;
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
    const struct exchange *x;
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (!snapshot_ready(s->s))
            return false;
    }
    for (at = 0; (x = idmap_next(&k->exchanges, &at)) != NULL;) {
        if (!goes_along(x))
            return false;
    }
    return k->storing == NULL;
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
            if (p != NULL && !is_flushed(p))
                return false; /* also one that has broken off: at the end of this round it is gone */
        }
    }
    return true;
}

static void some_rounds(struct keeper *k, uint32_t n)
{
    while (n-- != 0 && !all_ready(k))
        keeper_round(k);
}

/*
 * A worker to whom something could not be said gets a new socket: he hears that we are gone, and ends what he has with us. So it must
 * not go on in the successor either.
 */
static void drop_slow_workers(struct keeper *k)
{
    for (uint32_t i = 0; i < k->c->npeers[IPC_ROLE_WORKER]; i++) {
        struct child_peer *p = child_peer(k->c, IPC_ROLE_WORKER, i);
        if (p != NULL && !is_flushed(p))
            child_drop_peer(p);
    }
}

/* The time is over. */
static void cut_short(struct keeper *k)
{
    uint32_t at = 0, n = 0;
    struct kept *s;
    keeper_questions_late(k, 0, true);
    some_rounds(k, ROUNDS_MAX / 10);
    drop_slow_workers(k);
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (!s->s->closing && !snapshot_ready(s->s) && ++n)
            keeper_end_session(s, IPC_WHY_UPGRADE);
    }
    break_exchanges(k);
    some_rounds(k, ROUNDS_MAX);
    if (n != 0)
        log_write(LOG_PROBLEMS, "KEEPER", 0, NULL,
                  "%u sessions had requests that did not come to an end: they got <bye/>", n);
}

/* --- giving */

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

/* What stands in it is the successor's from now on: here nothing of it is given back any more. */
static void give_spool(struct keeper *k)
{
    struct spool *s = &k->x.uploads.spool;
    if (s->used != 0)
        bus_send(&k->c->master, &(struct ipc_item){.type = IPC_HANDED_SPOOL, .fd = s->fd});
    spool_leave(s);
}

static void hand(struct keeper *k)
{
    uint32_t sessions = 0;
    break_exchanges(k); /* of sessions that could not be ended */
    drop_slow_workers(k);
    int fd = keeper_hand_file(k, &sessions);
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
    give_spool(k);
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
