// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What of a message may be logged (protocol 1, section 8; design 9.4). */
#include "doors/tcp_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct arena arena;
static struct conf *conf;

static int load(void **state)
{
    struct conf_problems problems;
    (void)state;
    arena_init(&arena, (size_t)16 << 20);
    return conf_load_text(STR("test"),
                          STR("[server]\ndomain = harbor.example\n[domain b.example]\n"), &arena,
                          &conf, &problems) != ERR_OK;
}

static const char *masked(const char *msg, bool legal, bool guarded)
{
    static char text[TCP_LOG_MAX + 1];
    size_t n = tcp_log_mask(str_of(msg), legal, conf, guarded, text, TCP_LOG_MAX);
    assert_true(n < TCP_LOG_MAX);
    text[n] = '\0';
    return text;
}

static const char *mask(const char *msg, bool legal)
{
    return masked(msg, legal, false);
}

static void whole_messages(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        /* the examples of section 8 */
        {"<login id=\"L\" authData=\"dora@harbor.example\" password=\"correct-horse\"/>",
         "<login id=\"L\" authData=\"dora@harbor.example\" password=\"***\"/>"},
        {"<session id=\"L\" urlID=\"100042-k2Vb7QmZ0xT4LrNcYpWd\" "
         "userName=\"dora@harbor.example\"/>",
         "<session id=\"L\" urlID=\"100042-***\" userName=\"dora@harbor.example\"/>"},
        /* every secret of its last paragraph */
        {"<passwordModify id='2' oldPassword='a' newPassword='b' recoverPassword='c@d'/>",
         "<passwordModify id='2' oldPassword='***' newPassword='***' recoverPassword='c@d'/>"},
        {"<login id='3' method='PLAIN' authData='AGRvcmEA'/>",
         "<login id='3' method='PLAIN' authData='***'/>"},
        {"<login id='3' authData='AGRvcmEA' method='PLAIN'/>",
         "<login id='3' authData='***' method='PLAIN'/>"},
        {"<login id='4' userName='dora@b.example' nonce='7f0c' authData='Yzg4'/>",
         "<login id='4' userName='dora@b.example' nonce='7f0c' authData='***'/>"},
        {"<login id='5' userName='dora%harbor.example' sessionid='100042-k2Vb7QmZ0xT4LrNcYpWd'/>",
         "<login id='5' userName='dora%harbor.example' sessionid='***'/>"},
        {"<auth id='6' value='AGRvcmEA'/>", "<auth id='6' value='***'/>"},
        {"<signup id='7' userName='x@b.example' password='y'/>",
         "<signup id='7' userName='x@b.example' password='***'/>"},
        /* where a name is due, a password may stand */
        {"<login id='9' authData='dora'/>", "<login id='9' authData='***'/>"},
        {"<login id='9' authData='correct-horse' password='dora@harbor.example'/>",
         "<login id='9' authData='***' password='***'/>"},
        {"<login authData='p@ss.w0rd'/>", "<login authData='***'/>"},
        {"<login authData='@harbor.example'/>", "<login authData='***'/>"},
        {"<login userName='a@b@HARBOR.example'/>", "<login userName='a@b@HARBOR.example'/>"},
        {"<login authData=''/>", "<login authData=''/>"},
        /* as an element, and by other names */
        {"<login><password>a<b>c</b><![CDATA[d>e]]>f>g</password>h</login>",
         "<login><password>***<b>***</b>******</password>h</login>"},
        {"<x:oldPassword>a</x:oldPassword><password/>b",
         "<x:oldPassword>***</x:oldPassword><password/>b"},
        {"<a passwd='s' Pwd='s' loginSecret='s' userPassword='s' cookie='s' sessionID='s'/>",
         "<a passwd='***' Pwd='***' loginSecret='***' userPassword='***' cookie='***' "
         "sessionID='***'/>"},
        {"<session changePassword=\"1\"/>", "<session changePassword=\"1\"/>"},
        /* and nothing else */
        {"<setSessionOption id='8' name='x' value='y'/>",
         "<setSessionOption id='8' name='x' value='y'/>"},
        {"<challenge id='10' value='PDk3'/>", "<challenge id='10' value='PDk3'/>"},
        {"<a password=''/>", "<a password=''/>"},
        /* spelled as XML allows it */
        {"<LOGIN ID='1' PassWord \t=\r\n\"a'b>c/\"/>", "<LOGIN ID='1' PassWord \t=\r\n\"***\"/>"},
        {"<x:auth xmlns:x='u' x:VALUE='s'/>", "<x:auth xmlns:x='***' x:VALUE='***'/>"},
        {"<a><b><login method='x' authData='s'></login></b> t <auth value=\"s\"/></a>",
         "<a><b><login method='x' authData='***'></login></b> t <auth value=\"***\"/></a>"},
        {"<a><![CDATA[<x password='no attribute'>]]><b password='s'/></a>",
         "<a><![CDATA[<x password='no attribute'>]]><b password='***'/></a>"},
        {"<a><![CDATA[]]]]><![CDATA[>]]><b password='s'/></a>",
         "<a><![CDATA[]]]]><![CDATA[>]]><b password='***'/></a>"},
        {"<a t='password=\"x\"' password='s'/>", "<a t='password=\"x\"' password='***'/>"},
        {"<session urlID='no hyphen'/>", "<session urlID='***'/>"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(mask(rows[i].in, true), rows[i].out);
}

/* Before login, and where passwords are due: only what is known to be harmless. */
static void misspelled(void **state)
{
    static const struct {
        const char *in, *out;
        bool guarded;
    } rows[] = {
        {"<login id='1' pasword='s' authDat='s' method='PLAIN'>s</login>",
         "<login id='1' pasword='***' authDat='***' method='PLAIN'>***</login>", false},
        {"<auth id='1' valu='s'/>", "<auth id='1' valu='***'/>", false},
        {"<passwordModify id='1' oldPasword='s' new='s'/>",
         "<passwordModify id='1' oldPasword='***' new='***'/>", false},
        {"<lgoin id='1' pword='s'/>", "<lgoin id='1' pword='***'/>", true},
        {"<lgoin id='1'>s</lgoin>", "<lgoin id='1'>***</lgoin>", true},
        {"<listFeatures id='1' domain='b.example'/>", "<listFeatures id='1' domain='b.example'/>",
         true},
        {"<readStrings id='1' skinName='x' language='y'/>",
         "<readStrings id='1' skinName='x' language='y'/>", true},
        {"<setClientName id='1' name='x'/>", "<setClientName id='1' name='x'/>", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(masked(rows[i].in, true, rows[i].guarded), rows[i].out);
}

/* Where the attributes of such a message end is anybody's guess: only its name is shown. */
static void illegal_messages(void **state)
{
    (void)state;
    assert_string_equal(mask("<login id='1' password='a<b'/>", false),
                        "<login …+24 bytes, illegal");
    assert_string_equal(mask("<passwordModify oldPassword=\"a\"b\" newPassword=\"c\"/>", false),
                        "<passwordModify …+36 bytes, illegal");
    assert_string_equal(mask("swordfish", false), " …+9 bytes, illegal");
    assert_string_equal(mask("<swordfish", false), "< …+9 bytes, illegal");
    assert_string_equal(mask("<sword fish='a'", false), "< …+14 bytes, illegal");
    assert_string_equal(mask("<x:LOGIN a", false), "<x:LOGIN …+2 bytes, illegal");
    assert_string_equal(mask("<login\"swordfish", false), "< …+15 bytes, illegal");
    assert_string_equal(mask("<", false), "< …+0 bytes, illegal");
    assert_string_equal(mask("", false), " …+0 bytes, illegal");
}

/* A line has an end, and what is behind it is counted. */
static void long_messages(void **state)
{
    static char msg[100000], text[TCP_LOG_MAX];
    unsigned long rest = 0;
    (void)state;
    memset(msg, 'x', sizeof msg);
    memcpy(msg, "<a b='", 6);
    memcpy(msg + sizeof msg - 3, "'/>", 3);
    size_t n = tcp_log_mask((struct str){msg, sizeof msg}, true, conf, false, text, sizeof text);
    char *note = memmem(text, n, "…+", strlen("…+"));
    assert_non_null(note);
    assert_int_equal(sscanf(note, "…+%lu bytes", &rest), 1);
    assert_memory_equal(text, msg, (size_t)(note - text));
    assert_true(rest <= sizeof msg - (size_t)(note - text));
    assert_true(rest != 0);
}

/* --- random messages: whatever is around it, and wherever the line is cut, no secret gets through */

#define SECRET "s3cr3tt0k3n"

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static const char *any_of(const char *const *list, size_t n)
{
    return list[rnd((uint32_t)n)];
}
#define ANY_OF(list) any_of(list, ARRAY_LEN(list))

static void add_case(struct buf *b, const char *name)
{
    for (; *name != '\0'; name++)
        buf_char(b, rnd(3) == 0 && *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
}

static void add_attr(struct buf *b, const char *name, const char *value)
{
    static const char *const blanks[] = {" ", "\t", "\r\n", "  "};
    static const char *const eqs[] = {"=", " =", "= ", "\n=\t"};
    static const char *const prefixes[] = {"", "", "x:", "xmlns:"};
    char quote = rnd(2) == 0 ? '"' : '\'';
    buf_str(b, str_of(ANY_OF(blanks)));
    buf_str(b, str_of(ANY_OF(prefixes)));
    add_case(b, name);
    buf_str(b, str_of(ANY_OF(eqs)));
    buf_char(b, quote);
    buf_str(b, str_of(value));
    buf_char(b, quote);
}

static void add_harmless(struct buf *b)
{
    static const char *const names[] = {"id", "userName", "a", "passwort", "valu"};
    static const char *const values[] = {"", "x", "password=", "a&gt;b/", "=", "authData"};
    add_attr(b, ANY_OF(names), ANY_OF(values));
}

/* A tag that holds a secret, somewhere between other attributes. */
static void add_tag(struct buf *b)
{
    static const char *const tags[] = {"login", "x:login", "passwordModify", "a"};
    static const char *const names[] = {"password", "oldPassword", "newPassword", "sessionid"};
    static const char *const why[] = {"method", "nonce"};
    uint32_t form = rnd(5);
    bool first = rnd(2) == 0;
    buf_char(b, '<');
    if (form == 1)
        add_case(b, rnd(2) == 0 ? "auth" : "x:auth");
    else
        buf_str(b, str_of(ANY_OF(tags)));
    for (uint32_t i = rnd(3); i != 0; i--)
        add_harmless(b);
    if (form == 0 && first)
        add_attr(b, ANY_OF(why), "PLAIN");
    if (form == 0)
        add_attr(b, "authData", SECRET);
    if (form == 0 && !first)
        add_attr(b, ANY_OF(why), "PLAIN");
    if (form == 1)
        add_attr(b, "value", SECRET);
    if (form == 2)
        add_attr(b, ANY_OF(names), SECRET);
    if (form == 3)
        add_attr(b, "urlID", "100042-" SECRET);
    if (form == 4)
        add_attr(b, rnd(2) == 0 ? "authData" : "userName", rnd(2) == 0 ? SECRET : "x@" SECRET);
    for (uint32_t i = rnd(3); i != 0; i--)
        add_harmless(b);
}

static void add_message(struct buf *b, uint32_t depth)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "text",
                                        "<![CDATA[<a b='c'>]]>",
                                        "&lt;",
                                        "<password>" SECRET "</password>",
                                        "<x:newPassword a='b'>c<d/><![CDATA[>" SECRET "]]>" SECRET
                                        "</x:newPassword>"};
    add_tag(b);
    if (depth == 0 || rnd(3) == 0) {
        buf_lit(b, "/>");
        return;
    }
    buf_char(b, '>');
    for (uint32_t i = rnd(3); i != 0; i--) {
        buf_str(b, str_of(ANY_OF(texts)));
        add_message(b, depth - 1);
    }
    buf_lit(b, "</z>"); /* names are libxml2's business */
}

static void nothing_gets_through(void **state)
{
    static char text[TCP_LOG_MAX];
    struct buf b;
    (void)state;
    buf_init(&b, SIZE_MAX);
    seed = (uint64_t)arc4random() << 32 | arc4random();
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20000; i++) {
        buf_clear(&b);
        add_message(&b, rnd(4));
        size_t room = rnd(2) == 0 ? sizeof text : 64 + rnd((uint32_t)b.n + 64);
        if (room > sizeof text)
            room = sizeof text;
        size_t n = tcp_log_mask(buf_slice(&b), true, conf, false, text, room);
        assert_true(n < room);
        if (memmem(text, n, SECRET, sizeof SECRET - 1) != NULL || memmem(text, n, "s3c", 3) != NULL)
            fail_msg("%.*s", (int)b.n, b.p);
        /* nobody promises that what frame_next() refuses has its end where it says */
        n = tcp_log_mask(str_sub(buf_slice(&b), 0, rnd((uint32_t)b.n)), false, conf, false, text,
                         room);
        assert_true(n < room && memmem(text, n, "s3c", 3) == NULL);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages),       cmocka_unit_test(misspelled),
        cmocka_unit_test(illegal_messages),     cmocka_unit_test(long_messages),
        cmocka_unit_test(nothing_gets_through),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
