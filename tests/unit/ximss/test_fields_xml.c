// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The elements of a folder's row: protocol 2, 1.7, examples and rules one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "codec/digest.h"
#include "codec/mime.h"
#include "ximss/fields_xml.h"

static struct buf head, body, out;

static const char message[] = "Received: one\nReceived: two\n"
                              "From: =?utf-8?q?Ann_Lee?= <ann@example.org>, x@example.org\n"
                              "To: \"Ann Lee\" <ann@example.org>, bob@example.net\n"
                              "To: second@example.net\n"
                              "Cc: undisclosed:;\n"
                              "Reply-To: GROUP\n"
                              "Sender: a b c\n"
                              "Subject: =?utf-8?q?R=C3=A9p:?=   caf\xc3\xa9\n\t<5>\n"
                              "Subject: other\n"
                              "Date: Mon, 25 May 2026 07:14:00 +0200\n"
                              "Resent-Date: never\n"
                              "X-Priority: 3 (Normal)\nImportance: high\n"
                              "Content-Type: Multipart/Mixed; boundary=x\n"
                              "Message-ID: <a1@example.org>\n"
                              "X-Empty:\n"
                              "Disposition-Notification-To: Ann <ann@example.org>\n"
                              "Return-Path: <r@example.org>\n\nbody";

static const struct fields_meta meta = {
    .flags = {"Seen,Flagged", 12}, .uid = 4294967295U, .internal_date = 1779686080, .size = 48213};

static const char *row_of(const char *raw, const char *name, const struct fields_meta *m)
{
    struct digest_head h;
    struct str names[1] = {str_of(name)};
    buf_clear(&head);
    buf_clear(&body);
    buf_clear(&out);
    assert_int_equal(mime_digest(str_of(raw), &mime_limits_default, &head, &body), ERR_OK);
    assert_int_equal(digest_head_open(&h, buf_slice(&head)), ERR_OK);
    fields_row(&out, &h, names, 1, m);
    buf_char(&out, '\0');
    return out.p;
}

static void each_field(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"FLAGS", "<FLAGS>Seen,Flagged</FLAGS>"},
        {"flags", "<flags>Seen,Flagged</flags>"},
        {"UID", "<UID>4294967295</UID>"},
        {"INTERNALDATE",
         "<INTERNALDATE localTime=\"20260525T081440\">20260525T051440Z</INTERNALDATE>"},
        {"SIZE", "<SIZE>48213</SIZE>"},
        {"Size", "<Size>48213</Size>"},
        {"E-From",
         "<E-From realName=\"Ann Lee\">ann@example.org</E-From><E-From>x@example.org</E-From>"},
        {"e-to", "<e-to realName=\"Ann Lee\">ann@example.org</e-to><e-to>bob@example.net</e-to>"},
        {"E-Cc", "<E-Cc realName=\"undisclosed\"/>"},
        {"E-Reply-To", "<E-Reply-To>GROUP</E-Reply-To>"},
        {"E-Sender", "<E-Sender>a b c</E-Sender>"},
        {"E-Bcc", ""},
        {"E-Subject", ""},
        {"From", "<From>Ann Lee, x@example.org</From>"},
        {"TO", "<TO>Ann Lee, bob@example.net</TO>"},
        {"Cc", "<Cc>undisclosed</Cc>"},
        {"Subject", "<Subject>R\xc3\xa9p: caf\xc3\xa9 &lt;5&gt;</Subject>"},
        {"Date", "<Date timeShift=\"7200\" localTime=\"20260525T081400\">20260525T051400Z</Date>"},
        {"Resent-Date", "<Resent-Date>never</Resent-Date>"},
        {"Pty", ""}, /* X-Priority counts before Importance */
        {"X-Priority", "<X-Priority>3 (Normal)</X-Priority>"},
        {"Content-Type", "<Content-Type>multipart/mixed</Content-Type>"},
        {"Message-ID", "<Message-ID>&lt;a1@example.org&gt;</Message-ID>"},
        {"References", ""},
        {"Received", "<Received>one</Received><Received>two</Received>"},
        {"X-Empty", "<X-Empty/>"},
        {"Disposition-Notification-To",
         "<Disposition-Notification-To>Ann &lt;ann@example.org&gt;</Disposition-Notification-To>"},
        {"Return-Path", "<Return-Path>r@example.org</Return-Path>"},
        {"BODY", ""},
        {"text", ""},
        {"no/name", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(row_of(message, rows[i][0], &meta), rows[i][1]);
}

static void nothing_there(void **state)
{
    (void)state;
    const struct fields_meta none = {.flags = STR_NONE};
    assert_string_equal(row_of("", "FLAGS", &none), "<FLAGS/>");
    assert_string_equal(row_of("", "Content-Type", &none), "");
    assert_string_equal(
        row_of("", "INTERNALDATE", &none),
        "<INTERNALDATE localTime=\"19700101T030000\">19700101T000000Z</INTERNALDATE>");
    assert_string_equal(row_of("Subject:\n\n", "Subject", &none), "<Subject/>");
}

static void priorities(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"X-Priority: 1\n", "<Pty>High</Pty>"},
        {"X-Priority: 2 (High)\n", "<Pty>High</Pty>"},
        {"X-Priority: 4\n", "<Pty>Low</Pty>"},
        {"x-priority: 5\n", "<Pty>Low</Pty>"},
        {"X-Priority: 3\nPriority: urgent\n", ""},
        {"X-Priority: soon\nImportance: LOW\n", "<Pty>Low</Pty>"},
        {"Priority: urgent\n", "<Pty>High</Pty>"},
        {"Priority: non-urgent\n", "<Pty>Low</Pty>"},
        {"Priority: low\nImportance: high\n", "<Pty>High</Pty>"},
        {"X-MSMail-Priority: High\n", "<Pty>High</Pty>"},
        {"Importance: normal\n", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(row_of(rows[i][0], "Pty", &meta), rows[i][1]);
}

static void list_order(void **state)
{
    (void)state;
    struct digest_head h;
    const struct str names[] = {STR("Subject"), STR("FLAGS"), STR("nope"), STR("FLAGS")};
    row_of("Subject: s\n\n", "UID", &meta);
    assert_int_equal(digest_head_open(&h, buf_slice(&head)), ERR_OK);
    buf_clear(&out);
    fields_row(&out, &h, names, ARRAY_LEN(names), &meta);
    buf_char(&out, '\0');
    assert_string_equal(
        out.p, "<Subject>s</Subject><FLAGS>Seen,Flagged</FLAGS><FLAGS>Seen,Flagged</FLAGS>");
}

static void names(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, 'x', sizeof longest);
    static const char *const good[] = {"a", "_", "X-Color", "A1._-", "Pty"};
    static const char *const bad[] = {"",   "1a",       "-a",        ".a", "a b", "a:b",
                                      "a<", "\xc3\xa9", "a\xc3\xa9", "a/", "a\"", " a"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(fields_name_ok(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(fields_name_ok(str_of(bad[i])));
    assert_true(fields_name_ok((struct str){longest, 254}));
    assert_true(fields_name_ok((struct str){longest, 255}));
    assert_false(fields_name_ok((struct str){longest, 256}));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field), cmocka_unit_test(nothing_there), cmocka_unit_test(priorities),
        cmocka_unit_test(list_order), cmocka_unit_test(names),
    };
    setenv("TZ", "<+03>-3", 1);
    tzset();
    mime_init();
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    buf_init(&out, DIGEST_BLOB_MAX);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&head);
    buf_free(&body);
    buf_free(&out);
    return failed;
}
