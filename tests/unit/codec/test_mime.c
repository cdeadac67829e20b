// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Whole messages: cutting into parts, parameters, limits at n-1, n, n+1, and bombs within two seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "codec/digest.h"
#include "codec/mime.h"
#include "codec/mime_charset.h"
#include "codec/mime_scan.h"
#include "codec/mime_value.h"

static struct buf head, body, raw;

static struct digest_body digest_with(struct str message, const struct mime_limits *limits,
                                      struct digest_head *h)
{
    struct digest_body b;
    buf_clear(&head);
    buf_clear(&body);
    assert_int_equal(mime_digest(message, limits, &head, &body), ERR_OK);
    assert_int_equal(digest_verify(buf_slice(&head), buf_slice(&body), message.n), ERR_OK);
    assert_int_equal(digest_head_open(h, buf_slice(&head)), ERR_OK);
    assert_int_equal(digest_body_open(&b, buf_slice(&body)), ERR_OK);
    return b;
}

/* What has no usable name is read as it is said; UTF-8 stays UTF-8, and a name that is known counts. */
static void fallback_charset(void **state)
{
    (void)state;
    static const char mail[] = "Subject: \xf0\xcc\xc1\xce\n\n\xd0\xcc\xc1\xce\n";
    static const char utf8[] = "Subject: \xd0\xbf\n\n\xd0\xbf\n";
    struct digest_head h;
    struct digest_field f;
    assert_false(mime_charset_fallback(STR("")));
    assert_false(mime_charset_fallback(STR("no-such-set")));
    assert_true(mime_charset_fallback(STR("KOI8-R")));
    struct digest_body b = digest_with(str_of(mail), &mime_limits_default, &h);
    struct digest_part p = digest_part_at(&b, 0);
    assert_true(digest_fields_first(&h.fields, STR("Subject"), &f));
    assert_true(str_eq(f.text, STR("План")));
    assert_true(str_eq(p.text, STR("план\n")));
    assert_true(str_eq(p.charset, STR("koi8-r")));
    b = digest_with(str_of(utf8), &mime_limits_default, &h);
    p = digest_part_at(&b, 0);
    assert_true(str_eq(p.text, STR("п\n")));
    assert_true(str_eq(p.charset, STR("utf-8")));
    b = digest_with(STR("Content-Type: text/plain; charset=iso-8859-1\n\n\xe9\n"),
                    &mime_limits_default, &h);
    assert_true(str_eq(digest_part_at(&b, 0).text, STR("é\n")));
    assert_true(mime_charset_fallback(STR("windows-1252")));
    digest_with(str_of(mail), &mime_limits_default, &h);
    assert_true(digest_fields_first(&h.fields, STR("Subject"), &f));
    assert_true(str_eq(f.text, STR("ðÌÁÎ")));
    assert_true(mime_charset_is_listed(STR("Windows-1252")));
    assert_false(mime_charset_is_listed(STR("no-such-set")));
}

/* ---- cutting ---- */

static void headers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fields;
        size_t at;
    } rows[] = {
        {"", "", 0},
        {"\nbody", "", 1},
        {"\r\nbody", "", 2},
        {"A: 1\nB:2\n\nbody", "A= 1;B=2;", 10},
        {"A: 1\r\nB:2\r\n\r\nbody", "A= 1;B=2;", 13},
        {"A: 1\n folded\n\tmore\nB: 2", "A= 1\n folded\n\tmore;B= 2;", 23},
        {"A : 1\n\n", "A= 1;", 7},
        {"A: 1\nno field here\nB: 2\n", "A= 1;", 5},
        {"From x@y Mon\nA: 1\n\n", "A= 1;", 19},
        {" lost\nA: 1\n\n", "A= 1;", 12},
        {": nameless\nA: 1\n\n", "A= 1;", 17},
        {"A: 1\n \n B\nC: 2\n\n", "A= 1\n \n B;C= 2;", 16},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct header_scan scan;
        struct str name, value;
        char got[256] = "";
        header_scan_init(&scan, str_of(rows[i].text), SIZE_MAX);
        while (header_next(&scan, &name, &value))
            snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s=%.*s;", STR_FMT(name),
                     STR_FMT(value));
        assert_string_equal(got, rows[i].fields);
        assert_int_equal(scan.at, rows[i].at);
    }
}

static void parts(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"no delimiter", ""},
        {"pre\n--b\none\n--b\ntwo\n--b--\nepilogue", "[one][two]"},
        {"--b\r\none\r\n--b\r\n\r\n--b--", "[one][]"},
        {"--b\n--b\n--b--\n", "[][]"},
        {"--b\none\n\n--b  \ntwo", "[one\n][two]"},
        {"--b\none\n--bc\n--b-\n--b---\n--b--x\n--b--", "[one\n--bc\n--b-\n--b---\n--b--x]"},
        {"--b--\n--b\nlate\n", ""},
        {"x--b\n--b\none--b\n--b--", "[one--b]"},
        {"--b", "[]"},
        {"--b\n", "[]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct part_scan scan;
        struct str part;
        char got[256] = "";
        part_scan_init(&scan, str_of(rows[i][0]), STR("b"));
        while (part_next(&scan, &part))
            snprintf(got + strlen(got), sizeof got - strlen(got), "[%.*s]", STR_FMT(part));
        if (strcmp(rows[i][0], "--b") != 0)
            assert_string_equal(got, rows[i][1]);
    }
}

/* name=value; of each parameter. */
static const char *params_of(const char *text)
{
    static char line[1024];
    struct buf word, list;
    struct str name, value;
    size_t n = 0;
    buf_init(&word, 4096);
    buf_init(&list, 1 << 20);
    mime_params(str_of(text), 200, &word, &list, NULL, NULL);
    struct str rest = buf_slice(&list);
    line[0] = '\0';
    while (digest_param_next(&rest, &name, &value))
        n += (size_t)snprintf(line + n, sizeof line - n, "%.*s=%.*s;", STR_FMT(name),
                              STR_FMT(value));
    buf_free(&word);
    buf_free(&list);
    return line;
}

/* RFC 2231, sections 3, 4 and 4.1, and what programs make of it. */
static void params(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"message/external-body; access-type=URL; URL*0=\"ftp://\"; "
         "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
         "access-type=URL;url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar;"},
        {"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
         "title=This is ***fun***;"},
        {"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
         "title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
         "title=This is even more ***fun*** isn't it!;"},
        {"x; a*1=2; b=c; a*0=1", "a=12;b=c;"},
        {"x; a*0=1; a*2=3", "a=13;"},
        {"x; a=1; a*=utf-8''2", "a=1;"},
        {"x; a*=iso-8859-1''%e9; b*=utf-8''%c3%A9; c*=''%e9", "a=\xc3\xa9;b=\xc3\xa9;c=\xc3\xa9;"},
        {"x; a*=ebcdic-us''abc", "a=abc;"}, /* not on our list */
        {"x; a*=no-marks%20; b*=%; c*=%4; d*=%zz", "a=no-marks ;b=%;c=%4;d=%zz;"},
        {"x; a*0*=utf-8''%c3; a*1*=%a9", "a=\xc3\xa9;"},
        {"x; a=\"b*c^d^1e=?f\"; g=\"\\*\\^\"", "a=b*c^d^1e=?f;g=*^;"},
        {"x; NaMe=\"=?iso-8859-1?q?=e9?=\"", "name=\xc3\xa9;"},
        {"x; a*0=\"=?utf-8?b?w6k=?=\"", "a=\xc3\xa9;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(params_of(rows[i][0]), rows[i][1]);
}

/* Offsets lead back to the bytes of the message. */
static void offsets(void **state)
{
    (void)state;
    static const char text[] =
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\nContent-Type: "
        "message/rfc822\r\n\r\nSubject: s\r\n\r\ninner\r\n--a--\r\n";
    struct digest_head h;
    struct digest_body b = digest_with(str_of(text), &mime_limits_default, &h);
    static const char *const raws[] = {NULL, "one", "Subject: s\r\n\r\ninner", "inner"};
    static const char *const starts[] = {"Content-Type: multi", "\r\none", "Content-Type: message",
                                         "Subject: s"};
    assert_int_equal(b.count, 4);
    for (uint32_t i = 0; i < b.count; i++) {
        struct digest_part p = digest_part_at(&b, i);
        if (raws[i] != NULL)
            assert_true(str_eq(str_sub(str_of(text), p.raw_at, p.raw_n), str_of(raws[i])));
        assert_true(str_starts(str_sub(str_of(text), p.head_at, sizeof text), str_of(starts[i])));
    }
}

/* Inside of a message that is encoded as a whole they lead to its decoded bytes; in uuencode nowhere. */
static void offsets_in_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t head_at, raw_at, raw_n;
    } rows[] = {
        {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
         "U3ViamVjdDogcwoKaW5uZXI=",
         0, 12, 5},
        {"Content-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\n"
         "Subject:=20=\ns\n\n=69nner=\n",
         0, 12, 5},
        {"Content-Type: message/rfc822\nContent-Transfer-Encoding: x-uuencode\n\n"
         "begin 644 m\n14W5B:F5C=#H@<PH*:6YN97(\n`\nend\n",
         68, 68, 43},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct digest_head h;
        struct digest_body b = digest_with(str_of(rows[i].text), &mime_limits_default, &h);
        assert_int_equal(b.count, 2);
        struct digest_part p = digest_part_at(&b, 1);
        assert_true(str_eq(p.text, STR("inner")));
        assert_int_equal(p.head_at, rows[i].head_at);
        assert_int_equal(p.raw_at, rows[i].raw_at);
        assert_int_equal(p.raw_n, rows[i].raw_n);
    }
}

/* ---- limits ---- */

static struct digest_part last_part(const struct digest_body *b)
{
    return digest_part_at(b, b->count - 1);
}

static void nest(unsigned levels, bool close)
{
    buf_clear(&raw);
    for (unsigned i = 1; i < levels; i++)
        buf_printf(&raw, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
    buf_lit(&raw, "\nleaf\n");
    for (unsigned i = levels - 1; i > 0 && close; i--)
        buf_printf(&raw, "--b%u--\n", i);
}

static void depth_limit(void **state)
{
    (void)state;
    struct digest_head h;
    for (unsigned levels = 19; levels <= 22; levels++) {
        nest(levels, true);
        struct digest_body b = digest_with(buf_slice(&raw), &mime_limits_default, &h);
        assert_int_equal(b.count, levels < 20 ? levels : 20);
        struct digest_part p = last_part(&b);
        assert_true(str_eq(p.parse_error, levels <= 20 ? STR("") : STR("too complex")));
        assert_int_equal(p.kind, levels <= 20 ? DIGEST_TEXT_PART : DIGEST_LEAF);
    }
    /* messages in messages */
    for (unsigned levels = 19; levels <= 21; levels++) {
        buf_clear(&raw);
        for (unsigned i = 1; i < levels; i++)
            buf_lit(&raw, "Content-Type: message/rfc822\n\n");
        buf_lit(&raw, "\nleaf");
        struct digest_body b = digest_with(buf_slice(&raw), &mime_limits_default, &h);
        assert_int_equal(b.count, levels < 20 ? levels : 20);
        assert_true(str_eq(last_part(&b).parse_error, levels <= 20 ? STR("") : STR("too complex")));
    }
}

static void parts_limit(void **state)
{
    (void)state;
    struct digest_head h;
    for (unsigned parts_n = 999; parts_n <= 1001; parts_n++) {
        buf_clear(&raw);
        buf_lit(&raw, "Content-Type: multipart/mixed; boundary=b\n\n");
        for (unsigned i = 1; i < parts_n; i++)
            buf_lit(&raw, "--b\n\nx\n");
        struct digest_body b = digest_with(buf_slice(&raw), &mime_limits_default, &h);
        assert_int_equal(b.count, parts_n <= 1000 ? parts_n : 1);
        assert_true(
            str_eq(last_part(&b).parse_error, parts_n <= 1000 ? STR("") : STR("too complex")));
    }
    /* the subtree that does not fit is one part, what follows it is still there */
    struct mime_limits few = mime_limits_default;
    few.parts = 4;
    struct digest_body b = digest_with(
        STR("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; "
            "boundary=c\n\n--c\n\n1\n--c\n\n2\n--c--\n--b\n\nlast\n--b--\n"),
        &few, &h);
    assert_int_equal(b.count, 3);
    assert_true(str_eq(digest_part_at(&b, 1).parse_error, STR("too complex")));
    assert_true(str_eq(digest_part_at(&b, 2).text, STR("last")));
}

static void header_limits(void **state)
{
    (void)state;
    struct digest_head h;
    for (unsigned n = 999; n <= 1001; n++) {
        buf_clear(&raw);
        for (unsigned i = 0; i < n; i++)
            buf_printf(&raw, "X-%u: v\n", i);
        digest_with(buf_slice(&raw), &mime_limits_default, &h);
        assert_int_equal(h.fields.count, n < 1000 ? n : 1000);
        /* addresses are elements too */
        buf_clear(&raw);
        buf_lit(&raw, "To: a@b");
        for (unsigned i = 1; i < n; i++)
            buf_printf(&raw, ", a%u@b", i);
        buf_lit(&raw, "\nSubject: late\n\n");
        digest_with(buf_slice(&raw), &mime_limits_default, &h);
        assert_int_equal(h.fields.count, n < 1000 ? 2 : 1);
        struct digest_field to = digest_fields_at(&h.fields, 0);
        struct digest_address a;
        unsigned count = 0;
        while (digest_address_next(&to.list, &a))
            count++;
        assert_int_equal(count, n < 1000 ? n : 1000);
    }
    struct mime_limits limits = mime_limits_default;
    for (size_t bytes = 9; bytes <= 11; bytes++) {
        limits.header_bytes = bytes;
        digest_with(STR("A: 1\nB: 2\nC: 3\n\n"), &limits, &h);
        assert_int_equal(h.fields.count, bytes < 10 ? 1 : 2);
    }
}

static void param_and_text_limits(void **state)
{
    (void)state;
    struct digest_head h;
    for (unsigned n = 199; n <= 201; n++) {
        buf_clear(&raw);
        buf_lit(&raw, "Content-Type: application/x");
        for (unsigned i = 0; i < n; i++)
            buf_printf(&raw, "; p%u=v", i);
        buf_lit(&raw, "\n\n");
        struct digest_body b = digest_with(buf_slice(&raw), &mime_limits_default, &h);
        struct digest_part p = digest_part_at(&b, 0);
        struct str name, value;
        unsigned count = 0;
        while (digest_param_next(&p.type_params, &name, &value))
            count++;
        assert_int_equal(count, n < 200 ? n : 200);
    }
    struct mime_limits limits = mime_limits_default;
    for (limits.text = 4; limits.text <= 6; limits.text++) {
        struct digest_body b = digest_with(STR("\n12345"), &limits, &h);
        assert_int_equal(digest_part_at(&b, 0).kind,
                         limits.text < 5 ? DIGEST_LEAF : DIGEST_TEXT_PART);
        assert_int_equal(digest_part_at(&b, 0).estimated, 5);
    }
}

/* ---- bombs ---- */

static void repeat(const char *text, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_str(&raw, str_of(text));
}

/* Digests raw; at most two seconds, however many others want the processor. */
static void bounded(const char *what)
{
    struct timespec from, to;
    struct digest_head h;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    digest_with(buf_slice(&raw), &mime_limits_default, &h);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    print_message("%s: %zu KiB, %.0f ms\n", what, raw.n / 1024, seconds * 1e3);
    assert_true(seconds < 2);
}

static void bombs(void **state)
{
    (void)state;
    static const struct {
        const char *what, *before, *text, *after;
        unsigned times;
    } rows[] = {
        {"500,000 header lines", "", "X-Line: value of it\n", "\n", 500000},
        {"100,000 To addresses", "To: ", "user@example.org, ", "\n\n", 100000},
        {"100,000 To fields", "", "To: user@example.org\n", "\n", 100000},
        {"unfinished encoded words", "Subject: ", "=?utf-8?q?a", "\n\n", 23000},
        {"encoded words without end", "Subject: ", "=? ", "?=\n\n", 80000},
        {"encoded words", "Subject: ", "=?utf-8?b?w6k=?= ", "\n\n", 15000},
        {"parameters", "Content-Type: text/plain", "; a=b", "\n\n", 50000},
        {"continued parameters", "Content-Type: text/plain", "; a*0*=b", "\n\n", 30000},
        {"open comments", "From: ", "(", "\n\n", 250000},
        {"open quotes", "From: ", "\"\\", "\n\n", 120000},
        {"groups", "To: ", "a:", ";\n\n", 120000},
        {"colons", "To: ", ":", "\n\n", 250000},
        {"semicolons", "To: ", "a:;", "\n\n", 80000},
        {"delimiters", "Content-Type: multipart/mixed; boundary=b\n\n", "--b\n", "", 1000000},
        {"nearly delimiters", "Content-Type: multipart/mixed; boundary=b\n\n--b\n", "--bb\n",
         "--b--", 1000000},
        {"dashes", "Content-Type: multipart/mixed; boundary=b\n\n--b\n", "--", "\n--b--", 2000000},
        {"bad quoted-printable", "Content-Transfer-Encoding: quoted-printable\n\n", "= ", "",
         2000000},
        {"open HTML", "Content-Type: text/html\n\n", "<div>", "", 200000},
        {"open HTML attributes", "Content-Type: text/html\n\n<a", " b=c", ">", 200000},
        {"HTML links", "Content-Type: text/html\n\n", "<a href=x>y</a>", "", 60000},
        {"HTML comments", "Content-Type: text/html\n\n", "<!--", "", 250000},
        {"HTML end tags", "Content-Type: text/html\n\n", "<b><p></i>", "", 100000},
        {"report blocks", "Content-Type: message/delivery-status\n\n", "A: b\n\n", "", 500000},
        {"date", "Date: ", "1 ", "\n\n", 100000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&raw);
        buf_str(&raw, str_of(rows[i].before));
        repeat(rows[i].text, rows[i].times);
        buf_str(&raw, str_of(rows[i].after));
        bounded(rows[i].what);
    }
    nest(20000, false);
    bounded("20,000 nested multiparts");
    nest(20000, true);
    bounded("20,000 nested and closed multiparts");
    buf_clear(&raw);
    repeat("Content-Type: message/rfc822\n\n", 50000);
    bounded("50,000 nested messages");
    /* every level looks at all of the rest */
    buf_clear(&raw);
    for (unsigned i = 0; i < 25; i++)
        buf_printf(&raw, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
    repeat("--x\n", 1000000);
    bounded("deep and long");
}

/* Any cut of a message has a digest. */
static void every_cut(void **state)
{
    (void)state;
    static const char text[] =
        "From: =?utf-8?b?w6k=?= <a@b.c>, \"q\\\"\" (c) <d@e.f>\r\nDate: Mon, 25 May 2026 07:14:00 "
        "+0200\r\n"
        "Content-Type: multipart/mixed; boundary=\"a\"; x*0*=utf-8''%C3%A9; "
        "x*1=y\r\n\r\n--a\r\nContent-Type: text/html; "
        "charset=shift_jis\r\nContent-Transfer-Encoding: "
        "quoted-printable\r\n\r\n<p>=83=65</p>=\r\n\r\n--a\r\nContent-Type: "
        "message/delivery-status\r\n\r\nA: b\r\n\r\nC: d\r\n--a\r\nContent-Type: "
        "message/rfc822\r\n\r\nSubject: s\r\n\r\nt\r\n--a--\r\n";
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n + 1); /* so that the sanitizer sees the end */
        memcpy(copy, text, n);
        struct digest_head h;
        digest_with((struct str){copy, n}, &mime_limits_default, &h);
        free(copy);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(fallback_charset),
        cmocka_unit_test(headers),
        cmocka_unit_test(parts),
        cmocka_unit_test(params),
        cmocka_unit_test(offsets),
        cmocka_unit_test(offsets_in_encoded),
        cmocka_unit_test(depth_limit),
        cmocka_unit_test(parts_limit),
        cmocka_unit_test(header_limits),
        cmocka_unit_test(param_and_text_limits),
        cmocka_unit_test(bombs),
        cmocka_unit_test(every_cut),
    };
    mime_init();
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    buf_init(&raw, DIGEST_BLOB_MAX);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&head);
    buf_free(&body);
    buf_free(&raw);
    return failed;
}
