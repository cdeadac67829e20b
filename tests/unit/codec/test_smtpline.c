// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* smtpline: command lines, paths and message data of LMTP. Data are compared with a plain model, line by line, in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/smtpline.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* --- lines */

/* A line of n bytes, CR LF included, and something behind it. */
static enum err line_of(size_t n, size_t shown, struct str *line, struct str *in, struct buf *b)
{
    buf_clear(b);
    for (size_t i = 0; i + 2 < n; i++)
        buf_char(b, 'x');
    buf_lit(b, "\r\nNOOP\r\n");
    *in = str_sub(buf_slice(b), 0, shown);
    return smtpline_next(in, line);
}

static void test_line_cap(void **state)
{
    struct str line, in;
    struct buf b;
    (void)state;
    buf_init(&b, (size_t)2 * SMTPLINE_MAX);
    for (size_t n = SMTPLINE_MAX - 1; n <= SMTPLINE_MAX; n++) {
        assert_int_equal(line_of(n, SIZE_MAX, &line, &in, &b), ERR_OK);
        assert_int_equal(line.n, n - 2);
        assert_true(str_eq(in, STR("NOOP\r\n")));
        /* Incomplete: the last byte is missing. */
        enum err e = line_of(n, n - 1, &line, &in, &b);
        assert_int_equal(e, ERR_AGAIN);
        assert_int_equal(in.n, n - 1);
    }
    assert_int_equal(line_of(SMTPLINE_MAX + 1, SIZE_MAX, &line, &in, &b), ERR_TOO_LONG);
    assert_int_equal(line_of(SMTPLINE_MAX + 1, SMTPLINE_MAX, &line, &in, &b), ERR_TOO_LONG);
    assert_int_equal(line_of(SMTPLINE_MAX + 1, SMTPLINE_MAX - 1, &line, &in, &b), ERR_AGAIN);
    buf_free(&b);
}

static void test_every_cut_of_lines(void **state)
{
    static const char text[] = "LHLO x\r\nMAIL FROM:<>\r\n\r\nQUIT\r\n";
    static const char *const want[] = {"LHLO x", "MAIL FROM:<>", "", "QUIT"};
    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct str in = {text, cut}, line;
        size_t found = 0, used = 0;
        for (size_t round = 0; round < 2; round++) {
            while (smtpline_next(&in, &line) == ERR_OK) {
                assert_true(found < COUNT(want));
                assert_true(str_eq(line, str_of(want[found])));
                found++;
            }
            used = (size_t)(in.p - text);
            in = (struct str){text + used, sizeof text - 1 - used};
        }
        assert_int_equal(found, COUNT(want));
        assert_int_equal(in.n, 0);
    }
}

/* Only CR LF ends a line; a stray CR, LF or zero byte spoils the line and no other. */
static void test_bare_line_ends(void **state)
{
    static const struct {
        struct str text;
        size_t line; /* length of what is taken off, without its CR LF */
    } bad[] = {
        {STR("a\nb\r\n"), 3}, {STR("a\rb\r\n"), 3},       {STR("\n\r\n"), 1},
        {STR("\r\r\n"), 1},   {STR("RSET\nQUIT\r\n"), 9}, {STR("\rRSET\r\n"), 5},
        {STR("a\0b\r\n"), 3}, {STR("a\n\r\r\n"), 3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct buf b;
        struct str line;
        buf_init(&b, 100);
        buf_str(&b, bad[i].text);
        buf_lit(&b, "NOOP\r\n");
        struct str in = buf_slice(&b);
        assert_int_equal(smtpline_next(&in, &line), ERR_SYNTAX);
        assert_int_equal(line.n, bad[i].line);
        assert_int_equal(smtpline_next(&in, &line), ERR_OK);
        assert_true(str_eq(line, STR("NOOP")));
        buf_free(&b);
    }
    struct str line, in = STR("RSET\nQUIT\n\n");
    assert_int_equal(smtpline_next(&in, &line), ERR_AGAIN);
}

static void test_verbs(void **state)
{
    static const struct {
        const char *line;
        enum smtp_verb verb;
        const char *rest;
    } rows[] = {
        {"LHLO mx.example.org", SMTP_LHLO, "mx.example.org"},
        {"mail FROM:<a@b>", SMTP_MAIL, "FROM:<a@b>"},
        {"RcPt TO:<a@b>", SMTP_RCPT, "TO:<a@b>"},
        {"DATA", SMTP_DATA, ""},
        {"DATA ", SMTP_DATA, ""},
        {"rset", SMTP_RSET, ""},
        {"NOOP  x ", SMTP_NOOP, "x"},
        {"QUIT", SMTP_QUIT, ""},
        {"EHLO x", SMTP_EHLO, "x"},
        {"HELO x", SMTP_HELO, "x"},
        {"VRFY dora", SMTP_VRFY, "dora"},
        {"BDAT 5 LAST", SMTP_BDAT, "5 LAST"},
        {"", SMTP_UNKNOWN, ""},
        {" LHLO x", SMTP_UNKNOWN, "LHLO x"},
        {"LHLOx", SMTP_UNKNOWN, ""},
        {"DAT", SMTP_UNKNOWN, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str rest;
        assert_int_equal(smtpline_verb(str_of(rows[i].line), &rest), rows[i].verb);
        assert_true(str_eq(rest, str_of(rows[i].rest)));
    }
}

/* --- paths */

struct path_row {
    const char *text;
    bool mail;
    enum err want;
    const char *address; /* when ERR_OK */
};

static void check_paths(const struct path_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct smtp_path p;
        enum err e = smtp_path_parse(str_of(rows[i].text), rows[i].mail, &p);
        if (e != rows[i].want)
            fail_msg("%s: %s, not %s", rows[i].text, err_name(e), err_name(rows[i].want));
        if (e == ERR_OK && !str_eq(p.address, str_of(rows[i].address)))
            fail_msg("%s: %.*s", rows[i].text, STR_FMT(p.address));
    }
}

/* RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2, appendix C; RFC 6531 3.3. */
static void test_paths(void **state)
{
    static const struct path_row rows[] = {
        {"FROM:<ann@example.org>", true, ERR_OK, "ann@example.org"},
        {"from:<Ann@Example.ORG>", true, ERR_OK, "Ann@Example.ORG"},
        {"FROM: <ann@example.org>", true, ERR_OK, "ann@example.org"}, /* a common slip, harmless */
        {"FROM:<>", true, ERR_OK, ""},
        {"FROM:<> SIZE=0", true, ERR_OK, ""},
        {"TO:<Postmaster>", false, ERR_OK, "Postmaster"},
        {"TO:<a@[192.0.2.1]>", false, ERR_OK, "a@[192.0.2.1]"},
        {"TO:<a@[IPv6:2001:db8::1]>", false, ERR_OK, "a@[IPv6:2001:db8::1]"},
        {"TO:<@hosta.int,@jkl.org:userc@d.bar.org>", false, ERR_OK, "userc@d.bar.org"},
        {"TO:<@a:b@c>", false, ERR_OK, "b@c"},
        {"TO:<\"a b\"@c>", false, ERR_OK, "\"a b\"@c"},
        {"TO:<\"a>b\"@c>", false, ERR_OK, "\"a>b\"@c"},
        {"TO:<\"a<b\"@c>", false, ERR_OK, "\"a<b\"@c"},
        {"TO:<\"a\\\">b\"@c>", false, ERR_OK, "\"a\\\">b\"@c"},
        {"TO:<\"a\\\\\"@c>", false, ERR_OK, "\"a\\\\\"@c"},
        {"TO:<\"@x:y\"@c>", false, ERR_OK, "\"@x:y\"@c"},
        {"TO:<r\xc3\xa9sum\xc3\xa9@b\xc3\xbc"
         "cher.example>",
         false, ERR_OK,
         "r\xc3\xa9sum\xc3\xa9@b\xc3\xbc"
         "cher.example"},
        {"TO:<>", false, ERR_SYNTAX, NULL},
        {"TO:<@a:>", false, ERR_SYNTAX, NULL},
        {"", true, ERR_SYNTAX, NULL},
        {"FROM", true, ERR_SYNTAX, NULL},
        {"FROM:", true, ERR_SYNTAX, NULL},
        {"FROM:ann@example.org", true, ERR_SYNTAX, NULL},
        {"FROM:<ann@example.org", true, ERR_SYNTAX, NULL},
        {"FROM:<\"ann@example.org>", true, ERR_SYNTAX, NULL},
        {"FROM:<\"ann\\", true, ERR_SYNTAX, NULL},
        {"FROM:<<ann@example.org>>", true, ERR_SYNTAX, NULL},
        {"FROM:<a@b\tc>", true, ERR_SYNTAX, NULL},
        {"FROM:<a\x7f@b>", true, ERR_SYNTAX, NULL},
        {"FROM:<a\xff@b>", true, ERR_SYNTAX, NULL},
        {"FROM:<a\xc3@b>", true, ERR_SYNTAX, NULL},
        {"TO:<ann@example.org>", true, ERR_SYNTAX, NULL},
        {"FROM:<ann@example.org>", false, ERR_SYNTAX, NULL},
        {"TO:<a@b> NOTIFY=NEVER", false, ERR_UNSUPPORTED, NULL},
        {"FROM:<a@b> RET=HDRS", true, ERR_UNSUPPORTED, NULL},
        {"FROM:<a@b> BODY=BINARYMIME", true, ERR_UNSUPPORTED, NULL},
        {"FROM:<a@b> BODY", true, ERR_UNSUPPORTED, NULL},
        {"FROM:<a@b> SMTPUTF8=yes", true, ERR_UNSUPPORTED, NULL},
        {"FROM:<a@b> SIZE", true, ERR_SYNTAX, NULL},
        {"FROM:<a@b> SIZE=", true, ERR_SYNTAX, NULL},
        {"FROM:<a@b> SIZE=-1", true, ERR_SYNTAX, NULL},
        {"FROM:<a@b> SIZE=1k", true, ERR_SYNTAX, NULL},
    };
    (void)state;
    check_paths(rows, COUNT(rows));
}

static void test_parameters(void **state)
{
    static const struct {
        const char *text;
        bool has_size;
        uint64_t size;
        bool eightbit, utf8;
    } rows[] = {
        {"FROM:<a@b>", false, 0, false, false},
        {"FROM:<a@b> SIZE=0", true, 0, false, false},
        {"FROM:<a@b> size=12345  body=8bitmime", true, 12345, true, false},
        {"FROM:<a@b> BODY=7BIT SMTPUTF8", false, 0, false, true},
        {"FROM:<a@b> smtputf8 SIZE=18446744073709551615 BODY=8BITMIME ", true, UINT64_MAX, true,
         true},
        {"FROM:<a@b> SIZE=18446744073709551616", true, UINT64_MAX, false, false},
        {"FROM:<a@b> SIZE=99999999999999999999999999999999", true, UINT64_MAX, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct smtp_path p;
        assert_int_equal(smtp_path_parse(str_of(rows[i].text), true, &p), ERR_OK);
        assert_int_equal(p.has_size, rows[i].has_size);
        assert_int_equal(p.size, rows[i].size);
        assert_int_equal(p.eightbit, rows[i].eightbit);
        assert_int_equal(p.utf8, rows[i].utf8);
    }
}

static void test_path_cap(void **state)
{
    (void)state;
    for (size_t n = SMTPPATH_MAX - 1; n <= SMTPPATH_MAX + 1; n++) {
        for (int route = 0; route < 2; route++) {
            struct buf b;
            struct smtp_path p;
            buf_init(&b, (size_t)2 * SMTPPATH_MAX);
            buf_printf(&b, "TO:<%s", route != 0 ? "@relay.example:" : "");
            for (size_t i = 2; i < n; i++)
                buf_char(&b, 'a');
            buf_lit(&b, "@b>");
            enum err e = smtp_path_parse(buf_slice(&b), false, &p);
            assert_int_equal(e, n <= SMTPPATH_MAX ? ERR_OK : ERR_TOO_LONG);
            if (e == ERR_OK)
                assert_int_equal(p.address.n, n);
            buf_free(&b);
        }
    }
}

/* --- data */

/* RFC 5321 4.5.2, one line after the other. The bytes used, or 0: no end. */
static size_t model(struct str in, struct buf *out)
{
    size_t at = 0;
    for (size_t i = 0; i + 1 < in.n; i++) {
        if (in.p[i] != '\r' || in.p[i + 1] != '\n')
            continue;
        struct str line = str_sub(in, at, i - at);
        at = i + 2;
        if (str_eq(line, STR(".")))
            return at;
        buf_str(out, line.n != 0 && line.p[0] == '.' ? str_sub(line, 1, line.n) : line);
        buf_lit(out, "\r\n");
    }
    return 0;
}

/* Feeds in pieces that end at the cuts; the bytes used, or 0. */
static size_t feed(struct str in, const size_t *cuts, size_t count, struct buf *out)
{
    struct smtp_data d;
    smtp_data_init(&d);
    for (size_t i = 0, at = 0; i <= count; i++) {
        size_t end = i < count ? cuts[i] : in.n;
        struct str piece = str_sub(in, at, end - at);
        size_t n = piece.n;
        if (smtp_data_feed(&d, &piece, out))
            return at + n - piece.n;
        assert_int_equal(piece.n, 0);
        at = end;
    }
    return 0;
}

/* Whole, in every pair of cuts, and byte by byte. */
static void check_data(struct str in)
{
    struct buf want, got;
    size_t all[256];
    buf_init(&want, 1000);
    buf_init(&got, 1000);
    size_t end = model(in, &want);
    for (size_t a = 0; a <= in.n; a++) {
        for (size_t b = a; b <= in.n; b++) {
            size_t cuts[2] = {a, b};
            buf_clear(&got);
            assert_int_equal(feed(in, cuts, 2, &got), end);
            assert_true(end == 0 || str_eq(buf_slice(&got), buf_slice(&want)));
        }
    }
    assert_true(in.n <= COUNT(all));
    for (size_t i = 0; i < in.n; i++)
        all[i] = i + 1;
    buf_clear(&got);
    assert_int_equal(feed(in, all, in.n, &got), end);
    assert_true(end == 0 || str_eq(buf_slice(&got), buf_slice(&want)));
    buf_free(&want);
    buf_free(&got);
}

static void test_data_samples(void **state)
{
    static const struct str samples[] = {
        STR(".\r\n"),
        STR("\r\n.\r\n"),
        STR("Subject: x\r\n\r\nbody\r\n.\r\nRSET\r\n"),
        STR("..\r\n.\r\n"),
        STR("...\r\n..a\r\n.b\r\n.\r\n"),
        STR("a.\r\n..\r\n.. \r\n. \r\n.\r\n"),
        STR("a\r\n..b\r\n\r\n..\r\n.\r\n.\r\n"),
        STR("8-bit \xc3\xa9 \xff and a zero \0 byte\r\n.\r\n"),
        STR("no end\r\n"),
        STR("no end\r\n."),
        STR("no end\r\n.\r"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++)
        check_data(samples[i]);
}

/* What looks like an end and is data ("SMTP smuggling"): the message goes on, and its bytes are kept. */
static void test_smuggling(void **state)
{
    static const struct {
        struct str text, kept; /* of the message "a" TEXT "b" CR LF */
    } rows[] = {
        {STR("\n.\n"), STR("\n.\n")},
        {STR("\n.\r\n"), STR("\n.\r\n")},
        {STR("\r.\r"), STR("\r.\r")},
        {STR("\r.\r\n"), STR("\r.\r\n")},
        {STR("\r.\n"), STR("\r.\n")},
        {STR("\n.\r"), STR("\n.\r")},
        {STR("\r\n.\n"), STR("\r\n\n")},
        {STR("\r\n.\r"), STR("\r\n\r")},
        {STR("\r\n.\n\n"), STR("\r\n\n\n")},
        {STR("\r\n.\r\r\n"), STR("\r\n\r\r\n")},
        {STR("\r\r\n.\n"), STR("\r\r\n\n")},
        {STR("\r\n\0.\r\n"), STR("\r\n\0.\r\n")},
        {STR("\r\n.\0\r\n"), STR("\r\n\0\r\n")},
        {STR("\r\n. \r\n"), STR("\r\n \r\n")},
        {STR("\n\n.\r\n"), STR("\n\n.\r\n")},
        {STR("\r\n.\r.\r\n"), STR("\r\n\r.\r\n")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf in, want, got;
        buf_init(&in, 100);
        buf_init(&want, 100);
        buf_init(&got, 100);
        buf_lit(&in, "a");
        buf_str(&in, rows[i].text);
        buf_lit(&in, "b\r\n.\r\n");
        buf_lit(&want, "a");
        buf_str(&want, rows[i].kept);
        buf_lit(&want, "b\r\n");
        assert_int_equal(feed(buf_slice(&in), NULL, 0, &got), in.n);
        assert_true(str_eq(buf_slice(&got), buf_slice(&want)));
        check_data(buf_slice(&in));
        buf_free(&in);
        buf_free(&want);
        buf_free(&got);
    }
}

/* Every string of up to 8 of the four bytes that matter. */
static void test_all_short_strings(void **state)
{
    static const char set[] = {'.', '\r', '\n', 'x'};
    (void)state;
    for (unsigned n = 1; n <= 8; n++) {
        for (unsigned v = 0; v < 1U << (2 * n); v++) {
            char text[8];
            size_t cuts[8];
            struct buf want, got;
            for (unsigned i = 0; i < n; i++) {
                text[i] = set[v >> (2 * i) & 3];
                cuts[i] = i + 1;
            }
            struct str in = {text, n};
            buf_init(&want, 100);
            buf_init(&got, 100);
            size_t end = model(in, &want);
            assert_int_equal(feed(in, NULL, 0, &got), end);
            assert_true(end == 0 || str_eq(buf_slice(&got), buf_slice(&want)));
            buf_clear(&got);
            assert_int_equal(feed(in, cuts, n, &got), end);
            assert_true(end == 0 || str_eq(buf_slice(&got), buf_slice(&want)));
            buf_free(&want);
            buf_free(&got);
        }
    }
}

static void test_full_buffer_still_finds_the_end(void **state)
{
    struct smtp_data d;
    struct buf out;
    struct str in = STR("0123456789\r\n..\r\n.\r\nQUIT\r\n");
    (void)state;
    buf_init(&out, 4);
    smtp_data_init(&d);
    assert_true(smtp_data_feed(&d, &in, &out));
    assert_true(str_eq(in, STR("QUIT\r\n")));
    assert_int_equal(buf_err(&out), ERR_NOMEM);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_cap),
        cmocka_unit_test(test_every_cut_of_lines),
        cmocka_unit_test(test_bare_line_ends),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_path_cap),
        cmocka_unit_test(test_data_samples),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_all_short_strings),
        cmocka_unit_test(test_full_buffer_still_finds_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
