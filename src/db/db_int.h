// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * db_int: what the files of this room share. Only src/db includes it.
 *
 * db_sqlite.c: statements. db_round.c: transactions. db_file.c: opening, schema, upkeep.
 */
#include <sqlite3.h>

#include "base/idmap.h"
#include "db/db.h"

struct db_stmt {
    struct db *db;
    sqlite3_stmt *s; /* NULL: could not be prepared */
    const char *sql;
    enum err err; /* of prepare or bind; told by the next step */
    bool open;    /* taken by db_stmt(), not yet done */
    bool writes;
};

#define DB_LACKING 8

/* The sentences of a transaction, prepared once. */
enum db_word {
    DB_BEGIN_WRITE,
    DB_BEGIN_READ,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_SAVEPOINT,
    DB_RELEASE,
    DB_UNDO,
    DB_WORDS,
};

struct db_action {
    struct db_action *next;
    void (*fn)(void *arg);
    void *arg;
};

struct db {
    sqlite3 *h;
    char *path;
    struct idmap stmts; /* address of the SQL text -> struct db_stmt */
    sqlite3_stmt *words[DB_WORDS];
    uint32_t open;                      /* statements in use */
    struct db_stmt lacking[DB_LACKING]; /* stand for those that there was no memory for */

    bool round, request, broken;
    bool tx;        /* the round has begun its transaction */
    uint32_t reads; /* nested db_read_begin */
    bool snapshot;  /* and it has opened a transaction of its own */
    struct arena arena;
    struct db_action *first, **last; /* actions of the round; *last is its end */
    struct db_action **mark;         /* where the running request's actions begin */

    int64_t probe_ns;   /* between tries while the disk fails */
    int64_t blocked_to; /* monotonic; 0: the disk is well */
    int64_t wal_bytes;
    int64_t wal_tried; /* wal_bytes after the last checkpoint */
    uint64_t serial;
    bool bare; /* a commit that failed may stand whole in the WAL */
    bool readonly;
    bool upkeep_failed; /* said so once */
};

/* Runs one word; false: the engine refused (the log has it). */
bool db_word(struct db *db, enum db_word w);
/* Breaks the open round; rc tells whether the disk is to blame. */
void db_break(struct db *db, int rc, const char *what);
void db_log(const struct db *db, const char *what);
/*
 * A commit that failed in its last sync stands whole in the WAL: who recovers it would find what was refused. A commit of
 * nothing lies over it from then on. When that fails too, db_upkeep() tries again.
 */
void db_cover(struct db *db);
