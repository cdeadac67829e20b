// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * snapfile: what a keeper leaves to its successor, as one run of bytes (design 2.5). Pure.
 *
 *   head     magic 8 bytes, version u32 (SNAPSHOT_VERSION), count u32, bytes of the whole u64
 *   entries  count times struct snapfile_entry: whose record it is and how long
 *   records  one behind the other, in that order
 *
 * The list stands in front, so that of a record that cannot be read it is known whose it was: he can be told.
 */
#include "base/buf.h"
#include "ximss/snapshot.h"

#define SNAPFILE_MAX (UINT64_C(16) << 30)

enum snapfile_kind {
    SNAPFILE_SESSION = 1,  /* record: ximss/snapshot.h */
    SNAPFILE_DELIVERY = 2, /* record: the body of a DELIVER item of which nothing has been stored */
    SNAPFILE_HTTP = 3,     /* record: the body of an HTTP item that nobody has looked at */
    SNAPFILE_LAST = 4,     /* record: binding_put() of a session that is over */
    SNAPFILE_UPLOAD = 5,   /* record: session u32, then upload_put() of one that is coming in */
};

#define SNAPFILE_MID_MESSAGE 1u /* the last bytes that the client got do not end a message */

struct snapfile_entry {
    uint32_t kind;
    uint32_t id; /* SESSION, LAST: its number; HTTP, UPLOAD: the connection's */
    uint32_t worker,
        worker_generation; /* who holds the connection, or asked; UINT32_MAX: a session over HTTP */
    uint32_t
        seq; /* DELIVERY, HTTP, UPLOAD: the worker's question; a session over HTTP: its place in the gate */
    uint32_t flags;
    uint64_t bytes; /* of the record; 0: it could not be made */
};

/* Bytes of head and entries. */
size_t snapfile_head_size(uint32_t count);
/* Head and entries, complete once every record is written; `b` is empty. */
void snapfile_put_head(struct buf *b, const struct snapfile_entry *entries, uint32_t count);

struct snapfile {
    struct str bytes;
    uint32_t count, at;
    uint64_t offset; /* of the next record */
};

/* ERR_PACKET: no such file, another version, or the list of entries is not whole. */
enum err snapfile_open(struct str bytes, struct snapfile *f) CHECKED;
/* The next entry. record->p == NULL: it is not there as a whole. false: there are no more. */
bool snapfile_next(struct snapfile *f, struct snapfile_entry *e, struct str *record);
