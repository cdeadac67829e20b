// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * store_int: what the files of this room share. Only src/store includes it.
 */
#include <zstd.h>

#include "base/buf.h"
#include "store/flags.h"
#include "store/store.h"

struct store_event;

struct store {
    struct db *db;
    struct store_limits limits;
    void (*on_change)(void *arg, const struct store_change *c);
    void *on_change_arg;
    struct store_event *events; /* of request `serial`, newest first */
    uint64_t serial;
    int64_t next_content; /* content ids are the bank's and not used twice while it is open */
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
    struct buf scratch[2];  /* compressed forms on their way in */
    struct db_stmt *row_st; /* message_row_get() */
};

/* W: notes that something happened to a mailbox; told after the commit. */
enum err store_changed(struct store *store, int64_t account, int64_t mailbox,
                       unsigned what) CHECKED;

/*
 * content: the bytes of a message and its BODY digest, kept once per account however many copies there are.
 */
enum err content_put(struct store *store, int64_t account, struct str raw, struct str body,
                     int64_t *content) CHECKED;
/* One more message uses it. */
enum err content_share(struct store *store, int64_t account, int64_t content) CHECKED;
/* One message less; the last one takes the bytes with it. */
enum err content_drop(struct store *store, int64_t account, int64_t content) CHECKED;

enum content_kind { CONTENT_RAW, CONTENT_BODY };
/* Appends bytes [from, from + n), clamped. ERR_NOT_FOUND, ERR_NOMEM, ERR_DB. */
enum err content_read(struct store *store, int64_t account, int64_t content, enum content_kind kind,
                      uint64_t from, uint64_t n, struct buf *out) CHECKED;

/* W: every message of the mailbox, without announcing it. */
enum err message_destroy_all(struct store *store, int64_t account, int64_t mailbox) CHECKED;
/* Bit of a keyword in the mailbox (case does not matter), or -1. */
int flag_keyword_bit(const struct flag_keywords *kw, struct str name);
