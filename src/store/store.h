// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * store: what users have, one bank of it (design 4). SQL lives in this room and nowhere else.
 *
 * A struct store is one bank: one database file, one writing process. The account number (from
 * accounts.db, above 0) is in every key. Who reads may call at any time; who writes ("W" in these
 * headers) must be inside a request of a round:
 *
 *     struct db *db = store_db(store);
 *     db_round_begin(db); … db_request_begin(db) … mailbox_create(store, …) … db_request_end(db,
 * ok) … db_round_commit(db);
 *
 * Errors are those of protocol/errors.md (a rule said no: undo the request's savepoint, answer it)
 * or ERR_DB (the engine failed; the round is broken). Nothing here waits; what can be long is cut
 * into steps (view.h).
 */
#include "db/db.h"

struct store;

/* Limits of protocol 2, section 14, and settings; store_open() fills in the defaults. */
struct store_limits {
    uint32_t mailboxes;     /* per account, pure folders too; over it: 573. Default 2000 */
    uint64_t quota;         /* bytes of messages per account; 0: none (default). Over it: 573 */
    uint32_t prefs;         /* preferences per account; over it: 502. Default 1000 */
    size_t pref_bytes;      /* of one value (store/prefs.h); over it: 502. Default 64 KiB */
    size_t prefs_bytes;     /* of all preferences of an account; over it: 502. Default 1 MiB */
    uint32_t view_messages; /* messages in one view; over it: 599. Default 1,000,000 */
    size_t
        sort_memory; /* bytes of sort keys while one view is built; over it: 599. Default 256 MiB */
};

enum store_change_what {
    STORE_ADDED = 1,            /* messages were stored */
    STORE_REMOVED = 2,          /* messages were destroyed */
    STORE_FLAGS = 4,            /* flags or keywords changed */
    STORE_MAILBOX_REMOVED = 8,  /* the mailbox is gone: folders on it are dead */
    STORE_MAILBOX_CREATED = 16, /* a mailbox or pure folder was made */
    STORE_PREFS = 32,           /* preferences changed; nothing else, and no mailbox (0) */
};

struct store_change {
    int64_t account;
    int64_t mailbox; /* id; never used again after the mailbox is gone */
    unsigned what;   /* enum store_change_what, one or more */
};

/* Opens or creates the bank and brings its schema up to date. path: zero-terminated file name. */
enum err store_open(const char *path, unsigned db_flags, struct store **out) CHECKED;
void store_close(struct store **store);

struct db *store_db(struct store *store);
/* The version of the schema that this program writes. */
uint32_t store_schema(void);
struct store_limits *store_limits(struct store *store);

/*
 * fn is called after the commit, once for each (mailbox, request) that changed something, in the
 * order of the requests. It may read, not write. One listener; NULL takes it away.
 */
void store_on_change(struct store *store, void (*fn)(void *arg, const struct store_change *c),
                     void *arg);

/* Bytes of all messages of the account. */
enum err store_usage(struct store *store, int64_t account, uint64_t *bytes) CHECKED;
/* W: destroys everything the account has in this bank. */
enum err store_account_remove(struct store *store, int64_t account) CHECKED;
