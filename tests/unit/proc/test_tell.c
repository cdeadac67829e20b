// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Which state of the processes gives which message to the service manager. */
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
#include "proc/master.h"

static const enum ipc_role roles[] = {IPC_ROLE_HASHER, IPC_ROLE_AUTH, IPC_ROLE_HELPER,
                                      IPC_ROLE_KEEPER, IPC_ROLE_WORKER};
#define COUNT ARRAY_LEN(roles)

static struct master_child children[COUNT];
static struct master m;
static int manager;
static const int64_t now = 1000 * CLOCK_SEC;

/* Everybody runs, is ready and has just been heard of. */
static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char name[64];
    int n = snprintf(name, sizeof name, "@ximssd-tell-%d", (int)getpid());
    memcpy(sa.sun_path + 1, name + 1, (size_t)n - 1);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&sa,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "60000000", 1);
    m = (struct master){
        .children = children, .nchildren = COUNT, .workers = 1, .ready_fd = -1, .ready_pipe = -1};
    m.pidfile.fd = -1;
    for (uint32_t i = 0; i < COUNT; i++)
        children[i] = (struct master_child){.m = &m,
                                            .role = roles[i],
                                            .pid = 1000 + (pid_t)i,
                                            .generation = 1,
                                            .ready = true,
                                            .beat = now};
    notify_open(&m.notify);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    notify_close(&m.notify);
    close(manager);
    return 0;
}

/* Everything that a turn at `at` says, one message a line. */
static const char *turn(int64_t at)
{
    static char text[1024];
    size_t used = 0;
    ssize_t n;
    master_tell_turn(&m, at);
    while ((n = recv(manager, text + used, sizeof text - used - 2, 0)) > 0) {
        used += (size_t)n;
        text[used++] = '\n';
    }
    text[used] = 0;
    return text;
}

static void starting(void **state)
{
    (void)state;
    children[4].ready = false;
    assert_string_equal(turn(now), "STATUS=Starting: 4 of 5 processes are ready.\n"
                                   "EXTEND_TIMEOUT_USEC=30000000\n");
    assert_string_equal(turn(now + CLOCK_SEC), "");
    assert_string_equal(turn(now + 15 * CLOCK_SEC), "EXTEND_TIMEOUT_USEC=30000000\n");
    /* One has died: the manager's own limit holds. */
    children[3].failures = 1;
    assert_string_equal(turn(now + 60 * CLOCK_SEC), "");
}

static void serving(void **state)
{
    (void)state;
    master_tell_ready(&m);
    assert_non_null(strstr(turn(now), "READY=1\n"));
    children[0].ready = false;
    assert_string_equal(turn(now + CLOCK_SEC),
                        "STATUS=Serving with 4 of 5 processes; the others are being replaced.\n");
    children[0].ready = true;
    assert_string_equal(turn(now + 2 * CLOCK_SEC), "STATUS=Serving with 5 processes.\n");
    /* At half of the time that the manager has named. */
    for (uint32_t i = 0; i < COUNT; i++)
        children[i].beat = now + 30 * CLOCK_SEC;
    assert_string_equal(turn(now + 30 * CLOCK_SEC - 1), "");
    assert_string_equal(turn(now + 30 * CLOCK_SEC), "WATCHDOG=1\n");
}

/* A ready child that is silent, and does not go away although it was killed: no sign of life. */
static void silent_children(void **state)
{
    (void)state;
    static const int64_t patience[COUNT] = {0, 5, 0, 30, 5}; /* seconds; 0: somebody else's */
    m.notify.state = NOTIFY_SERVING;
    turn(now);
    for (uint32_t i = 0; i < COUNT; i++) {
        int64_t heard = now + 1000 * CLOCK_SEC, late = patience[i] != 0 ? patience[i] : 1000;
        for (uint32_t k = 0; k < COUNT; k++)
            children[k].beat = heard + late * CLOCK_SEC;
        children[i].beat = heard;
        m.notify.last_sign = 0;
        assert_string_equal(turn(heard + late * CLOCK_SEC), "WATCHDOG=1\n");
        m.notify.last_sign = 0;
        assert_string_equal(turn(heard + late * CLOCK_SEC + 1),
                            patience[i] != 0 ? "" : "WATCHDOG=1\n");
        m.notify.last_sign = 0;
        children[i].ready = false; /* it has been replaced by one that starts */
        assert_non_null(strstr(turn(heard + late * CLOCK_SEC + 1), "WATCHDOG=1\n"));
        children[i].ready = true;
        turn(heard);
    }
}

static void stopping(void **state)
{
    (void)state;
    m.notify.state = NOTIFY_SERVING;
    turn(now);
    m.stop_deadline = now + 15 * CLOCK_SEC;
    master_tell_stopping(&m);
    children[4].pid = 0;
    children[4].ready = false;
    assert_string_equal(turn(now), "STOPPING=1\n"
                                   "STATUS=Stopping: 4 processes still run.\n"
                                   "EXTEND_TIMEOUT_USEC=20000000\n");
    assert_string_equal(turn(now + CLOCK_SEC), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(starting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(serving, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_children, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
