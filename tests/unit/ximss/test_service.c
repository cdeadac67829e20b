// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The message layer in a session (protocol 1, 1.3-1.7), the greeting (3.7) and the service operations (6).
 */
#include "harness.h"

#include "ximss/ops.h"
#include "ximss/vocab.h"

static int setup(void **state)
{
    *state = world_new();
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* The examples of protocol 1, 1.4 and 3.11. */
static void responses(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    CHECK(w, c, "<noop id=\"q1\"/>", "<response id=\"q1\"/>");
    CHECK(w, c, "<noop id=\"q2\" exeTime=\"1\"/>", "<response id=\"q2\" exeTime=\"0\"/>");
    CHECK(w, c, "<noop id=\"q2\" exeTime=\"0\"/>", "<response id=\"q2\"/>");
    CHECK(w, c, "<fryEggs id=\"q3\" count=\"2\"/>",
          "<response id=\"q3\" errorText=\"unknown command\" errorNum=\"500\"/>");
    CHECK(w, c, "<fryEggs id=\"q3\" exeTime=\"-1\"/>",
          "<response id=\"q3\" errorText=\"unknown command\" errorNum=\"500\"/>");
    CHECK(w, c, "<noop id=\"a&amp;b&#10;c\"/>", "<response id=\"a&amp;b&#10;c\"/>");
    CHECK(w, c, "<noop id=\"\"/>", "<response id=\"\"/>");
    CHECK(w, c, "<NoOp ID='x'/>", "<response id=\"x\"/>");
    CHECK(w, c, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<noop id='x'/>",
          "<response id=\"x\"/>");
}

/* Protocol 1, 1.7, in a session. */
static void message_errors(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    CHECK(w, c, "<noop/>", "<response errorText=\"id attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<fryEggs/>", "<response errorText=\"id attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<login id=\"7\" authData=\"dora\" password=\"x\"/>",
          "<response id=\"7\" errorText=\"already authenticated\" errorNum=\"501\"/>");
    CHECK(w, c, "<passwordModify id=\"p\" oldPassword=\"a&b\" newPassword=\"c<d\"/>",
          "<response id=\"p\" errorText=\"illegal XML\" errorNum=\"501\"/>");
    CHECK(w, c, "<noop id=\"a&amp;b\"><open></noop>",
          "<response id=\"a&amp;b\" errorText=\"illegal XML\" errorNum=\"501\"/>");
    CHECK(w, c, "rubbish", "<response errorText=\"illegal XML\" errorNum=\"501\"/>");
    CHECK(w, c, "<!DOCTYPE a [<!ENTITY b \"c\">]><noop id=\"d\"/>",
          "<response id=\"d\" errorText=\"illegal XML\" errorNum=\"501\"/>");
    CHECK(w, c, "<bannerRead id=\"q\"/>",
          "<response id=\"q\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<noop id=\"q\" exeTime=\"soon\"/>",
          "<response id=\"q\" errorText=\"illegal attribute value\" errorNum=\"502\"/>");
    assert_non_null(c->s);
    assert_int_equal(c->s->error_count, 6);
}

static void id_length(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char id[258], request[400], want[400];

    for (size_t n = 255; n <= 257; n++) {
        memset(id, 'i', n);
        id[n] = '\0';
        snprintf(request, sizeof request, "<noop id=\"%s\"/>", id);
        snprintf(
            want, sizeof want,
            n <= 256
                ? "<response id=\"%s\"/>"
                : "<response id=\"%s\" errorText=\"illegal attribute value\" errorNum=\"502\"/>",
            id);
        CHECK(w, c, request, want);
    }
}

static void too_many_errors(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    for (int i = 0; i < 10; i++) {
        CHECK(w, c, "<", "<response errorText=\"illegal XML\" errorNum=\"501\"/>");
        assert_false(c->closed);
    }
    CHECK(w, c, "<fryEggs id=\"q\"/>",
          "<response id=\"q\" errorText=\"unknown command\" errorNum=\"500\"/>");
    feed(c, "<");
    feed(c, "<noop id=\"never\"/>");
    run(w);
    EXPECT(c, "<response errorText=\"illegal XML\" errorNum=\"501\"/>");
    EXPECT(c, "<bye/>");
    EXPECT_NOTHING(c);
    assert_true(c->closed);
    assert_true(c->ended);
    assert_null(c->s);
}

static void empty_messages(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    feed(c, "");
    feed(c, " \r\n\t");
    run(w);
    EXPECT_NOTHING(c);
    assert_int_equal(c->s->queue_count, 0);
}

/* Protocol 1, 1.6: response, end, the rest is discarded, no <bye/>. */
static void bye(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    feed(c, "<noop id=\"1\"/>");
    feed(c, "<bye id=\"2\"/>");
    feed(c, "<noop id=\"3\"/>");
    run(w);
    EXPECT(c, "<response id=\"1\"/>");
    EXPECT(c, "<response id=\"2\"/>");
    EXPECT_NOTHING(c);
    assert_true(c->closed);
    assert_true(c->ended);
}

static void greeting(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const char *text;

    session_greet(c->s, STR("L<1>"), &c->out);
    text = take(c);
    STARTS(text, "<session id=\"L&lt;1&gt;\" urlID=\"100042-vN2Txjkggy7gjHRD10jw\" "
                 "userName=\"dora@harbor.example\" realName=\"Dora &quot;D&quot; &lt;Diver&gt;\" "
                 "version=\"6.3.0\" random=\"");
    assert_int_equal(strspn(strstr(text, "random=\"") + 8, "0123456789abcdef"), 8);
    assert_string_equal(strstr(text, "random=\"") + 16, "\"/>");
    EXPECT_NOTHING(c);
}

static void read_time(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char gmt[32], local[32];
    int n = 0;

    say(w, c, "<readTime id=\"6\"/>");
    assert_int_equal(
        sscanf(take(c), "<currentTime id=\"6\" gmtTime=\"%15[0-9T]\" localTime=\"%15[0-9T]\"/>%n",
               gmt, local, &n),
        2);
    assert_int_equal(strlen(c->text), n);
    assert_int_equal(strlen(gmt), 15);
    /* three hours apart: TST-3 */
    struct tm a = {0}, b = {0};
    assert_non_null(strptime(gmt, "%Y%m%dT%H%M%S", &a));
    assert_non_null(strptime(local, "%Y%m%dT%H%M%S", &b));
    assert_int_equal(timegm(&b) - timegm(&a), 3 * 3600);
    assert_true(labs(timegm(&a) - time(NULL)) < 5);
    EXPECT(c, "<response id=\"6\"/>");
}

static void options(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    static const struct {
        const char *value;
        bool ok;
    } cases[] = {{"29", false},   {"30", true}, {"31", true},   {"3599", true}, {"3600", true},
                 {"3601", false}, {"", false},  {"-30", false}, {"soon", false}};
    char text[128];

    CHECK(w, c, "<setSessionOption id=\"5\" name=\"idleTimeout\" value=\"120\"/>",
          "<response id=\"5\"/>");
    assert_int_equal(c->s->idle_timeout, 120);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text,
                 "<setSessionOption id=\"5\" name=\"IDLETIMEOUT\" value=\"%s\"/>", cases[i].value);
        CHECK(w, c, text,
              cases[i].ok
                  ? "<response id=\"5\"/>"
                  : "<response id=\"5\" errorText=\"illegal attribute value\" errorNum=\"502\"/>");
        if (cases[i].ok)
            assert_int_equal(c->s->idle_timeout, atol(cases[i].value));
    }
    CHECK(w, c, "<setSessionOption name=\"reportMailboxChanges\" value=\"yes\" id=\"8\"/>",
          "<response id=\"8\"/>");
    assert_true(c->s->report_changes);
    CHECK(w, c, "<setSessionOption name=\"reportMailboxChanges\" value=\"perhaps\" id=\"8\"/>",
          "<response id=\"8\" errorText=\"illegal attribute value\" errorNum=\"502\"/>");
    CHECK(w, c, "<setSessionOption name=\"somethingNew\" value=\"7\" id=\"8\"/>",
          "<response id=\"8\"/>");
    CHECK(w, c, "<setSessionOption value=\"7\" id=\"8\"/>",
          "<response id=\"8\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<setSessionOption name=\"idleTimeout\" id=\"8\"/>",
          "<response id=\"8\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<setClientName id=\"9\" name=\"deck 1\"/>", "<response id=\"9\"/>");
    CHECK(w, c, "<setClientName id=\"9\" name=\"deck 2\"/>", "<response id=\"9\"/>");
    assert_string_equal(c->s->client_name, "deck 2");
    CHECK(w, c, "<setClientName id=\"9\"/>",
          "<response id=\"9\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
}

static void vocabulary(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    say(w, c, "<readStrings id=\"s\"/>");
    EXPECT(
        c,
        "<strings id=\"s\" skinName=\"\" language=\"english\" timeModified=\"20240101T000000\"/>");
    EXPECT(c, "<response id=\"s\"/>");
    say(w, c,
        "<readstrings id=\"s\" skinName=\"\" language=\"english\" "
        "timeModified=\"2024-05-01T00:00:00Z\"/>");
    EXPECT(
        c,
        "<strings id=\"s\" skinName=\"\" language=\"english\" timeModified=\"20240101T000000\"/>");
    EXPECT(c, "<response id=\"s\"/>");
    CHECK(w, c, "<readStrings id=\"s\" skinName=\"Pronto\"/>",
          "<response id=\"s\" errorText=\"illegal attribute value\" errorNum=\"502\"/>");
    CHECK(w, c, "<readStrings id=\"s\" timeModified=\"2024-01-01 00:00:00\"/>",
          "<response id=\"s\" errorText=\"illegal attribute value\" errorNum=\"502\"/>");
}

static void known_values(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const char *text;

    say(w, c, "<listKnownValues id=\"k\"/>");
    text = take(c);
    STARTS(text, "<knownValues id=\"k\"><language>english</language><charset>utf-8</charset>");
    assert_non_null(
        strstr(text, "<timeZone>HostOS</timeZone><mailboxClass>IPF.Note</mailboxClass>"));
    EXPECT(c, "<response id=\"k\"/>");
    say(w, c,
        "<bannerRead id=\"b\" type='getcgcard'><subKey "
        "key='cgcardid'><number>51</number></subKey></bannerRead>");
    EXPECT(c, "<banner id=\"b\" type=\"getcgcard\"/>");
    EXPECT(c, "<response id=\"b\"/>");
}

/* Protocol 1, 6: auth is asked; what it says is the answer. */
static void password(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const struct question *q;

    say(w, c,
        "<passwordModify id=\"A002\" oldPassword=\"correct-horse\" newPassword=\"a&amp;b\"/>");
    feed(c, "<noop id=\"behind\"/>");
    run(w);
    EXPECT_NOTHING(c);
    assert_false(session_has_work(c->s));
    q = dispatch_question(c->s);
    assert_non_null(q);
    assert_int_equal(q->kind, QUESTION_PASSWORD);
    assert_true(str_eq(q->old_password, STR("correct-horse")));
    assert_true(str_eq(q->new_password, STR("a&b")));
    assert_null(q->recovery_email.p);
    dispatch_answer(c->s, ERR_OK, STR(""));
    run(w);
    EXPECT(c, "<response id=\"A002\"/>");
    EXPECT(c, "<response id=\"behind\"/>");

    static const struct {
        enum err e;
        const char *want;
    } answers[] = {
        {ERR_AUTH_FAILED,
         "<response id=\"p\" errorText=\"incorrect password or account name\" errorNum=\"515\"/>"},
        {ERR_PASSWORD_POLICY,
         "<response id=\"p\" errorText=\"new password is not acceptable\" errorNum=\"501\"/>"},
        {ERR_PASSWORD_FIXED,
         "<response id=\"p\" errorText=\"password cannot be changed\" errorNum=\"501\"/>"},
        {ERR_TIMEOUT, "<response id=\"p\" errorText=\"operation timed out\" errorNum=\"583\"/>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        say(w, c, "<passwordModify id=\"p\" oldPassword=\"x\" recoveryEmail=\"\"/>");
        q = dispatch_question(c->s);
        assert_null(q->new_password.p);
        assert_non_null(q->recovery_email.p);
        dispatch_answer(c->s, answers[i].e, STR(""));
        run(w);
        EXPECT(c, answers[i].want);
    }
    dispatch_answer(c->s, ERR_OK, STR("nobody asked"));
    CHECK(w, c, "<passwordModify id=\"p\" oldPassword=\"x\"/>",
          "<response id=\"p\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
    CHECK(w, c, "<passwordModify id=\"p\" newPassword=\"x\"/>",
          "<response id=\"p\" errorText=\"required attribute is missing\" errorNum=\"501\"/>");
    /* The connection goes away while the question is out. */
    say(w, c, "<passwordModify id=\"p\" oldPassword=\"x\" newPassword=\"y\"/>");
    session_end(c->s);
    dispatch_answer(c->s, ERR_OK, STR(""));
    run(w);
    EXPECT_NOTHING(c);
    assert_true(c->ended);
}

/* Protocol 1, 3.7 and 4.3: an expired password has to be changed before anything else makes sense. */
static void expired(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const char *text;

    c->s->must_change = true;
    session_greet(c->s, STR("L"), &c->out);
    text = take(c);
    assert_string_equal(strstr(text, "random=\"") + 16, "\" changePassword=\"1\"/>");
    CHECK(w, c, "<readTime id=\"1\"/>", ERROR("1", "password has expired", "516"));
    CHECK(w, c, "<folderOpen id=\"1\" folder=\"INBOX\"/>",
          ERROR("1", "password has expired", "516"));
    CHECK(w, c, "<fryEggs id=\"1\"/>", ERROR("1", "unknown command", "500"));
    CHECK(w, c, "<noop id=\"2\"/>", OK("2"));
    say(w, c, "<passwordModify id=\"3\" oldPassword=\"x\" recoveryEmail=\"a@b\"/>");
    dispatch_answer(c->s, ERR_OK, STR(""));
    run(w);
    EXPECT(c, OK("3"));
    say(w, c, "<passwordModify id=\"4\" oldPassword=\"x\" newPassword=\"y\"/>");
    dispatch_answer(c->s, ERR_PASSWORD_POLICY, STR(""));
    run(w);
    EXPECT(c, ERROR("4", "new password is not acceptable", "501"));
    CHECK(w, c, "<setClientName id=\"5\" name=\"x\"/>", ERROR("5", "password has expired", "516"));
    say(w, c, "<passwordModify id=\"6\" oldPassword=\"x\" newPassword=\"battery-staple\"/>");
    dispatch_answer(c->s, ERR_OK, STR(""));
    run(w);
    EXPECT(c, OK("6"));
    CHECK(w, c, "<setClientName id=\"7\" name=\"x\"/>", OK("7"));
    c->s->must_change = true;
    CHECK(w, c, "<bye id=\"8\"/>", OK("8"));
    assert_true(c->closed);
}

/* Design 2.2 and 9.2: 32 requests, 1 MiB, 16 MiB for one. */
static void input_caps(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    size_t big = (size_t)16 << 20;
    char *text = malloc(big + 1);
    struct str large = {text, big};

    assert_non_null(text);
    for (int i = 0; i < 32; i++)
        feed(c, "<noop id=\"n\"/>");
    assert_int_equal(session_feed(c->s, STR("<noop id=\"n\"/>")), ERR_TOO_LONG);
    run(w);
    assert_int_equal(skip_all(c), 32);
    feed(c, "<noop id=\"n\"/>");
    run(w);
    assert_int_equal(skip_all(c), 1);

    /* 1 MiB - 1 unanswered bytes: one more is taken; from 1 MiB on none. */
    memset(text, ' ', big);
    memcpy(text, "<noop id=\"x\"/>", 14);
    must(session_feed(c->s, (struct str){text, (1 << 20) - 1}));
    must(session_feed(c->s, STR("<noop id=\"n\"/>")));
    assert_int_equal(session_feed(c->s, STR("<noop id=\"n\"/>")), ERR_TOO_LONG);
    run(w);
    assert_int_equal(skip_all(c), 2);
    must(session_feed(c->s, (struct str){text, 1 << 20}));
    assert_int_equal(session_feed(c->s, STR("<noop id=\"n\"/>")), ERR_TOO_LONG);
    run(w);
    assert_int_equal(skip_all(c), 1);

    large.n = big - 1;
    must(session_feed(c->s, large));
    run(w);
    large.n = big;
    must(session_feed(c->s, large));
    run(w);
    assert_int_equal(skip_all(c), 2);
    assert_null(c->s->queue.p); /* idle: no memory */
    assert_int_equal(c->s->queue_bytes, 0);
    c->s->x->limits.message--;
    assert_int_equal(session_feed(c->s, large), ERR_TOO_LONG);
    free(text);
}

/* Design 9.7: a request that would cost too much memory is a 599 for its sender and nothing else. */
static void request_memory(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct buf b;

    buf_init(&b, SIZE_MAX);
    buf_lit(&b, "<noop id=\"m\">");
    while (b.n < ((size_t)16 << 20) - 16)
        buf_lit(&b, "<a/>");
    buf_lit(&b, "</noop>");
    must(session_feed(c->s, buf_slice(&b)));
    run(w);
    EXPECT(c, ERROR("m", "internal error", "599"));
    assert_int_equal(c->s->error_count, 0);
    CHECK(w, c, "<noop id=\"n\"/>", OK("n"));
    buf_free(&b);
}

/* Every row of ops.tbl: found in any case, right state error, reference printed. */
static void table(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char upper[64], request[128], *reference;
    size_t n;
    FILE *f = open_memstream(&reference, &n);

    ops_print(f);
    fclose(f);
    for (int i = 1; i < OP_COUNT; i++) {
        enum op_id op = (enum op_id)i;
        const char *name = optag_name(op);
        size_t len = strlen(name);
        assert_non_null(strstr(reference, name));
        for (size_t k = 0; k <= len; k++)
            upper[k] = (char)(name[k] >= 'a' && name[k] <= 'z' ? name[k] - 32 : name[k]);
        assert_int_equal(optag_find(str_of(upper)), op);
        if (optag_state(op) == OPS_AUTH)
            assert_int_equal(ops_check(op, false), ERR_NOT_AUTHENTICATED);
        else
            assert_int_equal(ops_check(op, false), ERR_OK);
        if (optag_state(op) == OPS_PRE) {
            snprintf(request, sizeof request, "<%s id=\"7\"/>", upper);
            CHECK(w, c, request,
                  "<response id=\"7\" errorText=\"already authenticated\" errorNum=\"501\"/>");
        } else {
            assert_int_equal(ops_check(op, true), ERR_OK);
            assert_non_null(ops_handler(op));
        }
    }
    assert_int_equal(ops_check(OP_NONE, false), ERR_UNKNOWN_COMMAND);
    free(reference);
}

/* No credit: no slice, however much is waiting. */
static void no_credit(void **state)
{
    struct world *w = *state;
    struct client *a = login(w), *b = login_as(w, 8, "otto@harbor.example");

    a->no_credit = true;
    feed(a, "<noop id=\"1\"/>");
    feed(b, "<noop id=\"2\"/>");
    run(w);
    EXPECT_NOTHING(a);
    EXPECT(b, "<response id=\"2\"/>");
    a->no_credit = false;
    run(w);
    EXPECT(a, "<response id=\"1\"/>");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(responses),    T(message_errors), T(id_length),  T(too_many_errors), T(empty_messages),
        T(bye),          T(greeting),       T(read_time),  T(options),         T(vocabulary),
        T(known_values), T(password),       T(input_caps), T(request_memory),  T(table),
        T(no_credit),    T(expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
