// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Messages: bytes, UIDs, counters, flags, keywords, Trash; nothing acknowledged is lost or doubled. */
#include "tests/unit/store/helper.h"

#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/db/failvfs.h"

static int64_t rows(struct store *s, const char *sql)
{
    struct db_stmt *st = db_stmt(store_db(s), sql);
    int64_t n;

    assert_int_equal(db_one(st), ERR_OK);
    n = db_col_i64(st, 0);
    db_done(st);
    return n;
}

static int64_t rows_of(struct store *s, int64_t box)
{
    struct db_stmt *st = db_stmt(store_db(s), "SELECT count(*) FROM message WHERE mailbox=?1");
    int64_t n;

    db_bind_i64(st, 1, box);
    assert_int_equal(db_one(st), ERR_OK);
    n = db_col_i64(st, 0);
    db_done(st);
    return n;
}

/* --- bytes */
static struct str make_bytes(struct buf *b, size_t n, bool noise)
{
    buf_init(b, SIZE_MAX / 2);
    assert_non_null(buf_room(b, n + 1));
    arc4random_buf(b->p, noise ? n : 0);
    for (size_t i = 0; i < n && !noise; i++)
        b->p[i] = (char)('a' + i % 23 + (i >> 10) % 3);
    buf_grow(b, n);
    return (struct str){b->p, n};
}

static void check_read(struct store *s, int64_t box, uint32_t uid, struct str want, uint64_t from,
                       uint64_t n)
{
    struct buf out;
    struct str part = str_sub(want, from > want.n ? want.n : from, n > want.n ? want.n : n);

    buf_init(&out, part.n + 1); /* no more room than what is asked for */
    assert_int_equal(message_read_raw(s, DORA, box, uid, from, n, &out), ERR_OK);
    assert_true(str_eq(buf_slice(&out), part));
    buf_free(&out);
}

static void test_bytes(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   511,
                                   512,
                                   5000,
                                   MESSAGE_PIECE - 1,
                                   MESSAGE_PIECE,
                                   MESSAGE_PIECE + 1,
                                   3 * MESSAGE_PIECE,
                                   (size_t)5 << 20};
    struct store *s = *state;
    int64_t box = inbox(s, DORA);
    struct buf b, d, out;
    uint32_t uid = 0;

    for (size_t i = 0; i < ARRAY_LEN(sizes) * 2; i++) {
        struct str raw = make_bytes(&b, sizes[i / 2], i % 2 != 0),
                   body = make_bytes(&d, sizes[i / 2] / 2, i % 2 == 0);
        struct message_new m = {
            .raw = raw, .head = STR("not a head"), .body = body, .internaldate = 7};

        W(s, message_append(s, DORA, box, &m, &uid), ERR_OK);
        check_read(s, box, uid, raw, 0, UINT64_MAX);
        check_read(s, box, uid, raw, 0, 100);
        check_read(s, box, uid, raw, raw.n / 2, 300);
        check_read(s, box, uid, raw, MESSAGE_PIECE - 10, 20);
        check_read(s, box, uid, raw, raw.n > 5 ? raw.n - 5 : 0, 50);
        check_read(s, box, uid, raw, raw.n + 5, 5);
        check_read(s, box, uid, raw, UINT64_MAX, UINT64_MAX);
        buf_init(&out, SIZE_MAX / 2);
        assert_int_equal(message_read_body(s, DORA, box, uid, &out), ERR_OK);
        assert_true(str_eq(buf_slice(&out), body));
        assert_int_equal(message_read_raw(s, OTTO, box, uid, 0, 1, &out), ERR_MESSAGE_MISSING);
        assert_int_equal(message_read_raw(s, DORA, box, uid + 1, 0, 1, &out), ERR_MESSAGE_MISSING);
        buf_free(&out);
        buf_free(&b);
        buf_free(&d);
    }
    check_counters(s, DORA, box);
    for (uint32_t u = 1; u <= uid; u++)
        W(s, message_destroy(s, DORA, box, &u, 1), ERR_OK);
    assert_int_equal(rows(s, "SELECT count(*) FROM content"), 0);
    assert_int_equal(rows(s, "SELECT count(*) FROM piece"), 0);
    assert_int_equal(rows(s, "SELECT count(*) FROM head"), 0);
    check_counters(s, DORA, box);
}

static void test_row(void **state)
{
    struct store *s = *state;
    struct letter l = {.from = "otto@harbor.example",
                       .subject = "Grüße",
                       .internaldate = 1700000000,
                       .flags = FLAG_RECENT,
                       .size = 4321};
    struct message_row r;
    struct digest_head h;
    struct digest_field f;
    int64_t box = inbox(s, DORA);
    uint32_t uid = 0;

    W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    assert_int_equal(uid, 1);
    assert_int_equal(message_row_get(s, DORA, box, 1, &r), ERR_OK);
    assert_int_equal(r.flags, FLAG_RECENT);
    assert_int_equal(r.internaldate, 1700000000);
    assert_int_equal(r.size, 4321);
    assert_int_equal(digest_head_open(&h, r.head), ERR_OK);
    assert_true(digest_fields_first(&h.fields, STR("subject"), &f));
    assert_true(str_eq(f.text, STR("Grüße")));
    assert_int_equal(message_row_get(s, DORA, box, 1, &r), ERR_OK); /* without done between */
    message_row_done(s);
    assert_int_equal(message_row_get(s, DORA, box, 2, &r), ERR_MESSAGE_MISSING);
    message_row_done(s);
    message_row_done(s);
}

/* --- UIDs and counters */
static uint32_t rnd_state = 99;

static uint32_t rnd(uint32_t n)
{
    rnd_state = rnd_state * 1664525 + 1013904223;
    return (rnd_state >> 8) % n;
}

static void test_counters(void **state)
{
    static const char *const marks[] = {
        "Seen", "Unseen", "Media", "NotMedia,Seen", "Deleted", "Undeleted,Flagged", "x,y"};
    struct store *s = *state;
    int64_t box = inbox(s, DORA), other = 0;
    uint32_t uid = 0, last = 0;

    W(s, mailbox_create(s, DORA, STR("Other"), STR(""), &other), ERR_OK);
    for (int turn = 0; turn < 600; turn++) {
        struct letter l = {.internaldate = 1000 + rnd(50),
                           .size = 1 + rnd(900),
                           .flags = rnd(2) ? FLAG_RECENT : 0};
        struct flag_list list = flags_of(marks[rnd(ARRAY_LEN(marks))]);
        uint32_t u[3] = {1 + rnd(last + 2), 1 + rnd(last + 2), 1 + rnd(last + 2)}, at = 0;
        bool keep = rnd(6) != 0;
        enum err e = ERR_OK;

        begin(s);
        switch (rnd(8)) {
        case 0:
        case 1:
        case 2:
            l.flags |= rnd(2) ? FLAG_SEEN : 0;
            e = put_letter(s, DORA, box, &l, &uid);
            assert_true(uid > last); /* never one that was acknowledged */
            last = keep ? uid : last;
            break;
        case 3:
        case 4:
            e = message_mark(s, DORA, box, u, 3, &list);
            break;
        case 5:
            e = message_destroy(s, DORA, box, u, rnd(3));
            break;
        case 6:
            e = rnd(4) ? message_trash(s, DORA, box, STR("Other"), u, 2)
                       : message_expunge(s, DORA, box, &at);
            break;
        default:
            e = message_copy(s, DORA, box, u[0], rnd(2) ? other : box, FLAG_DELETED, &uid);
            e = e == ERR_MESSAGE_MISSING ? ERR_OK : e;
        }
        assert_int_equal(e, ERR_OK);
        if (keep)
            commit(s);
        else
            undo(s);
        check_counters(s, DORA, box);
        check_counters(s, DORA, other);
    }
    assert_true(last > 100);
    /* bytes are there exactly as long as somebody uses them */
    assert_int_equal(rows(s, "SELECT count(*) FROM content"),
                     rows(s, "SELECT count(DISTINCT content) FROM message"));
    assert_int_equal(rows(s, "SELECT count(*) FROM head"), rows(s, "SELECT count(*) FROM message"));
    assert_int_equal(rows(s, "SELECT coalesce(sum(users), 0) FROM share"),
                     rows(s, "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM message "
                             "GROUP BY content) WHERE n > 1"));
}

/* Steps: at most so many are looked at and destroyed in one; the end is found, whatever the numbers. */
static void test_expunge_steps(void **state)
{
    static const struct {
        uint32_t messages, deleted; /* the last ones */
        uint32_t steps;
    } rows[] = {{0, 0, 1},       {499, 499, 1},  {500, 500, 2},  {501, 501, 2},
                {1001, 1001, 3}, {1999, 1, 1},   {2000, 1, 2},   {2001, 1, 2},
                {2001, 0, 2},    {2001, 600, 2}, {4001, 4001, 9}};
    struct store *s = *state;
    struct flag_list deleted = flags_of("Deleted");
    struct letter l = {.internaldate = 5};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t uid = 0, at = 0, steps = 0;
        int64_t box = 0;
        enum err e = ERR_MORE;

        W(s, mailbox_create(s, DORA, STR("Steps"), STR(""), &box), ERR_OK);
        begin(s);
        for (uint32_t k = 1; k <= rows[i].messages; k++) {
            assert_int_equal(put_letter(s, DORA, box, &l, &uid), ERR_OK);
            if (k > rows[i].messages - rows[i].deleted)
                assert_int_equal(message_mark(s, DORA, box, &uid, 1, &deleted), ERR_OK);
        }
        commit(s);
        for (; e == ERR_MORE; steps++) {
            begin(s);
            e = message_expunge(s, DORA, box, &at);
            commit(s);
        }
        assert_int_equal(e, ERR_OK);
        assert_int_equal(steps, rows[i].steps);
        check_counters(s, DORA, box);
        assert_int_equal(rows_of(s, box), rows[i].messages - rows[i].deleted);
        W(s, mailbox_remove(s, DORA, STR("Steps"), false), ERR_OK);
    }
}

static void test_uid_never_again(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5};
    int64_t box = inbox(s, DORA);
    uint32_t uid = 0;

    for (uint32_t i = 1; i <= 5; i++) {
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
        assert_int_equal(uid, i);
        W(s, message_destroy(s, DORA, box, &uid, 1), ERR_OK);
        store_close(&s);
        *state = s = bank_open();
    }
}

static void test_quota(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5, .size = 1000};
    int64_t box = inbox(s, DORA), other = inbox(s, OTTO);
    uint64_t used = 0;
    uint32_t uid = 0;

    store_limits(s)->quota = 3000;
    for (int i = 0; i < 3; i++)
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    W(s, put_letter(s, DORA, box, &l, &uid), ERR_QUOTA);
    W(s, put_letter(s, OTTO, other, &l, &uid), ERR_OK);
    assert_int_equal(store_usage(s, DORA, &used), ERR_OK);
    assert_int_equal(used, 3000);
    uid = 1;
    W(s, message_copy(s, DORA, box, 1, box, 0, &uid), ERR_QUOTA);
    W(s, message_trash(s, DORA, box, STR(""), &uid, 1), ERR_OK); /* takes no more room */
    uid = 2;
    W(s, message_destroy(s, DORA, box, &uid, 1), ERR_OK);
    l.size = 1001;
    W(s, put_letter(s, DORA, box, &l, &uid), ERR_QUOTA);
    l.size = 1000;
    W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
}

/* --- flags */
static void expect_flags(struct store *s, int64_t box, uint32_t uid, const char *want)
{
    struct flag_keywords kw;
    struct message_row r;
    struct arena a;
    struct buf b;

    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 16);
    assert_int_equal(message_keywords(s, DORA, box, &a, &kw), ERR_OK);
    assert_int_equal(message_row_get(s, DORA, box, uid, &r), ERR_OK);
    flags_print(&b, r.flags, r.keywords, &kw);
    message_row_done(s);
    buf_char(&b, 0);
    assert_string_equal(b.p, want);
    buf_free(&b);
    arena_free(&a);
}

static enum err mark(struct store *s, int64_t box, uint32_t uid, const char *flags)
{
    struct flag_list l = flags_of(flags);

    return message_mark(s, DORA, box, &uid, 1, &l);
}

static void test_mark(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5, .flags = FLAG_RECENT};
    struct flag_list more = flags_of("Draft,Seen,mine");
    struct blobs b;
    struct message_new m;
    int64_t box = inbox(s, DORA), other = 0;
    uint32_t uid = 0, seven = 7;

    for (int i = 0; i < 3; i++)
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    W(s, mark(s, box, 1, "Seen,Flagged"), ERR_OK);
    expect_flags(s, box, 1, "Seen,Flagged,Recent");
    W(s, mark(s, box, 1, "Seen,Unseen"), ERR_OK); /* left to right */
    expect_flags(s, box, 1, "Flagged,Recent");
    W(s, mark(s, box, 1, "Recent,NotRecent"), ERR_OK);
    expect_flags(s, box, 1, "Flagged,Recent");
    W(s, mark(s, box, 2, "meetingCreated,taskCreated"), ERR_OK);
    W(s, mark(s, box, 1, "MEETINGcreated"), ERR_OK);
    expect_flags(s, box, 2, "Recent,meetingCreated,taskCreated");
    expect_flags(s, box, 1, "Flagged,Recent,meetingCreated");
    W(s, mark(s, box, 2, "NotmeetingCreated"), ERR_OK);
    expect_flags(s, box, 2, "Recent,taskCreated");
    W(s, mark(s, box, 3, "Notice"), ERR_OK); /* `ice` is no keyword here, so this is one */
    expect_flags(s, box, 3, "Recent,Notice");
    W(s, message_clear_recent(s, DORA, box, (uint32_t[]){1, 3, 9}, 3), ERR_OK);
    expect_flags(s, box, 3, "Notice");
    expect_flags(s, box, 2, "Recent,taskCreated");
    W(s, message_mark(s, DORA, box, &seven, 1, &more), ERR_OK); /* unknown UID */
    make_blobs(&l, &b);
    m = (struct message_new){.raw = buf_slice(&b.raw),
                             .head = buf_slice(&b.head),
                             .body = buf_slice(&b.body),
                             .more = &more};
    W(s, message_append(s, DORA, box, &m, &uid), ERR_OK);
    free_blobs(&b);
    expect_flags(s, box, uid, "Seen,Draft,mine");
    W(s, mailbox_create(s, DORA, STR("Copy"), STR(""), &other), ERR_OK);
    W(s, mark(s, other, 1, "filler"), ERR_OK);
    W(s, message_copy(s, DORA, box, 1, other, FLAG_RECENT | FLAG_DELETED, &uid), ERR_OK);
    expect_flags(s, other, uid, "Flagged,meetingCreated");
}

static void test_keyword_limit(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5};
    int64_t box = inbox(s, DORA), other = 0;
    uint32_t uid = 0;
    char name[32];

    W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    for (int i = 1; i <= 65; i++) {
        snprintf(name, sizeof name, "Flagged,word%d", i);
        W(s, mark(s, box, 1, name), i <= 64 ? ERR_OK : ERR_FLAG_UNKNOWN);
    }
    W(s, mark(s, box, 1, "Seen,word64,other"), ERR_FLAG_UNKNOWN); /* nothing is changed */
    W(s, mark(s, box, 1, "Notword2,word3"), ERR_OK);
    W(s, mailbox_create(s, DORA, STR("Full"), STR(""), &other), ERR_OK);
    for (int i = 1; i <= 62; i++) {
        snprintf(name, sizeof name, "full%d", i);
        W(s, mark(s, other, 1, name), ERR_OK);
    }
    W(s, message_copy(s, DORA, box, 1, other, 0, &uid), ERR_OK); /* two of them fit */
    expect_flags(s, other, uid, "Flagged,word1,word3");
    check_counters(s, DORA, box);
}

static void test_trash(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 55, .flags = FLAG_RECENT | FLAG_FLAGGED, .subject = "x"};
    struct arena a;
    int64_t box = inbox(s, DORA), trash = 0, sub = 0, contacts = 0;
    uint32_t uids[3] = {1, 1, 2}, uid = 0;

    arena_init(&a, 1 << 20);
    for (int i = 0; i < 3; i++)
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    W(s, message_trash(s, DORA, box, STR(""), uids, 3), ERR_OK);
    assert_int_equal(mailbox_find(s, DORA, STR("Trash"), &trash), ERR_OK);
    assert_int_equal(info(s, DORA, trash, &a).messages, 2);
    assert_int_equal(info(s, DORA, box, &a).messages, 1);
    expect_flags(s, trash, 1, "Flagged");
    assert_int_equal(rows(s, "SELECT count(*) FROM share"), 0);
    W(s, message_trash(s, DORA, trash, STR(""), uids, 1), ERR_OK); /* in Trash itself: gone */
    assert_int_equal(info(s, DORA, trash, &a).messages, 1);
    W(s, mailbox_create(s, DORA, STR("Trash/Deep"), STR(""), &sub), ERR_OK);
    W(s, put_letter(s, DORA, sub, &l, &uid), ERR_OK);
    W(s, message_trash(s, DORA, sub, STR(""), &uid, 1), ERR_OK);
    assert_int_equal(info(s, DORA, trash, &a).messages, 1);
    W(s, mailbox_create(s, DORA, STR("Trashed"), STR(""), &sub), ERR_OK); /* not below it */
    W(s, put_letter(s, DORA, sub, &l, &uid), ERR_OK);
    W(s, message_trash(s, DORA, sub, STR(""), &uid, 1), ERR_OK);
    assert_int_equal(info(s, DORA, trash, &a).messages, 2);
    W(s, mailbox_create(s, DORA, STR("Contacts"), STR("ipf.contact"), &contacts), ERR_OK);
    W(s, put_letter(s, DORA, contacts, &l, &uid), ERR_OK);
    W(s, message_trash(s, DORA, contacts, STR(""), &uid, 1), ERR_OK);
    assert_int_equal(info(s, DORA, trash, &a).messages, 2);
    W(s, mailbox_create(s, DORA, STR("Bin/"), STR(""), NULL),
      ERR_OK); /* a pure folder gets storage */
    uid = 3;
    W(s, message_trash(s, DORA, box, STR("Bin"), &uid, 1), ERR_OK);
    check_counters(s, DORA, box);
    check_counters(s, DORA, trash);
    arena_free(&a);
}

/* --- failures */
static enum err scenario(struct store *s, int64_t box)
{
    struct letter l = {.internaldate = 9, .size = 300000, .subject = "broken"};
    uint32_t uid = 0, first = 1;

    db_round_begin(store_db(s));
    for (int i = 0; i < 3; i++)
        if (db_request_begin(store_db(s)) == ERR_OK) {
            enum err e = put_letter(s, DORA, box, &l, &uid);

            if (e == ERR_OK && i == 1)
                e = mark(s, box, 1, "Seen,word");
            if (e == ERR_OK && i == 2)
                e = message_trash(s, DORA, box, STR(""), &first, 1);
            if (db_request_end(store_db(s), e == ERR_OK) != ERR_OK)
                e = ERR_DB;
            assert_true(e == ERR_OK || db_round_broken(store_db(s)));
        }
    return db_round_commit(store_db(s));
}

static void test_every_write(void **state)
{
    bool reached = true;
    struct arena a;

    arena_init(&a, 1 << 20);
    for (long n = 1; reached; n += n < 12 ? 1 : 17) {
        struct store *s = *state;
        struct letter l = {.internaldate = 5, .subject = "first"};
        uint32_t uid = 0;
        int64_t box, trash = 0;
        enum err e;

        bank_teardown(state);
        bank_setup(state);
        s = *state;
        box = inbox(s, DORA);
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
        failvfs_arm(n, SQLITE_FULL, n % 2 == 0);
        e = scenario(s, box);
        reached = failvfs.failed != 0;
        assert_int_equal(e, reached ? ERR_DB : ERR_OK);
        /* reading goes on while the disk is full; nothing of the round is there */
        assert_int_equal(info(s, DORA, box, &a).messages, reached ? 1 : 3);
        assert_int_equal(mailbox_find(s, DORA, STR("Trash"), &trash),
                         reached ? ERR_MAILBOX_MISSING : ERR_OK);
        if (reached)
            expect_flags(s, box, 1, "");
        failvfs_arm(0, 0, 0);
        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
        assert_int_equal(uid, reached ? 2 : 5);
        check_counters(s, DORA, box);
        arena_reset(&a);
    }
    arena_free(&a);
}

/* kill -9 in mid-write: what was acknowledged is there exactly once. */
static void deliver_for_ever(int fd, int64_t box)
{
    struct store *s = bank_open();

    for (int i = 1;; i++) {
        struct letter l = {.internaldate = i, .size = i % 5 == 0 ? 400000 : 1000, .subject = "x"};
        uint32_t uids[4];

        db_round_begin(store_db(s));
        for (int k = 0; k < 4; k++)
            if (db_request_begin(store_db(s)) != ERR_OK ||
                put_letter(s, DORA, box, &l, &uids[k]) != ERR_OK ||
                db_request_end(store_db(s), true) != ERR_OK)
                _exit(1);
        if (db_round_commit(store_db(s)) != ERR_OK)
            _exit(1);
        if (write(fd, uids, sizeof uids) != sizeof uids)
            _exit(1);
        db_upkeep(store_db(s), i % 7 == 0);
    }
}

static void test_kill(void **state)
{
    struct store *s = *state;
    int64_t box = inbox(s, DORA);
    uint32_t acked = 0;
    struct arena a;

    arena_init(&a, 1 << 20);
    store_close(&s);
    for (int turn = 0; turn < 10; turn++) {
        uint32_t uids[4], want = acked + 20 + (uint32_t)turn * 8;
        int fds[2], status;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
            deliver_for_ever(fds[1], box);
        close(fds[1]);
        while (acked < want && read(fds[0], uids, sizeof uids) == sizeof uids)
            acked = uids[3];
        usleep(300 * (useconds_t)turn);
        kill(pid, SIGKILL);
        while (read(fds[0], uids, sizeof uids) == sizeof uids)
            acked = uids[3];
        waitpid(pid, &status, 0);
        close(fds[0]);
        assert_true(WIFSIGNALED(status));
        s = bank_open();
        assert_int_equal(db_check(store_db(s)), ERR_OK);
        check_counters(s, DORA, box);
        /* UIDs 1…acked once each; at most the round that was under way besides, whole */
        assert_int_equal(rows(s, "SELECT count(*) FROM message"),
                         rows(s, "SELECT max(uid) FROM message"));
        assert_in_range(rows(s, "SELECT max(uid) FROM message"), acked, acked + 4);
        assert_int_equal(rows(s, "SELECT max(uid) FROM message") % 4, 0);
        assert_int_equal(rows(s, "SELECT count(*) FROM content"),
                         rows(s, "SELECT count(*) FROM message"));
        acked = (uint32_t)rows(s, "SELECT max(uid) FROM message");
        for (uint32_t uid = 1; uid <= acked; uid += 7) {
            struct buf out;

            buf_init(&out, 1 << 20);
            assert_int_equal(message_read_raw(s, DORA, box, uid, 0, UINT64_MAX, &out), ERR_OK);
            assert_true(out.n == 1000 || out.n == 400000);
            buf_free(&out);
        }
        store_close(&s);
    }
    *state = NULL;
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_row, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_counters, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_expunge_steps, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_uid_never_again, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_quota, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_mark, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_keyword_limit, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_trash, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_every_write, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_kill, bank_setup, bank_teardown),
    };

    failvfs_install();
    return cmocka_run_group_tests(tests, NULL, bank_remove);
}
