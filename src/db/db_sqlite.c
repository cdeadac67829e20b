// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "db/db_int.h"

#include <stdlib.h>

#include "base/log.h"

void db_log(const struct db *db, const char *what)
{
    log_write(LOG_FAILURES, "DB", 0, NULL, "%s: %s: %s (%d)", db->path, what, sqlite3_errmsg(db->h),
              sqlite3_extended_errcode(db->h));
}

/* The engine said rc to a statement, which has been reset by now. */
static enum err engine_failed(struct db_stmt *st, int rc)
{
    struct db *db = st->db;

    if ((rc & 0xff) == SQLITE_CONSTRAINT && (!db->request || sqlite3_get_autocommit(db->h) == 0))
        return ERR_EXISTS;
    db_log(db, st->sql);
    if (db->request)
        db_break(db, rc, "statement failed");
    return ERR_DB;
}

/* One that can do nothing; few are open at one time. */
static struct db_stmt *lacking(struct db *db, const char *sql)
{
    struct db_stmt *st = db->lacking;

    while (st->open)
        BUG_IF(++st == db->lacking + DB_LACKING);
    *st = (struct db_stmt){.db = db, .sql = sql};
    return st;
}

static bool is_lacking(const struct db_stmt *st)
{
    return st >= st->db->lacking && st < st->db->lacking + DB_LACKING;
}

static struct db_stmt *prepare(struct db *db, const char *sql)
{
    struct db_stmt *st = calloc(1, sizeof *st);

    if (st == NULL)
        return lacking(db, sql);
    st->db = db;
    st->sql = sql;
    if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->s, NULL) != SQLITE_OK) {
        db_log(db, sql);
        st->s = NULL;
        return st;
    }
    st->writes = sqlite3_stmt_readonly(st->s) == 0;
    if (idmap_put(&db->stmts, (uintptr_t)sql, st) != ERR_OK) {
        sqlite3_finalize(st->s);
        st->s = NULL;
    }
    return st;
}

struct db_stmt *db_stmt(struct db *db, const char *sql)
{
    struct db_stmt *st = idmap_get(&db->stmts, (uintptr_t)sql);

    if (st == NULL)
        st = prepare(db, sql);
    BUG_IF(st->open);
    st->open = true;
    st->err = st->s == NULL ? ERR_DB : ERR_OK;
    db->open++;
    return st;
}

void db_done(struct db_stmt *st)
{
    if (!st->open)
        return;
    st->open = false;
    st->db->open--;
    if (st->s == NULL) { /* not in the cache: the next call tries again */
        if (!is_lacking(st))
            free(st);
        return;
    }
    sqlite3_reset(st->s); /* repeats the step's error, which has been told */
    sqlite3_clear_bindings(st->s);
}

static void bound(struct db_stmt *st, int rc)
{
    if (rc == SQLITE_OK)
        return;
    BUG_IF(rc == SQLITE_RANGE || rc == SQLITE_MISUSE);
    st->err = ERR_DB; /* no memory, or over the engine's size limit */
}

void db_bind_i64(struct db_stmt *st, int n, int64_t v)
{
    if (st->s != NULL)
        bound(st, sqlite3_bind_int64(st->s, n, v));
}

void db_bind_str(struct db_stmt *st, int n, struct str s)
{
    if (st->s != NULL)
        bound(st, sqlite3_bind_text64(st->s, n, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *st, int n, struct str s)
{
    if (st->s != NULL)
        bound(st, sqlite3_bind_blob64(st->s, n, s.p, s.n, SQLITE_STATIC));
}

void db_bind_null(struct db_stmt *st, int n)
{
    if (st->s != NULL)
        bound(st, sqlite3_bind_null(st->s, n));
}

enum err db_step(struct db_stmt *st)
{
    struct db *db = st->db;
    int rc;

    BUG_IF(!st->open);
    BUG_IF(st->writes && !db->request);
    if (st->err != ERR_OK) {
        if (db->request)
            db_break(db, SQLITE_ERROR, "statement not usable");
        return st->err;
    }
    if (db->request && db->broken)
        return ERR_DB;
    rc = sqlite3_step(st->s);
    if (rc != SQLITE_ROW)
        sqlite3_reset(st->s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return engine_failed(st, rc);
    if (db->request && sqlite3_get_autocommit(db->h) != 0) {
        db_break(db, rc, "transaction is gone");
        return ERR_DB;
    }
    if (rc == SQLITE_ROW)
        return ERR_MORE;
    db_done(st);
    return ERR_OK;
}

enum err db_run(struct db_stmt *st)
{
    enum err e;

    do {
        e = db_step(st);
    } while (e == ERR_MORE);
    db_done(st);
    return e;
}

enum err db_one(struct db_stmt *st)
{
    enum err e = db_step(st);

    if (e == ERR_MORE)
        return ERR_OK;
    return e == ERR_OK ? ERR_NOT_FOUND : e;
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->h);
}

int64_t db_col_i64(struct db_stmt *st, int col)
{
    return sqlite3_column_int64(st->s, col);
}

struct str db_col_str(struct db_stmt *st, int col)
{
    /* Also text: sqlite3_column_text() may want memory for a zero byte behind it, and is empty without. */
    const void *p = sqlite3_column_blob(st->s, col);
    int n = sqlite3_column_bytes(st->s, col);

    if (p == NULL && sqlite3_column_type(st->s, col) != SQLITE_NULL)
        return STR(""); /* an empty blob has no address */
    return (struct str){p, p != NULL ? (size_t)n : 0};
}

bool db_col_is_null(struct db_stmt *st, int col)
{
    return sqlite3_column_type(st->s, col) == SQLITE_NULL;
}

void db_idle_check(const struct db *db)
{
    BUG_IF(db->open != 0 || db->reads != 0 || db->request);
}
