// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A helper's answers to jobs of both kinds, over a real socket, in pieces that fit into packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/digest.h"
#include "codec/html_job.h"
#include "proc/child.h"

struct world {
    struct child c;
    struct arena a;
    struct bus_peer near, far;
    struct buf got[2]; /* by id */
    uint32_t answers, last, err;
};

static void far_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct world *w = b->arg;
    struct ipc_in in = {it->body, false};
    if (it->type == IPC_CLEAN_PIECE || it->type == IPC_DIGEST_PIECE) {
        assert_int_equal(it->seq, 77);
        assert_true(it->body.n <= IPC_BODY_MAX);
        buf_str(&w->got[it->id], it->body);
        return;
    }
    assert_true(it->type == IPC_CLEANED || it->type == IPC_DIGEST_DONE);
    assert_int_equal(it->seq, 77);
    w->answers++;
    w->err = it->id;
    w->last = ipc_get_u32(&in);
    assert_int_equal(ipc_in_end(&in), ERR_OK);
}

static void near_item(struct bus_peer *b, const struct ipc_item *it)
{
    (void)b;
    (void)it;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct conf_problems problems;
    int fd[2];
    assert_non_null(w);
    arena_init(&w->a, (size_t)4 << 20);
    assert_int_equal(conf_load_text(STR("none"), STR(""), &w->a, &w->c.conf, &problems), ERR_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
    bus_init(&w->near, fd[0], IPC_ROLE_HELPER, IPC_ROLE_KEEPER, near_item, w);
    bus_init(&w->far, fd[1], IPC_ROLE_KEEPER, IPC_ROLE_HELPER, far_item, w);
    for (size_t i = 0; i < 2; i++)
        buf_init(&w->got[i], (size_t)16 << 20);
    assert_int_equal(loop_new(&w->c.loop), ERR_OK); /* it ends by stopping it */
    helper_setup(&w->c);
    w->c.hooks->load();
    assert_int_equal(w->c.hooks->start(&w->c), ERR_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    loop_free(&w->c.loop);
    bus_free(&w->near);
    bus_free(&w->far);
    buf_free(&w->got[0]);
    buf_free(&w->got[1]);
    arena_free(&w->a);
    free(w);
    return 0;
}

static void run(struct world *w, enum ipc_type type, struct str body)
{
    struct ipc_item it = {.type = type, .seq = 77, .body = body};
    uint32_t before = w->answers;
    buf_clear(&w->got[0]);
    buf_clear(&w->got[1]);
    w->c.hooks->item(&w->c, &w->near, &it);
    while (w->answers == before) {
        enum err e = bus_flush(&w->near);
        assert_true(e == ERR_OK || e == ERR_AGAIN);
        e = bus_read(&w->far, 64);
        assert_true(e == ERR_OK || e == ERR_AGAIN);
    }
}

static void test_clean(void **state)
{
    struct world *w = *state;
    static const struct html_part part = {STR("i@m"), STR("/part/1")};
    struct buf job;
    buf_init(&job, (size_t)8 << 20);
    html_job_write(&job, &part, 1, STR("<p onclick=x>a<img src=cid:i@m><script>b</script>"));
    run(w, IPC_CLEAN, buf_slice(&job));
    assert_int_equal(w->err, ERR_OK);
    assert_true(str_eq(buf_slice(&w->got[0]), STR("<p>a<img src=\"/part/1\"></p>")));
    run(w, IPC_CLEAN, str_sub(buf_slice(&job), 0, 5)); /* no job at all */
    assert_int_equal(w->err, ERR_SYNTAX);
    assert_int_equal(w->got[0].n, 0);
    buf_clear(&job); /* the most that may be said, and comes of it */
    html_job_write(&job, NULL, 0, STR(""));
    while (job.n < html_limits_default.input)
        buf_str(&job, STR("&lt;\"'<b>x</b>"));
    run(w, IPC_CLEAN, buf_slice(&job));
    assert_int_equal(w->err, ERR_OK);
    assert_true(w->got[0].n > (size_t)1 << 20 && w->got[0].n <= html_limits_default.output);
    assert_int_equal(html_verify(buf_slice(&w->got[0]), NULL, 0, html_limits_default.depth),
                     ERR_OK);
    buf_free(&job);
}

static void test_digest(void **state)
{
    struct world *w = *state;
    struct str raw = STR("Subject: x\r\n\r\nbody\r\n");
    run(w, IPC_DIGEST, raw);
    assert_int_equal(w->err, ERR_OK);
    assert_int_equal(digest_verify(buf_slice(&w->got[0]), buf_slice(&w->got[1]), raw.n), ERR_OK);
}

/* After 1,000 jobs of whatever kind it says that there must be another. */
static void test_last(void **state)
{
    struct world *w = *state;
    struct buf job;
    buf_init(&job, 100);
    html_job_write(&job, NULL, 0, STR("x"));
    for (uint32_t i = w->answers; i < 999; i++) {
        run(w, i % 2 != 0 ? IPC_CLEAN : IPC_DIGEST, buf_slice(&job));
        assert_int_equal(w->last, 0);
    }
    run(w, IPC_CLEAN, buf_slice(&job));
    assert_int_not_equal(w->last, 0);
    buf_free(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean), cmocka_unit_test(test_digest),
                                       cmocka_unit_test(test_last)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
