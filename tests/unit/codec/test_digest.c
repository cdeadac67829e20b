// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The blobs: what the makers write is what the reader gives back; damaged ones are refused, or read without leaving them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "codec/digest.h"

static struct buf head, body;

static void make_head(void)
{
    struct digest_fields_maker m;
    struct buf list;
    buf_clear(&head);
    buf_init(&list, 4096);
    digest_fields_init(&m);
    assert_true(digest_fields_text(&m, STR("Subject"), DIGEST_TEXT, STR("first")));
    digest_address_add(
        &list, &(struct digest_address){DIGEST_MAILBOX, STR("Ann"), STR("ann@example.org")});
    digest_address_add(&list, &(struct digest_address){DIGEST_EMPTY_GROUP, STR("none"), STR("")});
    digest_address_add(&list, &(struct digest_address){DIGEST_RAW_ADDRESS, STR(""), STR("x y")});
    assert_true(digest_fields_addresses(&m, STR("To"), buf_slice(&list), STR("as written")));
    assert_true(digest_fields_date(&m, STR("Date"), -12345678901, -12600, STR("")));
    assert_true(digest_fields_text(&m, STR("SUBJECT"), DIGEST_TEXT, STR("second")));
    assert_true(digest_fields_text(&m, STR("Return-Path"), DIGEST_RETURN_PATH, STR("")));
    assert_true(digest_fields_text(&m, STR("X-Priority"), DIGEST_TEXT, STR("5 (Lowest)")));
    digest_head_finish(&m, STR("multipart"), STR("mixed"), 12345678901, &head);
    assert_int_equal(m.count, 0);
    digest_fields_free(&m);
    buf_free(&list);
}

static void head_roundtrip(void **state)
{
    (void)state;
    struct digest_head h;
    struct digest_field f;
    struct digest_address a;
    make_head();
    assert_int_equal(digest_head_open(&h, buf_slice(&head)), ERR_OK);
    assert_int_equal(h.size, 12345678901);
    assert_true(str_eq(h.type, STR("multipart")) && str_eq(h.subtype, STR("mixed")));
    assert_int_equal(h.fields.count, 6);
    assert_int_equal(h.fields.priority, DIGEST_LOW);
    uint32_t from = 0;
    assert_true(digest_fields_next(&h.fields, STR("subject"), &from, &f) &&
                str_eq(f.text, STR("first")));
    assert_true(digest_fields_next(&h.fields, STR("subject"), &from, &f) &&
                str_eq(f.text, STR("second")));
    assert_true(str_eq(f.name, STR("SUBJECT")));
    assert_false(digest_fields_next(&h.fields, STR("subject"), &from, &f));
    assert_false(digest_fields_next(&h.fields, STR("subject"), &from, &f));
    assert_false(digest_fields_first(&h.fields, STR("Subjec"), &f));
    assert_true(digest_fields_first(&h.fields, STR("date"), &f));
    assert_int_equal(f.kind, DIGEST_DATE);
    assert_int_equal(f.when, -12345678901);
    assert_int_equal(f.shift, -12600);
    assert_true(digest_fields_first(&h.fields, STR("TO"), &f) && str_eq(f.text, STR("as written")));
    assert_true(digest_address_next(&f.list, &a) && a.kind == DIGEST_MAILBOX &&
                str_eq(a.name, STR("Ann")) && str_eq(a.address, STR("ann@example.org")));
    assert_true(digest_address_next(&f.list, &a) && a.kind == DIGEST_EMPTY_GROUP &&
                str_eq(a.name, STR("none")));
    assert_true(digest_address_next(&f.list, &a) && a.kind == DIGEST_RAW_ADDRESS &&
                str_eq(a.address, STR("x y")));
    assert_false(digest_address_next(&f.list, &a));
    struct buf shown;
    buf_init(&shown, 4096);
    assert_true(digest_fields_first(&h.fields, STR("To"), &f));
    digest_display(&f, &shown);
    assert_true(str_eq(buf_slice(&shown), STR("Ann, none, x y")));
    buf_free(&shown);
}

static void full_list(void **state)
{
    (void)state;
    struct digest_fields_maker m;
    struct digest_head h;
    buf_clear(&head);
    digest_fields_init(&m);
    for (unsigned i = 0; i < DIGEST_FIELDS_MAX; i++)
        assert_true(digest_fields_text(&m, STR("A"), DIGEST_TEXT, STR("")));
    assert_false(digest_fields_text(&m, STR("A"), DIGEST_TEXT, STR("")));
    assert_false(digest_fields_date(&m, STR("A"), 0, 0, STR("")));
    digest_head_finish(&m, STR("t"), STR("p"), 0, &head);
    assert_int_equal(digest_head_open(&h, buf_slice(&head)), ERR_OK);
    assert_int_equal(h.fields.count, DIGEST_FIELDS_MAX);
    digest_fields_free(&m);
}

/* multipart(01 text, 02 message(02-01 text)) */
static void make_body(void)
{
    struct digest_body_maker m;
    struct digest_fields_maker fields;
    struct buf lists, params;
    buf_clear(&body);
    buf_init(&lists, 4096);
    buf_init(&params, 4096);
    digest_fields_init(&fields);
    digest_fields_text(&fields, STR("Subject"), DIGEST_TEXT, STR("inner"));
    digest_fields_finish(&fields, &lists);
    digest_fields_free(&fields);
    digest_param_add(&params, STR("format"), STR("flowed"));
    digest_param_add(&params, STR("x"), STR(""));
    digest_body_init(&m);
    struct digest_part root = {
        .kind = DIGEST_MULTIPART, .type = STR("multipart"), .subtype = STR("mixed"), .raw_n = 90};
    struct digest_part text = {.kind = DIGEST_TEXT_PART,
                               .type = STR("text"),
                               .subtype = STR("plain"),
                               .charset = STR("utf-8"),
                               .part_id = STR("01"),
                               .depth = 1,
                               .estimated = 5,
                               .text = STR("hello"),
                               .head_at = 1,
                               .raw_at = 10,
                               .raw_n = 5,
                               .encoding = DIGEST_QP,
                               .type_params = buf_slice(&params)};
    struct digest_part message = {.kind = DIGEST_MESSAGE,
                                  .type = STR("message"),
                                  .subtype = STR("rfc822"),
                                  .part_id = STR("02"),
                                  .depth = 1,
                                  .estimated = 40,
                                  .lists = buf_slice(&lists)};
    struct digest_part inner = {.kind = DIGEST_TEXT_PART,
                                .type = STR("text"),
                                .subtype = STR("plain"),
                                .part_id = STR("02-01"),
                                .depth = 2,
                                .parent = 2,
                                .text = STR("x")};
    assert_int_equal(digest_part_add(&m, &root), 0);
    assert_int_equal(digest_part_add(&m, &text), 1);
    assert_int_equal(digest_part_add(&m, &message), 2);
    assert_int_equal(digest_part_add(&m, &inner), 3);
    digest_part_close(&m, 2);
    digest_part_close(&m, 0);
    digest_body_finish(&m, &body);
    digest_body_free(&m);
    buf_free(&lists);
    buf_free(&params);
}

static void body_roundtrip(void **state)
{
    (void)state;
    struct digest_body b;
    make_body();
    assert_int_equal(digest_body_open(&b, buf_slice(&body)), ERR_OK);
    assert_int_equal(b.count, 4);
    struct digest_part p = digest_part_at(&b, 0);
    assert_int_equal(p.estimated, 45);
    assert_int_equal(p.next, 4);
    p = digest_part_at(&b, 1);
    assert_true(str_eq(p.text, STR("hello")) && str_eq(p.charset, STR("utf-8")) &&
                p.encoding == DIGEST_QP);
    assert_true(p.head_at == 1 && p.raw_at == 10 && p.raw_n == 5 && p.next == 2);
    struct str name, value;
    assert_true(digest_param_next(&p.type_params, &name, &value) && str_eq(name, STR("format")) &&
                str_eq(value, STR("flowed")));
    assert_true(digest_param_next(&p.type_params, &name, &value) && str_eq(name, STR("x")) &&
                value.n == 0);
    assert_false(digest_param_next(&p.type_params, &name, &value));
    p = digest_part_at(&b, 2);
    struct digest_fields list;
    assert_true(digest_lists_next(&p.lists, &list) && list.count == 1);
    assert_false(digest_lists_next(&p.lists, &list));
    assert_true(digest_part_find(&b, STR("2.1"), &p) && p.index == 3 && p.parent == 2);
    assert_true(digest_part_find(&b, STR("02-01"), &p) && p.index == 3);
    assert_false(digest_part_find(&b, STR("02-02"), &p));
    assert_false(digest_part_find(&b, STR(""), &p));
}

/* Reads everything that can be read; the sanitizer watches. */
static size_t read_all(struct str h_blob, struct str b_blob)
{
    struct digest_head h;
    struct digest_body b;
    struct digest_address a;
    struct digest_fields list;
    struct str name, value;
    size_t sum = 0;
    if (digest_head_open(&h, h_blob) == ERR_OK) {
        for (uint32_t i = 0; i < h.fields.count; i++) {
            struct digest_field f = digest_fields_at(&h.fields, i);
            sum += f.text.n;
            while (digest_address_next(&f.list, &a))
                sum += a.name.n + a.address.n;
        }
    }
    if (digest_body_open(&b, b_blob) == ERR_OK) {
        for (uint32_t i = 0; i < b.count; i++) {
            struct digest_part p = digest_part_at(&b, i);
            sum += p.text.n + p.part_id.n;
            while (digest_param_next(&p.type_params, &name, &value))
                sum += name.n + value.n;
            while (digest_lists_next(&p.lists, &list))
                sum += list.count;
        }
    }
    return sum + (digest_verify(h_blob, b_blob, 1000) == ERR_OK);
}

/* Every cut, and every byte set to some values, in memory of exact size. */
static void damage(void **state)
{
    (void)state;
    static const unsigned char values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff};
    struct digest_head h;
    struct digest_body b;
    make_head();
    make_body();
    struct str whole[2] = {buf_slice(&head), buf_slice(&body)};
    for (int k = 0; k < 2; k++) {
        for (size_t n = 0; n < whole[k].n; n++) {
            char *copy = malloc(n + 1);
            memcpy(copy, whole[k].p, n);
            struct str cut = {copy, n};
            if (k == 0)
                assert_int_equal(digest_head_open(&h, cut), ERR_SYNTAX);
            else
                assert_int_equal(digest_body_open(&b, cut), ERR_SYNTAX);
            free(copy);
        }
        char *copy = malloc(whole[k].n);
        for (size_t i = 0; i < whole[k].n; i++) {
            for (size_t v = 0; v < ARRAY_LEN(values); v++) {
                memcpy(copy, whole[k].p, whole[k].n);
                copy[i] = (char)values[v];
                struct str bad = {copy, whole[k].n};
                read_all(k == 0 ? bad : whole[0], k == 1 ? bad : whole[1]);
            }
        }
        free(copy);
    }
}

/* What open() lets pass and verify() must not. */
static void verify(void **state)
{
    (void)state;
    struct digest_fields_maker m;
    struct digest_body_maker bm;
    static const struct {
        const char *subject, *text, *id;
        uint32_t raw_at, raw_n;
        uint64_t size;
        bool good;
    } rows[] = {
        {"s", "t", "01", 0, 10, 10, true},
        {"s", "t", "01", 4, 6, 10, true},
        {"s", "t", "01", 4, 7, 10, false},
        {"s", "t", "01", 11, 0, 10, false},
        {"\xff", "t", "01", 0, 0, 10, false},
        {"\x01", "t", "01", 0, 0, 10, false},
        {"s", "\xed\xa0\x80", "01", 0, 0, 10, false},
        {"s", "\xef\xbf\xbf", "01", 0, 0, 10, false},
        {"s", "\xef\xbf\xbd\t\n", "01-02", 0, 0, 10, true},
        {"s", "t", "<", 0, 0, 10, false},
    };
    digest_fields_init(&m);
    digest_body_init(&bm);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&head);
        buf_clear(&body);
        digest_fields_text(&m, STR("Subject"), DIGEST_TEXT, str_of(rows[i].subject));
        digest_head_finish(&m, STR("text"), STR("plain"), rows[i].size, &head);
        struct digest_part p = {.kind = DIGEST_TEXT_PART,
                                .type = STR("text"),
                                .subtype = STR("plain"),
                                .text = str_of(rows[i].text),
                                .part_id = str_of(rows[i].id),
                                .raw_at = rows[i].raw_at,
                                .raw_n = rows[i].raw_n};
        digest_part_add(&bm, &p);
        digest_body_finish(&bm, &body);
        enum err e = digest_verify(buf_slice(&head), buf_slice(&body), 10);
        assert_int_equal(e, rows[i].good ? ERR_OK : ERR_SYNTAX);
        assert_int_equal(digest_verify(buf_slice(&head), buf_slice(&body), 9), ERR_SYNTAX);
    }
    digest_fields_free(&m);
    digest_body_free(&bm);
}

/* Trees that are none. */
static void nesting(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint32_t parent, depth;
            enum digest_part_kind kind;
            int close; /* the part that is closed after this one, -1: none */
        } part[4];
        uint32_t count;
        bool good;
    } rows[] = {
        {{{0, 0, DIGEST_LEAF, -1}}, 1, true},
        {{{0, 0, DIGEST_LEAF, 0}, {0, 1, DIGEST_LEAF, 0}}, 2, false},   /* a leaf with a child */
        {{{0, 0, DIGEST_LEAF, -1}, {0, 0, DIGEST_LEAF, -1}}, 2, false}, /* two roots */
        {{{0, 0, DIGEST_MULTIPART, -1}, {0, 1, DIGEST_LEAF, 0}}, 2, true},
        {{{0, 0, DIGEST_MULTIPART, -1}, {0, 2, DIGEST_LEAF, 0}}, 2, false}, /* depth */
        {{{0, 0, DIGEST_MULTIPART, -1}, {1, 1, DIGEST_LEAF, 0}}, 2, false}, /* its own parent */
        {{{0, 0, DIGEST_MULTIPART, -1}, {0, 1, DIGEST_MULTIPART, -1}, {0, 1, DIGEST_LEAF, 0}},
         3,
         true},
        {{{0, 0, DIGEST_MULTIPART, -1}, {0, 1, DIGEST_MULTIPART, -1}, {1, 2, DIGEST_LEAF, 0}},
         3,
         false}, /* outside its parent */
        {{{0, 0, DIGEST_MULTIPART, -1},
          {0, 1, DIGEST_MULTIPART, -1},
          {0, 1, DIGEST_LEAF, 1},
          {0, 1, DIGEST_LEAF, 0}},
         4,
         false},
        {{{0, 1, DIGEST_LEAF, -1}}, 1, false},
        {{{0, 0, DIGEST_MESSAGE, -1}}, 1, false}, /* no list, no child */
        {{{0, 0, (enum digest_part_kind)9, -1}}, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct digest_body_maker m;
        struct digest_body b;
        digest_body_init(&m);
        buf_clear(&body);
        for (uint32_t k = 0; k < rows[i].count; k++) {
            struct digest_part p = {.parent = rows[i].part[k].parent,
                                    .depth = rows[i].part[k].depth,
                                    .kind = rows[i].part[k].kind};
            digest_part_add(&m, &p);
            if (rows[i].part[k].close >= 0)
                digest_part_close(&m, (uint32_t)rows[i].part[k].close);
        }
        digest_body_finish(&m, &body);
        assert_int_equal(digest_body_open(&b, buf_slice(&body)),
                         rows[i].good ? ERR_OK : ERR_SYNTAX);
        digest_body_free(&m);
    }
}

static void spelling(void **state)
{
    (void)state;
    assert_true(str_eq(digest_canonical(STR("MESSAGE-id")), STR("Message-ID")));
    assert_true(str_eq(digest_canonical(STR("x-what")), STR("x-what")));
    assert_true(str_eq(digest_address_name(STR("reply-to")), STR("Reply-To")));
    assert_null(digest_address_name(STR("Subject")).p);
    assert_null(digest_address_name(STR("")).p);
    assert_true(digest_is_priority(STR("x-msmail-priority")));
    assert_false(digest_is_priority(STR("Pty")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_roundtrip), cmocka_unit_test(full_list),
        cmocka_unit_test(body_roundtrip), cmocka_unit_test(damage),
        cmocka_unit_test(verify),         cmocka_unit_test(nesting),
        cmocka_unit_test(spelling),
    };
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&head);
    buf_free(&body);
    return failed;
}
