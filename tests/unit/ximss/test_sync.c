// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * folderSync, messageMark, messageRemove, folderExpunge, and what other sessions see of them (protocol 2, 4.1, 4.6,
 * 4.9, 5.1, 5.2, 12.1).
 */
#include "harness.h"

#define NOTE "From: bob@example.net\r\nSubject: plan\r\n\r\nText.\r\n"

static int setup(void **state)
{
    struct world *w = world_new();

    make_inbox(w, DORA);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void open_folder(struct world *w, struct client *c, const char *folder, const char *more)
{
    char text[512];

    snprintf(
        text, sizeof text,
        "<folderOpen id=\"F\" folder=\"%s\" mailbox=\"INBOX\" %s><field>FLAGS</field></folderOpen>",
        folder, more);
    say(w, c, text);
    assert_non_null(strstr(take(c), " mode=\"init\" "));
    EXPECT(c, OK("F"));
    EXPECT_NOTHING(c);
}

/* Protocol 2, 12.1, line by line. */
static void two_sessions(void **state)
{
    struct world *w = *state;
    struct client *one = login(w), *two = login(w);

    deliver(w, NOTE, 1000, 0);
    deliver(w, NOTE, 1001, 0);
    open_folder(w, one, "INBOX", "");
    open_folder(w, two, "in", "sortOrder=\"desc\"");
    say(w, one, "<messageMark id=\"1\" folder=\"INBOX\" flags=\"Seen\"><UID>1</UID></messageMark>");
    EXPECT(one, OK("1"));
    EXPECT(one, NOTIFY("INBOX"));
    EXPECT_NOTHING(one);
    EXPECT(two, NOTIFY("in"));
    EXPECT_NOTHING(two);
    say(w, two, "<folderSync id=\"9\" folder=\"in\"/>");
    EXPECT(two, "<folderReport id=\"9\" folder=\"in\" mode=\"updated\" index=\"1\" UID=\"1\" "
                "messages=\"2\" unseen=\"1\">"
                "<FLAGS>Seen</FLAGS></folderReport>");
    EXPECT(two, OK("9"));
    EXPECT_NOTHING(two);
    say(w, one, "<folderSync id=\"2\" folder=\"INBOX\"/>");
    EXPECT(one, "<folderReport id=\"2\" folder=\"INBOX\" mode=\"updated\" index=\"0\" UID=\"1\" "
                "messages=\"2\" unseen=\"1\">"
                "<FLAGS>Seen</FLAGS></folderReport>");
    EXPECT(one, OK("2"));
    CHECK(w, one, "<folderSync id=\"3\" folder=\"INBOX\"/>", OK("3"));

    /* Both remove the same message: both succeed. */
    feed(one, "<messageRemove id=\"4\" folder=\"INBOX\" "
              "mode=\"IMMEDIATELY\"><UID>2</UID></messageRemove>");
    feed(two,
         "<messageRemove id=\"4\" folder=\"in\" mode=\"immediately\"><UID>2</UID></messageRemove>");
    run(w);
    EXPECT(one, OK("4"));
    EXPECT(one, NOTIFY("INBOX"));
    EXPECT_NOTHING(one);
    EXPECT(two, OK("4"));
    EXPECT(two, NOTIFY("in"));
    EXPECT_NOTHING(two);
    /* Gone, but still in the view: browse skips it, a mark ignores it, folderRead says so. */
    CHECK(w, two, "<folderBrowse id=\"5\" folder=\"in\"><UID>2</UID></folderBrowse>", OK("5"));
    CHECK(w, two, "<messageMark id=\"6\" folder=\"in\" flags=\"Seen\"><UID>2</UID></messageMark>",
          OK("6"));
    CHECK(w, two, "<folderRead id=\"7\" folder=\"in\" UID=\"2\"/>",
          ERROR("7", "message not found", "570"));
    say(w, two, "<folderSync id=\"8\" folder=\"in\"/>");
    EXPECT(two, "<folderReport id=\"8\" folder=\"in\" mode=\"removed\" index=\"0\" UID=\"2\" "
                "messages=\"1\" unseen=\"0\"/>");
    EXPECT(two, OK("8"));
}

/* C1: one notify per folder until it is synced; two folders, two notifies; nothing for strangers. */
static void notify_once(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *stranger = login_as(w, 9, "otto@harbor.example");

    make_inbox(w, 9);
    open_folder(w, c, "INBOX-MM-1", "");
    open_folder(w, c, "a&lt;b", "filterField=\"FLAGS\" filter=\"Seen\"");
    open_folder(w, stranger, "INBOX-MM-1", "");
    deliver(w, NOTE, 1000, FLAG_RECENT);
    deliver(w, NOTE, 1001, FLAG_RECENT);
    run(w);
    EXPECT(c, "<folderReport folder=\"INBOX-MM-1\" mode=\"notify\"/>");
    EXPECT(c, NOTIFY("a&lt;b"));
    EXPECT_NOTHING(c);
    EXPECT_NOTHING(stranger);
    say(w, c, "<folderSync id=\"1\" folder=\"INBOX-MM-1\"/>");
    EXPECT(c, "<folderReport id=\"1\" folder=\"INBOX-MM-1\" mode=\"added\" index=\"0\" UID=\"1\" "
              "messages=\"1\" unseen=\"1\">"
              "<FLAGS>Recent</FLAGS></folderReport>");
    EXPECT(c, "<folderReport id=\"1\" folder=\"INBOX-MM-1\" mode=\"added\" index=\"1\" UID=\"2\" "
              "messages=\"2\" unseen=\"2\">"
              "<FLAGS>Recent</FLAGS></folderReport>");
    EXPECT(c, OK("1"));
    EXPECT_NOTHING(c);
    deliver(w, NOTE, 1002, 0);
    EXPECT(c, NOTIFY("INBOX-MM-1")); /* the other folder has not been synced */
    EXPECT_NOTHING(c);
    CHECK(w, c, "<folderSync id=\"2\" folder=\"a&lt;b\"/>", OK("2"));
    deliver(w, NOTE, 1003, 0);
    EXPECT(c, NOTIFY("a&lt;b"));
    EXPECT_NOTHING(c);
    say(w, c, "<folderReopen id=\"3\" folder=\"INBOX-MM-1\"/>");
    skip_all(c);
    deliver(w, NOTE, 1004, 0);
    EXPECT(c, NOTIFY("INBOX-MM-1"));
}

/* Without credit: no byte, one flag; one notify when credit comes. */
static void notify_without_credit(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    open_folder(w, c, "f", "");
    c->no_credit = true;
    for (int i = 0; i < 50; i++)
        deliver(w, NOTE, 1000 + i, 0);
    feed(c, "<noop id=\"n\"/>");
    run(w);
    EXPECT_NOTHING(c);
    assert_true(session_async_due(c->s));
    c->no_credit = false;
    session_async(c->s, &c->out);
    EXPECT(c, NOTIFY("f"));
    EXPECT_NOTHING(c);
    assert_false(session_async_due(c->s));
    run(w);
    EXPECT(c, OK("n"));
    /* due, but the client syncs by itself first: not sent any more */
    say(w, c, "<folderSync id=\"1\" folder=\"f\"/>");
    skip_all(c);
    c->no_credit = true;
    deliver(w, NOTE, 2000, 0);
    c->no_credit = false;
    say(w, c, "<folderSync id=\"2\" folder=\"f\"/>");
    assert_non_null(strstr(take(c), "mode=\"added\" index=\"50\""));
    EXPECT(c, OK("2"));
    EXPECT_NOTHING(c);
}

/* Q4: `limit` reports, then a notify behind the response. */
static void limit(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    open_folder(w, c, "f", "");
    for (int i = 0; i < 5; i++)
        deliver(w, NOTE, 1000 + i, 0);
    EXPECT(c, NOTIFY("f"));
    for (int i = 0; i < 2; i++) {
        say(w, c, "<folderSync id=\"1\" folder=\"f\" limit=\"2\"/>");
        for (int k = 0; k < 2; k++) {
            take(c);
            assert_int_equal(attribute(c, "index"), 2 * i + k);
            assert_int_equal(attribute(c, "messages"), 2 * i + k + 1);
        }
        EXPECT(c, OK("1"));
        EXPECT(c, NOTIFY("f"));
        EXPECT_NOTHING(c);
    }
    say(w, c, "<folderSync id=\"1\" folder=\"f\" limit=\"2\"/>");
    take(c);
    assert_int_equal(attribute(c, "UID"), 5);
    EXPECT(c, OK("1"));
    EXPECT_NOTHING(c);
}

/* 5.1: the examples, and keywords (C19). */
static void mark(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    deliver(w, NOTE, 1000, 0);
    deliver(w, NOTE, 1001, FLAG_FLAGGED);
    open_folder(w, c, "INBOX-MM-1", "");
    say(w, c,
        "<messageMark id=\"K1\" folder=\"INBOX-MM-1\" "
        "flags=\"Seen,Unflagged\"><UID>2</UID><UID>1</UID></messageMark>");
    EXPECT(c, OK("K1"));
    EXPECT(c, NOTIFY("INBOX-MM-1"));
    CHECK(w, c,
          "<messageMark id=\"K2\" folder=\"INBOX-MM-1\" flags=\"Unseen,no "
          "such!\"><UID>2</UID></messageMark>",
          ERROR("K2", "unknown message flag", "572"));
    CHECK(w, c,
          "<messageMark id=\"K3\" folder=\"INBOX-MM-1\" flags=\"\"><UID>2</UID></messageMark>",
          OK("K3"));
    CHECK(w, c, "<messageMark id=\"K3\" folder=\"INBOX-MM-1\"><UID>2</UID></messageMark>",
          ERROR("K3", "required attribute is missing", "501"));
    CHECK(w, c, "<messageMark id=\"K3\" flags=\"Seen\"><UID>2</UID></messageMark>",
          ERROR("K3", "required attribute is missing", "501"));
    CHECK(w, c, "<messageMark id=\"K3\" folder=\"no\" flags=\"Seen\"><UID>2</UID></messageMark>",
          ERROR("K3", "folder has not been opened", "569"));
    CHECK(w, c,
          "<messageMark id=\"K3\" folder=\"no\" flags=\"Seen,no such!\"><UID>2</UID></messageMark>",
          ERROR("K3", "unknown message flag", "572"));
    CHECK(w, c,
          "<messageMark id=\"K3\" folder=\"no\" flags=\"no such!\"><UID>x</UID></messageMark>",
          ERROR("K3", "illegal attribute value", "502"));
    CHECK(w, c, "<messageMark id=\"K3\" folder=\"INBOX-MM-1\" flags=\"Read\"/>", OK("K3"));
    say(w, c, "<folderSync id=\"Y\" folder=\"INBOX-MM-1\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"INBOX-MM-1\" mode=\"updated\" index=\"0\" UID=\"1\" "
              "messages=\"2\" unseen=\"1\">"
              "<FLAGS>Seen</FLAGS></folderReport>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"INBOX-MM-1\" mode=\"updated\" index=\"1\" UID=\"2\" "
              "messages=\"2\" unseen=\"0\">"
              "<FLAGS>Seen</FLAGS></folderReport>");
    EXPECT(c, OK("Y"));
    /* left to right; Recent is ignored; a keyword appears and goes */
    say(w, c,
        "<messageMark id=\"K\" folder=\"INBOX-MM-1\" flags=\"Seen, Unseen "
        ",Recent,meetingCreated\"><UID>1</UID></messageMark>");
    EXPECT(c, OK("K"));
    EXPECT(c, NOTIFY("INBOX-MM-1"));
    say(w, c, "<folderBrowse id=\"B\" folder=\"INBOX-MM-1\"><index>0</index></folderBrowse>");
    EXPECT(c, "<folderReport id=\"B\" folder=\"INBOX-MM-1\" index=\"0\" "
              "UID=\"1\"><FLAGS>meetingCreated</FLAGS></folderReport>");
    EXPECT(c, OK("B"));
    say(w, c,
        "<folderSync id=\"Y\" folder=\"INBOX-MM-1\"/>"); /* the browse has not eaten the change */
    EXPECT(c, "<folderReport id=\"Y\" folder=\"INBOX-MM-1\" mode=\"updated\" index=\"0\" UID=\"1\" "
              "messages=\"2\" unseen=\"1\">"
              "<FLAGS>meetingCreated</FLAGS></folderReport>");
    EXPECT(c, OK("Y"));
    say(w, c,
        "<messageMark id=\"K\" folder=\"INBOX-MM-1\" "
        "flags=\"NotmeetingCreated\"><index>0</index></messageMark>");
    skip_all(c);
    say(w, c, "<folderBrowse id=\"B\" folder=\"INBOX-MM-1\"><index>0</index></folderBrowse>");
    EXPECT(c, "<folderReport id=\"B\" folder=\"INBOX-MM-1\" index=\"0\" "
              "UID=\"1\"><FLAGS/></folderReport>");
}

/* 5.2 (C17), 4.9 (C18). */
static void removing(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    for (int i = 0; i < 6; i++)
        deliver(w, NOTE, 1000 + i, FLAG_FLAGGED);
    open_folder(w, c, "in", "");
    say(w, c, "<messageRemove id=\"K4\" folder=\"in\"><UID>1</UID></messageRemove>");
    EXPECT(c, OK("K4"));
    EXPECT(c, NOTIFY("in"));
    CHECK(w, c,
          "<messageRemove id=\"K5\" folder=\"in\" mode=\" "
          "movetoTRASH\"><UID>2</UID><UID>1</UID></messageRemove>",
          OK("K5"));
    CHECK(w, c, "<messageRemove id=\"K6\" folder=\"in\" mode=\"Mark\"><UID>3</UID></messageRemove>",
          OK("K6"));
    CHECK(w, c,
          "<messageRemove id=\"K7\" folder=\"in\" mode=\"shred\"><UID>4</UID></messageRemove>",
          ERROR("K7", "illegal attribute value", "502"));
    CHECK(w, c, "<messageRemove id=\"K8\"><UID>4</UID></messageRemove>",
          ERROR("K8", "required attribute is missing", "501"));
    CHECK(w, c, "<messageRemove id=\"K8\" folder=\"in\"/>", OK("K8"));
    say(w, c,
        "<folderOpen id=\"F\" folder=\"trash\" "
        "mailbox=\"Trash\"><field>FLAGS</field></folderOpen>");
    take(c);
    assert_int_equal(attribute(c, "messages"), 2);
    EXPECT(c, OK("F"));
    say(w, c, "<folderBrowse id=\"B\" folder=\"trash\"><index>0</index></folderBrowse>");
    EXPECT(c, "<folderReport id=\"B\" folder=\"trash\" index=\"0\" "
              "UID=\"1\"><FLAGS>Flagged</FLAGS></folderReport>");
    EXPECT(c, OK("B"));
    say(w, c,
        "<messageRemove id=\"K9\" folder=\"trash\"><UID>1</UID></messageRemove>"); /* acts as Immediately */
    EXPECT(c, OK("K9"));
    EXPECT(c, NOTIFY("trash"));
    say(w, c, "<folderSync id=\"Y\" folder=\"trash\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"trash\" mode=\"removed\" index=\"0\" UID=\"1\" "
              "messages=\"1\" unseen=\"1\"/>");
    EXPECT(c, OK("Y"));
    say(w, c, "<folderSync id=\"Y\" folder=\"in\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"in\" mode=\"removed\" index=\"1\" UID=\"2\" "
              "messages=\"5\" unseen=\"5\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"in\" mode=\"removed\" index=\"0\" UID=\"1\" "
              "messages=\"4\" unseen=\"4\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"in\" mode=\"updated\" index=\"0\" UID=\"3\" "
              "messages=\"4\" unseen=\"4\">"
              "<FLAGS>Flagged,Deleted</FLAGS></folderReport>");
    EXPECT(c, OK("Y"));
    open_folder(w, c, "seen", "filterField=\"FLAGS\" filter=\"Seen\"");
    say(w, c, "<folderExpunge id=\"X1\" folder=\"seen\"/>"); /* also outside the filter */
    EXPECT(c, OK("X1"));
    EXPECT(c, NOTIFY("in"));
    EXPECT(c, NOTIFY("seen"));
    say(w, c, "<folderSync id=\"Y\" folder=\"in\"/>");
    EXPECT(c, "<folderReport id=\"Y\" folder=\"in\" mode=\"removed\" index=\"0\" UID=\"3\" "
              "messages=\"3\" unseen=\"3\"/>");
    EXPECT(c, OK("Y"));
}

/* Marks and removes of many messages run in several writing slices. */
static void many(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    uint32_t before;

    for (int i = 0; i < 1300; i++)
        deliver(w, NOTE, 1000 + i, 0);
    open_folder(w, c, "in", "");
    before = w->slices;
    say(w, c,
        "<messageMark id=\"K\" folder=\"in\" flags=\"Seen\"><index from=\"0\"/></messageMark>");
    assert_true(w->slices - before >= 3);
    EXPECT(c, OK("K"));
    EXPECT(c, NOTIFY("in"));
    say(w, c, "<folderSync id=\"Y\" folder=\"in\"/>");
    for (long i = 0; i < 1300; i++) {
        assert_non_null(strstr(take(c), " mode=\"updated\" "));
        assert_int_equal(attribute(c, "index"), i);
        assert_int_equal(attribute(c, "unseen"), 1299 - i);
    }
    EXPECT(c, OK("Y"));
    say(w, c,
        "<messageRemove id=\"R\" folder=\"in\"><index from=\"0\" till=\"1298\"/></messageRemove>");
    EXPECT(c, OK("R"));
    EXPECT(c, NOTIFY("in"));
    say(w, c, "<folderReopen id=\"O\" folder=\"in\"/>");
    take(c);
    assert_int_equal(attribute(c, "messages"), 1);
}

/* --- simulation: whatever happens, applying the reports gives the server's view */

#define BOX_MAX 400

struct mirror {
    long uid[BOX_MAX];
    int n;
};

static void apply(struct mirror *m, struct client *c)
{
    long at = attribute(c, "index"), uid = attribute(c, "UID");

    if (strstr(c->text, " mode=\"removed\"") != NULL) {
        assert_in_range(at, 0, m->n - 1);
        assert_int_equal(m->uid[at], uid);
        m->n--;
        memmove(m->uid + at, m->uid + at + 1, (size_t)(m->n - at) * sizeof *m->uid);
    } else if (strstr(c->text, " mode=\"updated\"") != NULL) {
        assert_in_range(at, 0, m->n - 1);
        assert_int_equal(m->uid[at], uid);
    } else {
        assert_non_null(strstr(c->text, " mode=\"added\""));
        assert_in_range(at, 0, m->n);
        memmove(m->uid + at + 1, m->uid + at, (size_t)(m->n - at) * sizeof *m->uid);
        m->uid[at] = uid;
        m->n++;
    }
    assert_int_equal(attribute(c, "messages"), m->n);
}

/* Syncs until no notify follows any more. */
static void sync_all(struct world *w, struct client *c, struct mirror *m, int most)
{
    char text[128];
    bool again = true;

    while (again) {
        snprintf(text, sizeof text,
                 most != 0 ? "<folderSync id=\"Y\" folder=\"f\" limit=\"%d\"/>"
                           : "<folderSync id=\"Y\" folder=\"f\"/>",
                 most);
        say(w, c, text);
        int reports = 0;
        for (again = false; take(c) != NULL;) {
            if (strcmp(c->text, NOTIFY("f")) == 0)
                again = true;
            else if (strcmp(c->text, OK("Y")) != 0)
                apply(m, c), reports++;
        }
        assert_true(most == 0 || reports <= most);
    }
}

static void fill(struct world *w, struct client *c, struct mirror *m)
{
    m->n = 0;
    say(w, c, "<folderBrowse id=\"B\" folder=\"f\"><index from=\"0\"/></folderBrowse>");
    while (strncmp(take(c), "<folderReport ", 14) == 0)
        m->uid[m->n++] = attribute(c, "UID");
}

static uint32_t dice(uint32_t n)
{
    static uint32_t seed = 20260525;

    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void change(struct world *w, struct client *c, const struct mirror *m)
{
    static const char *const flags[] = {"Seen",      "Unseen", "Flagged", "Deleted",
                                        "Undeleted", "kw1",    "Notkw1",  "Media"};
    char text[200];
    long uid = m->n != 0 ? m->uid[dice((uint32_t)m->n)] : 1;

    switch (dice(5)) {
    case 0:
        deliver(w, NOTE, 1000 + dice(50), 0);
        return;
    case 1:
        snprintf(text, sizeof text,
                 "<messageRemove id=\"x\" folder=\"g\" "
                 "mode=\"Immediately\"><UID>%ld</UID></messageRemove>",
                 uid);
        break;
    case 2:
        snprintf(text, sizeof text, "<folderExpunge id=\"x\" folder=\"g\"/>");
        break;
    default:
        snprintf(text, sizeof text,
                 "<messageMark id=\"x\" folder=\"g\" flags=\"%s\"><UID>%ld</UID></messageMark>",
                 flags[dice(ARRAY_LEN(flags))], uid);
    }
    say(w, c, text);
    say(w, c, "<folderSync id=\"x\" folder=\"g\"/>"); /* so that g knows all UIDs */
    skip_all(c);
}

static void simulation(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *other = login(w);
    static const char *const orders[] = {
        "sortField=\"FLAGS\"", "sortField=\"INTERNALDATE\" sortOrder=\"desc\"",
        "sortField=\"UID\" filterField=\"FLAGS\" filter=\"Unseen\"",
        "sortField=\"FLAGS\" sortOrder=\"desc\" filterField=\"FLAGS\" filter=\"NotMedia\""};
    struct mirror m, truth;
    char text[300];

    open_folder(w, other, "g", "");
    for (int i = 0; i < 12; i++)
        deliver(w, NOTE, 1000 + dice(50), 0);
    for (uint32_t round = 0; round < 160; round++) {
        if (round % 10 == 0) {
            snprintf(text, sizeof text, "<folderClose id=\"C\" folder=\"f\"/>");
            say(w, c, text);
            skip_all(c);
            open_folder(w, c, "f", orders[round / 10 % ARRAY_LEN(orders)]);
            fill(w, c, &m);
        }
        for (uint32_t n = dice(6); n != 0; n--)
            change(w, other, &m);
        skip_all(c);
        sync_all(w, c, &m, (int)dice(6));
        /* the truth: the same view, opened anew */
        fill(w, c, &truth);
        say(w, c, "<folderReopen id=\"R\" folder=\"f\"/>");
        skip_all(c);
        snprintf(text, sizeof text, "<folderReopen id=\"R\" folder=\"f\" %s/>",
                 orders[round / 10 % ARRAY_LEN(orders)]);
        say(w, c, text);
        skip_all(c);
        fill(w, c, &truth);
        assert_int_equal(m.n, truth.n);
        assert_memory_equal(m.uid, truth.uid, (size_t)m.n * sizeof *m.uid);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(two_sessions), T(notify_once), T(notify_without_credit), T(limit), T(mark), T(removing),
        T(many),         T(simulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
