// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Last words as a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/optag.h"
#include "proc/lastwords.h"

#define NOW (1000 * CLOCK_SEC)

static void check(enum ipc_role role, const struct shm_last *l, const char *want)
{
    char text[LASTWORDS_MAX];
    assert_string_equal(lastwords_text(text, role, l, NOW), want);
}

static void sessions(void **state)
{
    (void)state;
    struct shm_last l = {.running = 1, .n = 1};
    l.ops[0] =
        (struct shm_last_op){100001, OP_FOLDER_OPEN, NOW - 4120 * CLOCK_MS, "dora@harbor.example"};
    check(IPC_ROLE_WORKER, &l, "running 100001 (dora@harbor.example) folderOpen 4.120s");
    l.ops[1] = (struct shm_last_op){100007, OP_LOGIN, NOW - 310 * CLOCK_MS, ""};
    l.n = 2;
    l.running = 5;
    check(
        IPC_ROLE_WORKER, &l,
        "running 100001 (dora@harbor.example) folderOpen 4.120s, 100007 login 0.310s, and 3 more");
}

static void nothing(void **state)
{
    (void)state;
    struct shm_last l = {0};
    check(IPC_ROLE_WORKER, &l, "no operation was running");
    check(IPC_ROLE_KEEPER, &l, "waiting");
}

static void keepers(void **state)
{
    (void)state;
    struct shm_last l = {.state = SHM_STATE_COMMIT, .since = NOW - 31 * CLOCK_MS};
    check(IPC_ROLE_KEEPER, &l, "committing for 0.031s");
    l.state = SHM_STATE_ROUND;
    l.session = 100001;
    check(IPC_ROLE_KEEPER, &l, "reading requests for 0.031s, of 100001");
    l.op = OP_FOLDER_BROWSE;
    check(IPC_ROLE_KEEPER, &l, "reading requests for 0.031s, of 100001: folderBrowse");
}

/* Numbers of a process that was taken over: shown, and nothing more. */
static void hostile(void **state)
{
    (void)state;
    struct shm_last l = {.running = UINT32_MAX, .n = SHM_LAST_OPS};
    char text[LASTWORDS_MAX];
    for (uint32_t i = 0; i < l.n; i++) {
        l.ops[i] = (struct shm_last_op){999999,
                                        (uint16_t)(i == 0 ? OP_COUNT : UINT16_MAX),
                                        i % 2 == 0 ? INT64_MIN : INT64_MAX,
                                        {0}};
        memset(l.ops[i].account, 'x', sizeof l.ops[i].account - 1);
    }
    lastwords_text(text, IPC_ROLE_WORKER, &l, NOW);
    assert_true(strlen(text) < LASTWORDS_MAX);
    assert_non_null(strstr(text, "operation 65535 0.000s"));
    assert_non_null(strstr(text, ", and 4294967290 more"));
    l = (struct shm_last){.state = SHM_STATE_ROUND, .op = UINT16_MAX, .session = 1, .since = -1};
    check(IPC_ROLE_KEEPER, &l, "reading requests for 0.000s, of 1: operation 65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions),
        cmocka_unit_test(nothing),
        cmocka_unit_test(keepers),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
