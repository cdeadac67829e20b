// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Mailboxes: tree, list, limits (protocol 2, section 3). */
#include "tests/unit/store/helper.h"

static const struct str names[] = {{"dora", 4}, {"dora@harbor.example", 19}};
static const struct mailbox_owner dora = {names, 2};

static enum err create(struct store *s, const char *name)
{
    return mailbox_create(s, DORA, str_of(name), STR(""), NULL);
}

/* The list as "name[:c][:p]" words; c: also a directory, p: pure. */
static void expect_list(struct store *s, struct mailbox_query q, const char *want)
{
    struct mailbox_info *rows;
    struct arena a;
    struct buf b;
    uint32_t n = 0;

    arena_init(&a, 8 << 20);
    buf_init(&b, 1 << 20);
    assert_int_equal(mailbox_list(s, DORA, &dora, &q, &a, &rows, &n), ERR_OK);
    for (uint32_t i = 0; i < n; i++) {
        if (i != 0)
            buf_char(&b, ' ');
        buf_str(&b, rows[i].name);
        if (!rows[i].selectable)
            buf_lit(&b, ":p");
        else if (rows[i].folder)
            buf_lit(&b, ":c");
    }
    buf_char(&b, 0);
    assert_string_equal(b.p, want);
    buf_free(&b);
    arena_free(&a);
}

static struct mailbox_query all(void)
{
    return (struct mailbox_query){.filter = STR("*"), .pure = true};
}

static void test_create(void **state)
{
    struct store *s = *state;
    struct arena a;
    struct mailbox_info m;
    int64_t id = 0, id2 = 0;

    arena_init(&a, 1 << 20);
    assert_int_equal(mailbox_has_inbox(s, DORA, &id), ERR_MAILBOX_MISSING);
    id = inbox(s, DORA);
    assert_int_equal(inbox(s, DORA), id);
    assert_int_equal(mailbox_has_inbox(s, DORA, &id2), ERR_OK);
    assert_int_equal(id, id2);
    W(s, create(s, "Projects/Alpha"), ERR_OK);
    expect_list(s, all(), "INBOX Projects:p Projects/Alpha");
    W(s, create(s, "Old/"), ERR_OK);
    W(s, create(s, "Old/"), ERR_MAILBOX_EXISTS);
    W(s, create(s, "Projects/Alpha"), ERR_MAILBOX_EXISTS);
    W(s, create(s, "projects/alpha"), ERR_MAILBOX_EXISTS); /* M4 of 3.2 */
    W(s, create(s, "PROJECTS/beta"), ERR_MAILBOX_EXISTS);
    W(s, create(s, "Inbox2"), ERR_OK);
    W(s, create(s, "INBOX"), ERR_MAILBOX_EXISTS);
    W(s, create(s, "Straße"), ERR_OK);
    W(s, create(s, "STRASSE"), ERR_MAILBOX_EXISTS); /* differs only in case */
    W(s, create(s, "a%b"), ERR_MAILBOX_NAME);
    W(s, create(s, "a*"), ERR_MAILBOX_NAME);
    W(s, create(s, "a/"), ERR_OK);
    W(s, create(s, "a"), ERR_OK); /* storage for the pure folder */
    W(s, create(s, "Inbox2/"), ERR_OK);
    W(s, create(s, "INBOX/Invoices/2026"), ERR_OK);
    expect_list(
        s, all(),
        "INBOX:c INBOX/Invoices:p INBOX/Invoices/2026 Inbox2:c Old:p Projects:p Projects/Alpha "
        "Straße a:c");
    assert_int_equal(mailbox_find(s, DORA, STR("Old"), &id), ERR_MAILBOX_NOT_SELECTABLE);
    assert_int_equal(mailbox_find(s, DORA, STR("old"), &id), ERR_MAILBOX_MISSING);
    assert_int_equal(mailbox_find(s, OTTO, STR("a"), &id), ERR_MAILBOX_MISSING);
    W(s, mailbox_open(s, DORA, STR("Contacts"), STR_NONE, &id), ERR_MAILBOX_MISSING);
    W(s, mailbox_open(s, DORA, STR("Contacts"), STR("IPF.Contact"), &id), ERR_OK);
    W(s, mailbox_open(s, DORA, STR("Contacts"), STR("IPF.Contact"), &id2), ERR_OK);
    assert_int_equal(id, id2);
    W(s, mailbox_open(s, DORA, STR("Old"), STR(""), &id2), ERR_MAILBOX_NOT_SELECTABLE);
    m = info(s, DORA, id, &a);
    assert_true(str_eq(m.klass, STR("IPF.Contact")));
    assert_int_equal(m.uid_next, 1);
    assert_true(m.uid_validity > 1700000000);
    arena_free(&a);
}

static void test_list(void **state)
{
    static const char *const make[] = {"Archive/2025/May", "Archive-b", "Drafts", "INBOX/b", "Z"};
    struct store *s = *state;
    struct mailbox_query q = {0};

    inbox(s, DORA);
    for (size_t i = 0; i < ARRAY_LEN(make); i++)
        W(s, create(s, make[i]), ERR_OK);
    W(s, mailbox_create(s, DORA, STR("Cal"), STR("IPF.Appointment"), NULL), ERR_OK);
    expect_list(s, q, "INBOX:c INBOX/b Archive-b Archive/2025/May Cal Drafts Z");
    q.filter = STR("%");
    expect_list(s, q, "INBOX:c Archive-b Cal Drafts Z");
    q.pure = true;
    expect_list(s, q, "INBOX:c Archive:p Archive-b Cal Drafts Z");
    q.filter = STR("%/%");
    expect_list(s, q, "INBOX/b Archive/2025:p");
    q.filter = STR("~dora/A*");
    expect_list(s, q, "Archive:p Archive-b Archive/2025:p Archive/2025/May");
    q.filter = STR("~otto/*");
    expect_list(s, q, "");
    q.filter = STR("inbox*");
    expect_list(s, q, "INBOX:c INBOX/b");
    q.filter = STR("NoSuch*");
    expect_list(s, q, "");
    q = (struct mailbox_query){.klass = STR("ipf.appointment"), .pure = true};
    expect_list(s, q, "Cal");
    q.klass = STR("IPF.Note");
    expect_list(s, q, "INBOX:c INBOX/b Archive-b Archive/2025/May Drafts Z");
}

static void test_limit(void **state)
{
    struct store *s = *state;

    inbox(s, DORA);
    store_limits(s)->mailboxes = 5;
    W(s, create(s, "a/b/c"), ERR_OK); /* 4 */
    W(s, create(s, "d/e"), ERR_QUOTA);
    W(s, create(s, "d"), ERR_OK); /* 5 */
    W(s, create(s, "e"), ERR_QUOTA);
    W(s, create(s, "a"), ERR_OK); /* adds storage, not a row */
    expect_list(s, all(), "INBOX a:c a/b:p a/b/c d");
    W(s, mailbox_create(s, OTTO, STR("x"), STR(""), NULL), ERR_OK); /* everyone has his own limit */
}

static void test_remove(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5};
    struct mailbox_info m;
    struct arena a;
    int64_t id = 0, id2 = 0;
    uint32_t uid = 0, validity;

    arena_init(&a, 1 << 20);
    inbox(s, DORA);
    W(s, create(s, "A/B/C"), ERR_OK);
    W(s, mailbox_create(s, DORA, STR("A"), STR(""), &id), ERR_OK);
    W(s, put_letter(s, DORA, id, &l, &uid), ERR_OK);
    validity = info(s, DORA, id, &a).uid_validity;
    W(s, mailbox_remove(s, DORA, STR("INBOX"), false), ERR_MAILBOX_INBOX);
    W(s, mailbox_remove(s, DORA, STR("INBOX"), true), ERR_MAILBOX_INBOX);
    W(s, mailbox_remove(s, DORA, STR("nope"), false), ERR_MAILBOX_MISSING);
    W(s, mailbox_remove(s, DORA, STR("A/B"), false), ERR_MAILBOX_HAS_CHILDREN);
    W(s, mailbox_remove(s, DORA, STR("A"), false), ERR_OK);
    expect_list(s, all(), "INBOX A:p A/B:p A/B/C");
    assert_int_equal(mailbox_get(s, DORA, id, &a, &m), ERR_MAILBOX_REMOVED);
    W(s, put_letter(s, DORA, id, &l, &uid), ERR_MAILBOX_REMOVED);
    W(s, mailbox_create(s, DORA, STR("A"), STR(""), &id2), ERR_OK);
    assert_true(id2 != id);
    assert_true(info(s, DORA, id2, &a).uid_validity > validity);
    assert_int_equal(info(s, DORA, id2, &a).messages, 0);
    W(s, create(s, "A0"), ERR_OK);
    W(s, mailbox_remove(s, DORA, STR("A"), true), ERR_OK);
    expect_list(s, all(), "INBOX A0");
    W(s, create(s, "P/"), ERR_OK);
    W(s, mailbox_remove(s, DORA, STR("P"), false), ERR_OK);
    expect_list(s, all(), "INBOX A0");
    arena_free(&a);
}

/* A request that failed leaves nothing, and ids are not used twice. */
static void test_rollback(void **state)
{
    struct store *s = *state;
    int64_t id = 0;

    inbox(s, DORA);
    begin(s);
    assert_int_equal(mailbox_create(s, DORA, STR("x/y"), STR(""), &id), ERR_OK);
    undo(s);
    expect_list(s, all(), "INBOX");
    assert_int_equal(mailbox_find(s, DORA, STR("x/y"), &id), ERR_MAILBOX_MISSING);
}

static unsigned seen[16];
static int64_t seen_mailbox[16];
static int seen_n;

static void listen(void *arg, const struct store_change *c)
{
    assert_ptr_equal(arg, seen);
    assert_int_equal(c->account, DORA);
    assert_true(seen_n < 16);
    seen_mailbox[seen_n] = c->mailbox;
    seen[seen_n++] = c->what;
}

static void test_changes(void **state)
{
    struct store *s = *state;
    struct letter l = {.internaldate = 5, .flags = FLAG_RECENT};
    struct flag_list mark = flags_of("Seen"), deleted = flags_of("Deleted");
    int64_t id = 0, box;
    uint32_t uid = 0, at;

    store_on_change(s, listen, seen);
    seen_n = 0;
    box = inbox(s, DORA);
    assert_int_equal(seen_n, 1);
    assert_int_equal(seen[0], STORE_MAILBOX_CREATED);
    seen_n = 0;
    begin(s);
    for (int i = 0; i < 5; i++)
        assert_int_equal(put_letter(s, DORA, box, &l, &uid), ERR_OK);
    assert_int_equal(message_mark(s, DORA, box, &uid, 1, &mark), ERR_OK);
    assert_int_equal(seen_n, 0); /* not before the commit */
    commit(s);
    assert_int_equal(seen_n, 1);
    assert_int_equal(seen[0], STORE_ADDED | STORE_FLAGS);
    seen_n = 0;
    begin(s);
    assert_int_equal(put_letter(s, DORA, box, &l, &uid), ERR_OK);
    undo(s);
    assert_int_equal(seen_n, 0);
    W(s, message_mark(s, DORA, box, &uid, 1, &mark), ERR_OK); /* no such UID: nothing happened */
    assert_int_equal(seen_n, 0);
    uid = 1;
    W(s, message_trash(s, DORA, box, STR(""), &uid, 1), ERR_OK);
    assert_int_equal(seen_n, 2);
    assert_int_equal(seen[0], STORE_MAILBOX_CREATED | STORE_ADDED);
    assert_int_equal(seen[1], STORE_REMOVED);
    assert_int_equal(seen_mailbox[1], box);
    seen_n = 0;
    uid = 2;
    at = 0;
    W(s, message_mark(s, DORA, box, &uid, 1, &deleted), ERR_OK);
    W(s, message_expunge(s, DORA, box, &at), ERR_OK);
    assert_int_equal(seen_n, 2);
    assert_int_equal(seen[1], STORE_REMOVED);
    assert_int_equal(mailbox_find(s, DORA, STR("Trash"), &id), ERR_OK);
    seen_n = 0;
    W(s, mailbox_remove(s, DORA, STR("Trash"), false), ERR_OK);
    assert_int_equal(seen_n, 1);
    assert_true((seen[0] & STORE_MAILBOX_REMOVED) != 0 && seen_mailbox[0] == id);
    store_on_change(s, NULL, NULL);
    W(s, store_account_remove(s, DORA), ERR_OK);
    expect_list(s, all(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_list, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_limit, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_remove, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_rollback, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_changes, bank_setup, bank_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, bank_remove);
}
