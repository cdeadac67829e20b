// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Rounds: what is acknowledged is in the file, and nothing of a broken round is (design 4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"
#include "tests/unit/db/failvfs.h"

static const char schema[] =
    "CREATE TABLE t(account INTEGER NOT NULL, k INTEGER NOT NULL, v BLOB NOT NULL,"
    " PRIMARY KEY(account, k)) WITHOUT ROWID;";
static const char *const steps[] = {schema};

static char dir[] = "/tmp/ximssd-test-db-XXXXXX";
static char path[64];
static int ran[64], ran_n;

static void note(void *arg)
{
    ran[ran_n++ % 64] = *(int *)arg;
}

static struct db *open_db(void)
{
    struct db *db = NULL;

    assert_int_equal(db_open(path, 0, &db), ERR_OK);
    assert_int_equal(db_migrate(db, steps, 1), ERR_OK);
    db_set_probe(db, 0);
    return db;
}

static int fresh(void **state)
{
    char name[80];

    snprintf(path, sizeof path, "%s/t.db", dir);
    unlink(path);
    snprintf(name, sizeof name, "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", path);
    unlink(name);
    failvfs_arm(0, 0, 0);
    ran_n = 0;
    *state = open_db();
    return 0;
}

static int done(void **state)
{
    struct db *db = *state;

    failvfs_arm(0, 0, 0);
    if (db != NULL) {
        db_idle_check(db);
        assert_int_equal(db_check(db), ERR_OK);
    }
    db_close(&db);
    return 0;
}

static enum err put_bytes(struct db *db, int64_t k, struct str v)
{
    struct db_stmt *st = db_stmt(db, "INSERT INTO t(account, k, v) VALUES(1, ?1, ?2)");

    db_bind_i64(st, 1, k);
    db_bind_blob(st, 2, v);
    return db_run(st);
}

static enum err put(struct db *db, int64_t k)
{
    return put_bytes(db, k, STR("value"));
}

static enum err put_note(struct db *db, int k)
{
    int *arg = arena_alloc(db_round_arena(db), sizeof *arg);
    enum err e = put(db, k);

    *arg = k;
    return e != ERR_OK ? e : db_after_commit(db, note, arg);
}

static int64_t count(struct db *db)
{
    struct db_stmt *st = db_stmt(db, "SELECT count(*) FROM t");
    int64_t n;

    assert_int_equal(db_one(st), ERR_OK);
    n = db_col_i64(st, 0);
    db_done(st);
    return n;
}

static bool has(struct db *db, int64_t k)
{
    struct db_stmt *st = db_stmt(db, "SELECT v FROM t WHERE account=1 AND k=?1");
    enum err e;

    db_bind_i64(st, 1, k);
    e = db_one(st);
    db_done(st);
    return e == ERR_OK;
}

/* --- */
static void test_commit(void **state)
{
    struct db *db = *state;

    db_round_begin(db);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(db_request_begin(db), ERR_OK);
        assert_int_equal(put_note(db, i), ERR_OK);
        assert_int_equal(ran_n, 0);
        assert_int_equal(db_request_end(db, true), ERR_OK);
    }
    assert_int_equal(ran_n, 0);
    assert_int_equal(db_round_commit(db), ERR_OK);
    assert_int_equal(ran_n, 3);
    assert_int_equal(ran[0], 1);
    assert_int_equal(ran[2], 3);
    assert_int_equal(count(db), 3);
}

static void test_rule_failure(void **state)
{
    struct db *db = *state;

    db_round_begin(db);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(db_request_begin(db), ERR_OK);
        assert_int_equal(put_note(db, i), ERR_OK);
        assert_int_equal(put_note(db, 10 + i), ERR_OK);
        assert_int_equal(db_request_end(db, i % 2 == 0), ERR_OK);
    }
    assert_int_equal(db_round_commit(db), ERR_OK);
    assert_int_equal(count(db), 4);
    assert_true(has(db, 2) && has(db, 12) && has(db, 4) && !has(db, 1) && !has(db, 3));
    assert_int_equal(ran_n, 4);
    assert_int_equal(ran[0], 2);
    assert_int_equal(ran[1], 12);
    assert_int_equal(ran[2], 4);
}

static void test_constraint_is_no_failure(void **state)
{
    struct db *db = *state;

    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(put(db, 1), ERR_OK);
    assert_int_equal(put(db, 1), ERR_EXISTS);
    assert_int_equal(put(db, 2), ERR_OK);
    assert_int_equal(db_request_end(db, true), ERR_OK);
    assert_false(db_round_broken(db));
    assert_int_equal(db_round_commit(db), ERR_OK);
    assert_int_equal(count(db), 2);
}

static void test_empty_round(void **state)
{
    struct db *db = *state;

    db_round_begin(db);
    assert_int_equal(count(db), 0);
    assert_int_equal(db_round_commit(db), ERR_OK);
    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(db_request_end(db, false), ERR_OK);
    assert_int_equal(db_round_commit(db), ERR_OK);
}

static enum err once_ok(struct db *db, void *arg)
{
    (void)arg;
    return put(db, 7);
}

static enum err once_fails(struct db *db, void *arg)
{
    enum err e = put(db, 8);

    (void)arg;
    return e != ERR_OK ? e : ERR_QUOTA;
}

static void test_once(void **state)
{
    struct db *db = *state;

    assert_int_equal(db_once(db, once_ok, NULL), ERR_OK);
    assert_int_equal(db_once(db, once_fails, NULL), ERR_QUOTA);
    assert_true(has(db, 7) && !has(db, 8));
}

static void test_bad_statement_breaks(void **state)
{
    struct db *db = *state;

    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(put_note(db, 1), ERR_OK);
    assert_int_equal(db_run(db_stmt(db, "INSERT INTO nowhere VALUES(1)")), ERR_DB);
    assert_true(db_round_broken(db));
    assert_int_equal(put(db, 2), ERR_DB);
    assert_int_equal(db_request_end(db, true), ERR_DB);
    assert_int_equal(db_request_begin(db), ERR_DB);
    assert_int_equal(count(db), 0); /* reading goes on */
    assert_int_equal(db_round_commit(db), ERR_DB);
    assert_int_equal(ran_n, 0);
    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(put(db, 3), ERR_OK);
    assert_int_equal(db_request_end(db, true), ERR_OK);
    assert_int_equal(db_round_commit(db), ERR_OK);
    assert_int_equal(count(db), 1);
}

/* The scenario of the loop below: four requests, the third one a rule failure. Big enough to spill the page cache. */
static enum err scenario(struct db *db, int base, struct str big, bool acked[5])
{
    for (int i = 1; i <= 4; i++) {
        enum err e = db_request_begin(db);

        if (e != ERR_OK)
            continue;
        for (int k = 0; k < 3 && e == ERR_OK; k++)
            e = put_bytes(db, base + i * 10 + k, big);
        if (e == ERR_OK)
            e = put_note(db, base + i * 10 + 9);
        acked[i] = db_request_end(db, e == ERR_OK && i != 3) == ERR_OK && e == ERR_OK && i != 3;
    }
    return db_round_commit(db);
}

static void one_failing_write(long n, int error, int sticky, bool *reached)
{
    static char bytes[100000];
    struct str big = {bytes, sizeof bytes};
    bool acked[5] = {false};
    void *state = NULL;
    struct db *db;
    int64_t before;
    enum err e;

    fresh(&state);
    db = state;
    /* a small cache: pages spill, so writes fail in mid-round too and not only at the commit */
    if (n % 2 == 0)
        assert_int_equal(db_run(db_stmt(db, "PRAGMA cache_size=10")), ERR_OK);
    /* a first round that is acknowledged, so that there is something to lose */
    db_round_begin(db);
    assert_int_equal(scenario(db, 1000, big, acked), ERR_OK);
    before = count(db);
    assert_int_equal(before, 12);
    ran_n = 0;

    failvfs_arm(n, error, sticky);
    db_round_begin(db);
    memset(acked, 0, sizeof acked);
    e = scenario(db, 2000, big, acked);
    *reached = failvfs.failed != 0;
    if (e == ERR_OK) {
        assert_false(*reached);
        assert_int_equal(ran_n, 3);
        assert_int_equal(count(db), 24);
    } else {
        assert_int_equal(e, ERR_DB);
        assert_int_equal(ran_n, 0);          /* no action of anybody */
        assert_int_equal(count(db), before); /* reading works, also while writes still fail */
    }
    failvfs_arm(0, 0, 0);
    /* the next round is whole, and does not bring back what was broken */
    db_round_begin(db);
    assert_int_equal(db_request_begin(db), ERR_OK);
    assert_int_equal(put(db, 1), ERR_OK);
    assert_int_equal(db_request_end(db, true), ERR_OK);
    assert_int_equal(db_round_commit(db), ERR_OK);
    before = count(db);
    assert_int_equal(before, e == ERR_OK ? 25 : 13);
    db_close(&db);
    db = open_db();
    assert_int_equal(count(db), before);
    state = db;
    done(&state);
}

/* The n-th write fails, for every n, once and for ever, as a full disk and as a broken one. */
static void test_every_write(void **state)
{
    static const int errors[] = {SQLITE_FULL, SQLITE_IOERR_WRITE};
    struct db *db = *state;
    long tried = 0;

    db_close(&db);
    *state = NULL;
    for (size_t k = 0; k < ARRAY_LEN(errors); k++)
        for (int sticky = 0; sticky < 2; sticky++) {
            bool reached = true;
            long step = 1;

            for (long n = 1; reached || n < 40; n += step) {
                one_failing_write(n, errors[k], sticky, &reached);
                tried++;
                step = n < 20 ? 1 : 47; /* the middle is long and all alike */
            }
        }
    assert_true(tried > 40);
}

static void copy_file(const char *end)
{
    char from[80], to[80], bytes[4096];
    size_t n;

    snprintf(from, sizeof from, "%s%s", path, end);
    snprintf(to, sizeof to, "%s/copy.db%s", dir, end);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) != 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
    fclose(in);
}

/* What somebody finds who comes when we have died now: another process has neither our memory nor the index of the WAL. */
static int64_t count_after_death(void)
{
    char copy[80], name[90];
    struct db *db = NULL;
    int64_t n;

    copy_file("");
    copy_file("-wal");
    snprintf(copy, sizeof copy, "%s/copy.db", dir);
    assert_int_equal(db_open(copy, 0, &db), ERR_OK);
    assert_int_equal(db_check(db), ERR_OK);
    n = count(db);
    db_close(&db);
    unlink(copy);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", copy, i == 0 ? "-wal" : "-shm");
        unlink(name);
    }
    return n;
}

/* What was refused is not there for a successor either, although all of its pages may stand in the WAL. */
static void test_refused_is_not_there(void **state)
{
    struct db *db = *state;
    long refused = 0;

    db_close(&db);
    *state = NULL;
    for (int sticky = 0; sticky < 2; sticky++) {
        enum err e = ERR_DB;

        for (long n = 1; e != ERR_OK; n++) {
            void *s = NULL;

            fresh(&s);
            db = s;
            assert_int_equal(db_once(db, once_ok, NULL), ERR_OK);
            failvfs_arm(n, SQLITE_IOERR_WRITE, sticky);
            db_round_begin(db);
            assert_int_equal(db_request_begin(db), ERR_OK);
            assert_int_equal(put(db, 77), ERR_OK);
            assert_int_equal(db_request_end(db, true), ERR_OK);
            e = db_round_commit(db);
            failvfs_arm(0, 0, 0);
            if (sticky)
                db_upkeep(db, false); /* the disk is well again */
            assert_int_equal(count_after_death(), e == ERR_OK ? 2 : 1);
            refused += e != ERR_OK;
            s = db;
            done(&s);
        }
    }
    assert_true(refused > 4);
}

/* A real file-size limit in a child process: EFBIG from the kernel in mid-round. */
static void limited_child(void)
{
    static char bytes[100000];
    struct rlimit lim = {1 << 20, 1 << 20};
    struct db *db = open_db();
    bool broken = false;
    int acked = 0, notes = 0;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &lim);
    for (int round = 0; round < 20 && !broken; round++) {
        db_round_begin(db);
        for (int i = 0; i < 3; i++)
            if (db_request_begin(db) == ERR_OK) {
                enum err e = put_bytes(db, round * 10 + i, (struct str){bytes, sizeof bytes});

                if (e == ERR_OK)
                    e = put_note(db, round * 10 + i + 5);
                (void)!db_request_end(db, e == ERR_OK);
            }
        broken = db_round_commit(db) != ERR_OK;
        acked += broken ? 0 : 6;
        notes += broken ? 0 : 3;
        if (ran_n != notes || count(db) != acked)
            _exit(1);
    }
    _exit(broken && acked > 0 ? 0 : 2);
}

static void test_file_size_limit(void **state)
{
    struct db *db = *state;
    pid_t pid;
    int status = 0;

    db_close(&db);
    *state = NULL;
    pid = fork();
    if (pid == 0)
        limited_child();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    db = open_db();
    assert_int_equal(db_check(db), ERR_OK);
    assert_int_equal(count(db) % 6, 0);
    db_close(&db);
}

static void test_probe(void **state)
{
    struct db *db = *state;
    const int64_t rest = 600 * CLOCK_MS; /* between two probes */
    bool in_time = true;

    db_set_probe(db, rest);
    failvfs_arm(1, SQLITE_FULL, 1);
    int64_t begin = clock_mono(); /* or later it fails */
    assert_int_equal(db_once(db, once_ok, NULL), ERR_DB);
    long writes = failvfs.writes;
    for (int i = 0; i < 50; i++)
        assert_int_equal(db_once(db, once_ok, NULL), ERR_DB);
    bool touched = failvfs.writes != writes;
    in_time = clock_mono() - begin < rest;
    assert_true(!touched || !in_time); /* nobody touched the disk */
    failvfs_arm(0, 0, 0);
    enum err e = db_once(db, once_ok, NULL);
    in_time = clock_mono() - begin < rest;
    assert_true(e == ERR_DB || !in_time); /* not yet time */
    usleep(610 * 1000);
    assert_int_equal(db_once(db, once_ok, NULL), ERR_OK);
    assert_int_equal(count(db), e == ERR_DB ? 1 : 2);
}

static void write_and_tell(int fd)
{
    struct db *db = open_db();

    for (int k = 1;; k++) {
        db_round_begin(db);
        if (db_request_begin(db) != ERR_OK || put(db, k) != ERR_OK ||
            db_request_end(db, true) != ERR_OK || db_round_commit(db) != ERR_OK)
            _exit(1);
        if (write(fd, &k, sizeof k) != sizeof k)
            _exit(2);
        if (k % 50 == 0)
            db_upkeep(db, true);
    }
}

static void test_kill(void **state)
{
    struct db *db = *state;

    db_close(&db);
    *state = NULL;
    for (int turn = 0; turn < 12; turn++) {
        void *s = NULL;
        int fds[2], last = 0, k, status;
        pid_t pid;

        fresh(&s);
        db = s;
        db_close(&db);
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
            write_and_tell(fds[1]);
        close(fds[1]);
        while (last < 40 + turn * 13 && read(fds[0], &k, sizeof k) == sizeof k)
            last = k;
        kill(pid, SIGKILL);
        while (read(fds[0], &k, sizeof k) == sizeof k)
            last = k;
        waitpid(pid, &status, 0);
        close(fds[0]);
        assert_true(WIFSIGNALED(status));
        db = open_db();
        assert_int_equal(db_check(db), ERR_OK);
        for (k = 1; k <= last; k++)
            assert_true(has(db, k));
        assert_in_range(count(db), last, last + 1);
        db_close(&db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit, fresh, done),
        cmocka_unit_test_setup_teardown(test_rule_failure, fresh, done),
        cmocka_unit_test_setup_teardown(test_constraint_is_no_failure, fresh, done),
        cmocka_unit_test_setup_teardown(test_empty_round, fresh, done),
        cmocka_unit_test_setup_teardown(test_once, fresh, done),
        cmocka_unit_test_setup_teardown(test_bad_statement_breaks, fresh, done),
        cmocka_unit_test_setup_teardown(test_every_write, fresh, done),
        cmocka_unit_test_setup_teardown(test_refused_is_not_there, fresh, done),
        cmocka_unit_test_setup_teardown(test_file_size_limit, fresh, done),
        cmocka_unit_test_setup_teardown(test_probe, fresh, done),
        cmocka_unit_test_setup_teardown(test_kill, fresh, done),
    };
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int rc;

    log_open(quiet, LOG_CRASH);
    assert_non_null(mkdtemp(dir));
    failvfs_install();
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return rc;
}
