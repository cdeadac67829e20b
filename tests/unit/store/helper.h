// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * helper: a bank in a temporary folder, messages made of a few header values, rounds in one call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/digest.h"
#include "store/mailbox.h"
#include "store/message.h"
#include "store/view.h"

#define DORA 7 /* account numbers */
#define OTTO 8

static char bank_dir[] = "/tmp/ximssd-test-store-XXXXXX";
static char bank_path[64];

static inline void bank_unlink(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[80];

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(name, sizeof name, "%s%s", bank_path, ends[i]);
        unlink(name);
    }
}

static inline struct store *bank_open(void)
{
    struct store *s = NULL;

    assert_int_equal(store_open(bank_path, 0, &s), ERR_OK);
    db_set_probe(store_db(s), 0);
    return s;
}

static inline int bank_setup(void **state)
{
    if (bank_path[0] == 0) {
        log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_CRASH);
        assert_non_null(mkdtemp(bank_dir));
        snprintf(bank_path, sizeof bank_path, "%s/bank.db", bank_dir);
    }
    bank_unlink();
    *state = bank_open();
    return 0;
}

static inline int bank_teardown(void **state)
{
    struct store *s = *state;

    if (s != NULL) {
        db_idle_check(store_db(s));
        assert_int_equal(db_check(store_db(s)), ERR_OK);
    }
    store_close(&s);
    bank_unlink();
    return 0;
}

static inline int bank_remove(void **state)
{
    (void)state;
    rmdir(bank_dir);
    return 0;
}

/* One request as a round of its own. */
static inline void begin(struct store *s)
{
    db_round_begin(store_db(s));
    assert_int_equal(db_request_begin(store_db(s)), ERR_OK);
}

static inline void commit(struct store *s)
{
    assert_int_equal(db_request_end(store_db(s), true), ERR_OK);
    assert_int_equal(db_round_commit(store_db(s)), ERR_OK);
}

static inline void undo(struct store *s)
{
    assert_int_equal(db_request_end(store_db(s), false), ERR_OK);
    assert_int_equal(db_round_commit(store_db(s)), ERR_OK);
}

/* W(store, call, expected error) */
#define W(s, call, want)               \
    do {                               \
        enum err w_err;                \
        begin(s);                      \
        w_err = (call);                \
        if (w_err == ERR_OK)           \
            commit(s);                 \
        else                           \
            undo(s);                   \
        assert_int_equal(w_err, want); \
    } while (0)

/* What a test message is made of; NULL leaves a field out. */
struct letter {
    const char *from_name, *from;
    const char *to_name, *to;
    const char *subject;
    const char *color; /* X-Color */
    const char *body;
    int64_t date; /* 0: no Date */
    int64_t internaldate;
    uint32_t flags;
    size_t size; /* of the raw message; 0: 100 */
    const char *priority;
};

struct blobs {
    struct buf head, body, raw;
};

static inline void add_address(struct digest_fields_maker *m, const char *field, const char *name,
                               const char *address)
{
    struct digest_address a = {DIGEST_MAILBOX, str_of(name != NULL ? name : ""), str_of(address)};
    struct buf list;

    buf_init(&list, 1 << 16);
    digest_address_add(&list, &a);
    assert_true(digest_fields_addresses(m, str_of(field), buf_slice(&list), STR("")));
    buf_free(&list);
}

static inline void make_blobs(const struct letter *l, struct blobs *out)
{
    struct digest_fields_maker f;
    struct digest_body_maker b;
    struct digest_part part = {.kind = DIGEST_TEXT_PART,
                               .type = STR("text"),
                               .subtype = STR("plain"),
                               .part_id = STR("01"),
                               .text = str_of(l->body != NULL ? l->body : "hello")};
    size_t size = l->size != 0 ? l->size : 100;

    buf_init(&out->head, 1 << 20);
    buf_init(&out->body, 1 << 20);
    buf_init(&out->raw, SIZE_MAX / 2);
    digest_fields_init(&f);
    if (l->from != NULL)
        add_address(&f, "From", l->from_name, l->from);
    if (l->to != NULL)
        add_address(&f, "To", l->to_name, l->to);
    if (l->subject != NULL)
        assert_true(digest_fields_text(&f, STR("Subject"), DIGEST_TEXT, str_of(l->subject)));
    if (l->color != NULL)
        assert_true(digest_fields_text(&f, STR("X-Color"), DIGEST_TEXT, str_of(l->color)));
    if (l->priority != NULL)
        assert_true(digest_fields_text(&f, STR("X-Priority"), DIGEST_TEXT, str_of(l->priority)));
    if (l->date != 0)
        assert_true(digest_fields_date(&f, STR("Date"), l->date, 0, STR("")));
    digest_head_finish(&f, STR("text"), STR("plain"), size, &out->head);
    digest_fields_free(&f);
    digest_body_init(&b);
    digest_part_close(&b, digest_part_add(&b, &part));
    digest_body_finish(&b, &out->body);
    digest_body_free(&b);
    assert_non_null(buf_room(&out->raw, size));
    for (size_t i = 0; i < size; i++)
        out->raw.p[i] = (char)('a' + (i * 7 + i / 100) % 26);
    buf_grow(&out->raw, size);
}

static inline void free_blobs(struct blobs *b)
{
    buf_free(&b->head);
    buf_free(&b->body);
    buf_free(&b->raw);
}

/* Inside a request. */
static inline enum err put_letter(struct store *s, int64_t account, int64_t mailbox,
                                  const struct letter *l, uint32_t *uid)
{
    struct blobs b;
    struct message_new m;
    enum err e;

    make_blobs(l, &b);
    m = (struct message_new){.raw = buf_slice(&b.raw),
                             .head = buf_slice(&b.head),
                             .body = buf_slice(&b.body),
                             .internaldate = l->internaldate,
                             .flags = l->flags};
    e = message_append(s, account, mailbox, &m, uid);
    free_blobs(&b);
    return e;
}

static inline int64_t inbox(struct store *s, int64_t account)
{
    int64_t id = 0;

    W(s, mailbox_inbox(s, account, &id), ERR_OK);
    return id;
}

static inline struct flag_list flags_of(const char *text)
{
    struct flag_list l;

    assert_int_equal(flags_parse(str_of(text), &l), ERR_OK);
    return l;
}

static inline struct mailbox_info info(struct store *s, int64_t account, int64_t mailbox,
                                       struct arena *a)
{
    struct mailbox_info m;

    assert_int_equal(mailbox_get(s, account, mailbox, a, &m), ERR_OK);
    return m;
}

/* Counters against a count of the rows themselves. */
static inline void check_counters(struct store *s, int64_t account, int64_t mailbox)
{
    struct db_stmt *st = db_stmt(
        store_db(s),
        "SELECT count(*), coalesce(sum(flags & 1 = 0), 0), coalesce(sum(flags & 512 <> 0), 0),"
        " coalesce(sum(flags & 513 = 512), 0), coalesce(sum(size), 0), min(internaldate),"
        " coalesce(max(uid), 0), coalesce(max(seq), 0) FROM message WHERE account=?1 AND "
        "mailbox=?2");
    struct mailbox_info m;
    struct arena a;

    arena_init(&a, 1 << 20);
    m = info(s, account, mailbox, &a);
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    assert_int_equal(db_one(st), ERR_OK);
    assert_int_equal(m.messages, db_col_i64(st, 0));
    assert_int_equal(m.unseen, db_col_i64(st, 1));
    assert_int_equal(m.media, db_col_i64(st, 2));
    assert_int_equal(m.unseen_media, db_col_i64(st, 3));
    assert_int_equal(m.size, db_col_i64(st, 4));
    if (m.messages != 0)
        assert_int_equal(m.oldest, db_col_i64(st, 5));
    assert_true(m.uid_next > db_col_i64(st, 6));
    assert_true((int64_t)m.box_seq >= db_col_i64(st, 7));
    db_done(st);
    arena_free(&a);
}
