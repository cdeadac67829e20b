// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Alerts (protocol 1, section 6). The times and the form are the examples of 1.4 there; libxml2's document parser reads
 * what comes out (harness).
 */
#include "harness.h"

#include "ximss/alert.h"

#define AT INT64_C(1710400500) /* 2024-03-14 07:15:00 UTC */

static int setup(void **state)
{
    *state = world_new();
    setenv("TZ", "CET-1", 1); /* as in the paper's example: one hour ahead */
    tzset();
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void give(struct client *c, struct str text, int64_t at)
{
    struct alert *a;
    must(alert_new(text, at, &a));
    must(alert_give(c->s, a));
    alert_put_back(&a);
}

/* Gives it, and what libxml2 found in the message that came. */
static void expect_text(struct world *w, struct client *c, struct str text, const char *want)
{
    give(c, text, AT);
    run(w);
    const char *message = take(c);
    assert_non_null(message);
    xmlDoc *doc = xmlReadMemory(message, (int)strlen(message), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlChar *got = xmlNodeGetContent(xmlDocGetRootElement(doc));
    assert_string_equal((const char *)got, want);
    xmlFree(got);
    xmlFreeDoc(doc);
    EXPECT_NOTHING(c);
}

static void the_papers_examples(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    give(c, STR("Your storage is 97% full"), AT);
    give(c, STR("Maintenance in five minutes"), AT + 300);
    run(w);
    EXPECT(c,
           "<alert gmtTime=\"20240314T071500\" localTime=\"20240314T081500\">Your storage is 97% "
           "full</alert>");
    EXPECT(c, "<alert gmtTime=\"20240314T072000\" localTime=\"20240314T082000\">Maintenance in "
              "five minutes</alert>");
    EXPECT_NOTHING(c);
    assert_false(session_async_due(c->s));
}

static void escapes(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    expect_text(w, c, STR("a<b>&c\"d'e"), "a<b>&c\"d'e");
    expect_text(w, c, STR("]]></alert><bye/>"), "]]></alert><bye/>");
    expect_text(w, c, STR("&amp;&#10;"), "&amp;&#10;");
    expect_text(w, c, STR("Gr\xc3\xbc\xc3\x9f\x65 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82"),
                "Gr\xc3\xbc\xc3\x9f\x65 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82");
    expect_text(w, c, STR("a\nb\rc\td\0e\x1b[31mf\x7fg\xc2\x85h"), "a b c d e [31mf g h");
    expect_text(w, c, STR("a\xffz\xc3"), "a\xef\xbf\xbdz\xef\xbf\xbd");
    expect_text(w, c, STR("\xef\xbf\xbf"), "\xef\xbf\xbd"); /* U+FFFF is no character of XML */
}

static void length(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char text[ALERT_TEXT_MAX + 1], want[3 * ALERT_TEXT_MAX + 1];
    struct alert *a;

    memset(text, '<', sizeof text);
    memset(want, '<', sizeof want);
    for (size_t n = ALERT_TEXT_MAX - 1; n <= ALERT_TEXT_MAX; n++) {
        want[n] = 0;
        expect_text(w, c, (struct str){text, n}, want);
        want[n] = '<';
    }
    memset(text, '\xff', sizeof text);
    for (size_t i = 0; i < ALERT_TEXT_MAX; i++)
        memcpy(want + 3 * i, "\xef\xbf\xbd", 4);
    expect_text(w, c, (struct str){text, ALERT_TEXT_MAX}, want);
    assert_int_equal(alert_new((struct str){text, ALERT_TEXT_MAX + 1}, AT, &a), ERR_TOO_LONG);
    assert_null(a);
    assert_int_equal(alert_new(STR(""), AT, &a), ERR_ATTR_VALUE);
}

/* Who cannot be written to keeps the newest. */
static void bounded(void **state)
{
    struct world *w = *state;
    for (int n = ALERTS_MAX - 1; n <= ALERTS_MAX + 1; n++) {
        struct client *c = login(w);
        c->no_credit = true;
        for (int i = 0; i < n; i++) {
            char digit = (char)('0' + i);
            give(c, (struct str){&digit, 1}, AT);
            run(w);
        }
        assert_int_equal(c->out.n, c->at);
        c->no_credit = false;
        feed(c, "<noop id=\"n\"/>");
        run(w);
        EXPECT(c, OK("n"));
        for (int i = n > ALERTS_MAX ? n - ALERTS_MAX : 0; i < n; i++) {
            const char *message = take(c);
            assert_non_null(message);
            assert_int_equal(strchr(message, '>')[1], '0' + i);
        }
        EXPECT_NOTHING(c);
    }
}

/* 64 KiB at a time; the rest stays due. */
static void the_longest_leave_in_pieces(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    char text[ALERT_TEXT_MAX];
    uint32_t n = 0;

    memset(text, '&', sizeof text);
    c->no_credit = true;
    for (int i = 0; i < ALERTS_MAX; i++)
        give(c, (struct str){text, sizeof text}, AT);
    run(w);
    for (size_t before = c->out.n; session_async_due(c->s); before = c->out.n) {
        session_async(c->s, &c->out);
        assert_true(c->out.n > before && c->out.n - before <= 65536);
    }
    while (take(c) != NULL)
        n++;
    assert_int_equal(n, ALERTS_MAX);
}

/* Sessions share a text; they go in any order, some with it still waiting. */
static void shared(void **state)
{
    struct world *w = *state;
    struct client *c[4];
    struct alert *a;

    must(alert_new(STR("to all"), AT, &a));
    for (int i = 0; i < 4; i++) {
        c[i] = login(w);
        must(alert_give(c[i]->s, a));
    }
    alert_put_back(&a);
    c[1]->no_credit = c[3]->no_credit = true;
    run(w);
    session_free(&c[1]->s);
    session_free(&c[0]->s);
    STARTS(take(c[0]), "<alert ");
    STARTS(take(c[2]), "<alert ");
    session_free(&c[3]->s);
}

static void not_within_a_message(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);

    c->s->mid_message = true;
    give(c, STR("later"), AT);
    run(w);
    assert_int_equal(c->out.n, c->at);
    assert_false(session_async_due(c->s));
    c->s->mid_message = false;
    assert_true(session_async_due(c->s));
    session_end(c->s);
    assert_false(session_async_due(c->s)); /* nobody is there any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_papers_examples, setup, teardown),
        cmocka_unit_test_setup_teardown(escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(length, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_leave_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(shared, setup, teardown),
        cmocka_unit_test_setup_teardown(not_within_a_message, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
