// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* How long a process waits for news of a peer that it has lost, and who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "proc/child.h"

#define ALIVE 77 /* an exit code that nobody has */

static struct child c;

static int set_up(void **state)
{
    (void)state;
    clock_init();
    c = (struct child){.role = IPC_ROLE_WORKER, .exit_code = ALIVE};
    return loop_new(&c.loop) != ERR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(&c.loop);
    return 0;
}

static void beats(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        child_lost_beat(&c);
}

static void test_patience(void **state)
{
    (void)state;
    beats(100);
    assert_int_equal(c.exit_code, ALIVE);
    child_lost_note(&c, IPC_ROLE_KEEPER, 2, 5);
    beats(CHILD_LOST_BEATS - 1);
    assert_int_equal(c.exit_code, ALIVE);
    beats(1);
    assert_int_equal(c.exit_code, 1);
    c.exit_code = ALIVE; /* it is said once */
    beats(100);
    assert_int_equal(c.exit_code, ALIVE);
}

static void test_news(void **state)
{
    (void)state;
    child_lost_note(&c, IPC_ROLE_KEEPER, 2, 5);
    child_lost_note(&c, IPC_ROLE_AUTH, 0, 5);
    beats(CHILD_LOST_BEATS - 1);
    child_lost_news(&c, IPC_ROLE_KEEPER, 2, 5);
    child_lost_found(&c, IPC_ROLE_AUTH, 0);
    beats(100);
    assert_int_equal(c.exit_code, ALIVE);
    child_lost_news(&c, IPC_ROLE_KEEPER, 2, 5); /* of one that is not missed */
    beats(100);
    assert_int_equal(c.exit_code, ALIVE);
}

/* That of another process, or of one before, is none. */
static void test_other_news(void **state)
{
    (void)state;
    child_lost_note(&c, IPC_ROLE_KEEPER, 2, 5);
    child_lost_news(&c, IPC_ROLE_KEEPER, 2, 4);
    child_lost_news(&c, IPC_ROLE_KEEPER, 1, 5);
    child_lost_news(&c, IPC_ROLE_AUTH, 2, 5);
    child_lost_found(&c, IPC_ROLE_KEEPER, 3);
    beats(CHILD_LOST_BEATS);
    assert_int_equal(c.exit_code, 1);
}

/* Patience begins anew with each. */
static void test_another(void **state)
{
    (void)state;
    child_lost_note(&c, IPC_ROLE_KEEPER, 2, 5);
    beats(CHILD_LOST_BEATS - 1);
    child_lost_found(&c, IPC_ROLE_KEEPER, 2);
    child_lost_note(&c, IPC_ROLE_KEEPER, 2, 6);
    beats(CHILD_LOST_BEATS - 1);
    assert_int_equal(c.exit_code, ALIVE);
    beats(1);
    assert_int_equal(c.exit_code, 1);
}

/* Who is trusted less ends: of two, one. */
static void test_ranks(void **state)
{
    (void)state;
    static const enum ipc_role ranks[] = {IPC_ROLE_HELPER, IPC_ROLE_WORKER, IPC_ROLE_KEEPER,
                                          IPC_ROLE_AUTH};
    for (size_t own = 0; own < ARRAY_LEN(ranks); own++) {
        for (size_t other = 0; other < ARRAY_LEN(ranks); other++) {
            c.role = ranks[own];
            c.exit_code = ALIVE;
            child_lost_note(&c, ranks[other], 0, 1);
            beats(CHILD_LOST_BEATS);
            assert_int_equal(c.exit_code, own < other ? 1 : ALIVE);
        }
    }
    c.role = IPC_ROLE_HASHER;
    child_lost_note(&c, IPC_ROLE_AUTH, 0, 1);
    beats(CHILD_LOST_BEATS);
    assert_int_equal(c.exit_code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_patience, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_news, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_news, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ranks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
