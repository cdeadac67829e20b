// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What the service manager is told, read from a socket of the kind that it gives (sd_notify(3)). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proc/notify.h"

/* A manager's socket; name as in NOTIFY_SOCKET. */
static int manager(const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0 && len <= sizeof sa.sun_path);
    memcpy(sa.sun_path, name, len);
    if (name[0] == '@')
        sa.sun_path[0] = 0;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
    return fd;
}

static char text[256];

/* The next message, or "". */
static const char *told(int fd)
{
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static struct notify n;

static int begin(void)
{
    static char name[64];
    snprintf(name, sizeof name, "@ximssd-test-%d", (int)getpid());
    int fd = manager(name);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_open(&n);
    assert_true(n.fd >= 0);
    return fd;
}

static void end(int fd)
{
    notify_close(&n);
    close(fd);
}

static void states(void **state)
{
    (void)state;
    char ready[64];
    long long usec;
    int fd = begin();
    snprintf(ready, sizeof ready, "READY=1\nMAINPID=%d", (int)getpid());
    assert_string_equal(told(fd), "");
    notify_reloading(&n); /* nothing of this makes sense before the server serves */
    notify_reloaded(&n);
    assert_string_equal(told(fd), "");
    notify_ready(&n);
    assert_string_equal(told(fd), ready);
    notify_ready(&n);
    notify_reloaded(&n);
    assert_string_equal(told(fd), "");
    int64_t before = clock_mono() / 1000;
    notify_reloading(&n);
    int64_t after = clock_mono() / 1000;
    assert_int_equal(sscanf(told(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &usec), 1);
    assert_true(before <= usec && usec <= after);
    notify_reloaded(&n);
    assert_string_equal(told(fd), ready);
    notify_stopping(&n);
    assert_string_equal(told(fd), "STOPPING=1");
    notify_stopping(&n);
    notify_ready(&n);
    notify_reloading(&n);
    assert_string_equal(told(fd), "");
    end(fd);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "@", "/", "relative", "vsock:2:1234"};
    char dir[] = "/tmp/ximssd-notify-XXXXXX", path[128];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        notify_open(&n);
        assert_int_equal(n.fd, -1);
        assert_null(getenv("NOTIFY_SOCKET"));
        notify_ready(&n); /* does nothing */
        notify_status(&n, 0, "x");
        notify_turn(&n, 0, true);
    }
    notify_open(&n); /* none at all */
    assert_int_equal(n.fd, -1);
    /* 107 bytes of a path fit, and 107 behind the @. */
    assert_non_null(mkdtemp(dir));
    int at = snprintf(path, sizeof path, "%s/", dir);
    memset(path + at, 'x', sizeof path - (size_t)at);
    path[107] = 0;
    for (int abstract = 0; abstract < 2; abstract++) {
        size_t max = abstract ? 108 : 107;
        memset(path + 106, 'x', 3);
        path[max] = 0;
        if (abstract)
            path[0] = '@';
        int fd = manager(path);
        setenv("NOTIFY_SOCKET", path, 1);
        notify_open(&n);
        notify_stopping(&n);
        assert_string_equal(told(fd), "STOPPING=1");
        /* An exec() in place finds what this process found. */
        notify_export(&n);
        assert_string_equal(getenv("NOTIFY_SOCKET"), path);
        unlink(path);
        end(fd);
        path[max] = 'x';
        path[max + 1] = 0;
        setenv("NOTIFY_SOCKET", path, 1);
        notify_open(&n);
        assert_int_equal(n.fd, -1);
    }
    rmdir(dir);
}

static void watchdog_env(const char *usec, const char *pid, int64_t want)
{
    setenv("WATCHDOG_USEC", usec, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    int fd = begin();
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    assert_int_equal(n.watchdog, want);
    notify_export(&n);
    assert_int_equal(getenv("WATCHDOG_USEC") != NULL, want != 0);
    unsetenv("WATCHDOG_USEC");
    unsetenv("NOTIFY_SOCKET");
    end(fd);
}

static void watchdog(void **state)
{
    (void)state;
    char me[16], other[16];
    snprintf(me, sizeof me, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getppid());
    watchdog_env("2000000", NULL, 2 * CLOCK_SEC);
    watchdog_env("2000000", me, 2 * CLOCK_SEC);
    watchdog_env("2000000", other, 0);
    watchdog_env("2000000", "x", 0);
    watchdog_env("", NULL, 0);
    watchdog_env("-1", NULL, 0);
    watchdog_env("9223372036854775807", NULL, 0);

    setenv("WATCHDOG_USEC", "2000000", 1);
    int fd = begin();
    int64_t now = 1000 * CLOCK_SEC;
    notify_turn(&n, now, true); /* it is watched from the time when it serves */
    assert_string_equal(told(fd), "");
    notify_ready(&n);
    told(fd);
    notify_turn(&n, now, true);
    assert_string_equal(told(fd), "WATCHDOG=1");
    notify_turn(&n, now + CLOCK_SEC - 1, true);
    assert_string_equal(told(fd), "");
    notify_turn(&n, now + CLOCK_SEC, false);
    assert_string_equal(told(fd), "");
    notify_turn(&n, now + CLOCK_SEC, true);
    assert_string_equal(told(fd), "WATCHDOG=1");
    end(fd);
    fd = begin(); /* nobody asked for it */
    notify_ready(&n);
    told(fd);
    notify_turn(&n, now, true);
    assert_string_equal(told(fd), "");
    end(fd);
}

static void status(void **state)
{
    (void)state;
    char sentence[300];
    int fd = begin();
    int64_t now = 1000 * CLOCK_SEC;
    notify_status(&n, now, "Serving with %u processes.", 7);
    assert_string_equal(told(fd), "STATUS=Serving with 7 processes.");
    notify_status(&n, now + CLOCK_SEC, "Serving with %u processes.", 7);
    assert_string_equal(told(fd), "");
    notify_status(&n, now + CLOCK_SEC - 1, "Serving with %u processes.", 8);
    assert_string_equal(told(fd), "");
    notify_status(&n, now + CLOCK_SEC, "Serving with %u processes.", 8);
    assert_string_equal(told(fd), "STATUS=Serving with 8 processes.");
    notify_stopping(&n);
    notify_status(&n, now + CLOCK_SEC, "Stopping.");
    assert_string_equal(told(fd), "STOPPING=1");
    assert_string_equal(told(fd), "STATUS=Stopping.");
    now += 5 * CLOCK_SEC;
    memset(sentence, 'x', sizeof sentence);
    sentence[sizeof sentence - 1] = 0;
    notify_status(&n, now, "%s", sentence);
    assert_int_equal(strlen(told(fd)), strlen("STATUS=") + NOTIFY_TEXT - 1);
    end(fd);
}

/* Microseconds asked for, or 0. */
static long long extended(int fd, int64_t now, int64_t until)
{
    long long usec = 0;
    notify_extend(&n, now, until);
    sscanf(told(fd), "EXTEND_TIMEOUT_USEC=%lld", &usec);
    return usec;
}

/* At any time more is granted than passes until the next message; at the end, what is left. */
static void more_time(void **state)
{
    (void)state;
    int fd = begin();
    int64_t start = 1000 * CLOCK_SEC, until = start + 100 * CLOCK_SEC, granted = 0;
    int messages = 0;
    for (int64_t now = start; now < until; now += CLOCK_SEC) {
        long long usec = extended(fd, now, until);
        messages += usec != 0;
        if (usec != 0)
            granted = now + usec * 1000;
        assert_true(granted > now + CLOCK_SEC || granted == until);
        assert_true(granted <= until);
    }
    assert_int_equal(granted, until);
    assert_true(messages < 20);
    assert_int_equal(extended(fd, until, until), 0);
    notify_stopping(&n); /* another state, another limit */
    told(fd);
    assert_int_equal(extended(fd, until, until + CLOCK_SEC), 1000000);
    end(fd);
}

/* A state is not lost when the manager is slow: the kernel keeps a few datagrams and refuses the next. */
static void a_slow_manager(void **state)
{
    (void)state;
    int fd = begin(), sent = 0;
    while (sent < 100000 &&
           sendto(n.fd, "X=1", 3, MSG_DONTWAIT, (struct sockaddr *)&n.to, n.to_len) == 3)
        sent++;
    assert_true(sent < 100000);
    notify_ready(&n);
    notify_turn(&n, 0, true);
    while (strcmp(told(fd), "X=1") == 0)
        ;
    assert_string_equal(text, "");
    notify_turn(&n, 0, true);
    assert_memory_equal(told(fd), "READY=1\n", 8);
    notify_turn(&n, 0, true);
    assert_string_equal(told(fd), "");
    end(fd);
}

/* Nobody is there any more. */
static void a_manager_that_is_gone(void **state)
{
    (void)state;
    int fd = begin();
    close(fd);
    notify_ready(&n);
    notify_status(&n, 0, "x");
    notify_turn(&n, 0, true);
    assert_true(n.silent);
    notify_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),
        cmocka_unit_test(addresses),
        cmocka_unit_test(watchdog),
        cmocka_unit_test(status),
        cmocka_unit_test(more_time),
        cmocka_unit_test(a_slow_manager),
        cmocka_unit_test(a_manager_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
