// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Mailbox names (protocol 2, 1.1) and list wildcards (appendix B). */
#include "tests/unit/store/helper.h"

static struct str repeat(char *to, const char *what, size_t n)
{
    size_t len = strlen(what);

    for (size_t i = 0; i < n; i++)
        memcpy(to + i * len, what, len);
    return (struct str){to, n * len};
}

static void test_grammar(void **state)
{
    static const char *const good[] = {"INBOX",
                                       "INBOX/Projects/Alpha",
                                       "Team Calendar",
                                       "a~b",
                                       "x/~y",
                                       "...",
                                       "Ünïcode",
                                       "a.b",
                                       "100%",
                                       "st*r",
                                       "-",
                                       "日本/語"};
    static const char *const bad[] = {"",    "/",        "/a",    "a//b",         "a/",      ".",
                                      "..",  "a/../b",   "a/.",   "~a",           "~",       " a",
                                      "a ",  "a/ b",     "a /b",  "a\x01",        "a\x7f",   "\x1f",
                                      "a\n", "\xff\xfe", "a\xc3", "\xed\xa0\x80", "\xc0\xaf"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(mailbox_name_check(str_of(good[i]), false), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(mailbox_name_check(str_of(bad[i]), false), ERR_MAILBOX_NAME);
    assert_int_equal(mailbox_name_check(STR("a\0b"), false), ERR_MAILBOX_NAME);
    assert_int_equal(mailbox_name_check(STR("a/"), true), ERR_OK);
    assert_int_equal(mailbox_name_check(STR("a//"), true), ERR_MAILBOX_NAME);
    assert_int_equal(mailbox_name_check(STR("/"), true), ERR_MAILBOX_NAME);
}

static void test_bounds(void **state)
{
    static char b[4096];
    struct str s;

    (void)state;
    for (int d = -1; d <= 1; d++) {
        enum err want = d <= 0 ? ERR_OK : ERR_MAILBOX_NAME;

        assert_int_equal(mailbox_name_check(repeat(b, "x", (size_t)(255 + d)), false), want);
        s = repeat(b, "x/", (size_t)(32 + d));
        s.n--;
        assert_int_equal(mailbox_name_check(s, false), want);
        /* 1023 bytes in components of up to 255 */
        s = repeat(b, "x", (size_t)(1023 + d));
        for (size_t i = 200; i < s.n - 1; i += 201)
            b[i] = '/';
        assert_int_equal(mailbox_name_check(s, false), want);
    }
}

static void test_resolve(void **state)
{
    static const struct {
        const char *given;
        bool slash;
        enum err err;
        const char *want;
    } table[] = {
        {"inbox", false, ERR_OK, "INBOX"},
        {"iNbOx/sub", false, ERR_OK, "INBOX/sub"},
        {"inboxes", false, ERR_OK, "inboxes"},
        {"Box/inbox", false, ERR_OK, "Box/inbox"},
        {"INBOX/", false, ERR_MAILBOX_NAME, ""},
        {"Old/", true, ERR_OK, "Old/"},
        {"~dora/Box", false, ERR_OK, "Box"},
        {"~Dora@Harbor.example/inbox", false, ERR_OK, "INBOX"},
        {"~otto/Box", false, ERR_MAILBOX_DENIED, ""},
        {"~nobody@else.example/Box", false, ERR_MAILBOX_DENIED, ""},
        {"~dora", false, ERR_MAILBOX_NAME, ""},
        {"~dora/", false, ERR_MAILBOX_NAME, ""},
        {"~/Box", false, ERR_MAILBOX_NAME, ""},
        {"~otto/..", false, ERR_MAILBOX_NAME, ""},
        {"~dora/~x", false, ERR_MAILBOX_NAME, ""},
        {"", false, ERR_MAILBOX_NAME, ""},
    };
    const struct str names[] = {STR("dora"), STR("dora@harbor.example")};
    struct mailbox_owner self = {names, ARRAY_LEN(names)};
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str out = STR("");

        assert_int_equal(mailbox_resolve(&self, str_of(table[i].given), table[i].slash, &a, &out),
                         table[i].err);
        if (table[i].err == ERR_OK)
            assert_true(str_eq(out, str_of(table[i].want)));
    }
    arena_free(&a);
}

/* Tries everything. */
static bool reference(const char *p, const char *t)
{
    if (*p == 0)
        return *t == 0;
    if (*p == '*' || *p == '%') {
        if (reference(p + 1, t))
            return true;
        return *t != 0 && (*p == '*' || *t != '/') && reference(p, t + 1);
    }
    return *p == *t && reference(p + 1, t + 1);
}

static void test_match(void **state)
{
    static const char letters[] = "ab/*%";
    uint32_t seed = 12345;

    (void)state;
    for (int turn = 0; turn < 400000; turn++) {
        char p[10], t[12];
        size_t np, nt;

        seed = seed * 1664525 + 1013904223;
        np = (seed >> 8) % 9;
        nt = (seed >> 16) % 11;
        for (size_t i = 0; i < np; i++) {
            seed = seed * 1664525 + 1013904223;
            p[i] = letters[(seed >> 16) % 5];
        }
        for (size_t i = 0; i < nt; i++) {
            seed = seed * 1664525 + 1013904223;
            t[i] = letters[(seed >> 16) % 3];
        }
        p[np] = t[nt] = 0;
        assert_int_equal(mailbox_match(str_of(p), str_of(t), 0), reference(p, t));
    }
    assert_true(mailbox_match(STR("in*"), STR("INBOX"), 5));
    assert_true(mailbox_match(STR("inbox/%"), STR("INBOX/a"), 5));
    assert_false(mailbox_match(STR("inbox/A"), STR("INBOX/a"), 5));
    assert_false(mailbox_match(STR("in*"), STR("INBOX"), 0));
}

/* Sixty stars against a text that almost fits: must not take exponential time. */
static void test_match_time(void **state)
{
    static char p[200], t[2000];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        p[n++] = i % 2 == 0 ? '*' : '%';
        p[n++] = 'a';
    }
    p[n++] = 'b';
    memset(t, 'a', sizeof t);
    for (int i = 0; i < 100; i++)
        assert_false(mailbox_match((struct str){p, n}, (struct str){t, sizeof t}, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_resolve),    cmocka_unit_test(test_match),
        cmocka_unit_test(test_match_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
