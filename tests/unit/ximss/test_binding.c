// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The HTTP binding of a session (protocol 1, 4.5-4.10): at random against a model of its tables, and what the tables do not say. */
#include "binding_driver.h"

static void at_random(void **state)
{
    unsigned seeds = getenv("XIMSSD_LONG") != NULL ? 400 : 25;

    (void)state;
    for (unsigned seed = 1; seed <= seeds; seed++) {
        drive_begin(seed);
        for (int i = 0; i < 1500; i++)
            drive_step();
        drive_all();
        drive_end();
    }
}

/* --- the end of a session */

/* What a question gets, now or when it was answered. */
static void expect_last(enum binding_how how, const char *text)
{
    const struct ask *a = &drive->asks[drive->nasks - 1];

    assert_int_equal(a->how, (int)how);
    assert_string_equal(a->text, text);
}

static void say_once(enum binding_kind kind, bool numbered, uint64_t seq, const char *body)
{
    struct binding_ask q = {.kind = kind, .has_seq = numbered, .seq = seq, .body = str_of(body)};

    drive_put(&q, drive_ask());
}

static void run_to_bye(void)
{
    while (!drive_slice().close)
        ;
}

/* The reply to `bye` can be asked for again, and nothing else (4.5). */
static void bye(void **state)
{
    static const char text[] = "<XIMSS><noop id=\"1\"/><bye id=\"2\"/><noop id=\"3\"/></XIMSS>";
    static const char answer[] = "<XIMSS><response id=\"1\"/><response id=\"2\"/></XIMSS>";

    (void)state;
    drive_begin(1);
    struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true, .waits = true};
    drive_put(&poll, drive_ask());
    say_once(BINDING_SYNC, true, 7, text);
    say_once(BINDING_SYNC, true, 8, "<XIMSS><noop id=\"4\"/></XIMSS>");
    run_to_bye();
    assert_false(binding_close(drive->b, BINDING_BYE));
    assert_string_equal(drive->asks[0].text, EMPTY);
    assert_int_equal(drive->asks[1].how, BINDING_OK);
    assert_string_equal(drive->asks[1].text, answer);
    expect_last(BINDING_GONE, ""); /* what waited behind it */
    drive_end();

    drive_begin(1);
    say_once(BINDING_SYNC, true, 7, text);
    run_to_bye();
    assert_true(binding_close(drive->b, BINDING_BYE));
    for (int i = 0; i < 2; i++) {
        say_once(BINDING_SYNC, true, 7, text);
        expect_last(BINDING_OK, answer);
    }
    say_once(BINDING_SYNC, true, 6, text);
    expect_last(BINDING_GONE, "");
    say_once(BINDING_SYNC, true, 8, text);
    expect_last(BINDING_GONE, "");
    say_once(BINDING_SYNC, false, 0, text);
    expect_last(BINDING_GONE, "");
    drive_put(&poll, drive_ask());
    expect_last(BINDING_GONE, "");
    poll.bad_seq = true;
    drive_put(&poll, drive_ask());
    expect_last(BINDING_GONE, "");
    drive_end();
}

static void bye_in_async(void **state)
{
    static const char text[] = "<XIMSS><bye id=\"2\"/></XIMSS>";

    (void)state;
    drive_begin(1);
    say_once(BINDING_ASYNC, true, 1, text);
    expect_last(BINDING_OK, "");
    run_to_bye();
    assert_true(binding_close(drive->b, BINDING_BYE));
    say_once(BINDING_ASYNC, true, 1, text);
    expect_last(BINDING_OK, "");
    say_once(BINDING_ASYNC, true, 2, text);
    expect_last(BINDING_GONE, "");
    drive_end();
}

/* Without a number nothing is kept. */
static void bye_without_number(void **state)
{
    (void)state;
    drive_begin(1);
    say_once(BINDING_SYNC, false, 0, "<XIMSS><bye id=\"2\"/></XIMSS>");
    run_to_bye();
    assert_false(binding_close(drive->b, BINDING_BYE));
    expect_last(BINDING_OK, "<XIMSS><response id=\"2\"/></XIMSS>");
    drive_end();
}

/* Who waits when the client, or the server, ends it (4.8, 4.9). */
static void other_ends(void **state)
{
    static const struct {
        enum binding_end how;
        const char *text;
    } ends[] = {{BINDING_KILL, EMPTY}, {BINDING_SERVER, "<XIMSS respSeq=\"1\"><bye/></XIMSS>"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        drive_begin(1);
        struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true, .waits = true};
        drive_put(&poll, drive_ask());
        say_once(BINDING_SYNC, true, 1, "<XIMSS><noop id=\"1\"/></XIMSS>");
        assert_false(binding_close(drive->b, ends[i].how));
        assert_int_equal(drive->asks[0].how, BINDING_OK);
        assert_string_equal(drive->asks[0].text, ends[i].text);
        expect_last(BINDING_GONE, "");
        drive_end();
    }
}

/* What has begun goes on to its end, with all that it was asked (the batch is secret: its memory is wiped when it is freed). */
static void end_while_it_runs(void **state)
{
    static const enum binding_end ends[] = {BINDING_KILL, BINDING_SERVER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct buf out;
        drive_begin(1);
        say_once(BINDING_SYNC, true, 1, "<XIMSS><noop id=\"first\"/><fryEggs id=\"2\"/></XIMSS>");
        say_once(BINDING_SYNC, true, 2, "<XIMSS><noop id=\"3\"/></XIMSS>");
        assert_int_equal(dispatch_kind(drive->s), KIND_READ);
        assert_false(binding_close(drive->b, ends[i]));
        assert_int_equal(drive->asks[0].how, BINDING_GONE);
        assert_int_equal(drive->asks[1].how, BINDING_GONE);
        buf_init(&out, SIZE_MAX);
        assert_int_equal(dispatch_slice(drive->s, &out).run, RUN_DONE);
        assert_true(str_eq(buf_slice(&out), STR("<response id=\"first\"/>\0")));
        assert_int_equal(dispatch_kind(drive->s), KIND_NONE);
        buf_free(&out);
        drive_end();
    }
}

/* --- sizes */

/* A reply may be kept up to `reply_kept`; a longer one is delivered once. */
static void kept(void **state)
{
    static const char text[] = "<XIMSS><noop id=\"0123456789\"/></XIMSS>";
    static const char answer[] = "<XIMSS><response id=\"0123456789\"/></XIMSS>";

    (void)state;
    for (int more = -1; more <= 1; more++) {
        drive_begin(1);
        drive->w->x.limits.reply_kept = sizeof answer - 1 - (size_t)(int64_t)more;
        say_once(BINDING_SYNC, true, 1, text);
        (void)drive_slice();
        expect_last(BINDING_OK, answer);
        say_once(BINDING_SYNC, true, 1, text);
        if (more <= 0)
            expect_last(BINDING_OK, answer);
        else
            expect_last(BINDING_TOO_LARGE, "");
        drive_end();
    }
}

/* Requests of an async batch wait for room in the queue, others do not. */
static void room_for_answers(void **state)
{
    (void)state;
    drive_begin(1);
    drive->w->x.limits.reply_kept = 2 * strlen("<response id=\"1\"/>");
    say_once(BINDING_ASYNC, true, 1,
             "<XIMSS><noop id=\"1\"/><noop id=\"2\"/><noop id=\"3\"/></XIMSS>");
    (void)drive_slice();
    assert_true(session_has_work(drive->s));
    (void)drive_slice();
    assert_false(session_has_work(drive->s));
    struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true};
    drive_put(&poll, drive_ask());
    expect_last(BINDING_OK,
                "<XIMSS respSeq=\"1\"><response id=\"1\"/><response id=\"2\"/></XIMSS>");
    assert_true(session_has_work(drive->s));
    (void)drive_slice();
    poll.seq = 1;
    drive_put(&poll, drive_ask());
    expect_last(BINDING_OK, "<XIMSS respSeq=\"2\"><response id=\"3\"/></XIMSS>");
    drive_end();
}

/*
 * Who asks and does not read: no more is begun when what waits for him, but is not kept, is as long as the longest reply; and it goes on
 * with one that goes.
 */
static void replies_that_nobody_reads(void **state)
{
    static const char text[] = "<XIMSS><noop id=\"1234567890\"/></XIMSS>";
    const uint64_t one = strlen("<XIMSS><response id=\"1234567890\"/></XIMSS>");

    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        enum { COUNT = 5 };
        struct reply *left[COUNT + 1];
        drive_begin(1);
        drive->w->x.limits.reply = COUNT * one;
        drive->hold = true;
        for (int n = 0; n < COUNT; n++) {
            say_once(BINDING_SYNC, kept == 1, (uint64_t)n, text);
            assert_true(session_has_work(drive->s));
            (void)drive_slice();
            assert_int_equal(drive->asks[n].how, BINDING_OK);
        }
        assert_int_equal(drive->b->replies->bytes, COUNT * one);
        say_once(BINDING_SYNC, kept == 1, COUNT, text);
        assert_false(session_has_work(drive->s));
        reply_unref(&drive->asks[2].held);
        assert_true(session_has_work(drive->s));
        (void)drive_slice();
        assert_int_equal(drive->asks[COUNT].how, BINDING_OK);
        assert_int_equal(drive->b->replies->bytes, COUNT * one);
        for (size_t i = 0; i < ARRAY_LEN(left); i++)
            left[i] = drive->asks[i].held;
        drive_end();
        for (size_t i = 0; i < ARRAY_LEN(left); i++) /* those outlive it */
            reply_unref(&left[i]);
    }
}

/* --- who may use it (4.10) */

static void who_may(void **state)
{
    static const uint8_t home[16] = {1}, away[16] = {2};
    const struct str id = STR("100042-vN2Txjkggy7gjHRD10jw");
    char cookie[BINDING_COOKIE + 1];

    (void)state;
    for (int watch = 0; watch < 2; watch++) {
        drive_begin(1);
        struct binding *b;
        must(binding_new(drive->s, &drive_host, home, watch == 1, true, &b));
        memcpy(cookie, b->cookie, sizeof cookie);
        assert_int_equal(strlen(cookie), BINDING_COOKIE);
        assert_true(binding_may(b, id, home, STR_NONE));
        assert_int_equal(binding_may(b, id, away, STR_NONE), watch == 0);
        assert_false(binding_may(b, STR("100042-vN2Txjkggy7gjHRD10jx"), home, STR_NONE));
        assert_false(binding_may(b, STR("100042-vN2Txjkggy7gjHRD10j"), home, STR_NONE));
        assert_true(binding_may(b, id, home, STR("AAAAAAAAAAAAAAAAAAAA"))); /* not bound yet */
        /* nobody else binds it */
        assert_int_equal(binding_may(b, id, away, str_of(cookie)), watch == 0);
        assert_int_equal(b->cookie_state, watch == 0 ? COOKIE_BOUND : COOKIE_OFFERED);
        assert_true(binding_may(b, id, home, str_of(cookie)));
        assert_int_equal(b->cookie_state, COOKIE_BOUND);
        assert_false(binding_may(b, id, home, STR_NONE));
        assert_false(binding_may(b, id, home, STR("AAAAAAAAAAAAAAAAAAAA")));
        assert_false(binding_may(b, id, home, STR("")));
        assert_true(binding_may(b, id, home, str_of(cookie)));
        binding_free(&b);
        drive->s->binding = drive->b;
        drive_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_random),
        cmocka_unit_test(bye),
        cmocka_unit_test(bye_in_async),
        cmocka_unit_test(bye_without_number),
        cmocka_unit_test(other_ends),
        cmocka_unit_test(end_while_it_runs),
        cmocka_unit_test(kept),
        cmocka_unit_test(room_for_answers),
        cmocka_unit_test(replies_that_nobody_reads),
        cmocka_unit_test(who_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
