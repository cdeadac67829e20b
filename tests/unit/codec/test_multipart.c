// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* multipart: a browser's body in two pieces at every cut, and memory. Python and curl judge the rest (tests/web). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/multipart.h"

#define TYPE STR("multipart/form-data; boundary=----geckoformboundary9e1a")
#define LINE "------geckoformboundary9e1a"

static const char form[] =
    LINE "\r\nContent-Disposition: form-data; name=\"fileData\"; filename=\"msg %22.wav\"\r\n"
         "Content-Type: audio/x-wav\r\n\r\nRIFF\r\n\r\n--\r\n-" LINE "\n\r\n" LINE
         "\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n\r\n" LINE "--\r\n";

struct seen {
    uint32_t parts, ends;
    bool end;
    struct buf data;
};

static void feed(struct multipart *m, struct str in, struct seen *s)
{
    struct str piece;
    enum multipart_event ev;
    while ((ev = multipart_feed(m, &in, &piece)) != MULTIPART_MORE) {
        assert_int_not_equal(ev, MULTIPART_BAD);
        s->end = s->end || ev == MULTIPART_END;
        s->ends += ev == MULTIPART_PART_END;
        if (ev == MULTIPART_DATA)
            buf_str(&s->data, piece);
        if (ev == MULTIPART_PART && s->parts++ == 0) {
            assert_true(str_eq(m->name, STR("fileData")));
            assert_true(str_eq(m->filename, STR("msg \".wav")));
            assert_true(str_eq(m->type, STR("audio/x-wav")));
        } else if (ev == MULTIPART_PART) {
            assert_true(str_eq(m->name, STR("note")));
            assert_null(m->filename.p);
            assert_null(m->type.p);
        }
    }
    assert_int_equal(in.n, 0);
}

static void test_every_cut(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof form; cut++) {
        struct multipart m;
        struct seen s = {.parts = 0};
        buf_init(&s.data, 1000);
        assert_int_equal(multipart_init(&m, TYPE), ERR_OK);
        feed(&m, (struct str){form, cut}, &s);
        enum err e = multipart_finish(&m);
        assert_int_equal(e, cut >= sizeof form - 3 ? ERR_OK : ERR_EOF);
        feed(&m, (struct str){form + cut, sizeof form - 1 - cut}, &s);
        assert_int_equal(multipart_finish(&m), ERR_OK);
        assert_true(s.parts == 2 && s.ends == 2 && s.end);
        assert_true(str_eq(buf_slice(&s.data), STR("RIFF\r\n\r\n--\r\n-" LINE "\n")));
        multipart_free(&m);
        buf_free(&s.data);
    }
}

/* 64 MiB of what may always be the boundary's beginning: nothing is kept, and pieces stay large. */
static void test_memory(void **state)
{
    static char block[65536];
    struct multipart m;
    struct str head = STR(LINE "\r\nContent-Disposition: form-data; name=n\r\n\r\n");
    size_t given = 0, events = 0;
    (void)state;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = "\r\n------geckoformboundary9e1"[i % 28];
    assert_int_equal(multipart_init(&m, TYPE), ERR_OK);
    for (size_t i = 0; i <= 1024; i++) {
        struct str in = i == 0 ? head : (struct str){block, sizeof block}, piece;
        enum multipart_event ev;
        while ((ev = multipart_feed(&m, &in, &piece)) != MULTIPART_MORE) {
            assert_true(ev == MULTIPART_DATA || i == 0);
            given += ev == MULTIPART_DATA ? piece.n : 0;
            events++;
        }
        assert_true(m.head.cap <= MULTIPART_HEAD_MAX && m.text.held <= m.text.cap);
    }
    assert_in_range((size_t)1024 * sizeof block - given, 0, 80);
    assert_in_range(events, 1024, 2 * 1024 + 2);
    assert_int_equal(multipart_finish(&m), ERR_EOF);
    multipart_free(&m);
}

/* What was wrong is said again, and nothing more is taken. */
static void test_bad_stays_bad(void **state)
{
    struct multipart m;
    struct str in = STR(LINE "\r\nX: y\r\n\r\nrest"), piece;
    (void)state;
    assert_int_equal(multipart_init(&m, TYPE), ERR_OK);
    assert_int_equal(multipart_feed(&m, &in, &piece), MULTIPART_BAD);
    assert_true(str_eq(in, STR("rest")));
    assert_int_equal(multipart_feed(&m, &in, &piece), MULTIPART_BAD);
    assert_true(str_eq(in, STR("rest")));
    assert_int_equal(multipart_finish(&m), ERR_SYNTAX);
    assert_true(m.name.p == NULL && m.filename.p == NULL && m.type.p == NULL);
    multipart_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_bad_stays_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
