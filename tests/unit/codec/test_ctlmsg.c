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
    struct ctl_reply r = {CTL_VERSION, ERR_QUOTA, 1, IPC_ROLE_WORKER, 3}, got;
    struct str text, packet = {(const char *)&r, sizeof r};
    assert_int_equal(ctl_reply_parse(packet, &got, &text), ERR_OK);
    assert_int_equal(got.err, ERR_QUOTA);
    r.err = ERR_COUNT;
    assert_int_equal(ctl_reply_parse(packet, &got, &text), ERR_PACKET);
    assert_int_equal(ctl_reply_parse(str_sub(packet, 0, sizeof r - 1), &got, &text), ERR_SYNTAX);
}

static void test_every_verb_is_found_by_its_words(void **state)
{
    (void)state;
    for (int v = 1; v < CTL_VERB_COUNT; v++) {
        const struct ctl_row *row = ctl_row((enum ctl_verb)v);
        char text[64], more[] = "more";
        char *words[8];
        int n = 0, used;
        assert_true(row->words[0] != 0 && row->doc[0] != 0);
        assert_true(strlen(row->words) < sizeof text);
        memcpy(text, row->words, strlen(row->words) + 1);
        for (char *at = text, *word; (word = strsep(&at, " ")) != NULL;)
            words[n++] = word;
        words[n] = more;
        assert_int_equal(ctl_verb_find(words, n + 1, &used), v);
        assert_int_equal(used, n);
        /* a verb of one word less may be another one, never this one */
        assert_int_not_equal(ctl_verb_find(words, n - 1, &used), v);
    }
}

static void test_what_is_no_verb(void **state)
{
    (void)state;
    char account[] = "account", lis[] = "lis", listing[] = "listing", both[] = "account list";
    char *const words[][2] = {{account, lis}, {account, listing}, {lis, account}, {both, account}};
    int used;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(ctl_verb_find(words[i], 2, &used), CTL_NONE);
        assert_int_equal(used, 0);
    }
    assert_int_equal(ctl_verb_find(words[0], 0, &used), CTL_NONE);
}

static void test_who(void **state)
{
    (void)state;
    char to[CTL_WHO];
    assert_string_equal(ctl_who(to, IPC_ROLE_AUTH, 0), "auth");
    assert_string_equal(ctl_who(to, IPC_ROLE_WORKER, 0), "worker 1");
    assert_string_equal(ctl_who(to, IPC_ROLE_KEEPER, 63), "keeper 64");
    assert_string_equal(ctl_who(to, (enum ipc_role)77, 0), "unknown 1");
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
        cmocka_unit_test(test_every_verb_is_found_by_its_words),
        cmocka_unit_test(test_what_is_no_verb),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
