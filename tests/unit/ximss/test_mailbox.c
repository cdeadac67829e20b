// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * mailboxList and mailboxCreate: every example of protocol 2, 3.1 and 3.2.
 */
#include "harness.h"

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

#define EMPTY(id, name, more)                                             \
    "<mailbox id=\"" id "\" mailbox=\"" name "\" UIDValidity=\"" VALIDITY \
    "\" UIDNext=\"1\" Messages=\"0\" Unseen=\"0\" Size=\"0\"" more "/>"

/* Takes a message and cuts BoxSeq out of it: which number it is, is the store's business. */
static const char *take_box(struct client *c)
{
    const char *text = take(c);
    char *at, *end;

    assert_non_null(text);
    mask_validity(c->text);
    at = strstr(c->text, " BoxSeq=\"");
    if (at != NULL) {
        end = strchr(at + 9, '"') + 1;
        memmove(at, end, strlen(end) + 1);
    }
    return c->text;
}
#define EXPECT_BOX(c, want) assert_string_equal(take_box(c), want)

static void create(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    CHECK(w, c, "<mailboxCreate id=\"M1\" mailbox=\"Projects/Alpha\"/>", "<response id=\"M1\"/>");
    CHECK(w, c,
          "<mailboxCreate id=\"M2\" mailbox=\"Team Calendar\" mailboxClass=\"IPF.Appointment\"/>",
          "<response id=\"M2\"/>");
    CHECK(w, c, "<mailboxCreate id=\"M3\" mailbox=\"Old/\"/>", "<response id=\"M3\"/>");
    CHECK(w, c, "<mailboxCreate id=\"M4\" mailbox=\"projects/alpha\"/>",
          ERROR("M4", "mailbox already exists", "562"));
    CHECK(w, c, "<mailboxCreate id=\"M5\" mailbox=\"Old\"/>",
          "<response id=\"M5\"/>"); /* storage is added */
    CHECK(w, c, "<mailboxCreate id=\"M6\" mailbox=\"Old\"/>",
          ERROR("M6", "mailbox already exists", "562"));
    CHECK(w, c, "<mailboxCreate id=\"M7\" mailbox=\"inbox\"/>",
          ERROR("M7", "mailbox already exists", "562"));
    CHECK(w, c, "<mailboxCreate id=\"M8\"/>", ERROR("M8", "required attribute is missing", "501"));
    CHECK(w, c, "<mailboxCreate id=\"M8\" mailbox=\"\"/>",
          ERROR("M8", "required attribute is missing", "501"));
    CHECK(w, c, "<MAILBOXCREATE ID=\"M9\" MAILBOX=\"~dora/Own\"/>", "<response id=\"M9\"/>");
    CHECK(w, c, "<mailboxCreate id=\"Ma\" mailbox=\"~dora@harbor.example/Own\"/>",
          ERROR("Ma", "mailbox already exists", "562"));
    CHECK(w, c, "<mailboxCreate id=\"Mb\" mailbox=\"~otto/Box\"/>",
          ERROR("Mb", "mailbox access denied", "560"));
    CHECK(w, c, "<mailboxCreate id=\"Mc\" mailbox=\"~otto\"/>",
          ERROR("Mc", "illegal mailbox name", "563"));
    static const char *const bad[] = {"a//b", "/a",  ".",   "a/..",  " a",
                                      "a ",   "50%", "a*b", "a&#9;b"};
    char text[128];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(text, sizeof text, "<mailboxCreate id=\"Md\" mailbox=\"%s\"/>", bad[i]);
        CHECK(w, c, text, ERROR("Md", "illegal mailbox name", "563"));
    }
    /* Nothing but these came into being. */
    say(w, c, "<mailboxList id=\"L\" pureFolder=\"YES\"/>");
    EXPECT_BOX(c, EMPTY("L", "INBOX", ""));
    EXPECT_BOX(c, EMPTY("L", "Old", " isFolder=\"yes\""));
    EXPECT_BOX(c, EMPTY("L", "Own", ""));
    EXPECT_BOX(c, "<mailbox id=\"L\" mailbox=\"Projects\" isFolder=\"yes\" pureFolder=\"yes\"/>");
    EXPECT_BOX(c, EMPTY("L", "Projects/Alpha", ""));
    EXPECT_BOX(c, EMPTY("L", "Team Calendar", " Class=\"IPF.Appointment\""));
    EXPECT(c, "<response id=\"L\"/>");
}

static void list(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    deliver(w, "Subject: a\r\n\r\nx\r\n", 1704187800, FLAG_SEEN | FLAG_MEDIA); /* 20240102093000 */
    deliver(w, "Subject: b\r\n\r\nxy\r\n", 1704187801, FLAG_MEDIA);
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"Archive/\"/>", "<response id=\"1\"/>");
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"Contacts\" mailboxClass=\"IPF.Contact\"/>",
          "<response id=\"1\"/>");
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"INBOX/Invoices/2026\"/>",
          "<response id=\"1\"/>");

    say(w, c, "<mailBoxList id=\"L1\" filter=\"%\" pureFolder=\"yes\"/>");
    EXPECT_BOX(c, "<mailbox id=\"L1\" mailbox=\"INBOX\" UIDValidity=\"" VALIDITY
                  "\" UIDNext=\"3\" Messages=\"2\" "
                  "Unseen=\"1\" Media=\"2\" UnseenMedia=\"1\" Size=\"35\" "
                  "Oldest=\"20240102093000\" isFolder=\"yes\"/>");
    EXPECT_BOX(c, "<mailbox id=\"L1\" mailbox=\"Archive\" isFolder=\"yes\" pureFolder=\"yes\"/>");
    EXPECT_BOX(c, EMPTY("L1", "Contacts", " Class=\"IPF.Contact\""));
    EXPECT(c, "<response id=\"L1\"/>");

    say(w, c, "<mailboxList id=\"L2\" filter=\"inbox/*\"/>");
    EXPECT_BOX(c, EMPTY("L2", "INBOX/Invoices/2026", ""));
    EXPECT(c, "<response id=\"L2\"/>");
    say(w, c, "<mailboxList id=\"L2\" filter=\"*\" mailboxClass=\"ipf.contact\"/>");
    EXPECT_BOX(c, EMPTY("L2", "Contacts", " Class=\"IPF.Contact\""));
    EXPECT(c, "<response id=\"L2\"/>");
    CHECK(w, c, "<mailboxList id=\"L3\" filter=\"NoSuch*\"/>", "<response id=\"L3\"/>");
    CHECK(w, c, "<mailboxList id=\"L2\" filter=\"~boss@example.org/*\"/>", "<response id=\"L2\"/>");
    CHECK(w, c, "<mailboxList id=\"L2\" pureFolder=\"sometimes\"/>",
          ERROR("L2", "illegal attribute value", "502"));

    /* for clients of 5.x, only when it is wanted */
    w->x.legacy_mailbox = true;
    say(w, c, "<mailboxList id=\"L5\" filter=\"INBOX\"/>");
    EXPECT_BOX(c, "<mailbox id=\"L5\" mailbox=\"INBOX\" UIDValidity=\"" VALIDITY
                  "\" UIDNext=\"3\" Messages=\"2\" "
                  "Unseen=\"1\" Media=\"2\" UnseenMedia=\"1\" Size=\"35\" "
                  "Oldest=\"20240102093000\" messages=\"2\" size=\"35\" "
                  "oldest=\"20240102093000\" isFolder=\"yes\"/>");
    EXPECT(c, "<response id=\"L5\"/>");
    say(w, c, "<mailboxList id=\"L6\" filter=\"%\" pureFolder=\"yes\" />");
    take(c);
    EXPECT(c, "<mailbox id=\"L6\" mailbox=\"Archive\" isFolder=\"yes\" pureFolder=\"yes\"/>");
    assert_null(strstr(take_box(c), "oldest")); /* Contacts is empty */
    assert_non_null(strstr(c->text, " Size=\"0\" Class=\"IPF.Contact\" messages=\"0\" size=\"0\""));
    EXPECT(c, "<response id=\"L6\"/>");
    w->x.legacy_mailbox = false;

    /* BoxSeq and UIDValidity are there for what is selectable. */
    say(w, c, "<mailboxList id=\"L4\" filter=\"INBOX\"/>");
    assert_non_null(strstr(take(c), " BoxSeq=\""));
    EXPECT(c, "<response id=\"L4\"/>");
}

/* An answer longer than a slice: 1,500 mailboxes, in order, nothing twice. */
static void long_list(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char text[64], want[64];
    uint32_t before;

    write_begin(w);
    for (int i = 0; i < 1500; i++) {
        snprintf(text, sizeof text, "Box %04d with a name of some length", i);
        must(mailbox_create(w->store, DORA, str_of(text), STR(""), NULL));
    }
    write_end(w);
    before = w->slices;
    say(w, c, "<mailboxList id=\"L\" filter=\"Box*\"/>");
    assert_true(w->slices - before > 2);
    for (int i = 0; i < 1500; i++) {
        snprintf(want, sizeof want, "<mailbox id=\"L\" mailbox=\"Box %04d with a name of", i);
        assert_memory_equal(take(c), want, strlen(want));
    }
    EXPECT(c, "<response id=\"L\"/>");
    EXPECT_NOTHING(c);
}

static void count_limit(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    store_limits(w->store)->mailboxes = 3; /* INBOX is one */
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"a\"/>", "<response id=\"1\"/>");
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"b/c\"/>",
          ERROR("1", "storage quota exceeded", "573"));
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"b\"/>",
          "<response id=\"1\"/>"); /* b/ went back with b/c */
    CHECK(w, c, "<mailboxCreate id=\"1\" mailbox=\"c\"/>",
          ERROR("1", "storage quota exceeded", "573"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(create), T(list), T(long_list), T(count_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
