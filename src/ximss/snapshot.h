// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * snapshot: a session as bytes, for the keeper that takes the place of another at an upgrade (design 2.5). Pure: no
 * process, no file; ximss/snapfile.h puts the records of all sessions into one file, proc/keeper_hand_file.c carries it.
 *
 * What a session is to its client has to be the same afterwards, byte by byte: the folders with every row that he was
 * told, the requests that he has sent, what is left of a long answer, notifies and alerts that are due.
 *
 * A record is a row of parts, each {name, 8 bytes, padded with zeros; length u32; body}, numbers in the machine's own order:
 *
 *   core    first and once: who, counters, options
 *   queue   unread requests as they stand in session->queue; left out when there are none
 *   rest    the request that runs, when all that is left of it is output: its bytes, and that output (req_put_rest)
 *   folder  one for each open folder, in their order
 *   alert   one for each that waits, oldest first
 *   upload  one for each set, the one used longest ago first (uploads_put()). Their bytes stand in the spool, which is not in the
 *           record; a set that cannot be had from there is lost, and the log says so. What is coming in is no part of it.
 *
 * and then those of the caller's table. Whoever adds a field to one of these structs adds it here too, and counts
 * SNAPSHOT_VERSION; programs of different versions refuse the upgrade (proc/upgrade.h), so a reader knows every part there is.
 *
 * The reader believes nothing: whatever the bytes are, it ends, and an ERR_PACKET leaves no session behind.
 */
#include "ximss/session.h"

#define SNAPSHOT_VERSION \
    3u /* of this form, of view_put()'s, uploads_put()'s, snapfile.h's, and of the keeper's parts */
#define SNAPSHOT_NAME 8

struct snapshot_part {
    const char *name; /* SNAPSHOT_NAME bytes at most */
    bool required;    /* a record without it is none */
    /* The i-th part of this kind into `b`; false: there are not so many, and nothing was added. */
    bool (*put)(const struct session *s, uint32_t i, struct buf *b);
    /* Called for each in the order of the record. ERR_PACKET, ERR_NOMEM: the session is freed. */
    enum err (*get)(struct session *s, struct str body);
};

/* What snapshot_get() is to know. */
struct snapshot_from {
    struct ximss *x;
    /* The store of that bank; NULL: it is none of this keeper. */
    struct store *(*store)(void *ctx, uint32_t bank);
    void *ctx;
    void *user; /* becomes session->user before the first part is read */
    const struct snapshot_part *more;
    size_t nmore;
};

/*
 * Can it be handed over now? At the end of a round, when no request runs or only output of it is left, and it is not about to
 * end; over HTTP, when no batch is left and nobody waits. With ximss->pausing set, it can be before long. What is HTTP's about it is
 * the caller's part (binding_put()).
 */
bool snapshot_ready(const struct session *s);
/* Appends the record of a session that is ready. ERR_NOMEM: `b` is as it was. */
enum err snapshot_put(const struct session *s, const struct snapshot_part *more, size_t nmore,
                      struct buf *b) CHECKED;
/*
 * Makes the session of a record and adds it to the hub; what is due is announced there. ERR_PACKET: this is no record;
 * ERR_NOMEM.
 */
enum err snapshot_get(const struct snapshot_from *from, struct str record,
                      struct session **out) CHECKED;
