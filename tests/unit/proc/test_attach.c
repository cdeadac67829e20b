// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * A worker that has been taken over knows, or guesses, the numbers of others' sessions, and has a password of its own: what it says
 * about a number that is not its own changes nothing (design 2.3). Each test has numbers of its own; worker 0 is the good one.
 */
#include "tests/unit/proc/keeper_world.h"

#include <stdio.h>

static struct keeper_world *w;

static int make_world(void **state)
{
    (void)state;
    w = keeper_world_new();
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    keeper_world_free(w);
    return 0;
}

/* Nobody has been told anything. */
static void silence(void)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_null(only_heard(&w->worker[i]));
    assert_null(only_heard(&w->auth));
}

static uint32_t number_in(const struct heard *h)
{
    uint32_t v;
    assert_int_equal(h->bytes, sizeof v);
    memcpy(&v, h->body, sizeof v);
    return v;
}

/* The attach was refused, to that worker, and to nobody else was anything said. */
static void refused(uint32_t worker, uint32_t id, uint32_t seq)
{
    const struct heard *h = only_heard(&w->worker[worker]);
    assert_non_null(h);
    assert_int_equal(h->type, IPC_ATTACH_FAILED);
    assert_int_equal(h->id, id);
    assert_int_equal(h->seq, seq);
    assert_int_equal(number_in(h), ERR_INTERNAL);
    silence();
}

/* A login that goes well; its urlID. */
static const char *logs_in(uint32_t worker, uint32_t id, uint32_t seq, uint64_t account)
{
    static char url_id[64];
    auth_attaches(w, worker, id, seq, account, 0);
    const struct heard *h = only_heard(&w->worker[worker]);
    assert_non_null(h);
    assert_int_equal(h->type, IPC_ATTACHED);
    assert_int_equal(h->id, id);
    assert_int_equal(h->seq, seq);
    silence();
    const struct kept *s = kept_of(w, id);
    assert_non_null(s);
    assert_int_equal(s->worker, worker);
    assert_int_equal(s->s->account, account);
    assert_true(s->s->url_id.n < sizeof url_id);
    memcpy(url_id, s->s->url_id.p, s->s->url_id.n);
    url_id[s->s->url_id.n] = '\0';
    return url_id;
}

/* It is still dora's session at that worker, and serves it. */
static void goes_on(uint32_t worker, uint32_t id, const char *url_id)
{
    const struct kept *s = kept_of(w, id);
    assert_non_null(s);
    assert_int_equal(s->s->account, DORA);
    assert_true(str_eq(s->s->url_id, str_of(url_id)));
    worker_says(w, worker, IPC_MSG, id, 0, STR("<noop id=\"n\"/>"));
    const struct heard *h = only_heard(&w->worker[worker]);
    assert_non_null(h);
    assert_int_equal(h->type, IPC_OUT);
    assert_int_equal(h->id, id);
    assert_int_equal(h->seq, 1);
    static const char want[] = "<response id=\"n\"/>"; /* with its zero byte */
    assert_int_equal(h->bytes, sizeof want);
    assert_memory_equal(h->body, want, sizeof want);
    silence();
}

/* A login of another account, at another worker, under the number of a session that lives. */
static void test_number_of_another(void **state)
{
    (void)state;
    char url_id[64];
    snprintf(url_id, sizeof url_id, "%s", logs_in(0, 100010, 1, DORA));
    for (uint32_t seq = 1; seq <= 2; seq++) { /* the good worker's own attempt, and another */
        auth_attaches(w, 1, 100010, seq, OTTO, 0);
        refused(1, 100010, seq);
        goes_on(0, 100010, url_id);
    }
    auth_attaches(w, 1, 100010, 3, DORA, 0); /* nor with her own password */
    refused(1, 100010, 3);
    goes_on(0, 100010, url_id);
}

/* A session over HTTP is no worker's. */
static void test_number_over_http(void **state)
{
    (void)state;
    char url_id[64];
    auth_attaches(w, 0, 100020, 1, DORA, IPC_ATTACH_HTTP);
    const struct heard *h = only_heard(&w->worker[0]);
    assert_non_null(h);
    assert_int_equal(h->type, IPC_ATTACHED);
    uint32_t at = 0;
    const struct kept *s;
    while ((s = idmap_next(&w->k->sessions, &at)) != NULL && s->http == NULL)
        ;
    assert_non_null(s);
    uint32_t id = s->s->id;
    memcpy(url_id, s->s->url_id.p, s->s->url_id.n);
    url_id[s->s->url_id.n] = '\0';
    for (uint32_t worker = 0; worker < 2; worker++) { /* 0: the one over which it was opened */
        auth_attaches(w, worker, id, 1, OTTO, 0);
        refused(worker, id, 1);
        worker_says(w, worker, IPC_MSG, id, 0, STR("<bye id=\"b\"/>"));
        worker_says(w, worker, IPC_DETACH, id, 1, STR_NONE);
        silence();
        s = kept_of(w, id);
        assert_non_null(s);
        assert_true(s->attached && !s->s->closing);
        assert_true(str_eq(s->s->url_id, str_of(url_id)));
    }
    assert_true(keeper_http_kick(w->k, id));
    w->c.hooks->round(&w->c);
    assert_null(kept_of(w, id));
}

/* A message, credit and an end count only from where the session was attached. */
static void test_word_of_another(void **state)
{
    (void)state;
    static const uint32_t end[2] = {IPC_WHY_CLOSED, 5};
    struct str body = {(const char *)end, sizeof end};
    char url_id[64];
    snprintf(url_id, sizeof url_id, "%s", logs_in(0, 100030, 1, DORA));
    const struct kept *s = kept_of(w, 100030);
    int64_t credit = s->credit;
    uint64_t requests = s->s->request_count;
    worker_says(w, 1, IPC_MSG, 100030, 3, STR("<bye id=\"b\"/>"));
    worker_says(w, 1, IPC_CREDIT, 100030, 100000, STR_NONE);
    worker_says(w, 1, IPC_DETACH, 100030, 1, body);
    silence();
    assert_int_equal(s->credit, credit);
    assert_int_equal(s->s->request_count, requests);
    goes_on(0, 100030, url_id);
    worker_says(w, 0, IPC_DETACH, 100030, 2, body); /* of a login that this worker gave up */
    goes_on(0, 100030, url_id);
    worker_says(w, 0, IPC_DETACH, 100030, 1, body);
    silence();
    assert_null(kept_of(w, 100030));
}

/* Its own sessions are a worker's own affair. */
static void test_own_number(void **state)
{
    (void)state;
    char url_id[64];
    snprintf(url_id, sizeof url_id, "%s", logs_in(0, 100040, 1, DORA));
    auth_attaches(w, 0, 100040, 1, DORA, 0); /* a new auth was asked once more */
    silence();
    goes_on(0, 100040, url_id);
    assert_string_not_equal(logs_in(0, 100040, 2, OTTO), url_id);
}

/* Who takes the place of a worker has none of its sessions, and may have its numbers. */
static void test_number_of_the_dead(void **state)
{
    (void)state;
    char url_id[64];
    snprintf(url_id, sizeof url_id, "%s", logs_in(2, 100050, 1, DORA));
    keeper_world_replace(w, 2);
    worker_says(w, 2, IPC_MSG, 100050, 0, STR("<noop id=\"n\"/>"));
    silence();
    assert_string_not_equal(logs_in(2, 100050, 1, DORA), url_id);
    keeper_world_replace(w, 2);
    snprintf(url_id, sizeof url_id, "%s", logs_in(1, 100050, 1, DORA));
    goes_on(1, 100050, url_id);
}

/* What can be no number of a session is none. */
static void test_range(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 1, GATE_ID_FIRST - 1, GATE_ID_LAST + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        auth_attaches(w, 1, wrong[i], 1, DORA, 0);
        refused(1, wrong[i], 1);
    }
    logs_in(1, GATE_ID_FIRST, 1, DORA);
    logs_in(1, GATE_ID_LAST, 1, DORA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_another),  cmocka_unit_test(test_number_over_http),
        cmocka_unit_test(test_word_of_another),    cmocka_unit_test(test_own_number),
        cmocka_unit_test(test_number_of_the_dead), cmocka_unit_test(test_range),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
