// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * db: the SQL layer (design 4). The only door to the database engine; nobody else includes
 * sqlite3.h.
 *
 * One struct db = one database file = one writing process (a bank's keeper, or auth for
 * accounts.db). Others may open the same file with DB_READONLY. A struct db belongs to one process
 * and is never used over a fork.
 *
 * The file is in WAL mode with synchronous=FULL: what db_round_commit() acknowledged survives kill
 * -9, a full disk and a power cut.
 *
 * Statements. db_stmt() finds (or prepares, once per db) the statement of an SQL constant; the
 * ADDRESS of the text is its key, so the text must be a string literal or static. A statement is
 * used by one caller at a time:
 *
 *     struct db_stmt *st = db_stmt(db, "SELECT name FROM mailbox WHERE account=?1");
 *     db_bind_i64(st, 1, account);
 *     while ((e = db_step(st)) == ERR_MORE)
 *         use(db_col_str(st, 0));
 *     db_done(st);          // always, also after an error and after breaking off; harmless when
 * already done
 *
 * A failure (prepare, bind) is kept in the statement and comes back from db_step() or db_run(), so
 * nothing but those two needs looking at. Columns are counted from 0, parameters (?1, ?2 …) from 1.
 *
 * Rounds. All writing happens inside a request inside a round; a write outside of one is a bug and
 * aborts:
 *
 *     db_round_begin(db);
 *     for each writing request, in order:
 *         e = db_request_begin(db);                 // first one: BEGIN IMMEDIATE; each: SAVEPOINT
 *         if (e == ERR_OK) { e = handler(); db_request_end(db, e == ERR_OK) -> ERR_DB: broken; }
 *     e = db_round_commit(db);                      // ERR_OK: acknowledged; the actions have been
 * run, in order if (e != ERR_OK) answer 599 to EVERY request that called db_request_begin in this
 * round
 *
 * - db_request_end(db, false) rolls the request's savepoint back (a rule failure: quota, no such
 * mailbox) and drops the actions it registered. The other requests of the round are untouched.
 * - Any engine failure inside a request, and a transaction found gone, BREAKS the round: everything
 * is rolled back, all actions are dropped, and every later call of the round that would write gives
 * ERR_DB. (On a write error SQLite drops the whole transaction by itself, and a later SAVEPOINT
 * would open a new one that commits alone.) db_round_broken() tells it at once; db_round_commit()
 * gives ERR_DB and closes the round.
 * - Reading works at any time: before the first db_request_begin of a round, inside requests (sees
 * the round's writes), in a broken round and while the disk is full.
 * - While the disk is full or failing, one round a second is let through as a probe; the others get
 * ERR_DB from db_request_begin without touching the disk (design 4).
 * - A constraint that refuses a row is no engine failure: ERR_EXISTS, the statement alone is
 * undone.
 * - No read transaction outlives a slice: every statement is db_done() before the handler returns.
 * db_idle_check() proves it.
 *
 * PostgreSQL, when it comes (db_pgsql.c): a round is one request (begin, statements, commit;
 * retried on 40001 before any output leaves); ?N becomes $N; integers are int8, text and blobs text
 * and bytea; WITHOUT ROWID disappears; an INTEGER PRIMARY KEY that is not (account, …) gets account
 * in front; PRAGMAs, checkpoints and db_check() are no-ops. SQL in src/store keeps to what both
 * understand: no triggers, no rowid, ON CONFLICT and RETURNING allowed, every key starts with the
 * account.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct db;
struct db_stmt;

#define DB_READONLY 1u /* another process writes it; the file must exist */
#define DB_EXCLUSIVE \
    2u /* nobody else may open it meanwhile: reading takes no locks, no system calls */

/* What the engine reads from files that are not databases: for processes that will soon see no others. */
void db_prepare(void);

/*
 * Opens or creates. The log says why on failure (ERR_DB). path is a file name, zero-terminated. Once it is open, no
 * further file is opened, made or removed, here or in db_close().
 */
enum err db_open(const char *path, unsigned flags, struct db **out) CHECKED;
/* Breaks an open round off; finalizes all statements. *db becomes NULL; NULL is fine. */
void db_close(struct db **db);

/*
 * Schema: steps[i] brings version i to i + 1 (several statements with `;` between them). Runs the
 * missing ones, each in its own transaction together with the version number; nothing to do is
 * success. ERR_RANGE: the file is of a later version than this program. Not inside a round.
 */
enum err db_migrate(struct db *db, const char *const *steps, uint32_t count) CHECKED;
/* The file's schema version; 0 for a new one. */
enum err db_version(struct db *db, uint32_t *version) CHECKED;

/* --- statements */
/* Never NULL: a statement that cannot be prepared tells so at db_step(). BUG if it is still in use.
 */
struct db_stmt *db_stmt(struct db *db, const char *sql);
void db_bind_i64(struct db_stmt *st, int n, int64_t v);
/* Text, UTF-8. The bytes are not copied: they must live until db_done() or the last step. .p ==
 * NULL binds NULL. */
void db_bind_str(struct db_stmt *st, int n, struct str s);
/* Bytes; the same rules; .p == NULL binds NULL, an empty slice with .p != NULL an empty blob. */
void db_bind_blob(struct db_stmt *st, int n, struct str s);
void db_bind_null(struct db_stmt *st, int n);

/*
 * ERR_MORE: a row is there. ERR_OK: no more rows (the statement is reset and its binds are
 * forgotten). ERR_EXISTS: a constraint. ERR_DB: the engine failed or the round is broken. ERR_NOMEM
 * never: out of memory is ERR_DB.
 */
enum err db_step(struct db_stmt *st) CHECKED;
/* For statements without rows: step to the end, reset. */
enum err db_run(struct db_stmt *st) CHECKED;
/* db_step() for "one row or none": ERR_OK with the row there, else ERR_NOT_FOUND. db_done()
 * afterwards. */
enum err db_one(struct db_stmt *st) CHECKED;
void db_done(struct db_stmt *st);
/* Rows changed by the last db_run() of any statement. */
int64_t db_changes(const struct db *db);

/* NULL reads as 0 and as STR_NONE. Slices live until the next db_step() or db_done() of this
 * statement; no zero byte stands behind them. Text and blobs only: a number would want memory. */
int64_t db_col_i64(struct db_stmt *st, int col);
struct str db_col_str(struct db_stmt *st, int col);
bool db_col_is_null(struct db_stmt *st, int col);

/*
 * One read snapshot for many statements of a slice (saves two locks per statement). Nests; free
 * inside a request. Must be ended before the slice ends and before db_request_begin().
 */
enum err db_read_begin(struct db *db) CHECKED;
void db_read_end(struct db *db);

/* --- rounds */
void db_round_begin(struct db *db);
enum err db_request_begin(struct db *db) CHECKED;
/* keep false: undo this request. ERR_DB: the round is broken (the request failed whatever `keep`
 * says). */
enum err db_request_end(struct db *db, bool keep) CHECKED;
/*
 * fn(arg) runs after the round's commit, in the order of registration, outside of any transaction;
 * it may read, not write, the database. Dropped (never called) when the request or the round is
 * rolled back, so arg must need no freeing: take it from db_round_arena(). Only inside a request.
 * ERR_NOMEM.
 */
enum err db_after_commit(struct db *db, void (*fn)(void *arg), void *arg) CHECKED;
/* Memory that lives until the round's actions have run or been dropped. */
struct arena *db_round_arena(struct db *db);
/* Commits (when anything was begun), runs the actions, closes the round. */
enum err db_round_commit(struct db *db) CHECKED;
/* Rolls everything back and closes the round (a keeper that stops). */
void db_round_cancel(struct db *db);
bool db_round_broken(const struct db *db);
bool db_in_request(const struct db *db);
/* A number for the running or last request, never 0 after the first: tells two requests apart. */
uint64_t db_request_serial(const struct db *db);

/* One function as a round of its own: for tools, start-up, auth. Gives fn's error, or ERR_DB. Not
 * inside a round. */
enum err db_once(struct db *db, enum err (*fn)(struct db *db, void *arg), void *arg) CHECKED;

/* --- upkeep */
/*
 * Call once a loop round, outside of rounds; idle: nothing has come for a second or so. Checkpoints: PASSIVE when
 * idle or at 16 MiB of WAL, RESTART at 64 MiB. A failure is logged, no more: the data is safe in
 * the WAL.
 */
void db_upkeep(struct db *db, bool idle);
/* Bytes in the WAL that no checkpoint has brought home yet. */
int64_t db_wal_bytes(const struct db *db);
/* BUG if a statement or read snapshot is still open: what a slice must leave behind. */
void db_idle_check(const struct db *db);
/* The engine's integrity check and foreign keys; ERR_DB and log lines when something is wrong.
 * Slow. */
enum err db_check(struct db *db) CHECKED;
/* Time between probes while the disk fails, ns; for tests. */
void db_set_probe(struct db *db, int64_t ns);
