// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The control socket's messages: versions, lengths, verbs; JSON strings against RFC 8259. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/ctlmsg.h"

static void test_request(void **state)
{
    (void)state;
    struct ctl_head head = {CTL_VERSION, CTL_ACCOUNT_LIST, 7}, got;
    struct str body, packet = {(const char *)&head, sizeof head};
    assert_int_equal(ctl_request_parse(packet, &got, &body), ERR_OK);
    assert_int_equal(got.target, 7);
    assert_int_equal(body.n, 0);
    for (size_t n = 0; n < sizeof head; n++)
        assert_int_equal(ctl_request_parse(str_sub(packet, 0, n), &got, &body), ERR_SYNTAX);
    head.version++;
    assert_int_equal(ctl_request_parse(packet, &got, &body), ERR_PACKET);
    head.version--;
    head.verb = CTL_VERB_COUNT;
    assert_int_equal(ctl_request_parse(packet, &got, &body), ERR_NOT_FOUND);
    head.verb = CTL_NONE;
    assert_int_equal(ctl_request_parse(packet, &got, &body), ERR_NOT_FOUND);
}

static void test_reply(void **state)
{
    (void)state;
    struct ctl_reply r = {CTL_VERSION, ERR_QUOTA, 1}, got;
    struct str text, packet = {(const char *)&r, sizeof r};
    assert_int_equal(ctl_reply_parse(packet, &got, &text), ERR_OK);
    assert_int_equal(got.err, ERR_QUOTA);
    r.err = ERR_COUNT;
    assert_int_equal(ctl_reply_parse(packet, &got, &text), ERR_PACKET);
    assert_int_equal(ctl_reply_parse(str_sub(packet, 0, sizeof r - 1), &got, &text), ERR_SYNTAX);
}

static void test_every_verb_has_words_and_a_role(void **state)
{
    (void)state;
    for (int v = 1; v < CTL_VERB_COUNT; v++) {
        assert_true(ctl_verb_words((enum ctl_verb)v)[0] != 0);
        assert_true(ctl_verb_doc((enum ctl_verb)v)[0] != 0);
        assert_int_not_equal(ctl_verb_role((enum ctl_verb)v), IPC_ROLE_ANY);
        for (int w = 1; w < v; w++)
            assert_string_not_equal(ctl_verb_words((enum ctl_verb)v),
                                    ctl_verb_words((enum ctl_verb)w));
    }
}

static void test_json(void **state)
{
    (void)state;
    /* Right sides: what Python's json.dumps(ensure_ascii=False) gives, DEL escaped in addition. */
    static const struct {
        struct str in;
        const char *out;
    } row[] = {
        {{"", 0}, "\"\""},
        {{"dora", 4}, "\"dora\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\n\r\t\0\x1b\x7f", 6}, "\"\\u000a\\u000d\\u0009\\u0000\\u001b\\u007f\""},
        {{"L\xc3\xa9"
          "e \xe6\x97\xa5",
          8},
         "\"L\xc3\xa9"
         "e \xe6\x97\xa5\""},
        {{"\xff"
          "a\xc3",
          3},
         "\"\xef\xbf\xbd"
         "a\xef\xbf\xbd\""},
    };
    struct buf b;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        buf_clear(&b);
        ctl_json_str(&b, row[i].in);
        assert_true(str_eq(buf_slice(&b), str_of(row[i].out)));
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_every_verb_has_words_and_a_role),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
