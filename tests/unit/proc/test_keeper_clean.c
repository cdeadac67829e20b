// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * keeper_clean: a job goes to a free helper and comes back once; lies of the helper, its death, its slowness and the want of one end in
 * an error; limits. The helper is played by the test, over a real socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/html_job.h"
#include "proc/keeper.h"
#include "proc/keeper_clean.h"

struct told {
    uint32_t times;
    enum err e;
    char html[256];
};

struct world {
    struct child c;
    struct keeper k;
    struct child_peer helper;
    struct bus_peer far; /* the helper's end */
    uint32_t jobs, seq;  /* that came to it */
    char html[256];
};

static void far_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct world *w = b->arg;
    struct html_job *job = calloc(1, sizeof *job);
    assert_int_equal(it->type, IPC_CLEAN);
    assert_int_equal(html_job_read(it->body, job), ERR_OK);
    assert_int_equal(job->nparts, 1);
    assert_true(str_eq(job->parts[0].content_id, STR("i@m")));
    assert_true(job->html.n < sizeof w->html);
    memcpy(w->html, job->html.p, job->html.n);
    w->html[job->html.n] = '\0';
    w->jobs++;
    w->seq = it->seq;
    free(job);
}

static void near_item(struct bus_peer *b, const struct ipc_item *it)
{
    (void)b;
    (void)it;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    int fd[2];
    clock_init();
    assert_non_null(w);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    bus_init(&w->helper.bus, fd[0], IPC_ROLE_KEEPER, IPC_ROLE_HELPER, near_item, w);
    bus_init(&w->far, fd[1], IPC_ROLE_HELPER, IPC_ROLE_KEEPER, far_item, w);
    w->k.c = &w->c;
    w->k.parsing_tail = &w->k.parsing;
    w->k.storing_tail = &w->k.storing;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    assert_int_equal(w->k.clean_count, 0);
    bus_free(&w->helper.bus);
    bus_free(&w->far);
    free(w);
    return 0;
}

static void helper_comes(struct world *w)
{
    w->c.peers[IPC_ROLE_HELPER][0] = &w->helper;
    w->c.npeers[IPC_ROLE_HELPER] = 1;
    keeper_helper_up(&w->k, 0);
}

static void helper_goes(struct world *w)
{
    keeper_helper_gone(&w->k, 0);
    w->c.peers[IPC_ROLE_HELPER][0] = NULL;
}

static void deliver(struct world *w)
{
    assert_int_not_equal(bus_flush(&w->helper.bus), ERR_PACKET);
    assert_int_not_equal(bus_read(&w->far, 16), ERR_PACKET);
}

static void done(void *arg, enum err e, struct str html)
{
    struct told *t = arg;
    t->times++;
    t->e = e;
    assert_true(html.n < sizeof t->html);
    if (html.n != 0)
        memcpy(t->html, html.p, html.n);
    t->html[html.n] = '\0';
}

static struct clean_job *ask(struct world *w, const char *html, struct told *t)
{
    static const struct html_part part = {STR("i@m"), STR("/part/1")};
    struct buf job;
    buf_init(&job, 65536);
    html_job_write(&job, &part, 1, str_of(html));
    *t = (struct told){0};
    return keeper_clean(&w->k, &job, done, t);
}

/* What the helper says, in pieces of three bytes. */
static void say(struct world *w, uint32_t seq, const char *html, enum err e)
{
    uint32_t last = 0;
    struct ipc_item it = {.type = IPC_CLEAN_PIECE, .seq = seq};
    for (size_t at = 0; at < strlen(html); at += 3) {
        it.body = str_sub(str_of(html), at, 3);
        keeper_clean_piece(&w->k, 0, &it);
    }
    it = (struct ipc_item){.type = IPC_CLEANED,
                           .seq = seq,
                           .id = (uint32_t)e,
                           .body = {(const char *)&last, sizeof last}};
    keeper_cleaned(&w->k, 0, &it);
}

static void test_answer(void **state)
{
    struct world *w = *state;
    struct told a, b;
    helper_comes(w);
    assert_non_null(ask(w, "<p onclick=x>one", &a));
    assert_non_null(ask(w, "two", &b));
    deliver(w);
    assert_int_equal(w->jobs, 1); /* one at a time */
    assert_string_equal(w->html, "<p onclick=x>one");
    assert_int_equal(a.times, 0);
    say(w, w->seq, "<p>one<img src=\"/part/1\"></p>", ERR_OK);
    assert_int_equal(a.times, 1);
    assert_int_equal(a.e, ERR_OK);
    assert_string_equal(a.html, "<p>one<img src=\"/part/1\"></p>");
    deliver(w);
    assert_int_equal(w->jobs, 2);
    assert_string_equal(w->html, "two");
    say(w, w->seq, "<p>two</p>", ERR_OK);
    assert_int_equal(b.times, 1);
    say(w, w->seq, "<p>again</p>", ERR_OK); /* nothing was asked */
    assert_int_equal(a.times + b.times, 2);
}

static void test_lies(void **state)
{
    struct world *w = *state;
    static const char *const lies[] = {"<script>", "<p onclick=\"x\">y</p>", "<p>",
                                       "<img src=\"/part/2\">", "\xff"};
    struct told t;
    helper_comes(w);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        assert_non_null(ask(w, "x", &t));
        deliver(w);
        say(w, w->seq, lies[i], ERR_OK);
        assert_int_equal(t.times, 1);
        assert_int_not_equal(t.e, ERR_OK);
        assert_string_equal(t.html, "");
    }
    assert_non_null(ask(w, "x", &t));
    deliver(w);
    say(w, w->seq, "<p>half</p>", ERR_NOMEM);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.e, ERR_NOMEM);
    assert_non_null(ask(w, "x", &t));
    deliver(w);
    say(w, w->seq, "", (enum err)99999);
    assert_int_equal(t.e, ERR_PACKET);
}

static void test_lost(void **state)
{
    struct world *w = *state;
    struct told t;
    helper_comes(w);
    assert_non_null(ask(w, "x", &t));
    helper_goes(w);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.e, ERR_TIMEOUT);
    assert_non_null(ask(w, "y", &t)); /* waits for the next helper */
    helper_comes(w);
    deliver(w);
    say(w, w->seq, "y", ERR_OK);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.e, ERR_OK);
    helper_goes(w);
    assert_non_null(ask(w, "z", &t)); /* in vain */
    keeper_clean_tick(&w->k, clock_mono() + KEEPER_CLEAN_WAIT - CLOCK_SEC);
    assert_int_equal(t.times, 0);
    keeper_clean_tick(&w->k, clock_mono() + KEEPER_CLEAN_WAIT + 1);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.e, ERR_TIMEOUT);
}

static void test_forgotten(void **state)
{
    struct world *w = *state;
    struct told a, b;
    struct clean_job *j = ask(w, "a", &a);
    assert_non_null(j);
    keeper_clean_forget(j); /* waits still: no helper is troubled with it */
    assert_non_null(ask(w, "b", &b));
    helper_comes(w);
    deliver(w);
    assert_int_equal(w->jobs, 1);
    assert_string_equal(w->html, "b");
    say(w, w->seq, "b", ERR_OK);
    j = ask(w, "c", &a);
    deliver(w);
    keeper_clean_forget(j); /* runs */
    say(w, w->seq, "c", ERR_OK);
    assert_int_equal(a.times, 0);
    assert_int_equal(b.times, 1);
}

static void test_limit(void **state)
{
    struct world *w = *state;
    static struct told t[KEEPER_CLEAN_MAX + 1];
    for (uint32_t i = 0; i <= KEEPER_CLEAN_MAX; i++)
        assert_int_equal(ask(w, "x", &t[i]) != NULL, i < KEEPER_CLEAN_MAX);
    keeper_clean_tick(&w->k, clock_mono() + KEEPER_CLEAN_WAIT + 1);
    for (uint32_t i = 0; i <= KEEPER_CLEAN_MAX; i++)
        assert_int_equal(t[i].times, i < KEEPER_CLEAN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
