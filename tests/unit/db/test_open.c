// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * db_open() while there are no descriptors, or no memory for one: what it opens can be written, or it says that it cannot. (The engine
 * tries once more for reading alone, where a file cannot be opened for both.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"

static const char *const steps[] = {"CREATE TABLE t(k INTEGER PRIMARY KEY);"};
static char dir[] = "/tmp/ximssd-test-open-XXXXXX";
static char path[64];

/* The nth open() that the engine makes from now on fails. */
static struct {
    int (*real)(const char *name, int flags, int mode);
    int error, nth, made;
    char failed[80]; /* its file */
} opens;

static int open_or_fail(const char *name, int flags, int mode)
{
    if (++opens.made != opens.nth)
        return opens.real(name, flags, mode);
    snprintf(opens.failed, sizeof opens.failed, "%s", name + strlen(path));
    errno = opens.error;
    return -1;
}

static void hook(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr now = vfs->xGetSystemCall(vfs, "open"), ours;
    memcpy(&opens.real, &now, sizeof opens.real);
    int (*fn)(const char *, int, int) = open_or_fail;
    memcpy(&ours, &fn, sizeof ours);
    assert_int_equal(vfs->xSetSystemCall(vfs, "open", ours), SQLITE_OK);
}

static enum err write_one(struct db *db)
{
    db_round_begin(db);
    enum err e = db_request_begin(db);
    if (e == ERR_OK) {
        e = db_run(db_stmt(db, "INSERT INTO t(k) VALUES(NULL)"));
        enum err ended = db_request_end(db, e == ERR_OK);
        e = e != ERR_OK ? e : ended;
    }
    enum err committed = db_round_commit(db);
    return e != ERR_OK ? e : committed;
}

static void test_every_open(void **state)
{
    (void)state;
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, EIO, ENOSPC, EACCES};
    uint32_t base = 0, wal = 0, shm = 0;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool reached = true;
        for (int n = 1; reached; n++) {
            struct db *db = NULL;
            opens.error = errors[i];
            opens.made = 0;
            opens.nth = n;
            opens.failed[0] = 'x';
            enum err e = db_open(path, 0, &db);
            reached = opens.made >= n;
            opens.nth = 0;
            base += strcmp(opens.failed, "") == 0;
            wal += strcmp(opens.failed, "-wal") == 0;
            shm += strcmp(opens.failed, "-shm") == 0;
            if (e == ERR_OK)
                assert_int_equal(write_one(db), ERR_OK);
            else
                assert_int_equal(e, ERR_DB);
            db_close(&db);
            assert_int_equal(db_open(path, 0, &db), ERR_OK); /* and nothing of it lasts */
            assert_int_equal(write_one(db), ERR_OK);
            db_close(&db);
        }
    }
    assert_true(base >= ARRAY_LEN(errors) && wal >= ARRAY_LEN(errors) && shm >= ARRAY_LEN(errors));
}

/* Somebody else writes at that moment: no reason not to open it. */
static void test_while_another_writes(void **state)
{
    (void)state;
    struct db *db = NULL;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(db_open(path, 0, &db), ERR_OK);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(write_one(db), ERR_OK);
    db_close(&db);
    sqlite3_close(other);
}

static int set_up(void **state)
{
    (void)state;
    struct db *db = NULL;
    if (db_open(path, 0, &db) != ERR_OK || db_migrate(db, steps, 1) != ERR_OK)
        return -1;
    db_close(&db);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_open),
        cmocka_unit_test(test_while_another_writes),
    };
    log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_CRASH);
    clock_init();
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/t.db", dir);
    db_prepare();
    hook();
    int rc = cmocka_run_group_tests(tests, set_up, NULL);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    rmdir(dir);
    return rc;
}
