// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Rounds (design 4): readers first, writers together, and what is left when a round breaks: each of its writers gets
 * 599, and nothing of what they did is seen by anybody.
 */
#include <signal.h>
#include <sys/resource.h>

#include "harness.h"

#define NOTE       "From: bob@example.net\r\nSubject: plan\r\n\r\nText.\r\n"
#define BROKEN(id) ERROR(id, "internal error", "599")

static int setup(void **state)
{
    struct world *w = world_new();

    make_inbox(w, DORA);
    for (int i = 0; i < 3; i++)
        deliver(w, NOTE, 1000 + i, FLAG_RECENT);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void open_folder(struct world *w, struct client *c, const char *folder)
{
    char text[256];

    snprintf(
        text, sizeof text,
        "<folderOpen id=\"F\" folder=\"%s\" mailbox=\"INBOX\"><field>FLAGS</field></folderOpen>",
        folder);
    say(w, c, text);
    assert_non_null(strstr(take(c), " mode=\"init\" "));
    EXPECT(c, OK("F"));
}

static void expect_flags(struct world *w, struct client *c, const char *folder, const char *flags)
{
    char text[256], want[256];

    snprintf(text, sizeof text, "<folderBrowse id=\"B\" folder=\"%s\"><UID>1</UID></folderBrowse>",
             folder);
    snprintf(want, sizeof want,
             "<folderReport id=\"B\" folder=\"%s\" index=\"0\" "
             "UID=\"1\"><FLAGS>%s</FLAGS></folderReport>",
             folder, flags);
    say(w, c, text);
    EXPECT(c, want);
    EXPECT(c, OK("B"));
}

/* One commit for all; a rule failure among them harms nobody. */
static void shared_commit(void **state)
{
    struct world *w = *state;
    struct client *a = login(w), *b = login(w);

    feed(a, "<mailboxCreate id=\"1\" mailbox=\"A\"/>");
    feed(a, "<mailboxCreate id=\"2\" mailbox=\"A\"/>");
    feed(a, "<mailboxCreate id=\"3\" mailbox=\"B/C\"/>");
    feed(b, "<mailboxCreate id=\"4\" mailbox=\"50%\"/>");
    feed(b, "<mailboxCreate id=\"5\" mailbox=\"D\"/>");
    feed(b, "<noop id=\"6\"/>");
    run(w);
    assert_int_equal(w->rounds, 1);
    EXPECT(a, OK("1"));
    EXPECT(a, ERROR("2", "mailbox already exists", "562"));
    EXPECT(a, OK("3"));
    EXPECT(b, ERROR("4", "illegal mailbox name", "563"));
    EXPECT(b, OK("5"));
    EXPECT(b, OK("6"));
    (void)box_id(w, DORA, "A");
    (void)box_id(w, DORA, "B/C");
    (void)box_id(w, DORA, "D");
}

/* Mark and sync in one breath: the sync sees the mark, and nothing is notified twice. */
static void write_then_read(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    open_folder(w, c, "f");
    feed(c, "<messageMark id=\"1\" folder=\"f\" flags=\"Seen\"><UID>1</UID></messageMark>");
    feed(c, "<folderSync id=\"2\" folder=\"f\"/>");
    feed(c, "<messageMark id=\"3\" folder=\"f\" flags=\"Unseen\"><UID>1</UID></messageMark>");
    run(w);
    EXPECT(c, OK("1"));
    EXPECT(c, NOTIFY("f"));
    EXPECT(c, "<folderReport id=\"2\" folder=\"f\" mode=\"updated\" index=\"0\" UID=\"1\" "
              "messages=\"3\" unseen=\"2\">"
              "<FLAGS>Seen,Recent</FLAGS></folderReport>");
    EXPECT(c, OK("2"));
    EXPECT(c, OK("3"));
    EXPECT(c, NOTIFY("f"));
    EXPECT_NOTHING(c);
}

static void broken(void **state)
{
    struct world *w = *state;
    struct client *a = login(w), *b = login(w), *c = login(w);
    int64_t id;

    open_folder(w, a, "f");
    open_folder(w, b, "f");
    open_folder(w, c, "f");
    w->break_round = true;
    feed(a, "<noop id=\"0\"/>");
    feed(a, "<mailboxCreate id=\"1&lt;\" mailbox=\"A\"/>");
    feed(a, "<mailboxCreate id=\"2\" mailbox=\"A\" exeTime=\"1\"/>"); /* 562 in vain */
    feed(a, "<noop id=\"3\"/>");
    feed(b, "<messageMark id=\"4\" folder=\"f\" flags=\"Seen\"><UID>1</UID></messageMark>");
    feed(b, "<folderSync id=\"5\" folder=\"f\"/>");
    feed(c, "<folderBrowse id=\"6\" folder=\"f\"><UID>1</UID></folderBrowse>");
    run(w);
    EXPECT(a, OK("0"));
    EXPECT(a, BROKEN("1&lt;"));
    EXPECT(a, "<response id=\"2\" errorText=\"internal error\" errorNum=\"599\" exeTime=\"0\"/>");
    EXPECT(a, OK("3"));
    EXPECT_NOTHING(a);
    EXPECT(b, BROKEN("4"));
    EXPECT(b, OK("5")); /* nothing has changed */
    EXPECT_NOTHING(b);
    EXPECT(c, "<folderReport id=\"6\" folder=\"f\" index=\"0\" "
              "UID=\"1\"><FLAGS>Recent</FLAGS></folderReport>");
    EXPECT(c, OK("6"));
    EXPECT_NOTHING(c);
    assert_int_equal(mailbox_find(w->store, DORA, STR("A"), &id), ERR_MAILBOX_MISSING);
    /* and on it goes */
    CHECK(w, a, "<mailboxCreate id=\"7\" mailbox=\"A\"/>", OK("7"));
    (void)box_id(w, DORA, "A");
}

static void refused(void **state)
{
    struct world *w = *state;
    struct client *a = login(w), *b = login(w);

    w->refuse_round = true;
    feed(a, "<mailboxCreate id=\"1\" mailbox=\"A\"/>");
    feed(a, "<noop id=\"2\"/>");
    feed(b, "<noop id=\"3\"/>");
    run(w);
    EXPECT(a, BROKEN("1"));
    EXPECT(a, OK("2"));
    EXPECT(b, OK("3"));
    CHECK(w, a, "<mailboxCreate id=\"1\" mailbox=\"A\"/>", OK("1"));
}

static void broken_open(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    int64_t id;

    w->break_round = true;
    CHECK(w, c, "<folderOpen id=\"1\" folder=\"n\" mailbox=\"New\" mailboxClass=\"IPF.Note\"/>",
          BROKEN("1"));
    assert_int_equal(mailbox_find(w->store, DORA, STR("New"), &id), ERR_MAILBOX_MISSING);
    assert_int_equal(c->s->folder_count, 0);
    say(w, c, "<folderOpen id=\"2\" folder=\"n\" mailbox=\"New\" mailboxClass=\"IPF.Note\"/>");
    assert_non_null(strstr(take(c), " mode=\"init\" messages=\"0\" "));
    EXPECT(c, OK("2"));
}

static void broken_close(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *d = login(w);

    open_folder(w, c, "f");
    open_folder(w, d, "g");
    w->break_round = true;
    say(w, c, "<folderClose id=\"1\" folder=\"f\"/>");
    EXPECT(c, BROKEN("1"));
    skip_all(c); /* a notify may follow: what happened meanwhile was not looked at */
    expect_flags(w, c, "f", "Recent");
    EXPECT_NOTHING(d);
    CHECK(w, c, "<folderClose id=\"2\" folder=\"f\"/>", OK("2"));
    EXPECT(d, NOTIFY("g"));
    w->break_round = true;
    session_end(d->s); /* cannot clear Recent: there is none left; a session always ends */
    run(w);
    assert_true(d->ended);
}

static void broken_end(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *d = login(w);

    open_folder(w, c, "f");
    w->break_round = true;
    say(w, c, "<bye id=\"1\"/>");
    EXPECT(c, OK("1"));
    EXPECT_NOTHING(c);
    assert_true(c->ended);
    open_folder(w, d, "f");
    expect_flags(w, d, "f", "Recent");
    w->refuse_round = true;
    session_end(d->s);
    run(w);
    EXPECT_NOTHING(d);
    assert_true(d->ended);
}

/* A long writer: what was committed before stands. */
static void broken_in_the_middle(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *d = login(w);
    struct buf out;
    struct db *db = store_db(w->store);

    for (int i = 0; i < 1200; i++)
        deliver(w, NOTE, 2000 + i, 0);
    open_folder(w, c, "f");
    open_folder(w, d, "f");
    buf_init(&out, SIZE_MAX);
    feed(c, "<messageMark id=\"1\" folder=\"f\" flags=\"Seen\"><index from=\"0\"/></messageMark>");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(dispatch_kind(c->s), KIND_WRITE);
        db_round_begin(db);
        must(db_request_begin(db));
        struct slice r = dispatch_slice(c->s, &out);
        assert_int_equal(r.run, RUN_MORE);
        must(db_request_end(db, true));
        if (round == 0) {
            must(db_round_commit(db));
            dispatch_commit(c->s);
        } else {
            db_round_cancel(db);
            dispatch_fail(c->s, 0, &out);
        }
    }
    assert_int_equal(out.n, strlen(BROKEN("1")) + 1);
    assert_string_equal(out.p, BROKEN("1"));
    assert_false(session_has_work(c->s));
    buf_free(&out);
    run(w);
    EXPECT(d, NOTIFY("f"));
    say(w, d, "<folderSync id=\"2\" folder=\"f\"/>");
    uint32_t n = skip_all(d) - 1;
    assert_int_equal(n, 500);
}

/* A disk that takes nothing any more: reading goes on, writers get 599, afterwards all is well. */
static void full_disk(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct rlimit before, tight;
    char text[1200], klass[256];

    open_folder(w, c, "f");
    db_set_probe(store_db(w->store), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    memset(klass, 'k', sizeof klass);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "<mailboxCreate id=\"1\" mailbox=\"Box %d\" mailboxClass=\"%.200s\"/>", i, klass);
        say(w, c, text);
        EXPECT(c, BROKEN("1"));
        EXPECT_NOTHING(c);
        expect_flags(w, c, "f", "Recent");
        CHECK(w, c, "<folderSync id=\"2\" folder=\"f\"/>", OK("2"));
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(w, c, "<mailboxCreate id=\"3\" mailbox=\"Box\"/>", OK("3"));
    CHECK(w, c, "<mailboxList id=\"4\" filter=\"Box %\"/>", OK("4"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(shared_commit), T(write_then_read),      T(broken),
        T(refused),       T(broken_open),          T(broken_close),
        T(broken_end),    T(broken_in_the_middle), T(full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
