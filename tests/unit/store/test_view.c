// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Views: every sort field and filter of protocol 2, 4.3 against a slow model; message sets (2.1). */
#include "tests/unit/store/helper.h"

#include <strings.h>

static uint32_t rnd_state = 4711;

static uint32_t rnd(uint32_t n)
{
    rnd_state = rnd_state * 1664525 + 1013904223;
    return (rnd_state >> 8) % n;
}

/* --- the model: letters by UID - 1 */
#define LETTERS 300

static struct letter model[LETTERS];

static const char *const people[] = {NULL, "Ann Lee", "bob", "Carol", "carol", "Zoe", ""};
static const char *const addresses[] = {"ann@harbor.example", "Bob@harbor.example",
                                        "carol@x.example", "zoe@x.example"};
static const char *const subjects[] = {NULL,
                                       "",
                                       "plan",
                                       "Re: plan",
                                       "FWD: [list] Plan",
                                       "[x] re[2]: plan",
                                       "zebra",
                                       "Aw: Sv: apple",
                                       "apple",
                                       "[only a tag]",
                                       "a rather long subject that shares its beginning, one",
                                       "a rather long subject that shares its beginning, two"};
/* What appendix B makes of them, by hand. */
static const char *const bases[] = {NULL,
                                    "",
                                    "plan",
                                    "plan",
                                    "plan",
                                    "plan",
                                    "zebra",
                                    "apple",
                                    "apple",
                                    "[only a tag]",
                                    "a rather long subject that shares its beginning, one",
                                    "a rather long subject that shares its beginning, two"};
static const char *const colors[] = {NULL, "red", "Blue", "blue"};
static const char *const bodies[] = {"nothing here", "The Quick brown fox", "plan B"};
static const char *const priorities[] = {NULL, "1", "5", "3"};

static void make_model(void)
{
    for (int i = 0; i < LETTERS; i++) {
        struct letter *l = &model[i];

        *l = (struct letter){
            .from_name = people[rnd(ARRAY_LEN(people))],
            .from = rnd(8) ? addresses[rnd(ARRAY_LEN(addresses))] : NULL,
            .to_name = people[rnd(ARRAY_LEN(people))],
            .to = rnd(8) ? addresses[rnd(ARRAY_LEN(addresses))] : NULL,
            .subject = subjects[rnd(ARRAY_LEN(subjects))],
            .color = colors[rnd(ARRAY_LEN(colors))],
            .body = bodies[rnd(ARRAY_LEN(bodies))],
            .date = rnd(5) ? 1000 + (int64_t)rnd(40) - 20 : 0,
            .internaldate = 100 + rnd(60),
            .flags = (rnd(2) ? FLAG_SEEN : 0) | (rnd(3) ? 0 : FLAG_MEDIA) |
                     (rnd(9) ? 0 : FLAG_HIDDEN) | (rnd(4) ? 0 : FLAG_DELETED),
            .size = 200 + rnd(30) * 11,
            .priority = priorities[rnd(ARRAY_LEN(priorities))],
        };
    }
}

static int text_cmp(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    return strcasecmp(a, b);
}

static int num_cmp(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static const char *shown_name(const char *name, const char *address)
{
    if (address == NULL)
        return NULL;
    return name != NULL && name[0] != 0 ? name : address;
}

static const char *base_of(const struct letter *l)
{
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        if (l->subject == subjects[i])
            return bases[i];
    return NULL;
}

static int rank(const struct letter *l)
{
    return l->priority == NULL ? 1 : l->priority[0] == '1' ? 2 : l->priority[0] == '5' ? 0 : 1;
}

static int by_field(const char *field, const struct letter *a, const struct letter *b)
{
    if (strcmp(field, "INTERNALDATE") == 0)
        return num_cmp(a->internaldate, b->internaldate);
    if (strcmp(field, "Date") == 0)
        return (a->date == 0) != (b->date == 0) ? (a->date == 0 ? -1 : 1)
                                                : num_cmp(a->date, b->date);
    if (strcmp(field, "Size") == 0)
        return num_cmp((int64_t)a->size, (int64_t)b->size);
    if (strcmp(field, "Pty") == 0)
        return num_cmp(rank(a), rank(b));
    if (strcmp(field, "FLAGS") == 0)
        return num_cmp(a->flags & FLAG_SEEN, b->flags & FLAG_SEEN);
    if (strcmp(field, "Subject") == 0)
        return text_cmp(base_of(a), base_of(b));
    if (strcmp(field, "E-From") == 0 || strcmp(field, "From") == 0)
        return text_cmp(shown_name(a->from_name, a->from), shown_name(b->from_name, b->from));
    if (strcmp(field, "E-To") == 0)
        return text_cmp(shown_name(a->to_name, a->to), shown_name(b->to_name, b->to));
    if (strcmp(field, "X-Color") == 0)
        return text_cmp(a->color, b->color);
    return 0; /* UID, a field that nobody has */
}

static const char *model_field;

static int model_order(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    int c = by_field(model_field, &model[a - 1], &model[b - 1]);

    return c != 0 ? c : num_cmp(a, b);
}

/* --- building */
static struct view *build(struct store *s, int64_t box, const struct view_spec *spec,
                          uint32_t budget)
{
    struct view *v = NULL;
    enum err e;

    assert_int_equal(view_new(s, DORA, box, spec, &v), ERR_OK);
    while ((e = view_build(v, budget)) == ERR_MORE)
        db_idle_check(store_db(s));
    assert_int_equal(e, ERR_OK);
    return v;
}

static int64_t fill(struct store *s)
{
    int64_t box = inbox(s, DORA);
    uint32_t uid = 0;

    make_model();
    begin(s);
    for (uint32_t i = 0; i < LETTERS; i++) {
        assert_int_equal(put_letter(s, DORA, box, &model[i], &uid), ERR_OK);
        assert_int_equal(uid, i + 1);
    }
    commit(s);
    return box;
}

static void compare(struct view *v, const uint32_t *want, uint32_t n)
{
    uint32_t unseen = 0;

    assert_int_equal(view_count(v), n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = UINT32_MAX;

        assert_int_equal(view_uid(v, i), want[i]);
        assert_true(view_find(v, want[i], &at));
        assert_int_equal(at, i);
        unseen += (model[want[i] - 1].flags & FLAG_SEEN) == 0;
    }
    assert_int_equal(view_unseen(v), unseen);
}

static void test_sort(void **state)
{
    static const char *const fields[] = {"INTERNALDATE", "Date",    "Size",    "Pty",
                                         "FLAGS",        "Subject", "E-From",  "From",
                                         "E-To",         "UID",     "X-Color", "X-Nobody"};
    static const uint32_t budgets[] = {1, 7, 300, 301, 2000};
    struct store *s = *state;
    int64_t box = fill(s);
    uint32_t want[LETTERS], turned[LETTERS];

    for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
        struct view_spec spec = {.sort_field = str_of(fields[f]), .see_hidden = true};
        struct view *v;

        for (uint32_t i = 0; i < LETTERS; i++)
            want[i] = i + 1;
        model_field = fields[f];
        qsort(want, LETTERS, sizeof *want, model_order);
        for (uint32_t i = 0; i < LETTERS; i++)
            turned[i] = want[LETTERS - 1 - i];
        for (size_t b = 0; b < ARRAY_LEN(budgets); b++) {
            spec.desc = b % 2 != 0;
            v = build(s, box, &spec, budgets[b]);
            compare(v, spec.desc ? turned : want, LETTERS);
            view_free(&v);
        }
    }
}

/* --- filters */
static bool has_text(const char *text, const char *needle)
{
    return text != NULL && strcasestr(text, needle) != NULL;
}

static bool has_address(const char *name, const char *address, const char *needle)
{
    return address != NULL && (has_text(name, needle) || has_text(address, needle));
}

static bool pass(const char *field, const char *filter, const struct letter *l)
{
    if (strcmp(field, "Media,Unseen") == 0)
        return (l->flags & FLAG_MEDIA) != 0 && (l->flags & FLAG_SEEN) == 0;
    if (strcmp(field, "From") == 0)
        return has_address(l->from_name, l->from, filter);
    if (strcmp(field, "To") == 0)
        return has_address(l->to_name, l->to, filter);
    if (strcmp(field, "Subject") == 0)
        return has_text(l->subject, filter);
    if (strcmp(field, "X-Color") == 0)
        return has_text(l->color, filter);
    if (strcmp(field, "BODY") == 0)
        return has_text(l->body, filter);
    if (strcmp(field, "TEXT") == 0)
        return has_text(l->body, filter) || has_address(l->from_name, l->from, filter) ||
               has_address(l->to_name, l->to, filter) || has_text(l->subject, filter) ||
               has_text(l->color, filter) || has_text(l->priority, filter);
    if (strcmp(field, "Pty") == 0)
        return rank(l) == 2;
    return true;
}

static void test_filter(void **state)
{
    /* field and filter of the request, then what the model is asked */
    static const char *const table[][4] = {
        {"FLAGS", "Media,Unseen", "Media,Unseen", ""},
        {"flags", " unread , MEDIA", "Media,Unseen", ""},
        {NULL, "Media,Unseen", "Media,Unseen", ""},
        {"", "plan", "Subject", "plan"}, /* no flag name */
        {NULL, "Seen,plan", "Subject", "Seen,plan"},
        {"E-From", "CAROL", "From", "carol"},
        {"From", "x.example", "From", "x.example"},
        {"E-To", "ann", "To", "ann"},
        {"Subject", "PLAN", "Subject", "plan"},
        {"subject", "re: ", "Subject", "re: "},
        {"X-Color", "BLU", "X-Color", "blu"},
        {"BODY", "quick BROWN", "BODY", "quick brown"},
        {"TEXT", "plan", "TEXT", "plan"},
        {"TEXT", "zoe", "TEXT", "zoe"},
        {"Pty", "high", "Pty", ""},
        {"Subject", "", "none", ""},
        {"X-Nobody", "a", "nobody", ""},
    };
    struct store *s = *state;
    int64_t box = fill(s);

    for (size_t t = 0; t < ARRAY_LEN(table); t++)
        for (int hidden = 0; hidden < 2; hidden++) {
            struct view_spec spec = {.sort_field = STR("UID"),
                                     .filter_field = str_of(table[t][0]),
                                     .filter = str_of(table[t][1]),
                                     .see_hidden = hidden != 0};
            uint32_t want[LETTERS], n = 0;
            struct view *v = build(s, box, &spec, 50);

            for (uint32_t i = 0; i < LETTERS; i++)
                if (strcmp(table[t][2], "nobody") != 0 &&
                    (hidden != 0 || (model[i].flags & FLAG_HIDDEN) == 0) &&
                    pass(table[t][2], table[t][3], &model[i]))
                    want[n++] = i + 1;
            compare(v, want, n);
            assert_true(n > 0 || strcmp(table[t][2], "nobody") == 0 ||
                        strcmp(table[t][3], "Seen,plan") == 0);
            view_free(&v);
        }
}

static void test_keyword_filter(void **state)
{
    struct store *s = *state;
    struct flag_list l = flags_of("meetingCreated");
    struct view_spec spec = {
        .filter_field = STR("FLAGS"), .filter = STR("meetingCreated"), .see_hidden = true};
    int64_t box = fill(s);
    uint32_t three = 3, want[LETTERS], n = 0;
    struct view *v = NULL;

    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_FLAG_UNKNOWN);
    spec.filter = STR("no such!");
    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_FLAG_UNKNOWN);
    W(s, message_mark(s, DORA, box, &three, 1, &l), ERR_OK);
    spec.filter = STR("meetingcreated");
    v = build(s, box, &spec, 100);
    compare(v, &three, 1);
    view_free(&v);
    spec.filter = STR("NotmeetingCreated");
    spec.sort_field = STR("UID");
    v = build(s, box, &spec, 100);
    for (uint32_t i = 1; i <= LETTERS; i++)
        if (i != 3)
            want[n++] = i;
    compare(v, want, n);
    view_free(&v);
}

static void test_spec(void **state)
{
    struct store *s = *state;
    int64_t box = fill(s);
    static char big[VIEW_FILTER_MAX + 2];
    struct view_spec spec = {.sort_field = STR("no good")};
    struct arena a;
    struct view *v = NULL;
    uint32_t validity;

    arena_init(&a, 1 << 20);
    validity = info(s, DORA, box, &a).uid_validity;
    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_ATTR_VALUE);
    spec = (struct view_spec){.filter_field = STR("1x"), .filter = STR("a")};
    assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_ATTR_VALUE);
    assert_null(v);
    for (size_t n = VIEW_FILTER_MAX - 1; n <= VIEW_FILTER_MAX + 1; n++) {
        memset(big, 'x', n);
        spec = (struct view_spec){.filter_field = STR("Subject"), .filter = {big, n}};
        assert_int_equal(view_new(s, DORA, box, &spec, &v),
                         n <= VIEW_FILTER_MAX ? ERR_OK : ERR_ATTR_VALUE);
        view_free(&v);
    }
    spec = (struct view_spec){.uid_validity = validity, .uid_min = 251, .see_hidden = true};
    v = build(s, box, &spec, 20);
    assert_int_equal(view_count(v), 50);
    view_free(&v);
    spec.uid_validity++; /* both are ignored then */
    v = build(s, box, &spec, 20);
    assert_int_equal(view_count(v), LETTERS);
    view_free(&v);
    assert_int_equal(view_new(s, DORA, box + 99, &spec, &v), ERR_MAILBOX_REMOVED);
    for (uint32_t limit = LETTERS - 1; limit <= LETTERS + 1; limit++) {
        store_limits(s)->view_messages = limit;
        assert_int_equal(view_new(s, DORA, box, &spec, &v), ERR_OK);
        assert_int_equal(view_build(v, 1000), limit < LETTERS ? ERR_NOMEM : ERR_OK);
        view_free(&v);
    }
    arena_free(&a);
}

/* Unicode case folding, by hand. */
static void test_unicode(void **state)
{
    static const char *const in[] = {"Übung",  "übung", "zebra",  "Äpfel",
                                     "Straße", "ПЛАН",  "план б", "apfel"};
    static const char *const needle[] = {"ÜBUNG", "STRASSE", "План", "äPFEL"};
    static const uint32_t hits[][2] = {{1, 2}, {5, 0}, {6, 7}, {4, 0}};
    struct store *s = *state;
    int64_t box = inbox(s, DORA);
    uint32_t uid = 0;

    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        struct letter l = {.subject = in[i], .internaldate = 1};

        W(s, put_letter(s, DORA, box, &l, &uid), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(needle); i++) {
        struct view_spec spec = {.filter_field = STR("Subject"), .filter = str_of(needle[i])};
        struct view *v = build(s, box, &spec, 100);

        assert_int_equal(view_count(v), hits[i][1] != 0 ? 2 : 1);
        assert_int_equal(view_uid(v, 0), hits[i][0]);
        if (hits[i][1] != 0)
            assert_int_equal(view_uid(v, 1), hits[i][1]);
        view_free(&v);
    }
}

static void test_long_keys(void **state)
{
    struct store *s = *state;
    int64_t box = inbox(s, DORA);
    struct view_spec spec = {.sort_field = STR("Subject")};
    char a[VIEW_KEY_MAX * 2 + 1], b[VIEW_KEY_MAX * 2 + 1];
    struct view *v;
    uint32_t uid = 0;

    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    a[sizeof a - 1] = b[sizeof b - 1] = 0;
    a[VIEW_KEY_MAX - 1] = 'z'; /* the last byte that counts */
    W(s, put_letter(s, DORA, box, &(struct letter){.subject = a}, &uid), ERR_OK);
    W(s, put_letter(s, DORA, box, &(struct letter){.subject = b}, &uid), ERR_OK);
    b[VIEW_KEY_MAX] = 'A' - 1; /* one that does not */
    W(s, put_letter(s, DORA, box, &(struct letter){.subject = b}, &uid), ERR_OK);
    v = build(s, box, &spec, 100);
    assert_int_equal(view_uid(v, 0), 2);
    assert_int_equal(view_uid(v, 1), 3);
    assert_int_equal(view_uid(v, 2), 1);
    view_free(&v);
}

/* --- sets */
static void check_set(struct view *v, const struct view_range *r, size_t n, bool document)
{
    static uint32_t want[LETTERS];
    bool used[LETTERS] = {false};
    uint32_t count = 0, total = view_count(v);
    struct view_set set;
    struct arena a;

    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < total; i++) {
            uint32_t x = r[k].by_uid ? view_uid(v, i) : i;

            if (x < r[k].from || x > r[k].till || used[i])
                continue;
            used[i] = true;
            want[count++] = i;
        }
    if (!document) {
        count = 0;
        for (uint32_t i = 0; i < total; i++)
            if (used[i])
                want[count++] = i;
    }
    arena_init(&a, 1 << 20);
    assert_int_equal(view_set_eval(v, r, n, document, &a, &set), ERR_OK);
    assert_int_equal(set.count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(view_set_at(&set, i), want[i]);
    arena_free(&a);
}

static void test_sets(void **state)
{
    static const char *const sorts[] = {"UID", "Subject", "INTERNALDATE"};
    struct store *s = *state;
    int64_t box = fill(s);

    for (uint32_t turn = 0; turn < 600; turn++) {
        struct view_spec spec = {.sort_field = str_of(sorts[turn % 3]),
                                 .desc = turn % 2 != 0,
                                 .filter = turn % 5 == 0 ? STR("Media") : STR(""),
                                 .see_hidden = turn % 7 != 0};
        struct view *v = build(s, box, &spec, 500);
        struct view_range r[40];
        size_t n = rnd(turn % 4 == 0 ? 40 : 4);

        for (size_t k = 0; k < n; k++) {
            uint32_t from = rnd(LETTERS + 5), len = rnd(3) ? rnd(4) : rnd(LETTERS);

            r[k] = (struct view_range){rnd(2) != 0, from,
                                       rnd(9)     ? from + len
                                       : from > 3 ? from - 3
                                                  : 0};
            if (rnd(8) == 0)
                r[k].till = UINT32_MAX;
            if (rnd(8) == 0)
                r[k].from = 0;
        }
        check_set(v, r, n, turn % 3 != 0);
        view_free(&v);
    }
}

static void test_many_ranges(void **state)
{
    struct store *s = *state;
    int64_t box = fill(s);
    struct view_spec spec = {.sort_field = STR("Subject"), .see_hidden = true};
    struct view *v = build(s, box, &spec, 500);
    struct view_range *r = calloc(20000, sizeof *r);
    struct view_set set;
    struct arena a;

    assert_non_null(r);
    for (uint32_t i = 0; i < 20000; i++)
        r[i] = (struct view_range){i % 2 == 0, i % 3, UINT32_MAX - i};
    arena_init(&a, 1 << 20);
    assert_int_equal(view_set_eval(v, r, 20000, true, &a, &set), ERR_OK);
    assert_int_equal(set.count, LETTERS);
    check_set(v, r, 2000, true);
    check_set(v, r + 1, 2000, false);
    arena_free(&a);
    free(r);
    view_free(&v);
}

static void test_empty(void **state)
{
    struct store *s = *state;
    int64_t box = inbox(s, DORA);
    struct view_spec spec = {0};
    struct view *v = build(s, box, &spec, 500);
    struct view_range r = {false, 0, UINT32_MAX};
    uint32_t at;

    assert_int_equal(view_count(v), 0);
    assert_false(view_find(v, 1, &at));
    check_set(v, &r, 1, true);
    r.by_uid = true;
    check_set(v, &r, 1, true);
    view_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sort, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_filter, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_keyword_filter, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_spec, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_unicode, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_long_keys, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_sets, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_many_ranges, bank_setup, bank_teardown),
        cmocka_unit_test_setup_teardown(test_empty, bank_setup, bank_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, bank_remove);
}
