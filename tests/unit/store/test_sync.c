// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Synchronisation (protocol 2, 4.6): a client that only sees reports, applied one after another, ends with an exact copy of the
 * server's view, whatever happens to the mailbox and wherever the limit cuts.
 */
#include "tests/unit/store/helper.h"

static uint32_t rnd_state = 31337;

static uint32_t rnd(uint32_t n)
{
    rnd_state = rnd_state * 1664525 + 1013904223;
    return (rnd_state >> 8) % n;
}

/* --- the client */
#define CLIENT_MAX 400

struct client_row {
    uint32_t uid, flags;
};

struct client {
    struct client_row rows[CLIENT_MAX];
    uint32_t n;
};

static uint32_t flags_now(struct store *s, int64_t box, uint32_t uid)
{
    struct message_row r;
    enum err e = message_row_get(s, DORA, box, uid, &r);
    uint32_t flags = e == ERR_OK ? r.flags | (uint32_t)(r.keywords << 20) : 0;

    message_row_done(s);
    return flags;
}

static void client_copy(struct client *c, struct store *s, int64_t box, const struct view *v)
{
    c->n = view_count(v);
    for (uint32_t i = 0; i < c->n; i++)
        c->rows[i] = (struct client_row){view_uid(v, i), flags_now(s, box, view_uid(v, i))};
}

static void client_apply(struct client *c, const struct view_report *r, uint32_t flags)
{
    uint32_t unseen = 0;

    switch (r->kind) {
    case VIEW_REMOVED:
        assert_true(r->index < c->n);
        assert_int_equal(c->rows[r->index].uid, r->uid);
        memmove(&c->rows[r->index], &c->rows[r->index + 1],
                (c->n - r->index - 1) * sizeof *c->rows);
        c->n--;
        break;
    case VIEW_UPDATED:
        assert_true(r->index < c->n);
        assert_int_equal(c->rows[r->index].uid, r->uid);
        c->rows[r->index].flags = flags;
        break;
    case VIEW_ADDED:
        assert_true(r->index <= c->n && c->n < CLIENT_MAX);
        memmove(&c->rows[r->index + 1], &c->rows[r->index], (c->n - r->index) * sizeof *c->rows);
        c->rows[r->index] = (struct client_row){r->uid, flags};
        c->n++;
        break;
    case VIEW_INIT:
        fail();
    }
    assert_int_equal(r->messages, c->n);
    for (uint32_t i = 0; i < c->n; i++)
        unseen += (c->rows[i].flags & FLAG_SEEN) == 0;
    assert_int_equal(r->unseen, unseen);
}

/* One folderSync; true: something is left. kinds counts reports by kind and checks their order. */
static bool sync_once(struct store *s, int64_t box, struct view *v, struct client *c,
                      uint32_t limit)
{
    struct view_report r;
    enum view_report_kind last = VIEW_REMOVED;
    uint32_t n = 0, last_index = UINT32_MAX;
    bool more;
    enum err e;

    assert_int_equal(view_sync_start(v), ERR_OK);
    while ((e = view_sync_step(v, 1 + rnd(20))) == ERR_MORE)
        db_idle_check(store_db(s));
    assert_int_equal(e, ERR_OK);
    while ((limit == 0 || n < limit) && view_sync_next(v, &r)) {
        n++;
        assert_true(r.kind >= last);
        if (r.kind == last && n > 1)
            assert_true(r.kind == VIEW_REMOVED ? r.index < last_index : r.index > last_index);
        last = r.kind;
        last_index = r.index;
        client_apply(c, &r, flags_now(s, box, r.uid));
    }
    more = view_sync_pending(v);
    assert_true(limit != 0 || !more);
    view_sync_end(v);
    return more;
}

/* The client against the server's view, and against a view that is built anew. */
static void check_copy(struct store *s, int64_t box, struct view *v, const struct client *c)
{
    struct view *fresh = NULL;

    assert_int_equal(view_new(s, DORA, box, view_spec_of(v), &fresh), ERR_OK);
    assert_int_equal(view_build(fresh, 100000), ERR_OK);
    assert_int_equal(view_count(v), c->n);
    assert_int_equal(view_count(fresh), c->n);
    assert_int_equal(view_unseen(v), view_unseen(fresh));
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t at = UINT32_MAX;

        assert_int_equal(view_uid(v, i), c->rows[i].uid);
        assert_int_equal(view_uid(fresh, i), c->rows[i].uid);
        assert_int_equal(flags_now(s, box, c->rows[i].uid), c->rows[i].flags);
        assert_true(view_find(v, c->rows[i].uid, &at) && at == i);
    }
    view_free(&fresh);
}

/* --- what happens to the mailbox */
static uint32_t last_uid;

static void change(struct store *s, int64_t box)
{
    static const char *const marks[] = {"Seen",    "Unseen",    "Media",     "NotMedia",
                                        "Flagged", "Unflagged", "word,Seen", "Notword"};
    static const char *const words[] = {"plan", "apple", "zebra", "Re: plan"};
    struct flag_list list = flags_of(marks[rnd(ARRAY_LEN(marks))]);
    uint32_t uids[3] = {1 + rnd(last_uid + 1), 1 + rnd(last_uid + 1), 1 + rnd(last_uid + 1)};
    struct letter l = {.internaldate = 100 + rnd(20),
                       .subject = words[rnd(4)],
                       .flags = (rnd(2) ? FLAG_SEEN : 0) | (rnd(2) ? FLAG_MEDIA : 0)};

    begin(s);
    switch (rnd(5)) {
    case 0:
    case 1:
        assert_int_equal(put_letter(s, DORA, box, &l, &last_uid), ERR_OK);
        break;
    case 2:
        assert_int_equal(message_destroy(s, DORA, box, uids, 1 + rnd(2)), ERR_OK);
        break;
    default:
        assert_int_equal(message_mark(s, DORA, box, uids, 3, &list), ERR_OK);
    }
    commit(s);
}

static const struct view_spec specs[] = {
    {.see_hidden = true},
    {.sort_field = {"UID", 3}, .desc = true},
    {.sort_field = {"FLAGS", 5}},
    {.sort_field = {"flags", 5}, .desc = true},
    {.sort_field = {"Subject", 7}},
    {.sort_field = {"INTERNALDATE", 12}, .filter = {"Media,Unseen", 12}},
    {.sort_field = {"FLAGS", 5}, .filter_field = {"FLAGS", 5}, .filter = {"Media", 5}},
    {.sort_field = {"Size", 4}, .filter_field = {"Subject", 7}, .filter = {"PLAN", 4}},
};

#define RUNS 3000

static void test_simulation(void **state)
{
    static struct client c;
    struct store *s = *state;
    int64_t box = inbox(s, DORA);

    /* the disk's safety is not what is tested here */
    assert_int_equal(db_run(db_stmt(store_db(s), "PRAGMA synchronous=0")), ERR_OK);
    for (int run = 0; run < RUNS; run++) {
        struct view *v = NULL;
        uint32_t limit = (uint32_t)run % 6; /* 0: none */

        if (run % 100 == 0) {
            struct flag_list all = flags_of("Deleted");
            uint32_t uid, at = 0;

            for (uid = 1; uid <= last_uid; uid++)
                W(s, message_mark(s, DORA, box, &uid, 1, &all), ERR_OK);
            W(s, message_expunge(s, DORA, box, &at), ERR_OK);
            last_uid = 0;
            W(s, mailbox_remove(s, DORA, STR("Sim"), false),
              run == 0 ? ERR_MAILBOX_MISSING : ERR_OK);
            W(s, mailbox_create(s, DORA, STR("Sim"), STR(""), &box), ERR_OK);
            for (int i = 0; i < 12; i++)
                change(s, box);
        }
        assert_int_equal(view_new(s, DORA, box, &specs[(uint32_t)run % ARRAY_LEN(specs)], &v),
                         ERR_OK);
        assert_int_equal(view_build(v, 1000), ERR_OK);
        client_copy(&c, s, box, v);
        for (int round = 0; round < 3; round++) {
            uint32_t changes = rnd(4);

            for (uint32_t i = 0; i < changes; i++)
                change(s, box);
            (void)sync_once(s, box, v, &c, limit);
        }
        for (int turns = 0; sync_once(s, box, v, &c, limit); turns++)
            assert_true(turns < 500);
        check_copy(s, box, v, &c);
        assert_false(sync_once(s, box, v, &c, limit)); /* nothing new: nothing told */
        view_free(&v);
    }
}

/* A flag that changes between evaluation and report shows in the next sync. */
static void test_change_between(void **state)
{
    struct store *s = *state;
    struct flag_list seen = flags_of("Seen");
    struct letter l = {.internaldate = 5, .subject = "x"};
    int64_t box = inbox(s, DORA);
    struct view_spec spec = {0};
    struct view_report r;
    struct view *v = NULL;
    uint32_t uid = 0, one = 1;

    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_OK);
    assert_int_equal(view_build(v, 10), ERR_OK);
    W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    assert_int_equal(view_sync_start(v), ERR_OK);
    assert_int_equal(view_sync_step(v, 10), ERR_OK);
    W(s, message_mark(s, DORA, box, &one, 1, &seen), ERR_OK);
    assert_true(view_sync_next(v, &r));
    assert_int_equal(r.kind, VIEW_ADDED);
    assert_int_equal(r.unseen, 1);
    assert_false(view_sync_next(v, &r));
    view_sync_end(v);
    assert_int_equal(view_sync_start(v), ERR_OK);
    assert_int_equal(view_sync_step(v, 10), ERR_OK);
    assert_true(view_sync_next(v, &r));
    assert_int_equal(r.kind, VIEW_UPDATED);
    assert_int_equal(r.unseen, 0);
    assert_false(view_sync_next(v, &r));
    view_sync_end(v);
    view_free(&v);
}

static void test_removed_mailbox(void **state)
{
    struct store *s = *state;
    int64_t box = 0;
    struct view_spec spec = {0};
    struct view *v = NULL, *w = NULL;

    W(s, mailbox_create(s, DORA, STR("Gone"), STR(""), &box), ERR_OK);
    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_OK);
    assert_int_equal(view_new(s, DORA, box, &spec, &w), ERR_OK);
    assert_int_equal(view_build(v, 10), ERR_OK);
    W(s, mailbox_remove(s, DORA, STR("Gone"), false), ERR_OK);
    W(s, mailbox_create(s, DORA, STR("Gone"), STR(""), NULL), ERR_OK);
    assert_int_equal(view_sync_start(v), ERR_MAILBOX_REMOVED);
    assert_int_equal(view_build(w, 10), ERR_MAILBOX_REMOVED);
    assert_int_equal(view_count(v), 0);
    view_free(&v);
    view_free(&w);
}

static enum err new_validity(struct store *s, int64_t box)
{
    struct db_stmt *st = db_stmt(store_db(s), "UPDATE mailbox SET uid_validity=uid_validity+1"
                                              " WHERE account=?1 AND mailbox=?2");

    db_bind_i64(st, 1, DORA);
    db_bind_i64(st, 2, box);
    return db_run(st);
}

/* What an external tool may do (12.3). */
static void test_validity(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5};
    int64_t box = inbox(s, DORA);
    struct view_spec spec = {0};
    struct view_report r;
    struct view *v = NULL;
    uint32_t uid = 0;

    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_OK);
    assert_int_equal(view_build(v, 10), ERR_OK);
    W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    W(s, new_validity(s, box), ERR_OK);
    assert_int_equal(view_sync_start(v), ERR_OK);
    assert_int_equal(view_sync_step(v, 10), ERR_OK);
    assert_true(view_sync_pending(v));
    assert_true(view_sync_next(v, &r));
    assert_int_equal(r.kind, VIEW_INIT);
    assert_int_equal(r.messages, 1);
    assert_int_equal(r.unseen, 1);
    assert_false(view_sync_next(v, &r));
    view_sync_end(v);
    assert_int_equal(view_count(v), 1);
    view_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_simulation, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_change_between, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_removed_mailbox, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_validity, bank_setup, bank_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, bank_remove);
}
