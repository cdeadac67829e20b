// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * folderOpen, folderBrowse: the examples of protocol 2, 4.3 and 4.5, the odd inputs of 12.4, the limits of 14, and C2-C10, C12,
 * C16, C20, C21 of 16.
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

/* Protocol 2, 4.3. */
static void open_examples(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    say(w, c, OPEN_MM);
    EXPECT(c, INIT("F1", "INBOX-MM-1", "3", "2"));
    EXPECT(c, OK("F1"));
    say(w, c,
        "<folderOpen id=\"F2\" folder=\"voice\" mailbox=\"INBOX\" sortField=\"INTERNALDATE\" "
        "sortOrder=\"desc\" "
        "filterField=\"FLAGS\" filter=\"Media,Unseen\"><field>FLAGS</field></folderOpen>");
    EXPECT(c, INIT("F2", "voice", "1", "1"));
    EXPECT(c, OK("F2"));
    CHECK(w, c,
          "<folderOpen id=\"F3\" folder=\"INBOX-MM-1\" mailbox=\"INBOX\" sortField=\"Subject\"/>",
          ERROR("F3", "folder has already been opened", "568"));
    CHECK(w, c, "<folderOpen id=\"F4\" folder=\"x\" mailbox=\"Nope\"/>",
          ERROR("F4", "mailbox not found", "561"));
    say(w, c,
        "<folderReopen id=\"F5\" folder=\"INBOX-MM-1\" sortField=\"Subject\" sortOrder=\"asc\"/>");
    EXPECT(c, INIT("F5", "INBOX-MM-1", "3", "2"));
    EXPECT(c, OK("F5"));
    /* C16: the folder of F3 is still the first one. */
    say(w, c, "<folderBrowse id=\"B\" folder=\"INBOX-MM-1\"><index>0</index></folderBrowse>");
    assert_int_equal((take(c), attribute(c, "UID")), 1); /* no Subject sorts first */
    EXPECT(c, OK("B"));
    assert_int_equal(w->rounds, 0); /* nothing here wrote */
}

/* 0.3, 4.3: what is not known is ignored, blanks between elements too. */
static void unknown_parts(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    say(w, c,
        "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\" viewSortOrder=\"x\" sortField=\"UID\""
        " sortOrder=\"sideways\" reqSeq=\"9\">\n  <colour>red</colour>\n  <field>UID</field>\n"
        "  <fields><field>Subject</field></fields>\n</folderOpen>");
    EXPECT(c, INIT("F1", "f", "3", "2"));
    EXPECT(c, OK("F1"));
    say(w, c,
        "<folderBrowse id=\"B\" folder=\"f\" till=\"1\"><index till=\"0\" "
        "more=\"yes\"/><all/></folderBrowse>");
    EXPECT(c,
           "<folderReport id=\"B\" folder=\"f\" index=\"0\" UID=\"1\"><UID>1</UID></folderReport>");
    EXPECT(c, OK("B"));
    EXPECT_NOTHING(c);
}

/* Protocol 2, 4.5. */
static void browse_examples(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char want[600];

    open_quietly(w, c, OPEN_MM);
    say(w, c,
        "<folderBrowse id=\"B1\" folder=\"INBOX-MM-1\"><index from=\"1\" "
        "till=\"2\"/></folderBrowse>");
    snprintf(want, sizeof want,
             "<folderReport id=\"B1\" folder=\"INBOX-MM-1\" index=\"1\" "
             "UID=\"2\"><FLAGS>Media,Recent</FLAGS>"
             "<E-From realName=\"Ann Lee\">ann@example.org</E-From><Subject>Lunch?</Subject>"
             "<INTERNALDATE "
             "localTime=\"20260525T081440\">20260525T051440Z</INTERNALDATE><SIZE>%zu</SIZE>"
             "</folderReport>",
             strlen(ANN));
    EXPECT(c, want);
    snprintf(want, sizeof want,
             "<folderReport id=\"B1\" folder=\"INBOX-MM-1\" index=\"2\" "
             "UID=\"1\"><FLAGS>Seen,Answered</FLAGS>"
             "<E-From>noreply@example.net</E-From><INTERNALDATE "
             "localTime=\"20260525T070002\">20260525T040002Z"
             "</INTERNALDATE><SIZE>%zu</SIZE></folderReport>",
             strlen(NOREPLY));
    EXPECT(c, want);
    EXPECT(c, OK("B1"));
    CHECK(w, c, "<folderBrowse id=\"B2\" folder=\"INBOX-MM-1\"><UID>77777</UID></folderBrowse>",
          OK("B2"));
    CHECK(w, c, "<folderBrowse id=\"B3\" folder=\"gone\"><index>0</index></folderBrowse>",
          ERROR("B3", "folder has not been opened", "569"));
}

/* C8, C9, 1.7: spelling is echoed, twice is twice, no element for what is not there, white space does not count. */
static void fields(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    open_quietly(w, c,
                 "<FolderOpen id=\"F1\" folder=\"f\" mailbox=\"inbox\"><field> FLAGS "
                 "</field><FIELD>FROM</FIELD>\n"
                 "<field>To</field><field>e-to</field><field>Pty</field><field>uid</"
                 "field><field>FLAGS</field>"
                 "<field>X-Color</field><field>BODY</field><field>Message-ID</"
                 "field><field>Content-Type</field></FolderOpen>");
    say(w, c, "<folderBrowse id=\"B\" folder=\"f\"><uid>2</uid></folderBrowse>");
    EXPECT(c,
           "<folderReport id=\"B\" folder=\"f\" index=\"1\" "
           "UID=\"2\"><FLAGS>Media,Recent</FLAGS><FROM>Ann Lee</FROM>"
           "<To>Bob, jr., carol@example.net</To><e-to realName=\"Bob, jr.\">bob@example.net</e-to>"
           "<e-to>carol@example.net</e-to><Pty>High</Pty><uid>2</uid><FLAGS>Media,Recent</FLAGS>"
           "<Message-ID>&lt;p1@example.org&gt;</Message-ID><Content-Type>text/plain</"
           "Content-Type></folderReport>");
    EXPECT(c, OK("B"));
    say(w, c, "<folderBrowse id=\"B\" folder=\"f\"><UID>1</UID></folderBrowse>");
    EXPECT(c, "<folderReport id=\"B\" folder=\"f\" index=\"0\" "
              "UID=\"1\"><FLAGS>Seen,Answered</FLAGS><FROM>noreply@example.net</FROM>"
              "<uid>1</uid><FLAGS>Seen,Answered</FLAGS><X-Color>red</X-Color></folderReport>");
    EXPECT(c, OK("B"));
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"bare\" mailbox=\"INBOX\"/>");
    say(w, c, "<folderBrowse id=\"B\" folder=\"bare\"><index>0</index></folderBrowse>");
    EXPECT(c, "<folderReport id=\"B\" folder=\"bare\" index=\"0\" UID=\"1\"/>");
    EXPECT(c, OK("B"));
    /* a message without flags: an empty FLAGS, not none */
    write_begin(w);
    struct flag_list none;
    must(flags_parse(STR("Unseen,Unanswered"), &none));
    must(message_mark(w->store, DORA, box_id(w, DORA, "INBOX"), (const uint32_t[]){1}, 1, &none));
    write_end(w);
    c->no_credit = true; /* the notify is not of interest */
    run(w);
    c->no_credit = false;
    feed(c, "<folderBrowse id=\"B\" folder=\"f\"><UID>1</UID></folderBrowse>");
    run(w);
    assert_non_null(strstr(take(c), "UID=\"1\"><FLAGS/><FROM>"));
}

struct list {
    const char *set;
    const char *uids; /* in the order of the rows */
};
/* Protocol 2, 2.1 and 12.4. The view is 3 2 1. */
static void sets(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const struct list cases[] = {
        {"", ""},
        {"<index from=\"0\" till=\"3\"/>", "3 2 1 "}, /* C6 */
        {"<UID from=\"0\" till=\"10000\"/>", "3 2 1 "},
        {"<UID from=\"1\" till=\"4294967295\"/>", "3 2 1 "},
        {"<UID from=\"1\" till=\"99999999999999999999999\"/>", "3 2 1 "},
        {"<UID>99999999999999999999999</UID>", ""},
        {"<index from=\"1\"/>", "2 1 "},
        {"<index till=\"1\"/>", "3 2 "},
        {"<UID from=\"2\"/>", "3 2 "},
        {"<UID till=\"2\"/>", "2 1 "},
        {"<index from=\"10\" till=\"5\"/>", ""},
        {"<index from=\"2\" till=\"1\"/>", ""},
        {"<index from=\"3\" till=\"9\"/>", ""},
        {"<UID>0</UID>", ""},
        {"<UID>1</UID><UID>3</UID>", "1 3 "},                         /* document order */
        {"<index>2</index><index from=\"0\" till=\"2\"/>", "1 3 2 "}, /* once */
        {"<UID> 2\n</UID><other>x</other><index>1</index><index>0</index>", "2 3 "},
        {"<UID>7</UID><UID from=\"2\" till=\"3\"/>", "3 2 "},
    };
    static const char *const bad[] = {"<index>-1</index>",
                                      "<UID>abc</UID>",
                                      "<UID/>",
                                      "<UID from=\"x\"/>",
                                      "<UID>1</UID><index till=\"1 \"/><index till=\"+1\"/>",
                                      "<UID till=\"\"/>"};
    char request[256];

    open_quietly(w, c, OPEN_MM);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_rows(w, c, "INBOX-MM-1", cases[i].set, cases[i].uids);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(request, sizeof request,
                 "<folderBrowse id=\"B\" folder=\"gone\">%s</folderBrowse>", bad[i]);
        CHECK(w, c, request, ERROR("B", "illegal attribute value", "502")); /* before 569 */
    }
}

static void set_limit(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct buf b;

    open_quietly(w, c, OPEN_MM);
    for (int n = 19999; n <= 20001; n++) {
        buf_init(&b, SIZE_MAX);
        buf_lit(&b, "<folderBrowse id=\"B\" folder=\"INBOX-MM-1\">");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "<UID>%d</UID>", i % 3 + 1);
        buf_lit(&b, "</folderBrowse>");
        must(session_feed(c->s, buf_slice(&b)));
        run(w);
        if (n <= 20000) {
            assert_int_equal((take(c), attribute(c, "UID")), 1);
            assert_int_equal((take(c), attribute(c, "UID")), 2);
            assert_int_equal((take(c), attribute(c, "UID")), 3);
            EXPECT(c, OK("B"));
        }
        if (n > 20000)
            EXPECT(c, ERROR("B", "illegal attribute value", "502"));
        EXPECT_NOTHING(c);
        buf_free(&b);
    }
}

static void open_errors(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const char *const cases[][2] = {
        {"<folderOpen id=\"F\"/>", ERROR("F", "required attribute is missing", "501")},
        {"<folderOpen id=\"F\" folder=\"\"/>", ERROR("F", "required attribute is missing", "501")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"\"/>",
         ERROR("F", "required attribute is missing", "501")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX/\"/>",
         ERROR("F", "illegal mailbox name", "563")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INB%\"/>",
         ERROR("F", "mailbox not found", "561")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"*\"/>",
         ERROR("F", "mailbox not found", "561")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"~otto/INBOX\"/>",
         ERROR("F", "mailbox access denied", "560")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"Pure\"/>",
         ERROR("F", "mailbox is not selectable", "566")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\" sortField=\"a b\"/>",
         ERROR("F", "illegal attribute value", "502")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\"><field>1st</field></folderOpen>",
         ERROR("F", "illegal attribute value", "502")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\"><field/></folderOpen>",
         ERROR("F", "illegal attribute value", "502")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\" UIDMin=\"many\"/>",
         ERROR("F", "illegal attribute value", "502")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\" filterField=\"FLAGS\" "
         "filter=\"Seen,no such!\"/>",
         ERROR("F", "unknown message flag", "572")},
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"INBOX\" filterField=\"FLAGS\" "
         "filter=\"meetingCreated\"/>",
         ERROR("F", "unknown message flag", "572")}, /* no message has that keyword */
        {"<folderOpen id=\"F\" folder=\"x\" mailbox=\"y\" mailboxClass=\"\" filterField=\"FLAGS\" "
         "filter=\"meetingCreated\"/>",
         ERROR("F", "unknown message flag", "572")},
        {"<folderReopen id=\"F\" folder=\"x\"/>", ERROR("F", "folder has not been opened", "569")},
        {"<folderReopen id=\"F\"/>", ERROR("F", "required attribute is missing", "501")},
        {"<folderBrowse id=\"F\"/>", ERROR("F", "required attribute is missing", "501")},
        {"<folderClose id=\"F\"/>", ERROR("F", "required attribute is missing", "501")},
        {"<folderClose id=\"F\" folder=\"x\"/>", ERROR("F", "folder has not been opened", "569")},
        {"<folderSync id=\"F\" folder=\"x\"/>", ERROR("F", "folder has not been opened", "569")},
        {"<folderSync id=\"F\" folder=\"x\" limit=\"few\"/>",
         ERROR("F", "illegal attribute value", "502")},
        {"<folderExpunge id=\"F\" folder=\"x\"/>", ERROR("F", "folder has not been opened", "569")},
    };

    CHECK(w, c, "<mailboxCreate id=\"F\" mailbox=\"Pure/\"/>", OK("F"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK(w, c, cases[i][0], cases[i][1]);
    assert_int_equal(c->s->folder_count, 0);
    assert_null(c->s->folders);
}

/* Protocol 2, 14: 100 folders (585), 64 fields (502), names of 255 octets. */
static void limits(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct buf b;
    char text[512], name[257];

    for (int n = 63; n <= 65; n++) {
        buf_init(&b, SIZE_MAX);
        buf_lit(&b, "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\">");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "<field>X-%d</field>", i);
        buf_lit(&b, "</folderOpen>");
        buf_char(&b, '\0');
        if (n <= 64) {
            open_quietly(w, c, b.p);
            CHECK(w, c, "<folderClose id=\"C\" folder=\"f\"/>", OK("C"));
        } else {
            CHECK(w, c, b.p, ERROR("F1", "illegal attribute value", "502"));
        }
        buf_free(&b);
    }
    memset(name, 'n', 256);
    for (size_t n = 254; n <= 256; n++) {
        snprintf(text, sizeof text, "<folderOpen id=\"F1\" folder=\"%.*s\" mailbox=\"INBOX\"/>",
                 (int)n, name);
        if (n <= 255)
            open_quietly(w, c, text);
        else
            CHECK(w, c, text, ERROR("F1", "illegal attribute value", "502"));
    }
    for (int i = 3; i <= 101; i++) {
        snprintf(text, sizeof text, "<folderOpen id=\"F1\" folder=\"f%d\" mailbox=\"INBOX\"/>", i);
        if (i <= 100)
            open_quietly(w, c, text);
        else
            CHECK(w, c, text, ERROR("F1", "too many open folders", "585"));
    }
    CHECK(w, c, "<folderOpen id=\"F1\" folder=\"f7\" mailbox=\"INBOX\"/>",
          ERROR("F1", "folder has already been opened", "568"));
    CHECK(w, c, "<folderClose id=\"C\" folder=\"f7\"/>", OK("C"));
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"f101\" mailbox=\"INBOX\"/>");
}

/* C20, 1.2: mailboxClass creates; the name in `folder` is the mailbox's by default. */
static void create_on_open(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    feed(c, "<folderOpen id=\"F1\" folder=\"MainContacts\" mailbox=\"Contacts\" "
            "mailboxClass=\"IPF.Contact\"/>");
    feed(c, "<folderOpen id=\"F2\" folder=\"Plain\" mailboxClass=\"\"/>");
    feed(c, "<folderOpen id=\"F3\" folder=\"a%b\" mailboxClass=\"\"/>");
    feed(c, "<folderOpen id=\"F4\" folder=\"Other\" mailboxClass=\"\" filterField=\"FLAGS\" "
            "filter=\"no such!\"/>");
    feed(c, "<folderOpen id=\"F5\" folder=\"Contacts\" mailboxClass=\"IPF.Note\"/>");
    run(w);
    EXPECT(c, "<folderReport id=\"F1\" folder=\"MainContacts\" mode=\"init\" messages=\"0\" "
              "unseen=\"0\" UIDNext=\"1\" "
              "UIDValidity=\"" VALIDITY "\"" RIGHTS);
    EXPECT(c, OK("F1"));
    take(c);
    EXPECT(c, OK("F2"));
    EXPECT(c, ERROR("F3", "illegal mailbox name", "563"));
    EXPECT(c, ERROR("F4", "unknown message flag", "572"));
    take(c);
    EXPECT(c, OK("F5"));
    EXPECT_NOTHING(c);
    say(w, c, "<mailboxList id=\"L\"/>");
    assert_non_null(strstr(take(c), "mailbox=\"INBOX\""));
    assert_non_null(strstr(take(c), "mailbox=\"Contacts\""));
    assert_non_null(strstr(c->text, "Class=\"IPF.Contact\""));
    assert_non_null(strstr(take(c), "mailbox=\"Plain\""));
    assert_null(strstr(c->text, "Class"));
    EXPECT(c, OK("L"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(open_examples), T(unknown_parts), T(browse_examples),
                                       T(fields),        T(sets),          T(set_limit),
                                       T(open_errors),   T(limits),        T(create_on_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
