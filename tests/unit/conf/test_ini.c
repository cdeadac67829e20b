// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "conf/ini.h"

/* The items of a text, written one a line: "3 S server|" "4 V name|value" "5 B". */
static void check(const char *text, const char *expected)
{
    char out[4096] = "";
    size_t at = 0;
    struct arena a;
    struct ini r;
    struct ini_item it;
    arena_init(&a, 1 << 20);
    ini_init(&r, str_of(text), &a);
    do {
        assert_int_equal(ini_next(&r, &it), ERR_OK);
        char *to = out + at;
        size_t room = sizeof out - at;
        if (it.kind == INI_SECTION)
            at += (size_t)snprintf(to, room, "%u S %.*s|%.*s\n", it.line, STR_FMT(it.word),
                                   STR_FMT(it.name));
        else if (it.kind == INI_SETTING)
            at += (size_t)snprintf(to, room, "%u V %.*s|%.*s\n", it.line, STR_FMT(it.word),
                                   STR_FMT(it.value));
        else if (it.kind == INI_BAD)
            at += (size_t)snprintf(to, room, "%u B\n", it.line);
    } while (it.kind != INI_END);
    assert_string_equal(out, expected);
    arena_free(&a);
}

static void sections(void **state)
{
    (void)state;
    check("[server]\n", "1 S server|\n");
    check("  [ server ]  ; x\n", "1 S server|\n");
    check("[listener ximss tls]", "1 S listener|ximss tls\n");
    check("[listener \t a]#c", "1 S listener|a\n");
    check("\xef\xbb\xbf[tls]\r\n\r\nkey = /x\r\n", "1 S tls|\n3 V key|/x\n");
    check("[]\n", "1 S |\n");
    check("[server\n[tls] x\n[a]]\n", "1 B\n2 B\n3 B\n");
}

static void settings(void **state)
{
    (void)state;
    check("a=b", "1 V a|b\n");
    check("a = b c  ", "1 V a|b c\n");
    check("a = b=c", "1 V a|b=c\n");
    check("a =", "1 V a|\n");
    check("a = ; c", "1 V a|\n");
    check("  a = b", "1 V a|b\n");
    check("= b\nword\n", "1 B\n2 B\n");
    check("\n\n # c\n;c\na=1\n\nb=2", "5 V a|1\n7 V b|2\n");
}

static void comments(void **state)
{
    (void)state;
    check("a = b ; c", "1 V a|b\n");
    check("a = b\t# c", "1 V a|b\n");
    check("a = b;c#d", "1 V a|b;c#d\n");
    check("# a = b\n;a = b\n   # a = b\n", "");
    check("a # = b\n", "1 B\n");
}

static void quotes(void **state)
{
    (void)state;
    check("a = \"b ; c\"", "1 V a|b ; c\n");
    check("a = \" b \" # c", "1 V a| b \n");
    check("a = \"\"", "1 V a|\n");
    check("a = b\"c\"", "1 V a|b\"c\"\n");
    check("a = \"b\na = \"b\" c\n", "1 B\n2 B\n");
}

static void several_lines(void **state)
{
    (void)state;
    check("a = 1\n  2\n\t3 ; c\nb = 4", "1 V a|1\n2\n3\n4 V b|4\n");
    check("a =\n  1\n\n  # c\n  2\n", "1 V a|\n1\n\n\n2\n");
    check("a = 1\n  2\n\n[s]\n", "1 V a|1\n2\n4 S s|\n");
    check("a = 1\n  [s]\n", "1 V a|1\n2 S s|\n");
    check("a = \"1\"\n  2\n", "1 V a|1\n2 B\n");
    check("[s]\n  2\n", "1 S s|\n2 B\n");
    check("a = 1\n  \x01\n  2\n", "1 V a|1\n2 B\n3 B\n");
}

static void bad_bytes(void **state)
{
    (void)state;
    check("a = \x01\n", "1 B\n");
    check("a = \xff\nb = \xc3\xa4\n", "1 B\n2 V b|\xc3\xa4\n");
    check("a = b\x7f\n", "1 B\n");
    check("a\rb = c\n", "1 B\n");
}

static void zero_bytes(void **state)
{
    (void)state;
    struct arena a;
    struct ini r;
    struct ini_item it;
    arena_init(&a, 4096);
    ini_init(&r, STR("a = b\0c\nd = e"), &a);
    assert_int_equal(ini_next(&r, &it), ERR_OK);
    assert_int_equal(it.kind, INI_BAD);
    assert_int_equal(ini_next(&r, &it), ERR_OK);
    assert_int_equal(it.kind, INI_SETTING);
    assert_int_equal(it.line, 2);
    arena_free(&a);
}

static void no_memory(void **state)
{
    (void)state;
    struct arena a;
    struct ini r;
    struct ini_item it;
    arena_init(&a, 1);
    ini_init(&r, STR("a = b\n  c\n"), &a);
    assert_int_equal(ini_next(&r, &it), ERR_NOMEM);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections),   cmocka_unit_test(settings),      cmocka_unit_test(comments),
        cmocka_unit_test(quotes),     cmocka_unit_test(several_lines), cmocka_unit_test(bad_bytes),
        cmocka_unit_test(zero_bytes), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
