// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "db/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define WAL_PASSIVE (INT64_C(16) << 20)
#define WAL_RESTART (INT64_C(64) << 20)
#define ROUND_ARENA ((size_t)64 << 20)

/*
 * No memory map: an unreadable sector would be a SIGBUS instead of an error. Temporary things
 * (savepoint journals) stay in memory: a keeper's sandbox has no place for them. secure_delete=FAST
 * wipes what it writes anyway.
 */
static const char setup[] = "PRAGMA journal_mode=WAL;"
                            "PRAGMA synchronous=FULL;"
                            "PRAGMA cell_size_check=ON;"
                            "PRAGMA trusted_schema=OFF;"
                            "PRAGMA foreign_keys=OFF;"
                            "PRAGMA temp_store=MEMORY;"
                            "PRAGMA mmap_size=0;"
                            "PRAGMA cache_size=-16384;"
                            "PRAGMA secure_delete=FAST;"
                            "PRAGMA journal_size_limit=67108864;"
                            "PRAGMA wal_autocheckpoint=0;";
static const char setup_readonly[] = "PRAGMA cell_size_check=ON;"
                                     "PRAGMA trusted_schema=OFF;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA mmap_size=0;";

/* Before the WAL is first looked at: its index stays in this process's memory then. */
static const char setup_exclusive[] = "PRAGMA locking_mode=EXCLUSIVE;";

static int wal_grew(void *arg, sqlite3 *h, const char *name, int pages)
{
    struct db *db = arg;

    (void)h;
    (void)name;
    db->wal_bytes = (int64_t)pages * 4096;
    return SQLITE_OK;
}

/* The engine would make it readable for everybody; WAL and index files inherit the mode. */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0)
        close(fd);
}

static bool configure(struct db *db, bool exclusive)
{
    static const int on[] = {SQLITE_DBCONFIG_DEFENSIVE};
    static const int off[] = {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_DQS_DML,
                              SQLITE_DBCONFIG_DQS_DDL, SQLITE_DBCONFIG_ENABLE_TRIGGER,
                              SQLITE_DBCONFIG_ENABLE_VIEW};

    sqlite3_extended_result_codes(db->h, 1);
    for (size_t i = 0; i < ARRAY_LEN(on); i++)
        sqlite3_db_config(db->h, on[i], 1, NULL);
    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        sqlite3_db_config(db->h, off[i], 0, NULL);
    sqlite3_busy_timeout(db->h, 2000); /* recovery of a WAL while a reader is about */
    if (exclusive && sqlite3_exec(db->h, setup_exclusive, NULL, NULL, NULL) != SQLITE_OK) {
        db_log(db, "open");
        return false;
    }
    if (sqlite3_exec(db->h, db->readonly ? setup_readonly : setup, NULL, NULL, NULL) != SQLITE_OK) {
        db_log(db, "open");
        return false;
    }
    sqlite3_busy_timeout(db->h, 0);
    sqlite3_wal_hook(db->h, wal_grew, db);
    return true;
}

void db_prepare(void)
{
    char random;
    /* Our processes have no threads. Refused, harmlessly, when the engine already runs. */
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_randomness(sizeof random, &random); /* it reads /dev/urandom once */
}

/*
 * What the engine would do with names of files later on is done now. The WAL and its index stay when the last user
 * closes them (the WAL empty), and the first sync of a WAL, which takes the folder with it, comes here.
 */
static bool settle(struct db *db)
{
    sqlite3_file *wal = NULL;
    int on = 1;

    if (sqlite3_file_control(db->h, NULL, SQLITE_FCNTL_PERSIST_WAL, &on) == SQLITE_OK &&
        sqlite3_exec(db->h, "PRAGMA user_version", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_file_control(db->h, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK &&
        wal->pMethods != NULL && wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) == SQLITE_OK)
        return true;
    db_log(db, "open");
    return false;
}

/*
 * Where a file cannot be opened for want of descriptors or memory, the engine opens it for reading instead: the database,
 * its WAL, or the WAL's index. That must not last as long as the process.
 */
static bool can_write(struct db *db)
{
    int rc = sqlite3_db_readonly(db->h, "main") == 0
                 ? sqlite3_exec(db->h, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL)
                 : SQLITE_READONLY;

    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY) /* somebody else writes */
        return true;
    log_write(LOG_FAILURES, "DB", 0, NULL, "%s: cannot be written: %s", db->path,
              sqlite3_errstr(rc));
    return false;
}

enum err db_open(const char *path, unsigned flags, struct db **out)
{
    struct db *db = calloc(1, sizeof *db);
    int mode = (flags & DB_READONLY) != 0 ? SQLITE_OPEN_READONLY
                                          : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

    if (db == NULL || (db->path = strdup(path)) == NULL) {
        free(db);
        return ERR_NOMEM;
    }
    db->readonly = (flags & DB_READONLY) != 0;
    db->probe_ns = CLOCK_SEC;
    db->last = db->mark = &db->first;
    idmap_init(&db->stmts);
    arena_init(&db->arena, ROUND_ARENA);
    db_prepare();
    if (!db->readonly)
        make_private(path);
    if (sqlite3_open_v2(path, &db->h, mode | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        db_log(db, "open");
        db_close(&db);
        return ERR_DB;
    }
    if (!configure(db, (flags & DB_EXCLUSIVE) != 0) ||
        (!db->readonly && (!settle(db) || !can_write(db)))) {
        db_close(&db);
        return ERR_DB;
    }
    *out = db;
    return ERR_OK;
}

void db_close(struct db **p)
{
    struct db *db = *p;
    struct db_stmt *st;
    uint32_t at = 0;

    *p = NULL;
    if (db == NULL)
        return;
    if (db->round)
        db_round_cancel(db);
    while ((st = idmap_next(&db->stmts, &at)) != NULL) {
        sqlite3_finalize(st->s);
        free(st);
    }
    for (int i = 0; i < DB_WORDS; i++)
        sqlite3_finalize(db->words[i]);
    if (sqlite3_close(db->h) != SQLITE_OK)
        db_log(db, "close");
    idmap_free(&db->stmts);
    arena_free(&db->arena);
    free(db->path);
    free(db);
}

enum err db_version(struct db *db, uint32_t *version)
{
    struct db_stmt *st = db_stmt(db, "PRAGMA user_version");
    enum err e = db_one(st);

    if (e == ERR_OK)
        *version = (uint32_t)db_col_i64(st, 0);
    db_done(st);
    return e;
}

static enum err run_step(struct db *db, const char *step, uint32_t version)
{
    char text[64];

    snprintf(text, sizeof text, "PRAGMA user_version=%u", version);
    if (db_word(db, DB_BEGIN_WRITE) && sqlite3_exec(db->h, step, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(db->h, text, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_get_autocommit(db->h) == 0 && db_word(db, DB_COMMIT))
        return ERR_OK;
    db_log(db, "schema step");
    if (sqlite3_get_autocommit(db->h) == 0)
        (void)db_word(db, DB_ROLLBACK);
    return ERR_DB;
}

enum err db_migrate(struct db *db, const char *const *steps, uint32_t count)
{
    uint32_t version = 0;
    enum err e = db_version(db, &version);

    BUG_IF(db->round);
    if (e != ERR_OK)
        return e;
    if (version > count) {
        log_write(LOG_FAILURES, "DB", 0, NULL, "%s: schema %u is newer than this program's %u",
                  db->path, version, count);
        return ERR_RANGE;
    }
    for (; version < count && e == ERR_OK; version++)
        e = run_step(db, steps[version], version + 1);
    return e;
}

static void checkpoint(struct db *db, int mode)
{
    int frames = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->h, NULL, mode, &frames, &done);

    if (rc == SQLITE_OK && frames == done)
        db->wal_bytes = 0;
    else if (rc != SQLITE_OK && rc != SQLITE_BUSY && !db->upkeep_failed)
        db_log(db, "checkpoint");
    db->upkeep_failed = rc != SQLITE_OK && rc != SQLITE_BUSY;
    db->wal_tried = db->wal_bytes;
}

void db_upkeep(struct db *db, bool idle)
{
    BUG_IF(db->round);
    if (db->readonly || db->reads != 0 || (db->blocked_to != 0 && clock_mono() < db->blocked_to))
        return;
    if (db->bare)
        db_cover(db);
    if (db->wal_bytes == db->wal_tried)
        return; /* nothing new since the last try */
    if (db->wal_bytes >= WAL_RESTART)
        checkpoint(db, SQLITE_CHECKPOINT_RESTART);
    else if (idle || db->wal_bytes >= WAL_PASSIVE)
        checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
}

int64_t db_wal_bytes(const struct db *db)
{
    return db->wal_bytes;
}

enum err db_check(struct db *db)
{
    struct db_stmt *st = db_stmt(db, "PRAGMA integrity_check");
    uint32_t rows = 0, bad = 0;
    enum err e;

    while ((e = db_step(st)) == ERR_MORE) {
        struct str line = db_col_str(st, 0);

        rows++;
        if (!str_eq(line, STR("ok"))) {
            bad++;
            log_write(LOG_FAILURES, "DB", 0, NULL, "%s: %.*s", db->path, STR_FMT(line));
        }
    }
    db_done(st);
    return e != ERR_OK ? e : rows == 1 && bad == 0 ? ERR_OK : ERR_DB;
}

void db_set_probe(struct db *db, int64_t ns)
{
    db->probe_ns = ns;
}
