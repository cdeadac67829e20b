// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * folderRead (protocol 2, 5.6): what the handler adds to the rendering, which has tests of its own: modes, parts, limits,
 * errors, long messages in many slices.
 */
#include "harness.h"

/* The message of protocol 2, 6.7. */
#define PLAN                                                                              \
    "Return-Path: <ann@example.org>\r\n"                                                  \
    "Received: from a.example.org by mx.example.org; Mon, 25 May 2026 05:14:39 +0000\r\n" \
    "From: =?UTF-8?Q?Ann_L=C3=A9e?= <ann@example.org>\r\n"                                \
    "To: \"Bob, jr.\" <bob@example.net>, carol@example.net\r\n"                           \
    "Subject: =?UTF-8?B?0J/Qu9Cw0L0=?= for May\r\n"                                       \
    "Date: Mon, 25 May 2026 07:14:00 +0200\r\n"                                           \
    "Message-ID: <p1@example.org>\r\n"                                                    \
    "X-Priority: 1\r\n"                                                                   \
    "MIME-Version: 1.0\r\n"                                                               \
    "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"                                  \
    "\r\n"                                                                                \
    "--b1\r\n"                                                                            \
    "Content-Type: text/plain; charset=iso-8859-1; format=flowed\r\n"                     \
    "Content-Transfer-Encoding: quoted-printable\r\n"                                     \
    "\r\n"                                                                                \
    "caf=E9 at 5 < 6?\r\n"                                                                \
    "--b1\r\n"                                                                            \
    "Content-Type: application/pdf; name=\"plan.pdf\"\r\n"                                \
    "Content-Disposition: attachment; filename=\"plan.pdf\"\r\n"                          \
    "Content-Transfer-Encoding: base64\r\n"                                               \
    "\r\n"                                                                                \
    "JVBERi0xLjQK\r\n"                                                                    \
    "--b1--\r\n"

#define HEADER                                                                                   \
    "<Return-Path>ann@example.org</Return-Path><Received>from a.example.org by mx.example.org; " \
    "Mon, 25 May 2026 05:14:39 +0000</Received><From realName=\"Ann L\xc3\xa9"                   \
    "e\">ann@example.org</From><To realName=\"Bob, "                                             \
    "jr.\">bob@example.net</To><To>carol@example.net</To>"                                       \
    "<Subject>\xd0\x9f\xd0\xbb\xd0\xb0\xd0\xbd for May</Subject><Date timeShift=\"7200\" "       \
    "localTime=\"20260525T081400\">20260525T051400Z</Date><Message-ID>&lt;p1@example.org&gt;</"  \
    "Message-ID>"                                                                                \
    "<Pty>High</Pty>"
#define TEXT_MIME                                                               \
    "<MIME partID=\"01\" estimatedSize=\"16\" type=\"text\" subtype=\"plain\" " \
    "charset=\"iso-8859-1\" "                                                   \
    "Type-format=\"flowed\""
#define PDF_MIME                                                                    \
    "<MIME partID=\"02\" estimatedSize=\"9\" type=\"application\" subtype=\"pdf\" " \
    "disposition=\"attachment\" Type-name=\"plan.pdf\" Disposition-filename=\"plan.pdf\"/>"
#define ROOT "<MIME estimatedSize=\"25\" type=\"multipart\" subtype=\"mixed\">"
#define BODY ">caf\xc3\xa9 at 5 &lt; 6?</MIME>"

static int setup(void **state)
{
    struct world *w = world_new();
    struct client *c;

    make_inbox(w, DORA);
    deliver(w, PLAN, utc("20260525T051440Z"), FLAG_RECENT);
    c = login(w);
    say(w, c, "<folderOpen id=\"F\" folder=\"INBOX-MM-1\" mailbox=\"INBOX\"/>");
    skip_all(c);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

#define READ(w, c, attributes, want)                                                   \
    do {                                                                               \
        say((w), (c), "<folderRead id=\"W1\" folder=\"INBOX-MM-1\" " attributes "/>"); \
        EXPECT((c), (want));                                                           \
        EXPECT((c), OK("W1"));                                                         \
        EXPECT_NOTHING(c);                                                             \
    } while (0)
#define MESSAGE(more, email)                                                         \
    "<folderMessage id=\"W1\" folder=\"INBOX-MM-1\" UID=\"1\"" more "><EMail>" email \
    "</EMail></folderMessage>"

/* Protocol 2, 6.7, byte for byte. */
static void example(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0];

    READ(w, c, "UID=\"1\" totalSizeLimit=\"65536\"",
         MESSAGE("", HEADER ROOT TEXT_MIME BODY PDF_MIME "</MIME>"));
    READ(w, c, "uid=\"1\"", MESSAGE("", HEADER ROOT TEXT_MIME BODY PDF_MIME "</MIME>")); /* C8 */
    READ(w, c, "UID=\" 1 \" totalSizeLimit=\"-1\" mode=\"\"",
         MESSAGE("", HEADER ROOT TEXT_MIME BODY PDF_MIME "</MIME>")); /* C11 */
    READ(w, c, "UID=\"1\" totalSizeLimit=\"0\"",
         MESSAGE("", HEADER ROOT TEXT_MIME "/>" PDF_MIME "</MIME>"));
    READ(w, c, "UID=\"1\" totalSizeLimit=\"99999999999\" mode=\"TEXT\"",
         MESSAGE(" mode=\"text\"", HEADER ROOT TEXT_MIME BODY PDF_MIME "</MIME>"));
    READ(w, c, "UID=\"1\" partID=\"01\"", MESSAGE(" partID=\"01\"", HEADER TEXT_MIME BODY));
    READ(w, c, "UID=\"1\" partID=\"2\"", MESSAGE(" partID=\"2\"", HEADER PDF_MIME));
    /* reading never sets Seen, 2.4 */
    say(w, c, "<folderSync id=\"Y\" folder=\"INBOX-MM-1\"/>");
    EXPECT(c, OK("Y"));
}

static void errors(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0];
    static const char *const cases[][2] = {
        {"folder=\"INBOX-MM-1\"", ERROR("W", "required attribute is missing", "501")},
        {"UID=\"1\"", ERROR("W", "required attribute is missing", "501")},
        {"folder=\"INBOX-MM-1\" UID=\"one\"", ERROR("W", "illegal attribute value", "502")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" totalSizeLimit=\"-2\"",
         ERROR("W", "illegal attribute value", "502")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" totalSizeLimit=\"much\"",
         ERROR("W", "illegal attribute value", "502")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"sing\"",
         ERROR("W", "illegal attribute value", "502")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"replyFrom\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"replyall\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"forward\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"replyFromHTML\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"replyAllHTML\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" mode=\"forwardHTML\"",
         ERROR("W", "operation is not supported", "584")},
        {"folder=\"other\" UID=\"1\"", ERROR("W", "folder has not been opened", "569")},
        {"folder=\"INBOX-MM-1\" UID=\"2\"", ERROR("W", "message not found", "570")},
        {"folder=\"INBOX-MM-1\" UID=\"0\"", ERROR("W", "message not found", "570")},
        {"folder=\"INBOX-MM-1\" UID=\"4294967297\"", ERROR("W", "message not found", "570")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" partID=\"03\"",
         ERROR("W", "message part not found", "571")},
        {"folder=\"INBOX-MM-1\" UID=\"1\" partID=\"x\"",
         ERROR("W", "message part not found", "571")},
    };
    char text[200];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text, "<folderRead id=\"W\" %s/>", cases[i][0]);
        CHECK(w, c, text, cases[i][1]);
    }
    /* in the mailbox, not in the view */
    deliver(w, PLAN, 1, 0);
    skip_all(c);
    CHECK(w, c, "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"2\"/>",
          ERROR("W", "message not found", "570"));
}

static void open_all(struct world *w, struct client *c)
{
    say(w, c, "<folderReopen id=\"R\" folder=\"INBOX-MM-1\"/>");
    skip_all(c);
}

/* 5.6: UTF-8, else ISO 8859-1; cut at totalSizeLimit, not through a character. */
static void source(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0];
#define SOURCE(uid, text)                                                                         \
    "<folderMessage id=\"W1\" folder=\"INBOX-MM-1\" UID=\"" uid "\" mode=\"source\"><EMail>" text \
    "</EMail></folderMessage>"

    deliver(w, "Subject: \xc3\xa9\r\n\r\n<b>&\r\n", 1, 0);
    deliver(w, "Subject: \xe9\r\n\r\nx\x01\r\n", 1, 0);
    open_all(w, c);
    READ(w, c, "UID=\"2\" mode=\"source\"",
         SOURCE("2", "Subject: \xc3\xa9&#13;\n&#13;\n&lt;b&gt;&amp;&#13;\n"));
    READ(w, c, "UID=\"3\" mode=\"SOURCE\"",
         SOURCE("3", "Subject: \xc3\xa9&#13;\n&#13;\nx\xef\xbf\xbd&#13;\n"));
    READ(w, c, "UID=\"2\" mode=\"source\" totalSizeLimit=\"9\"", SOURCE("2", "Subject: "));
    READ(w, c, "UID=\"2\" mode=\"source\" totalSizeLimit=\"10\"", SOURCE("2", "Subject: "));
    READ(w, c, "UID=\"2\" mode=\"source\" totalSizeLimit=\"11\"", SOURCE("2", "Subject: \xc3\xa9"));
    READ(w, c, "UID=\"3\" mode=\"source\" totalSizeLimit=\"10\"", SOURCE("3", "Subject: \xc3\xa9"));
    READ(w, c, "UID=\"2\" mode=\"source\" totalSizeLimit=\"0\"", SOURCE("2", ""));
    CHECK(w, c,
          "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"2\" mode=\"source\" partID=\"01\"/>",
          ERROR("W", "operation is not supported", "584"));
}

/* What a broken disk does to the stored bytes of message 1: `what` of its content becomes something else. */
static void spoil(struct world *w, bool raw, bool body)
{
    static const char *const sql[] = {"UPDATE content SET raw=x'00', raw_form=1",
                                      "UPDATE content SET body=x'00', body_form=1",
                                      "UPDATE content SET body=x'00', body_size=1, body_form=0"};
    write_begin(w);
    if (raw)
        must(db_run(db_stmt(store_db(w->store), sql[0])));
    must(db_run(db_stmt(store_db(w->store), sql[body ? 1 : 2])));
    write_end(w);
}

/* 6.3: readError. The session goes on, and whatever can still be read is. */
static void damaged(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0];

    spoil(w, false, false); /* the digest is no digest: the message as one opaque text */
    say(w, c, "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"1\"/>");
    assert_non_null(strstr(take(c), " parseError=\"message could not be read\">--b1\n"));
    EXPECT(c, OK("W"));
    spoil(w, false, true); /* it cannot be unpacked: the same */
    say(w, c, "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"1\" totalSizeLimit=\"0\"/>");
    assert_non_null(strstr(take(c), " parseError=\"message could not be read\"/>"));
    EXPECT(c, OK("W"));
    spoil(w, true, true); /* nothing can be: the header, which stands elsewhere */
    for (int i = 0; i < 2; i++) {
        say(w, c,
            i == 0 ? "<folderRead id=\"W1\" folder=\"INBOX-MM-1\" UID=\"1\"/>"
                   : "<folderRead id=\"W1\" folder=\"INBOX-MM-1\" UID=\"1\" mode=\"text\"/>");
        take(c);
        assert_non_null(strstr(c->text, "<EMail>" HEADER "<MIME estimatedSize=\""));
        assert_non_null(strstr(c->text, "\" type=\"multipart\" subtype=\"mixed\" "
                                        "readError=\"message could not be read\"/></EMail>"));
        EXPECT(c, OK("W1"));
    }
    CHECK(w, c, "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"1\" mode=\"source\"/>",
          ERROR("W", "internal error", "599"));
    check_rows(w, c, "INBOX-MM-1", "<index>0</index>", "1 ");
}

/* The text of the only leaf element, by libxml2; the caller frees it. */
static char *text_of(const char *message, size_t n)
{
    xmlDocPtr doc = xmlReadMemory(message, (int)n, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_HUGE);
    assert_non_null(doc);
    xmlNodePtr at = xmlDocGetRootElement(doc);
    while (xmlLastElementChild(at) != NULL)
        at = xmlLastElementChild(at);
    xmlChar *text = xmlNodeGetContent(at);
    char *copy = strdup((const char *)text);
    xmlFree(text);
    xmlFreeDoc(doc);
    return copy;
}

/* A message of 3 MiB full of characters that grow: many slices of 64 KiB at most; another session goes on, a notify waits. */
static void long_message(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0], *d = login(w);
    size_t n = (size_t)3 << 20;
    char *raw = malloc(n + 64), *body = raw + strlen("Subject: long\r\n\r\n");
    static const char *const modes[] = {"", "text", "source"};

    assert_non_null(raw);
    memcpy(raw, "Subject: long\r\n\r\n", strlen("Subject: long\r\n\r\n"));
    for (size_t i = 0; i < n; i += 16)
        memcpy(body + i, i % 64 != 48 ? "<&>\"'\xd0\xbb\xd0\xb0 0123 <" : "xyz 0123456789.\n", 16);
    body[n] = '\0';
    deliver_to(w, DORA, "INBOX", raw, strlen(raw), 1, 0);
    open_all(w, c);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char text[128];
        bool inside = false;
        snprintf(text, sizeof text,
                 "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"2\" mode=\"%s\"/>", modes[i]);
        feed(c, text);
        uint32_t slices = 0;
        c->no_credit = true; /* run() leaves this session to us */
        while (session_has_work(c->s)) {
            size_t before = c->out.n;
            assert_int_equal(dispatch_kind(c->s), KIND_READ);
            dispatch_slice(c->s, &c->out);
            assert_true(c->out.n - before <= SLICE_MAX);
            if (slices++ == 3) {
                deliver(w, PLAN, 2, 0); /* a notify is due, but not inside a message */
                assert_false(session_async_due(c->s));
                inside = true;
            }
            CHECK(w, d, "<noop id=\"n\"/>", OK("n"));
        }
        c->no_credit = false;
        assert_true(inside);
        assert_true(slices > 40);
        size_t len = strlen(c->out.p + c->at);
        char *got = text_of(c->out.p + c->at, len);
        const char *want = i == 2 ? raw : body;
        assert_int_equal(strlen(got), strlen(want));
        assert_memory_equal(got, want, strlen(want));
        free(got);
        c->at += len + 1;
        EXPECT(c, OK("W"));
        assert_true(session_async_due(c->s));
        session_async(c->s, &c->out);
        EXPECT(c, NOTIFY("INBOX-MM-1"));
        say(w, c, "<folderSync id=\"Y\" folder=\"INBOX-MM-1\"/>");
        skip_all(c);
    }
    free(raw);
}

/* The connection goes away in the middle of it. */
static void dropped(void **state)
{
    struct world *w = *state;
    struct client *c = &w->c[0];
    size_t n = 400000;
    char *raw = malloc(n);

    memset(raw, 'x', n);
    memcpy(raw, "Subject: a\r\n\r\n", 14);
    deliver_to(w, DORA, "INBOX", raw, n, 1, 0);
    free(raw);
    open_all(w, c);
    feed(c, "<folderRead id=\"W\" folder=\"INBOX-MM-1\" UID=\"2\"/>");
    assert_int_equal(dispatch_slice(c->s, &c->out).run, RUN_MORE);
    assert_true(c->s->mid_message);
    session_end(c->s);
    run(w);
    assert_true(c->ended);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(example), T(errors),       T(source),
                                       T(damaged), T(long_message), T(dropped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
