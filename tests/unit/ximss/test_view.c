// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a folder shows and what becomes of it: sorting, filtering, folderReopen, Recent, a mailbox that goes away, long
 * answers (protocol 2, 4.3, 4.4, 4.7, 12.2, 12.3).
 */
#include "harness.h"

static int setup(void **state)
{
    *state = world_new();
    three_messages(*state);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

#define INIT(id, folder, messages, unseen)                                                 \
    "<folderReport id=\"" id "\" folder=\"" folder "\" mode=\"init\" messages=\"" messages \
    "\" unseen=\"" unseen "\" UIDNext=\"4\" UIDValidity=\"" VALIDITY "\"" RIGHTS

/* Every sort field both ways, worked out by hand for the three messages. */
static void sorting(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const char *const cases[][3] = {
        {"", "1 2 3 ", "3 2 1 "},
        {"INTERNALDATE", "1 2 3 ", "3 2 1 "},
        {"UID", "1 2 3 ", "3 2 1 "},
        {"Date", "1 2 3 ", "3 2 1 "}, /* none, 05:14, 06:15 */
        {"Size", "1 3 2 ", "2 3 1 "},
        {"Pty", "3 1 2 ", "2 1 3 "},    /* Low, normal, High */
        {"FLAGS", "2 3 1 ", "1 3 2 "},  /* unread first, then UID */
        {"E-From", "2 3 1 ", "1 3 2 "}, /* Ann Lee, bob@..., noreply@... */
        {"From", "2 3 1 ", "1 3 2 "},
        {"Subject", "1 2 3 ", "3 2 1 "}, /* none, "lunch?" twice: by UID, desc reverses ties */
        {"X-Color", "2 3 1 ", "1 3 2 "}, /* two without, then red */
        {"e-to", "1 3 2 ", "2 3 1 "},
    };
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int desc = 0; desc < 2; desc++) {
            snprintf(text, sizeof text,
                     "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" sortField=\"%s\" "
                     "sortOrder=\"%s\"/>",
                     cases[i][0], desc ? "DESC" : "up");
            open_quietly(w, c, text);
            check_rows(w, c, "f", "<index from=\"0\" till=\"9\"/>", cases[i][1 + desc]);
            say(w, c, "<folderClose id=\"C\" folder=\"f\"/>");
            skip_all(c);
        }
    }
}

static void filtering(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const char *const cases[][3] = {
        {"FLAGS", "Media,Unseen", "2 "}, {"flags", "read", "1 "},
        {"FLAGS", "", "1 2 3 "},         {"FLAGS", " Unseen , NotMedia ", "3 "},
        {"FLAGS", "Recent", "2 3 "},     {"Subject", "LUNCH", "2 3 "},
        {"E-From", "ann lee", "2 "},     {"E-From", "@example.", "1 2 3 "},
        {"To", "carol@", "2 "},          {"X-Color", "re", "1 "},
        {"BODY", "NOON", "2 3 "},        {"BODY", "lunch", ""},
        {"TEXT", "lunch", "2 3 "},       {"TEXT", "nothing", "1 "},
        {"", "Unseen,Recent", "2 3 "}, /* all are flag names */
        {"", "lunch", "2 3 "},         /* one is not: Subject */
    };
    char text[300];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text,
                 "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" filterField=\"%s\" "
                 "filter=\"%s\"/>",
                 cases[i][0], cases[i][1]);
        open_quietly(w, c, text);
        check_rows(w, c, "f", "<index from=\"0\"/>", cases[i][2]);
        /* put aside without clearing Recent: the next case wants it */
        say(w, c, "<folderReopen id=\"R\" folder=\"f\" filter=\"Seen\" filterField=\"FLAGS\"/>");
        skip_all(c);
        say(w, c, "<folderClose id=\"C\" folder=\"f\"/>");
        skip_all(c);
    }
    /* UIDMin counts only with the right UIDValidity. */
    long validity;
    say(w, c,
        "<folderOpen id=\"F1\" folder=\"v\" mailbox=\"INBOX\" UIDMin=\"3\" UIDValidity=\"1\"/>");
    assert_non_null(take(c));
    assert_int_equal(attribute(c, "messages"), 3);
    validity = attribute(c, "UIDValidity");
    take(c);
    snprintf(
        text, sizeof text,
        "<folderOpen id=\"F1\" folder=\"m\" mailbox=\"INBOX\" uidmin=\"3\" UIDValidity=\"%ld\"/>",
        validity);
    open_quietly(w, c, text);
    check_rows(w, c, "m", "<index from=\"0\"/>", "3 ");
}

/* 4.4: what is left out keeps its value, but for the filter. */
static void reopen(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    open_quietly(w, c,
                 "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" sortField=\"Size\" "
                 "sortOrder=\"desc\" "
                 "filter=\"Unseen\"><field>Size</field></folderOpen>");
    check_rows(w, c, "f", "<index from=\"0\"/>", "2 3 ");
    say(w, c, "<folderReopen id=\"R\" folder=\"f\"/>");
    EXPECT(c, INIT("R", "f", "3", "2"));
    EXPECT(c, OK("R"));
    check_rows(w, c, "f", "<index from=\"0\"/>", "2 3 1 ");
    say(w, c,
        "<folderReopen id=\"R\" folder=\"f\" sortOrder=\"asc\"><field>UID</field></folderReopen>");
    skip_all(c);
    check_rows(w, c, "f", "<index from=\"0\"/>", "1 3 2 ");
    say(w, c, "<folderBrowse id=\"B\" folder=\"f\"><UID>1</UID></folderBrowse>");
    EXPECT(c,
           "<folderReport id=\"B\" folder=\"f\" index=\"0\" UID=\"1\"><UID>1</UID></folderReport>");
    EXPECT(c, OK("B"));
    CHECK(w, c, "<folderReopen id=\"R\" folder=\"f\" sortField=\"&lt;\"/>",
          ERROR("R", "illegal attribute value", "502"));
    CHECK(w, c, "<folderReopen id=\"R\" folder=\"f\"><field>a:b</field></folderReopen>",
          ERROR("R", "illegal attribute value", "502"));
    check_rows(w, c, "f", "<index from=\"0\"/>", "1 3 2 ");
}

static uint32_t stored_flags(struct world *w, uint32_t uid)
{
    struct message_row row;
    uint32_t flags;

    must(message_row_get(w->store, DORA, box_id(w, DORA, "INBOX"), uid, &row));
    flags = row.flags;
    message_row_done(w->store);
    return flags;
}

/* 4.7, 12.2: Recent goes when a view that showed it is closed, and with the session. */
static void recent(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *d = login(w);

    open_quietly(w, d, "<folderOpen id=\"F1\" folder=\"in\" mailbox=\"INBOX\"/>");
    open_quietly(w, c,
                 "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" filterField=\"FLAGS\" "
                 "filter=\"Media\"/>");
    CHECK(w, c, "<folderClose id=\"C\" folder=\"f\"/>", OK("C"));
    assert_false(stored_flags(w, 2) & FLAG_RECENT);
    assert_true(stored_flags(w, 3) & FLAG_RECENT); /* was not in that view */
    EXPECT(d, NOTIFY("in"));
    EXPECT_NOTHING(d);
    CHECK(w, c, "<folderClose id=\"C\" folder=\"f\"/>",
          ERROR("C", "folder has not been opened", "569"));
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\"/>");
    session_end(c->s);
    run(w);
    assert_true(c->ended);
    assert_false(stored_flags(w, 3) & FLAG_RECENT);
    EXPECT_NOTHING(c);
    say(w, d, "<bye id=\"Z\"/>");
    EXPECT(d, OK("Z"));
    EXPECT_NOTHING(d);
    assert_true(d->ended);
}

/* 12.3: the mailbox goes away under the folder. */
static void dead_folder(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const char *const dead[] = {
        "<folderBrowse id=\"1\" folder=\"f\"><index>0</index></folderBrowse>",
        "<folderSync id=\"1\" folder=\"f\"/>",
        "<folderReopen id=\"1\" folder=\"f\"/>",
        "<folderRead id=\"1\" folder=\"f\" UID=\"1\"/>",
        "<messageMark id=\"1\" folder=\"f\" flags=\"Seen\"><UID>1</UID></messageMark>",
        "<messageRemove id=\"1\" folder=\"f\"><UID>1</UID></messageRemove>",
        "<folderExpunge id=\"1\" folder=\"f\"/>",
    };

    CHECK(w, c, "<mailboxCreate id=\"M\" mailbox=\"Box\"/>", OK("M"));
    deliver_to(w, DORA, "Box", ANN, strlen(ANN), 1, FLAG_RECENT);
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"Box\"/>");
    write_begin(w);
    must(mailbox_remove(w->store, DORA, STR("Box"), false));
    write_end(w);
    run(w);
    EXPECT(c, NOTIFY("f"));
    for (size_t i = 0; i < ARRAY_LEN(dead); i++)
        CHECK(w, c, dead[i], ERROR("1", "mailbox has been removed", "567"));
    CHECK(w, c, "<mailboxCreate id=\"M\" mailbox=\"Box\"/>", OK("M"));
    CHECK(w, c, dead[0], ERROR("1", "mailbox has been removed", "567")); /* never the new one */
    CHECK(w, c, "<folderClose id=\"C\" folder=\"f\"/>", OK("C"));
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"Box\"/>");
}

/* An answer of many slices; no row lost, none twice; another session is served in between. */
static void long_browse(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    uint32_t before;

    deliver_many(w, ANN, 1200);
    open_quietly(w, c,
                 "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" "
                 "sortField=\"UID\"><field>FLAGS</field>"
                 "<field>E-To</field><field>Subject</field></folderOpen>");
    before = w->slices;
    say(w, c,
        "<folderBrowse id=\"B\" folder=\"f\"><index from=\"0\" till=\"5000\"/></folderBrowse>");
    assert_true(w->slices - before > 2);
    for (long i = 0; i < 1203; i++) {
        take(c);
        assert_int_equal(attribute(c, "index"), i);
        assert_int_equal(attribute(c, "UID"), i + 1);
    }
    EXPECT(c, OK("B"));
    EXPECT_NOTHING(c);
}

/* Runs one slice of a long request. */
static void one_slice(struct client *c)
{
    assert_int_equal(dispatch_kind(c->s), KIND_READ);
    assert_int_equal(dispatch_slice(c->s, &c->out).run, RUN_MORE);
}

/* 4.1: what changes while a view is built or synchronised is announced behind the response. */
static void change_between_slices(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct flag_list seen;
    uint32_t uids[3000];
    long known;

    w->x.limits.slice_time = 0; /* as small as they come */

    deliver_many(w, ANN, 6000);
    c->no_credit = true; /* this test runs its slices itself */
    feed(c,
         "<folderOpen id=\"F\" folder=\"f\" mailbox=\"INBOX\"><field>FLAGS</field></folderOpen>");
    one_slice(c);
    deliver(w, BOB, 1779800000, 0);
    assert_false(session_async_due(c->s));
    c->no_credit = false;
    run(w);
    assert_non_null(strstr(take(c), " mode=\"init\" "));
    known = attribute(c, "messages");
    EXPECT(c, OK("F"));
    EXPECT(c, NOTIFY("f"));
    EXPECT_NOTHING(c);
    say(w, c, "<folderSync id=\"Y\" folder=\"f\"/>");
    assert_int_equal(skip_all(c), 6004 - known + 1);

    must(flags_parse(STR("Seen"), &seen));
    for (uint32_t i = 0; i < 3000; i++)
        uids[i] = i + 2;
    write_begin(w);
    must(message_mark(w->store, DORA, box_id(w, DORA, "INBOX"), uids, 3000, &seen));
    write_end(w);
    run(w);
    EXPECT(c, NOTIFY("f"));
    c->no_credit = true;
    feed(c, "<folderSync id=\"Y\" folder=\"f\"/>");
    one_slice(c);
    deliver(w, BOB, 1779800001, 0);
    assert_false(session_async_due(c->s));
    c->no_credit = false;
    run(w);
    for (int i = 0; i < 3000; i++)
        assert_non_null(strstr(take(c), " mode=\"updated\" "));
    take(c);
    if (strstr(c->text, " mode=\"added\"") != NULL) /* it may or may not be part of this sync */
        take(c);
    assert_string_equal(c->text, OK("Y"));
    EXPECT(c, NOTIFY("f"));
    EXPECT_NOTHING(c);
}

/* 12.3, in the middle of an answer. */
static void removed_between_slices(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    uint32_t rows = 0;

    CHECK(w, c, "<mailboxCreate id=\"M\" mailbox=\"Box\"/>", OK("M"));
    deliver_many(w, ANN, 6000);
    write_begin(w);
    for (uint32_t uid = 1; uid <= 6000; uid++) {
        uint32_t at;
        must(message_copy(w->store, DORA, box_id(w, DORA, "INBOX"), uid, box_id(w, DORA, "Box"), 0,
                          &at));
    }
    write_end(w);
    open_quietly(w, c,
                 "<folderOpen id=\"F1\" folder=\"f\" "
                 "mailbox=\"Box\"><field>FLAGS</field><field>To</field></folderOpen>");
    c->no_credit = true;
    feed(c, "<folderBrowse id=\"B\" folder=\"f\"><index from=\"0\"/></folderBrowse>");
    feed(c, "<folderClose id=\"C\" folder=\"f\"/>");
    feed(c, "<folderOpen id=\"F2\" folder=\"g\" mailbox=\"Box\"/>");
    one_slice(c);
    write_begin(w);
    must(mailbox_remove(w->store, DORA, STR("Box"), false));
    write_end(w);
    c->no_credit = false;
    run(w);
    while (strncmp(take(c), "<folderReport id=", 17) == 0)
        rows++;
    assert_in_range(rows, 1, 5999);
    if (strcmp(c->text, NOTIFY("f")) == 0) /* may stand anywhere between messages */
        take(c);
    assert_string_equal(c->text, ERROR("B", "mailbox has been removed", "567"));
    take(c);
    if (strcmp(c->text, NOTIFY("f")) == 0)
        take(c);
    assert_string_equal(c->text, OK("C"));
    EXPECT(c, ERROR("F2", "mailbox not found", "561"));
    EXPECT_NOTHING(c);
    assert_int_equal(c->s->folder_count, 0);
}

/* The session ends while its folder is half open. */
static void ends_between_slices(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    w->x.limits.slice_time = 0;
    deliver_many(w, ANN, 6000);
    c->no_credit = true;
    feed(c, "<folderOpen id=\"F\" folder=\"f\" mailbox=\"INBOX\" sortField=\"Subject\"/>");
    one_slice(c);
    session_end(c->s);
    c->no_credit = false;
    run(w);
    assert_true(c->ended);
    EXPECT_NOTHING(c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(sorting),
                                       T(filtering),
                                       T(reopen),
                                       T(recent),
                                       T(dead_folder),
                                       T(long_browse),
                                       T(change_between_slices),
                                       T(removed_between_slices),
                                       T(ends_between_slices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
