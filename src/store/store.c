// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/store_int.h"

#include <stdlib.h>

#include "store/mailbox.h"
#include "store/message.h"

/*
 * Schema. Every key begins with the account, so that accounts can be spread over machines; content is the exception (its
 * number is the bank's, for new bytes to be written side by side), and whoever moves an account gives out new ones.
 *
 * message: the small row that views scan. Its columns stand in the order of their use by a scan; subject and sender are sort
 * keys (store/sortkey.h). head: HEAD digests, read for windows of rows, so in the same order. content: raw bytes and BODY
 * digest, or, over MESSAGE_PIECE, its pieces; forms in content.c. share: only contents that more than one message uses.
 */
static const char schema_1[] =
    "CREATE TABLE account(account INTEGER PRIMARY KEY, next_mailbox INTEGER NOT NULL,"
    " last_validity INTEGER NOT NULL);"
    "CREATE TABLE mailbox(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, name TEXT NOT NULL,"
    " fold TEXT NOT NULL, class TEXT NOT NULL, selectable INTEGER NOT NULL, folder INTEGER NOT "
    "NULL,"
    " uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL, messages INTEGER NOT NULL,"
    " unseen INTEGER NOT NULL, media INTEGER NOT NULL, unseen_media INTEGER NOT NULL,"
    " size INTEGER NOT NULL, oldest INTEGER NOT NULL, box_seq INTEGER NOT NULL,"
    " PRIMARY KEY(account, mailbox)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX mailbox_name ON mailbox(account, name);"
    "CREATE UNIQUE INDEX mailbox_fold ON mailbox(account, fold);"
    "CREATE TABLE keyword(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, slot INTEGER NOT "
    "NULL,"
    " name TEXT NOT NULL, PRIMARY KEY(account, mailbox, slot)) WITHOUT ROWID;"
    "CREATE TABLE message(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, keywords INTEGER NOT NULL, internaldate INTEGER NOT NULL,"
    " size INTEGER NOT NULL, date INTEGER, content INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " sender TEXT, subject TEXT, PRIMARY KEY(account, mailbox, uid)) WITHOUT ROWID;"
    "CREATE TABLE head(account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,"
    " head BLOB NOT NULL, PRIMARY KEY(account, mailbox, uid)) WITHOUT ROWID;"
    "CREATE TABLE content(content INTEGER PRIMARY KEY, account INTEGER NOT NULL,"
    " body_size INTEGER NOT NULL, body_form INTEGER NOT NULL, raw_size INTEGER NOT NULL,"
    " raw_form INTEGER NOT NULL, body BLOB NOT NULL, raw BLOB NOT NULL);"
    "CREATE TABLE piece(account INTEGER NOT NULL, content INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " piece INTEGER NOT NULL, form INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY(account, content, kind, piece)) WITHOUT ROWID;"
    "CREATE TABLE share(account INTEGER NOT NULL, content INTEGER NOT NULL, users INTEGER NOT NULL,"
    " PRIMARY KEY(account, content)) WITHOUT ROWID;";

/* pref: what the user set; value: the XML inside of the preference's element, UTF-8 (store/prefs.h). */
static const char schema_2[] =
    "CREATE TABLE pref(account INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(account, name)) WITHOUT ROWID;";

static const char *const schema[] = {schema_1, schema_2};

/* In the round's arena. */
struct store_event {
    struct store_event *older;
    struct store *store;
    struct store_change change;
};

static enum err read_next_content(struct store *s)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT max(content) FROM content");
    enum err e = db_one(st);

    if (e == ERR_OK)
        s->next_content = db_col_i64(st, 0) + 1;
    db_done(st);
    return e;
}

enum err store_open(const char *path, unsigned db_flags, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    enum err e;

    if (s == NULL)
        return ERR_NOMEM;
    s->limits = (struct store_limits){.mailboxes = 2000,
                                      .quota = 0,
                                      .prefs = 1000,
                                      .pref_bytes = 65536,
                                      .prefs_bytes = 1 << 20,
                                      .view_messages = 1000000,
                                      .sort_memory = (size_t)256 << 20};
    for (size_t i = 0; i < ARRAY_LEN(s->scratch); i++)
        buf_init(&s->scratch[i], MESSAGE_PIECE * 2);
    s->pack = ZSTD_createCCtx();
    s->unpack = ZSTD_createDCtx();
    e = s->pack == NULL || s->unpack == NULL ? ERR_NOMEM : db_open(path, db_flags, &s->db);
    if (e == ERR_OK && (db_flags & DB_READONLY) == 0)
        e = db_migrate(s->db, schema, ARRAY_LEN(schema));
    if (e == ERR_OK)
        e = read_next_content(s);
    if (e != ERR_OK)
        store_close(&s);
    *out = s;
    return e;
}

void store_close(struct store **p)
{
    struct store *s = *p;

    *p = NULL;
    if (s == NULL)
        return;
    db_close(&s->db);
    ZSTD_freeCCtx(s->pack);
    ZSTD_freeDCtx(s->unpack);
    for (size_t i = 0; i < ARRAY_LEN(s->scratch); i++)
        buf_free(&s->scratch[i]);
    free(s);
}

struct db *store_db(struct store *store)
{
    return store->db;
}

struct store_limits *store_limits(struct store *store)
{
    return &store->limits;
}

void store_on_change(struct store *store, void (*fn)(void *arg, const struct store_change *c),
                     void *arg)
{
    store->on_change = fn;
    store->on_change_arg = arg;
}

static void announce(void *arg)
{
    const struct store_event *ev = arg;

    if (ev->store->on_change != NULL)
        ev->store->on_change(ev->store->on_change_arg, &ev->change);
}

enum err store_changed(struct store *store, int64_t account, int64_t mailbox, unsigned what)
{
    struct store_event *ev;

    if (store->serial != db_request_serial(store->db)) {
        store->serial = db_request_serial(store->db);
        store->events = NULL;
    }
    for (ev = store->events; ev != NULL; ev = ev->older)
        if (ev->change.account == account && ev->change.mailbox == mailbox) {
            ev->change.what |= what;
            return ERR_OK;
        }
    ev = ARENA_NEW(db_round_arena(store->db), struct store_event);
    if (ev == NULL)
        return ERR_NOMEM;
    ev->store = store;
    ev->change = (struct store_change){account, mailbox, what};
    ev->older = store->events;
    store->events = ev;
    return db_after_commit(store->db, announce, ev);
}

enum err store_usage(struct store *store, int64_t account, uint64_t *bytes)
{
    struct db_stmt *st = db_stmt(store->db, "SELECT sum(size) FROM mailbox WHERE account=?1");
    enum err e;

    db_bind_i64(st, 1, account);
    e = db_one(st);
    if (e == ERR_OK)
        *bytes = (uint64_t)db_col_i64(st, 0);
    db_done(st);
    return e;
}

enum err store_account_remove(struct store *store, int64_t account)
{
    static const char *const sql[] = {
        "DELETE FROM message WHERE account=?1", "DELETE FROM head WHERE account=?1",
        "DELETE FROM content WHERE account=?1", "DELETE FROM piece WHERE account=?1",
        "DELETE FROM share WHERE account=?1",   "DELETE FROM keyword WHERE account=?1",
        "DELETE FROM mailbox WHERE account=?1", "DELETE FROM account WHERE account=?1",
        "DELETE FROM pref WHERE account=?1",
    };
    struct db_stmt *st = db_stmt(store->db, "SELECT mailbox FROM mailbox WHERE account=?1");
    enum err e;

    db_bind_i64(st, 1, account);
    while ((e = db_step(st)) == ERR_MORE) {
        e = store_changed(store, account, db_col_i64(st, 0), STORE_MAILBOX_REMOVED);
        if (e != ERR_OK)
            break;
    }
    db_done(st);
    for (size_t i = 0; i < ARRAY_LEN(sql) && e == ERR_OK; i++) {
        st = db_stmt(store->db, sql[i]);
        db_bind_i64(st, 1, account);
        e = db_run(st);
    }
    return e;
}

uint32_t store_schema(void)
{
    return ARRAY_LEN(schema);
}
