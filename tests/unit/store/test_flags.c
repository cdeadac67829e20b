// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Message flags as text (protocol 2, 1.6). The tables here are the paper's, not flags.tbl. */
#include "tests/unit/store/helper.h"

#include <bsd/string.h>

static const struct {
    const char *set, *clear;
    uint32_t bit;
    char right;
} paper[] = {
    {"Seen", "Unseen", FLAG_SEEN, 's'},
    {"Answered", "Unanswered", FLAG_ANSWERED, 'w'},
    {"Flagged", "Unflagged", FLAG_FLAGGED, 'w'},
    {"Draft", "Undraft", FLAG_DRAFT, 'w'},
    {"Deleted", "Undeleted", FLAG_DELETED, 'd'},
    {"Redirected", "UnRedirected", FLAG_REDIRECTED, 'w'},
    {"MDNSent", "NoMDNSent", FLAG_MDNSENT, 'w'},
    {"Hidden", "NotHidden", FLAG_HIDDEN, 'a'},
    {"Service", "NotService", FLAG_SERVICE, 'w'},
    {"Media", "NotMedia", FLAG_MEDIA, 'w'},
    {"Junk", "NotJunk", FLAG_JUNK, 'w'},
    {"Label1", "NotLabel1", FLAG_LABEL1, 'w'},
    {"Label2", "NotLabel2", FLAG_LABEL2, 'w'},
    {"Label3", "NotLabel3", FLAG_LABEL3, 'w'},
    {"Read", "Unread", FLAG_SEEN, 's'},
};

static const char all[] =
    "Seen,Answered,Flagged,Draft,Deleted,Redirected,MDNSent,Hidden,Service,Media,Junk,Label1,"
    "Label2,Label3,Recent";

static void one(const char *text, uint32_t bit, bool set, char right)
{
    struct flag_list l;
    char rights[8];

    assert_int_equal(flags_parse(str_of(text), &l), ERR_OK);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.items[0].bit, bit);
    assert_int_equal(l.items[0].set, set);
    flags_rights(&l, rights);
    assert_int_equal(rights[0], right);
    assert_int_equal(rights[1], 0);
}

static void test_names(void **state)
{
    char other[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paper); i++) {
        one(paper[i].set, paper[i].bit, true, paper[i].right);
        one(paper[i].clear, paper[i].bit, false, paper[i].right);
        for (size_t k = 0; k <= strlen(paper[i].clear); k++) /* any case */
            other[k] = k % 2 ? str_lower(paper[i].clear[k])
                             : (char)(str_lower(paper[i].clear[k]) -
                                      (str_lower(paper[i].clear[k]) >= 'a' ? 32 : 0));
        one(other, paper[i].bit, false, paper[i].right);
    }
}

static void test_print(void **state)
{
    struct flag_keywords kw = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 16);
    flags_print(&b, FLAG_ALL, 0, NULL);
    assert_true(str_eq(buf_slice(&b), str_of(all)));
    buf_clear(&b);
    flags_print(&b, 0, 0, NULL);
    assert_int_equal(b.n, 0);
    for (uint32_t bits = 0; bits <= FLAG_ALL; bits += 7) { /* back and forth */
        struct flag_list l;
        uint32_t back = 0;

        buf_clear(&b);
        flags_print(&b, bits, 0, NULL);
        assert_int_equal(flags_parse(buf_slice(&b), &l), ERR_OK);
        for (uint32_t i = 0; i < l.count; i++) {
            assert_true(l.items[i].set && l.items[i].bit > back); /* each once, in order */
            back |= l.items[i].bit;
        }
        assert_int_equal(back, bits);
    }
    kw.names[0] = STR("zebra");
    kw.names[63] = STR("meetingCreated");
    buf_clear(&b);
    flags_print(&b, FLAG_SEEN | FLAG_RECENT, UINT64_C(1) | UINT64_C(1) << 63, &kw);
    assert_true(str_eq(buf_slice(&b), STR("Seen,Recent,zebra,meetingCreated")));
    buf_free(&b);
}

static void test_lists(void **state)
{
    static const char *const bad[] = {"Seen,no such!", "!", "1abc", "a b", "Seen,,é", "-x"};
    struct flag_list l;
    char text[FLAG_LIST_MAX * 5 + 16] = "", word[70];
    char rights[8];

    (void)state;
    assert_int_equal(flags_parse(STR(" Seen , Unflagged ,,"), &l), ERR_OK);
    assert_int_equal(l.count, 2);
    assert_int_equal(flags_parse(STR(""), &l), ERR_OK);
    assert_int_equal(l.count, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(flags_parse(str_of(bad[i]), &l), ERR_FLAG_UNKNOWN);
    assert_int_equal(flags_parse(STR("$x,_y,meetingCreated,Sean,a-b.c$9"), &l), ERR_OK);
    assert_int_equal(l.count, 5);
    assert_int_equal(l.items[3].bit, 0);
    flags_rights(&l, rights);
    assert_string_equal(rights, "w");
    assert_int_equal(flags_parse(STR("Seen,Deleted,Hidden,x,Recent"), &l), ERR_OK);
    flags_rights(&l, rights);
    assert_string_equal(rights, "sdaw");
    for (size_t n = 63; n <= 65; n++) {
        memset(word, 'k', n);
        assert_int_equal(flags_parse((struct str){word, n}, &l),
                         n <= 64 ? ERR_OK : ERR_FLAG_UNKNOWN);
    }
    for (int n = 1; n <= FLAG_LIST_MAX + 1; n++) {
        strlcat(text, "Seen,", sizeof text);
        if (n >= FLAG_LIST_MAX - 1)
            assert_int_equal(flags_parse(str_of(text), &l),
                             n <= FLAG_LIST_MAX ? ERR_OK : ERR_FLAG_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
