// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * download: a message or a part of one on its way to a client, over HTTP (protocol 2, 9.1). Pure: no sockets, no clock.
 *
 * It names the message and reads it from the store a step at a time; between two steps it has no statement, no transaction and no
 * bytes of it. So it costs its struct, however large the message and however slow the client.
 *
 *   download_open --> download_measure until it is not ERR_MORE --> download_head --> download_read until d->left == 0
 *
 * Inside of messages that are encoded as a whole the part has to be unwrapped first; that costs UNWRAP_ROOM twice.
 *
 * Measuring finds out the decoded length, which nobody knows before; what it was is remembered for the next request.
 *
 * The message may be removed meanwhile: then the next step says ERR_MESSAGE_MISSING, and what was sent is not all of it.
 */
#include "base/buf.h"
#include "codec/parturl.h"
#include "codec/unwrap.h"

struct session;
struct store;

/* Lengths that have been measured; all zero at first. One for all sessions of a process. */
#define DOWNLOAD_SIZES 64
struct download_size {
    int64_t account, mailbox; /* 0: empty */
    uint32_t uid, part;       /* index */
    bool plain;
    uint64_t size;
};
struct download_sizes {
    struct download_size known[DOWNLOAD_SIZES];
};

struct download {
    struct store *store;
    struct download_sizes *sizes;
    int64_t account, mailbox;
    uint32_t uid;
    bool measured, body;
    uint32_t part; /* index */
    uint64_t raw_at,
        raw_n;      /* where it stands in the stored message, or what it has to be unwrapped from */
    uint64_t taken; /* of raw_n */
    struct unwrap *unwrap; /* NULL: nothing has to be */
    uint64_t encoded;      /* bytes of it, before its own encoding is undone */
    uint64_t size, made;   /* decoded: all of it; so far */
    uint64_t from, left;   /* to be sent: where it begins, how much is still to come */
    uint32_t status;
    struct transfer t;
    struct buf type;   /* Content-Type */
    struct buf fields; /* the other fields, each ended by CR LF */
};

/* Bytes of the message that one step of download_measure() takes; `scratch` grows to that. */
#define DOWNLOAD_STEP ((size_t)256 << 10)

/*
 * The part that `ref` names of a message in the open folder of that name. ERR_FOLDER_NOT_OPEN, ERR_MAILBOX_REMOVED,
 * ERR_MESSAGE_MISSING, ERR_PART_MISSING, ERR_DB, ERR_NOMEM.
 */
enum err download_open(const struct session *s, struct download_sizes *sizes, struct str folder,
                       const struct parturl *ref, struct download **out) CHECKED;
void download_free(struct download **d);

/* A step. ERR_MORE; ERR_OK: the length is known. ERR_MESSAGE_MISSING, ERR_DB, ERR_NOMEM. */
enum err download_measure(struct download *d, struct buf *scratch) CHECKED;
/*
 * After measuring: decides what is sent: status 200, 206 or 416, type, fields, d->left bytes. range: the field's value, or
 * .p == NULL; only bodies have ranges. ERR_NOMEM.
 */
enum err download_head(struct download *d, struct str range) CHECKED;
/*
 * A step: appends up to `most` bytes; none when it has not come so far yet, or `most` is below DOWNLOAD_LEAST.
 * ERR_MESSAGE_MISSING, ERR_DB (it is not as it was measured), ERR_NOMEM.
 */
#define DOWNLOAD_LEAST 4096
enum err download_read(struct download *d, size_t most, struct buf *scratch,
                       struct buf *out) CHECKED;
