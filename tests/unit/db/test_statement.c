// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "db/db.h"
#include "tests/unit/db/failmem.h"

static char dir[] = "/tmp/ximssd-test-db-XXXXXX";
static char path[64];

static const char *const steps[] = {
    "CREATE TABLE a(account INTEGER PRIMARY KEY, x TEXT, y BLOB);",
    "ALTER TABLE a ADD COLUMN z INTEGER; INSERT INTO a VALUES(1, 'one', x'00ff', 5);",
    "CREATE TABLE b(account INTEGER PRIMARY KEY);",
};

static int setup(void **state)
{
    struct db *db = NULL;

    snprintf(path, sizeof path, "%s/s.db", dir);
    assert_int_equal(db_open(path, 0, &db), ERR_OK);
    *state = db;
    return 0;
}

static int teardown(void **state)
{
    struct db *db = *state;

    db_close(&db);
    assert_null(db);
    unlink(path);
    return 0;
}

static int64_t number(struct db *db, const char *sql)
{
    struct db_stmt *st = db_stmt(db, sql);
    int64_t n;

    assert_int_equal(db_one(st), ERR_OK);
    n = db_col_i64(st, 0);
    db_done(st);
    return n;
}

static void test_pragmas(void **state)
{
    struct db *db = *state;
    struct stat sb;
    char head[20] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(fd, head, sizeof head), sizeof head);
    assert_int_equal(head[18], 2); /* file format, section 1.3: WAL */
    /* closing it here would drop the engine's locks on the file */
    assert_int_equal(number(db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(db, "PRAGMA cell_size_check"), 1);
    assert_int_equal(number(db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(number(db, "PRAGMA wal_autocheckpoint"), 0);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
}

static void test_migrate(void **state)
{
    static const char *const bad[] = {"CREATE TABLE c(x);", "CREATE TABLE d(x); NONSENSE;"};
    struct db *db = *state;
    uint32_t v = 99;

    assert_int_equal(db_version(db, &v), ERR_OK);
    assert_int_equal(v, 0);
    assert_int_equal(db_migrate(db, steps, 1), ERR_OK);
    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_migrate(db, steps, 3), ERR_OK); /* again: nothing to do */
    assert_int_equal(db_version(db, &v), ERR_OK);
    assert_int_equal(v, 3);
    assert_int_equal(number(db, "SELECT count(*) FROM a"), 1);
    assert_int_equal(db_migrate(db, steps, 2), ERR_RANGE); /* a later program wrote it */
    teardown(state);
    setup(state);
    db = *state;
    assert_int_equal(db_migrate(db, bad, 2), ERR_DB);
    assert_int_equal(db_version(db, &v), ERR_OK);
    assert_int_equal(v, 1); /* the good step stays, the bad one leaves nothing */
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 1);
}

static enum err fill(struct db *db, void *arg)
{
    struct db_stmt *st = db_stmt(db, "INSERT INTO a(account, x, y) VALUES(?1, ?2, ?3)");
    enum err e;

    (void)arg;
    db_bind_i64(st, 1, INT64_MIN);
    db_bind_str(st, 2, STR("zwölf\0x"));
    db_bind_blob(st, 3, STR(""));
    e = db_run(st);
    if (e != ERR_OK)
        return e;
    st = db_stmt(db, "INSERT INTO a(account, x, y) VALUES(?1, ?2, ?3)");
    db_bind_i64(st, 1, INT64_MAX);
    db_bind_str(st, 2, STR_NONE);
    db_bind_null(st, 3);
    return db_run(st);
}

static enum err fill_long(struct db *db, void *text)
{
    struct db_stmt *st = db_stmt(db, "INSERT INTO a(account, x, y) VALUES(7, ?1, ?2)");

    db_bind_str(st, 1, (struct str){text, 5000});
    db_bind_blob(st, 2, (struct str){text, 10});
    return db_run(st);
}

static void test_values(void **state)
{
    struct db *db = *state;
    struct db_stmt *st;

    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_once(db, fill, NULL), ERR_OK);
    assert_int_equal(db_changes(db), 1);
    st = db_stmt(db, "SELECT account, x, y FROM a ORDER BY account");
    assert_int_equal(db_step(st), ERR_MORE);
    assert_true(db_col_i64(st, 0) == INT64_MIN);
    assert_true(str_eq(db_col_str(st, 1), STR("zwölf\0x")));
    assert_true(db_col_str(st, 2).p != NULL && db_col_str(st, 2).n == 0);
    assert_false(db_col_is_null(st, 2));
    assert_int_equal(db_step(st), ERR_MORE);
    assert_true(str_eq(db_col_str(st, 2), STR("\0\xff")));
    assert_int_equal(db_step(st), ERR_MORE);
    assert_true(db_col_i64(st, 0) == INT64_MAX);
    assert_true(db_col_is_null(st, 1) && db_col_str(st, 1).p == NULL);
    assert_int_equal(db_step(st), ERR_OK);
    db_done(st); /* harmless */
    db_done(st);
    db_idle_check(db);
    assert_int_equal(db_once(db, fill, NULL), ERR_EXISTS);
    assert_int_equal(number(db, "SELECT count(*) FROM a"), 3);
}

/* The n-th allocation fails: what is read is an error, or what was written, for texts of any origin. */
static void test_no_memory(void **state)
{
    static const char *const sql[] = {
        "SELECT x, y FROM a WHERE account=?1",
        "SELECT substr(x, 1), substr(y, 1) FROM a WHERE account=?1",
        "SELECT x, y FROM (SELECT DISTINCT x, y FROM a WHERE account=?1) ORDER BY x DESC",
    };
    static char text[5000];
    struct db *db = *state;
    long failures = 0;

    memset(text, 'x', sizeof text);
    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_once(db, fill_long, text), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
        long failed = 1;

        for (long n = 1; failed != 0; n++) {
            struct db_stmt *st = db_stmt(db, sql[i]);
            enum err e;

            failmem_arm(n);
            db_bind_i64(st, 1, 7);
            e = db_one(st);
            if (e == ERR_OK) {
                assert_true(str_eq(db_col_str(st, 0), (struct str){text, sizeof text}));
                assert_true(str_eq(db_col_str(st, 1), (struct str){text, 10}));
            } else {
                assert_int_equal(e, ERR_DB);
            }
            failed = failmem.failed;
            failmem_arm(0);
            db_done(st);
            failures += failed;
        }
    }
    assert_true(failures > 3);
    assert_int_equal(db_check(db), ERR_OK);
}

static void test_broken_off(void **state)
{
    struct db *db = *state;
    struct db_stmt *st;

    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_read_begin(db), ERR_OK);
    assert_int_equal(db_read_begin(db), ERR_OK);
    st = db_stmt(db, "SELECT x FROM a");
    assert_int_equal(db_step(st), ERR_MORE);
    db_done(st);
    st = db_stmt(db, "SELECT x FROM a WHERE account=?1");
    db_bind_i64(st, 1, 77);
    assert_int_equal(db_one(st), ERR_NOT_FOUND);
    db_done(st);
    db_read_end(db);
    db_read_end(db);
    db_idle_check(db);
    st = db_stmt(db, "SELECT x FROM missing");
    assert_int_equal(db_step(st), ERR_DB);
    db_done(st);
    db_idle_check(db);
}

static enum err grow(struct db *db, void *arg)
{
    struct db_stmt *st = db_stmt(db, "INSERT INTO a(account, y) VALUES(?1, zeroblob(1000000))");

    db_bind_i64(st, 1, *(int64_t *)arg);
    return db_run(st);
}

static void test_upkeep(void **state)
{
    struct db *db = *state;
    int64_t most = 0;

    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    for (int64_t i = 10; i < 50; i++) {
        assert_int_equal(db_once(db, grow, &i), ERR_OK);
        db_upkeep(db, false);
        most = db_wal_bytes(db) > most ? db_wal_bytes(db) : most;
    }
    assert_in_range(most, 14 << 20, 18 << 20); /* brought home at 16 MiB */
    assert_true(db_wal_bytes(db) > 0);
    db_upkeep(db, true);
    assert_int_equal(db_wal_bytes(db), 0);
    assert_int_equal(db_check(db), ERR_OK);
}

/*
 * A reader that holds an old snapshot keeps the log from being brought home whole: it is tried again as it grows, and
 * when the reader is gone it is brought home and begun anew (design 4: RESTART at 64 MiB), so that the file does not grow.
 */
static void test_upkeep_with_reader(void **state)
{
    struct db *db = *state, *reader = NULL;
    char wal[80];
    struct stat before, after;
    int64_t i = 10;

    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_open(path, DB_READONLY, &reader), ERR_OK);
    assert_int_equal(db_read_begin(reader), ERR_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 1);
    for (; i < 90; i++) {
        assert_int_equal(db_once(db, grow, &i), ERR_OK);
        db_upkeep(db, false);
    }
    assert_true(db_wal_bytes(db) > 70 << 20); /* nothing could be given back, and nobody waited */
    db_read_end(reader);
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(stat(wal, &before), 0);
    assert_int_equal(db_once(db, grow, &i), ERR_OK);
    db_upkeep(db, false);
    assert_int_equal(db_wal_bytes(db), 0);
    for (i++; i < 130; i++) {
        assert_int_equal(db_once(db, grow, &i), ERR_OK);
        db_upkeep(db, false);
    }
    assert_int_equal(stat(wal, &after), 0);
    assert_true(after.st_size <= before.st_size + (2 << 20));
    assert_int_equal(db_check(db), ERR_OK);
    db_close(&reader);
}

/* A second process's reader sees whole rounds only, and does not stop the writer. */
static void test_reader(void **state)
{
    struct db *db = *state, *reader = NULL;
    int64_t i = 10;

    assert_int_equal(db_migrate(db, steps, 3), ERR_OK);
    assert_int_equal(db_open(path, DB_READONLY, &reader), ERR_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 1);
    assert_int_equal(db_read_begin(reader), ERR_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 1);
    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(grow(db, &i), ERR_OK);
    assert_int_equal(db_request_end(db, true), ERR_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 1);
    assert_int_equal(db_round_commit(db), ERR_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 1);
    db_read_end(reader);
    assert_int_equal(number(reader, "SELECT count(*) FROM a"), 2);
    db_close(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pragmas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_migrate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upkeep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upkeep_with_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reader, setup, teardown),
    };
    int rc;

    log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_CRASH);
    failmem_install();
    assert_non_null(mkdtemp(dir));
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
