// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The pidfile: when it is there, whose it is, and what is never replaced. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/pidfile.h"

static char dir[64], path[100];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ximssd-pidfile-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ximssd.pid", dir);
    return 0;
}

/* Nothing but the pidfile was made. */
static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *get(void)
{
    static char text[100];
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static bool holds(pid_t pid)
{
    char want[16];
    snprintf(want, sizeof want, "%d\n", (int)pid);
    return get() != NULL && strcmp(get(), want) == 0;
}

static bool is_locked(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return locked;
}

static void a_life(void **state)
{
    (void)state;
    struct stat st;
    struct pidfile p, other;
    mode_t old = umask(0077); /* others may read it all the same */
    assert_int_equal(pidfile_open(&p, str_of(path)), ERR_OK);
    assert_null(get()); /* the server does not serve yet */
    pidfile_write(&p);
    umask(old);
    assert_true(holds(getpid()));
    assert_true(is_locked());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(pidfile_open(&other, str_of(path)), ERR_EXISTS);
    pidfile_close(&other);
    assert_true(holds(getpid()));
    pidfile_close(&p);
    assert_null(get());
    pidfile_close(&p);
}

static void none_is_wanted(void **state)
{
    (void)state;
    struct pidfile p;
    assert_int_equal(pidfile_open(&p, STR("")), ERR_OK);
    pidfile_write(&p);
    pidfile_close(&p);
    assert_null(get());
}

static void stale_ones_are_replaced(void **state)
{
    (void)state;
    static const char *const stale[] = {"4711\n", "4711", "", "\n", "2147483647\n"};
    for (size_t i = 0; i < ARRAY_LEN(stale); i++) {
        struct pidfile p;
        put(stale[i]);
        assert_int_equal(pidfile_open(&p, str_of(path)), ERR_OK);
        pidfile_write(&p);
        assert_true(holds(getpid()));
        pidfile_close(&p);
    }
}

static void files_of_others_stay(void **state)
{
    (void)state;
    static const char *const other[] = {"root:x:0:0\n", "12 13\n", "-5\n", "2147483648\n",
                                        "0000000000000001\n"};
    struct pidfile p;
    char target[120];
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        put(other[i]);
        assert_int_equal(pidfile_open(&p, str_of(path)), ERR_EXISTS);
        pidfile_write(&p); /* what somebody has put there since is no more ours */
        assert_string_equal(get(), other[i]);
        pidfile_close(&p);
        assert_string_equal(get(), other[i]);
    }
    unlink(path);
    /* A link to a file that would do. */
    snprintf(target, sizeof target, "%s/target", dir);
    put("4711\n");
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(pidfile_open(&p, str_of(path)), ERR_EXISTS);
    assert_int_equal(access(target, F_OK), 0);
    unlink(path);
    unlink(target);
    /* A folder, and a place in a folder that is not there. */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(pidfile_open(&p, str_of(path)), ERR_EXISTS);
    rmdir(path);
    snprintf(target, sizeof target, "%s/none/x.pid", dir);
    assert_int_equal(pidfile_open(&p, str_of(target)), ERR_OK);
    pidfile_write(&p);
    pidfile_close(&p);
}

/* What was put in its place is not removed. */
static void a_replaced_file_stays(void **state)
{
    (void)state;
    struct pidfile p;
    assert_int_equal(pidfile_open(&p, str_of(path)), ERR_OK);
    pidfile_write(&p);
    unlink(path);
    put("1\n");
    pidfile_close(&p);
    assert_string_equal(get(), "1\n");
}

/* kill -9: the lock is gone with the process, whatever its pid is now. */
static void the_dead_hold_nothing(void **state)
{
    (void)state;
    struct pidfile p;
    pid_t child = fork();
    if (child == 0) {
        struct pidfile c;
        if (pidfile_open(&c, str_of(path)) != ERR_OK)
            _exit(1);
        pidfile_write(&c);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(holds(child));
    assert_int_equal(pidfile_open(&p, str_of(path)), ERR_OK);
    assert_null(get());
    pidfile_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stale_ones_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_others_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replaced_file_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_dead_hold_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
