// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Targets of the log: nothing blocks, whole records only, what is lost is counted. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_out.h"

static char got[20 << 20];
static size_t got_n;

/* Everything that can be read now, behind what was read before. */
static void take(int fd)
{
    ssize_t n;
    while ((n = read(fd, got + got_n, sizeof got - 1 - got_n)) > 0)
        got_n += (size_t)n;
    got[got_n] = 0;
}

static void no_wait(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

struct tally {
    unsigned records; /* "n=... " */
    unsigned long long lost;
    unsigned lost_lines;
    unsigned first_gap; /* number of the first record that is missing */
};

/* Every line must be a record (but for `torn`, at most); numbers go up; what is missing must be told. */
static struct tally count(unsigned torn)
{
    struct tally t = {0};
    unsigned next = 0;
    char *line = got;
    while (*line != 0) {
        char *end = strchr(line, '\n'), tag[32];
        int h, m, s, ms, level, at = 0;
        unsigned number;
        unsigned long long lost;
        assert_non_null(end);
        *end = 0;
        bool headed =
            sscanf(line, "%2d:%2d:%2d.%3d %d %31s %n", &h, &m, &s, &ms, &level, tag, &at) == 6;
        if (headed && sscanf(line + at, "n=%u ", &number) == 1) {
            if (torn == 0)
                assert_true(number >= next);
            if (number > next && t.first_gap == 0)
                t.first_gap = next;
            next = number + 1;
            t.records++;
        } else if (headed && sscanf(line + at, "%llu records were lost: ", &lost) == 1) {
            assert_string_equal(tag, "LOG");
            t.lost += lost;
            t.lost_lines++;
        } else {
            assert_true(torn-- != 0);
        }
        line = end + 1;
    }
    return t;
}

static void burst(unsigned from, unsigned to, const char *filling)
{
    for (unsigned i = from; i < to; i++) {
        log_write(LOG_FAILURES, "T", 0, NULL, "n=%u %s", i, filling);
        if (i % 3 == 0)
            log_flush();
    }
}

static int end_log(void **state)
{
    (void)state;
    int fd = memfd_create("log", MFD_CLOEXEC);
    log_open(fd, LOG_MAJOR);
    log_flush();
    got_n = 0;
    return 0;
}

/* A reader who does not read; then he reads. */
static void slow_reader(int from, int to)
{
    static char filling[301];
    memset(filling, 'x', sizeof filling - 1);
    log_open(to, LOG_ALL);
    int64_t began = clock_mono();
    burst(0, 5000, filling);
    assert_true(clock_mono() - began < 60 * CLOCK_SEC);
    take(from);
    assert_true(got_n > 0 && got[got_n - 1] == '\n'); /* whole records, also now */
    for (int i = 0; i < 100; i++) {
        log_flush();
        take(from);
    }
    burst(5000, 5010, filling);
    take(from);
    struct tally t = count(0);
    assert_int_equal(t.records + t.lost, 5010);
    assert_int_equal(t.lost_lines, 1);
    assert_true(t.lost > 1000 && t.first_gap > 100);
}

static void full_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    no_wait(ends[0]);
    no_wait(ends[1]);
    slow_reader(ends[0], ends[1]);
    close(ends[0]);
    close(ends[1]);
}

/* Not ours alone: its O_NONBLOCK stays off, and still nothing waits. */
static void full_pipe_that_blocks(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    no_wait(ends[0]);
    slow_reader(ends[0], ends[1]);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    close(ends[1]);
}

static void full_socket(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    no_wait(ends[0]);
    slow_reader(ends[0], ends[1]);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    close(ends[1]);
}

/* log_out_unblock(): our descriptor does not block any more, the one that we were given still does. */
static void unblock(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int ours = dup(ends[1]);
    log_out_unblock(ours);
    assert_int_equal(fcntl(ours, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    no_wait(ends[0]);
    slow_reader(ends[0], ours);
    close(ours);
    close(ends[0]);
    close(ends[1]);
}

/* Writers side by side on a full pipe: no line is torn, and none stands inside another. */
static void many_writers(void **state)
{
    (void)state;
    int ends[2];
    pid_t pids[4];
    assert_int_equal(pipe(ends), 0);
    no_wait(ends[1]);
    for (int k = 0; k < 4; k++) {
        pids[k] = fork();
        if (pids[k] == 0) {
            static char filling[6000];
            memset(filling, 'a' + k, sizeof filling - 1);
            log_open(ends[1], LOG_ALL);
            for (int i = 0; i < 1500; i++) {
                log_write(LOG_MAJOR, "T", 0, NULL, "%d %.*s", k, (i * 37) % 5000, filling);
                log_flush();
            }
            _exit(0);
        }
    }
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], got + got_n, 3001)) > 0) {
        got_n += (size_t)n;
        assert_true(got_n + 3001 < sizeof got);
        if (got_n % 7 == 0)
            usleep(200);
    }
    for (int k = 0; k < 4; k++)
        waitpid(pids[k], NULL, 0);
    close(ends[0]);
    got[got_n] = 0;
    unsigned lines = 0;
    for (char *line = got; *line != 0; lines++) {
        char *end = strchr(line, '\n');
        int k, at = 0;
        assert_non_null(end);
        *end = 0;
        if (sscanf(line + 13, "2 T %d %n", &k, &at) == 1) {
            char letter[3] = {(char)('a' + k), 0};
            size_t run = strspn(line + 13 + at, letter);
            assert_true(line[13 + at + (int)run] == 0 ||
                        memcmp(line + 13 + at + run, "\xe2\x80\xa6+", 4) == 0);
        } else {
            assert_non_null(strstr(line, " 1 LOG "));
        }
        line = end + 1;
    }
    assert_true(lines > 100);
}

static void closed_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    no_wait(ends[1]);
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    log_open(ends[1], LOG_ALL);
    burst(0, 3000, "");
    int file = memfd_create(
        "log", MFD_CLOEXEC); /* the target is exchanged: what waited and what is missing */
    log_open(file, LOG_ALL);
    burst(3000, 3001, "");
    lseek(file, 0, SEEK_SET);
    take(file);
    struct tally t = count(0);
    assert_int_equal(t.records + t.lost, 3001);
    assert_true(t.lost_lines == 1 && t.lost > 100);
    close(ends[1]);
}

/* A file system without room: RLIMIT_FSIZE makes short writes and errors as a full disk does. */
static void full_disk(void **state)
{
    (void)state;
    char path[] = "/tmp/ximssd-log-XXXXXX";
    int fd = mkostemp(path, O_APPEND), only = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    struct rlimit old, small;
    assert_true(fd >= 0 && only >= 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (unsigned turn = 0; turn < 64; turn++) { /* cut at every place of a record */
        unsigned torn = turn % 2; /* into a file that may not be read: half a record stays */
        small = (struct rlimit){9000 + turn, old.rlim_max};
        assert_int_equal(ftruncate(fd, 0), 0);
        got_n = 0;
        log_open(torn ? only : fd, LOG_ALL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        burst(0, 4000, "filling");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        log_flush();
        burst(4000, 4003, "filling");
        lseek(fd, 0, SEEK_SET);
        take(fd);
        struct tally t = count(torn);
        assert_in_range(t.lost_lines, 1, 1 + torn); /* the torn record is a gap of its own */
        assert_in_range(t.records + t.lost, 4003, 4003 + torn); /* half a record counts as lost */
    }
    unlink(path);
    close(fd);
    close(only);
}

static void dev_full(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    log_open(fd, LOG_ALL);
    burst(0, 3000, "");
    close(fd);
}

/* --- the journal */

/* One datagram as systemd's documentation describes it: fields, either "NAME=value" or "NAME", length, value. */
struct field {
    char name[64];
    char value[9000];
    size_t n;
};

static size_t parse(const char *p, size_t n, struct field *f, size_t max)
{
    size_t at = 0, k = 0;
    while (at < n) {
        assert_true(k < max);
        const char *nl = memchr(p + at, '\n', n - at);
        assert_non_null(nl);
        const char *eq = memchr(p + at, '=', (size_t)(nl - (p + at)));
        const char *end = eq != NULL ? eq : nl;
        snprintf(f[k].name, sizeof f[k].name, "%.*s", (int)(end - (p + at)), p + at);
        if (eq != NULL) {
            f[k].n = (size_t)(nl - eq - 1);
            memcpy(f[k].value, eq + 1, f[k].n);
            at = (size_t)(nl - p) + 1;
        } else {
            uint64_t len = 0;
            const unsigned char *b = (const unsigned char *)nl + 1;
            for (int i = 0; i < 8; i++)
                len |= (uint64_t)b[i] << (8 * i);
            assert_true(len < sizeof f[k].value && at + len < n);
            f[k].n = (size_t)len;
            memcpy(f[k].value, nl + 9, f[k].n);
            at = (size_t)(nl + 9 - p) + f[k].n;
            assert_int_equal(p[at], '\n');
            at++;
        }
        f[k].value[f[k].n] = 0;
        k++;
    }
    return k;
}

static const char *value_of(const struct field *f, size_t n, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(f[i].name, name) == 0) {
            assert_null(found);
            found = f[i].value;
        }
    }
    return found;
}

static void journal(void **state)
{
    (void)state;
    int ends[2];
    static struct field f[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    log_open(ends[1], LOG_ALL);
    log_open_journal(ends[1]);
    log_write(LOG_FAILURES, "XIMSSI", 100042, "[192.0.2.7]", "a\nPRIORITY=0\nb%c", 0);
    ssize_t n = recv(ends[0], got, sizeof got, MSG_DONTWAIT);
    assert_true(n > 0);
    size_t k = parse(got, (size_t)n, f, ARRAY_LEN(f));
    assert_string_equal(value_of(f, k, "MESSAGE"),
                        "XIMSSI-100042([192.0.2.7]) a\\nPRIORITY=0\\nb\\0");
    assert_string_equal(value_of(f, k, "PRIORITY"), "4");
    assert_string_equal(value_of(f, k, "SYSLOG_IDENTIFIER"), "ximssd");
    assert_string_equal(value_of(f, k, "XIMSS_TAG"), "XIMSSI");
    assert_string_equal(value_of(f, k, "XIMSS_ID"), "100042");
    assert_string_equal(value_of(f, k, "XIMSS_WHO"), "[192.0.2.7]");
    assert_int_equal(k, 6);
    log_write(LOG_CRASH, "MASTER", 0, NULL, "x");
    n = recv(ends[0], got, sizeof got, MSG_DONTWAIT);
    k = parse(got, (size_t)n, f, ARRAY_LEN(f));
    assert_int_equal(k, 4);
    assert_string_equal(value_of(f, k, "MESSAGE"), "MASTER x");
    assert_string_equal(value_of(f, k, "PRIORITY"), "2");
    close(ends[0]);
    close(ends[1]);
}

/* Nobody reads the journal's socket: nothing waits; then everything, or the count of what is missing, comes. */
static void journal_behind(void **state)
{
    (void)state;
    int ends[2];
    static struct field f[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    log_open(ends[1], LOG_ALL);
    log_open_journal(ends[1]);
    burst(0, 4000, "");
    unsigned records = 0, number;
    unsigned long long lost = 0, some;
    for (int i = 0; i < 1000; i++) {
        ssize_t n;
        while ((n = recv(ends[0], got, sizeof got, MSG_DONTWAIT)) > 0) {
            size_t k = parse(got, (size_t)n, f, ARRAY_LEN(f));
            const char *text = value_of(f, k, "MESSAGE");
            records += sscanf(text, "T n=%u ", &number) == 1;
            if (sscanf(text, "LOG %llu records were lost: ", &some) == 1)
                lost += some;
        }
        log_flush();
    }
    assert_true(lost > 100);
    assert_int_equal(records + lost, 4000);
    close(ends[0]); /* it is gone: */
    burst(0, 4000, "");
    close(ends[1]);
}

/* --- last words */

/* true: the reader began while the writer still waited for him, as far as the clock can tell. */
static bool say_last_words(void)
{
    int ends[2], status;
    got_n = 0;
    assert_int_equal(pipe(ends), 0);
    no_wait(ends[1]);
    while (write(ends[1], "x", 1) == 1)
        ; /* full: the sentence has to wait a little */
    int64_t begin = clock_mono();
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        log_open(ends[1], LOG_CRASH);
        BUG_IF(pid == 0);
    }
    close(ends[1]);
    usleep(50000);
    bool room = false;
    for (ssize_t n; (n = read(ends[0], got + got_n, sizeof got - 1 - got_n)) > 0;) {
        got_n += (size_t)n;
        room = room || (got_n >= PIPE_BUF && clock_mono() - begin < 200 * CLOCK_MS);
    }
    got[got_n] = 0;
    waitpid(pid, &status, 0);
    close(ends[0]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return room;
}

static void last_words(void **state)
{
    (void)state;
    int tries = 0;
    while (!say_last_words())
        assert_true(++tries < 100);
    assert_non_null(strstr(got, " 0 BUG "));
    assert_non_null(strstr(got, "test_log_out.c:"));
    assert_non_null(strstr(got, "broken invariant: pid == 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_pipe, end_log, end_log),
        cmocka_unit_test_setup_teardown(full_pipe_that_blocks, end_log, end_log),
        cmocka_unit_test_setup_teardown(full_socket, end_log, end_log),
        cmocka_unit_test_setup_teardown(unblock, end_log, end_log),
        cmocka_unit_test_setup_teardown(many_writers, end_log, end_log),
        cmocka_unit_test_setup_teardown(closed_pipe, end_log, end_log),
        cmocka_unit_test_setup_teardown(full_disk, end_log, end_log),
        cmocka_unit_test_setup_teardown(dev_full, end_log, end_log),
        cmocka_unit_test_setup_teardown(journal, end_log, end_log),
        cmocka_unit_test_setup_teardown(journal_behind, end_log, end_log),
        cmocka_unit_test_setup_teardown(last_words, end_log, end_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
