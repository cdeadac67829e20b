// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "db/db_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

static const char *const words[DB_WORDS] = {
    [DB_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [DB_BEGIN_READ] = "BEGIN",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_SAVEPOINT] = "SAVEPOINT request",
    [DB_RELEASE] = "RELEASE request",
    [DB_UNDO] = "ROLLBACK TO request",
};

static int run_word(struct db *db, enum db_word w)
{
    int rc = SQLITE_OK;

    if (db->words[w] == NULL)
        rc =
            sqlite3_prepare_v3(db->h, words[w], -1, SQLITE_PREPARE_PERSISTENT, &db->words[w], NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(db->words[w]);
        sqlite3_reset(db->words[w]);
        if (rc == SQLITE_DONE)
            return SQLITE_OK;
    }
    db_log(db, words[w]);
    return rc;
}

bool db_word(struct db *db, enum db_word w)
{
    return run_word(db, w) == SQLITE_OK;
}

static void drop_actions(struct db *db)
{
    db->first = NULL;
    db->last = db->mark = &db->first;
}

static bool disk_to_blame(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return true;
    default:
        return false;
    }
}

void db_break(struct db *db, int rc, const char *what)
{
    BUG_IF(!db->round);
    if (db->broken)
        return;
    db->broken = true;
    log_write(LOG_FAILURES, "DB", 0, NULL, "%s: round broken: %s (%d)", db->path, what, rc);
    if (sqlite3_get_autocommit(db->h) == 0 && run_word(db, DB_ROLLBACK) != SQLITE_OK)
        BUG_IF(sqlite3_get_autocommit(db->h) == 0); /* would let half a round be committed */
    db->tx = false;
    drop_actions(db);
    if (disk_to_blame(rc))
        db->blocked_to = clock_mono() + db->probe_ns;
}

void db_cover(struct db *db)
{
    char text[48];
    uint32_t version = 0;

    db->bare = true;
    if (db_version(db, &version) != ERR_OK)
        return;
    snprintf(text, sizeof text, "PRAGMA user_version=%u", version);
    if (sqlite3_exec(db->h, text, NULL, NULL, NULL) == SQLITE_OK)
        db->bare = false;
    else
        db_log(db, "cover");
}

void db_round_begin(struct db *db)
{
    BUG_IF(db->round || db->reads != 0);
    db->round = true;
    db->broken = db->tx = false;
    drop_actions(db);
}

/* Runs a word that belongs to a round; a failure, or a transaction that is not there, breaks it. */
static enum err round_word(struct db *db, enum db_word w)
{
    int rc = run_word(db, w);
    bool open = sqlite3_get_autocommit(db->h) == 0;

    if (rc == SQLITE_OK && open == (w != DB_COMMIT))
        return ERR_OK;
    db_break(db, rc, rc == SQLITE_OK ? "transaction is gone" : words[w]);
    return ERR_DB;
}

enum err db_request_begin(struct db *db)
{
    enum err e;

    BUG_IF(!db->round || db->request || db->reads != 0 || db->readonly);
    if (db->broken)
        return ERR_DB;
    if (!db->tx) {
        if (db->blocked_to != 0 && clock_mono() < db->blocked_to) {
            db->broken = true;
            return ERR_DB;
        }
        e = round_word(db, DB_BEGIN_WRITE);
        if (e != ERR_OK)
            return e;
        db->tx = true;
    }
    if (sqlite3_get_autocommit(db->h) != 0) { /* a SAVEPOINT now would commit alone */
        db_break(db, SQLITE_ERROR, "transaction is gone");
        return ERR_DB;
    }
    e = round_word(db, DB_SAVEPOINT);
    if (e != ERR_OK)
        return e;
    db->request = true;
    db->serial++;
    db->mark = db->last;
    return ERR_OK;
}

enum err db_request_end(struct db *db, bool keep)
{
    enum err e = ERR_OK;

    BUG_IF(!db->request || db->open != 0 || db->reads != 0);
    db->request = false;
    if (!db->broken && sqlite3_get_autocommit(db->h) != 0)
        db_break(db, SQLITE_ERROR, "transaction is gone");
    if (db->broken)
        return ERR_DB;
    if (!keep) {
        *db->mark = NULL;
        db->last = db->mark;
        e = round_word(db, DB_UNDO);
    }
    return e != ERR_OK ? e : round_word(db, DB_RELEASE);
}

enum err db_after_commit(struct db *db, void (*fn)(void *arg), void *arg)
{
    struct db_action *a;

    BUG_IF(!db->request);
    if (db->broken)
        return ERR_DB;
    a = ARENA_NEW(&db->arena, struct db_action);
    if (a == NULL)
        return ERR_NOMEM;
    a->fn = fn;
    a->arg = arg;
    *db->last = a;
    db->last = &a->next;
    return ERR_OK;
}

struct arena *db_round_arena(struct db *db)
{
    return &db->arena;
}

static void round_close(struct db *db)
{
    db->round = db->broken = db->tx = false;
    drop_actions(db);
    arena_reset(&db->arena);
}

enum err db_round_commit(struct db *db)
{
    bool broken;

    BUG_IF(!db->round || db->request || db->open != 0);
    if (db->tx && !db->broken) {
        if (round_word(db, DB_COMMIT) == ERR_OK) {
            db->tx = db->bare = false;
            db->blocked_to = 0;
        } else {
            db_cover(db);
        }
    }
    broken = db->broken;
    db->round = false;
    for (struct db_action *a = db->first; a != NULL; a = a->next)
        a->fn(a->arg);
    round_close(db);
    return broken ? ERR_DB : ERR_OK;
}

void db_round_cancel(struct db *db)
{
    BUG_IF(!db->round);
    db->request = false;
    if (sqlite3_get_autocommit(db->h) == 0)
        (void)db_word(db, DB_ROLLBACK);
    BUG_IF(sqlite3_get_autocommit(db->h) == 0);
    round_close(db);
}

bool db_round_broken(const struct db *db)
{
    return db->round && db->broken;
}

bool db_in_request(const struct db *db)
{
    return db->request;
}

uint64_t db_request_serial(const struct db *db)
{
    return db->serial;
}

enum err db_once(struct db *db, enum err (*fn)(struct db *db, void *arg), void *arg)
{
    enum err e, done;

    db_round_begin(db);
    e = db_request_begin(db);
    if (e == ERR_OK) {
        e = fn(db, arg);
        done = db_request_end(db, e == ERR_OK);
        e = done != ERR_OK ? done : e;
    }
    done = db_round_commit(db);
    return done != ERR_OK ? done : e;
}

enum err db_read_begin(struct db *db)
{
    if (db->reads == 0 && sqlite3_get_autocommit(db->h) != 0) {
        if (!db_word(db, DB_BEGIN_READ))
            return ERR_DB;
        db->snapshot = true;
    }
    db->reads++;
    return ERR_OK;
}

void db_read_end(struct db *db)
{
    BUG_IF(db->reads == 0);
    if (--db->reads != 0 || !db->snapshot)
        return;
    db->snapshot = false;
    if (!db_word(db, DB_COMMIT) && sqlite3_get_autocommit(db->h) == 0)
        (void)db_word(db, DB_ROLLBACK);
}
