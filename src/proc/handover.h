// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * handover: a keeper is exchanged and its sessions live on (design 2.5): the master's side.
 *
 *   master  -> old keeper   STOP, IPC_STOP_HAND           it comes to the end of what runs (proc/keeper_handover.h)
 *   old     -> master       HANDED_PEER..., HANDED_SPOOL, its sockets to workers and auth, its file with uploads, a memfd with its
 *                           HANDED                        sessions; it ends
 *   master  -> new keeper   SESSIONS, SPOOL, PEER...,     the same, as far as those at the other ends are still there
 *                           START
 *
 * Workers and auth are not told: what they send waits in their sockets, and the generation stays. When the old one ends before
 * HANDED, or one of the two takes too long and is killed, the sockets are closed, and everybody learns of the keeper's
 * death as of any other: its sessions end with <bye/>.
 *
 * Of what a keeper hands over the master looks at nothing; a successor is the same keeper with the same rights.
 */
#include "base/clock.h"
#include "codec/ipcmsg.h"
#include "proc/child.h"

struct master;
struct master_child;

#define HANDOVER_DRAIN (3 * CLOCK_SEC)  /* for what runs in the old keeper */
#define HANDOVER_OLD   (20 * CLOCK_SEC) /* then it must have ended */
#define HANDOVER_NEW   (20 * CLOCK_SEC) /* from its start until it serves */

struct handover {
    struct master_child *keeper; /* whose; NULL: none is under way */
    bool handed;                 /* everything has come */
    bool ended;                  /* and the old one has gone */
    int64_t deadline;
    int sessions, spool; /* -1: none */
    uint32_t npeers;
    struct handover_peer {
        uint32_t role, number, generation;
        int fd;
    } peers[2 * CHILD_PEERS];
};

void handover_init(struct handover *h);
/* The keeper is to leave to a successor. */
void handover_begin(struct master *m, struct master_child *keeper);
/* HANDED_PEER, HANDED_SPOOL, HANDED of a child. The descriptor is taken. */
void handover_item(struct master *m, const struct master_child *c, const struct ipc_item *it);
/* The child has ended. true: its successor goes on, and nobody need know. */
bool handover_child_gone(struct master *m, const struct master_child *c);
/* Is this the successor, that is about to be started? It has its predecessor's generation. */
bool handover_waits(const struct master *m, const struct master_child *c);
/* The socket that was handed over for this pair; -1: a new one is needed. */
int handover_socket(const struct master *m, const struct master_child *c,
                    const struct master_child *other);
/* SESSIONS and SPOOL to the successor; before START. */
void handover_give(struct master *m, struct master_child *c);
/* It has been given everything (or there is no hope): nothing is kept here. */
void handover_end(struct master *m, const struct master_child *c);
/* Once a round, while an upgrade exchanges keepers. */
void handover_tick(struct master *m, int64_t now);
