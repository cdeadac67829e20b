// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * message: storing, reading, marking, destroying messages (protocol 2, 1.5, 1.6, 5.1, 5.2, 12.2;
 * design 4).
 *
 * A message = raw bytes as they came + HEAD and BODY digests (codec/digest.h, made elsewhere,
 * opaque here but for sort keys) + flags, keywords, INTERNALDATE. It is named by (account, mailbox,
 * UID). UIDs come from the mailbox's counter and are never used again. Bodies over 256 KiB are kept
 * in pieces; what shrinks is compressed (zstd). A copy inside an account shares the bytes. Every
 * change keeps the mailbox's counters right in the same transaction and announces itself
 * (store_on_change).
 *
 * Lists of UIDs may hold unknown ones: they are skipped (protocol 2, 2.1); duplicates do no harm.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "store/flags.h"
#include "store/store.h"

#define MESSAGE_PIECE ((size_t)256 << 10)
#define MESSAGE_MAX \
    ((size_t)512 << 20) /* ours; ERR_MESSAGE_TOO_LARGE. LMTP and submission have lower limits */

struct message_new {
    struct str raw;
    struct str head, body;        /* digest blobs */
    int64_t internaldate;         /* Unix seconds */
    uint32_t flags;               /* FLAG_RECENT for deliveries only (12.2) */
    const struct flag_list *more; /* further flags and keywords to set, or NULL */
};

/* W: stores it. ERR_MAILBOX_REMOVED (no such id), ERR_MAILBOX_NOT_SELECTABLE, ERR_QUOTA,
 * ERR_FLAG_UNKNOWN (keywords). */
enum err message_append(struct store *store, int64_t account, int64_t mailbox,
                        const struct message_new *m, uint32_t *uid) CHECKED;

struct message_row {
    uint32_t uid;
    uint32_t flags;
    uint64_t keywords;
    int64_t internaldate;
    uint64_t size;
    struct str head; /* HEAD blob; borrowed: valid until message_row_done() or the next
                        message_row_get() */
};

/* What a row of folderBrowse needs, from the index alone. ERR_MESSAGE_MISSING. Call
 * message_row_done() afterwards in any case. */
enum err message_row_get(struct store *store, int64_t account, int64_t mailbox, uint32_t uid,
                         struct message_row *out) CHECKED;
void message_row_done(struct store *store);

/* The keywords of the mailbox; names in the arena. */
enum err message_keywords(struct store *store, int64_t account, int64_t mailbox, struct arena *a,
                          struct flag_keywords *out) CHECKED;

/* Appends bytes [from, from + n) of the raw message (clamped to its end) to `out`.
 * ERR_MESSAGE_MISSING, ERR_NOMEM. */
enum err message_read_raw(struct store *store, int64_t account, int64_t mailbox, uint32_t uid,
                          uint64_t from, uint64_t n, struct buf *out) CHECKED;
/* Appends the BODY digest to `out`. */
enum err message_read_body(struct store *store, int64_t account, int64_t mailbox, uint32_t uid,
                           struct buf *out) CHECKED;

/* W: all messages get all changes, left to right (5.1). ERR_FLAG_UNKNOWN: too many keywords;
 * nothing is changed then. */
enum err message_mark(struct store *store, int64_t account, int64_t mailbox, const uint32_t *uids,
                      size_t count, const struct flag_list *list) CHECKED;
/* W: takes Recent off (12.2: a view that showed them is closed). Announced like any flag change. */
enum err message_clear_recent(struct store *store, int64_t account, int64_t mailbox,
                              const uint32_t *uids, size_t count) CHECKED;

/* W: destroys them at once (messageRemove mode=Immediately). */
enum err message_destroy(struct store *store, int64_t account, int64_t mailbox,
                         const uint32_t *uids, size_t count) CHECKED;
/*
 * W: a step of folderExpunge: destroys messages with Deleted behind UID *at, which is 0 at first and moves on. ERR_MORE:
 * call again, best in another request.
 */
enum err message_expunge(struct store *store, int64_t account, int64_t mailbox,
                         uint32_t *at) CHECKED;
/*
 * W: messageRemove mode="Move To Trash": into the own mailbox `trash` (created when missing; "" =
 * "Trash"), flags and INTERNALDATE kept, Recent not. Destroys instead in Trash itself, below it,
 * and in the item classes of 5.2.
 */
enum err message_trash(struct store *store, int64_t account, int64_t mailbox, struct str trash,
                       const uint32_t *uids, size_t count) CHECKED;
/*
 * W: copies one message into another (or the same) mailbox of the account without the flags in
 * `drop`; keywords go along as far as the target has room for them. ERR_MESSAGE_MISSING, ERR_QUOTA,
 * ERR_MAILBOX_REMOVED.
 */
enum err message_copy(struct store *store, int64_t account, int64_t mailbox, uint32_t uid,
                      int64_t target, uint32_t drop, uint32_t *new_uid) CHECKED;
