// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Parts inside of messages that are encoded as a whole, several times over: their bytes come back, in whatever steps. GMime encodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gmime/gmime.h>

#include "codec/mime.h"
#include "codec/unwrap.h"

#define MOST 20 /* levels of parts (mime_limits_default) */

/* A multipart: text, and the encoded message. */
static void wrap(struct buf *m, enum digest_encoding how, unsigned level, bool multipart)
{
    struct buf out;
    GMimeEncoding e;
    bool qp = how == DIGEST_QP;
    g_mime_encoding_init_encode(&e, qp ? GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE
                                       : GMIME_CONTENT_ENCODING_BASE64);
    char *text = malloc(g_mime_encoding_outlen(&e, m->n) + 1);
    assert_non_null(text);
    size_t n = g_mime_encoding_flush(&e, m->p, m->n, text);
    buf_init(&out, 64 << 20);
    if (multipart)
        buf_printf(&out, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n\ntext\n--b%u\n",
                   level, level, level);
    buf_printf(&out, "Content-Type: message/%s\nContent-Transfer-Encoding: %s\n\n",
               qp ? "global" : "rfc822", qp ? "quoted-printable" : "base64");
    buf_add(&out, text, n);
    if (multipart)
        buf_printf(&out, "\n--b%u--\n", level);
    free(text);
    buf_free(m);
    *m = out;
}

static void unwrap(struct str raw, const struct digest_body *b, const struct digest_part *p,
                   size_t step, size_t bite, struct buf *out)
{
    struct unwrap *u;
    uint64_t at = p->raw_at, n = p->raw_n;
    assert_int_equal(unwrap_open(b, p, &at, &n, &u), ERR_OK);
    assert_true(at <= raw.n && n <= raw.n - at);
    if (u == NULL)
        buf_str(out, str_sub(raw, at, n));
    for (unsigned round = 0; u != NULL && round < 2; round++) {
        struct str all = str_sub(raw, at, n);
        buf_clear(out);
        for (bool last = false; !last;) {
            struct str in = str_sub(all, 0, step);
            all = str_sub(all, in.n, all.n);
            last = all.n == 0 || unwrap_through(u);
            do {
                if (in.n != 0)
                    unwrap_feed(u, &in);
                else if (last)
                    unwrap_end(u);
                while (u->rest.n != 0) {
                    struct str some = str_sub(u->rest, 0, bite);
                    buf_str(out, some);
                    u->rest = str_sub(u->rest, some.n, u->rest.n);
                }
            } while (in.n != 0 || (last && !u->ended));
        }
        assert_true(unwrap_through(u));
        unwrap_rewind(u);
    }
    free(u);
}

static void check(struct str raw, const struct digest_body *b, const struct digest_part *p,
                  struct str want)
{
    static const size_t steps[] = {1, 3, 1000, UNWRAP_STEP, UNWRAP_STEP + 1, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct buf out;
        buf_init(&out, 1 << 20);
        unwrap(raw, b, p, steps[i], i % 2 == 0 ? 7 : UNWRAP_ROOM, &out);
        assert_true(str_eq(buf_slice(&out), want));
        buf_free(&out);
    }
}

/* The innermost part: bytes of all kinds. */
static void start(struct buf *m, struct buf *bytes, size_t n)
{
    uint32_t seed = 77;
    buf_init(bytes, 1 << 20);
    buf_init(m, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        buf_char(bytes, (char)(seed >> 24));
    }
    buf_lit(m, "Content-Type: application/x-thing\n\n");
    buf_str(m, buf_slice(bytes));
}

/* At most MOST levels; `seen` of them then. */
static void nest(size_t bytes, unsigned layers, bool multipart, bool seen)
{
    struct buf m, want, head, body;
    struct digest_body b;
    start(&m, &want, bytes);
    for (unsigned i = 0; i < layers; i++)
        wrap(&m, i % 3 == 1 ? DIGEST_BASE64 : DIGEST_QP, i, multipart);
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    assert_int_equal(mime_digest(buf_slice(&m), &mime_limits_default, &head, &body), ERR_OK);
    assert_int_equal(digest_verify(buf_slice(&head), buf_slice(&body), m.n), ERR_OK);
    assert_int_equal(digest_body_open(&b, buf_slice(&body)), ERR_OK);
    struct digest_part p = digest_part_at(&b, b.count - 1);
    assert_int_equal(str_eq(p.subtype, STR("x-thing")), seen);
    if (seen)
        check(buf_slice(&m), &b, &p, buf_slice(&want));
    if (multipart) {
        for (uint32_t i = 0; i < b.count; i++) {
            p = digest_part_at(&b, i);
            if (str_eq(p.type, STR("text")))
                check(buf_slice(&m), &b, &p, STR("text"));
        }
    }
    buf_free(&m);
    buf_free(&want);
    buf_free(&head);
    buf_free(&body);
}

static void layers(void **state)
{
    (void)state;
    for (unsigned n = 0; n <= 4; n++) {
        nest(0, n, false, true);
        nest(1, n, true, true);
        nest(10000, n, n % 2 == 0, true);
    }
}

/* The limit of levels is that of messages which are not encoded: n-1, n, n+1. */
static void deep(void **state)
{
    (void)state;
    nest(200, MOST - 2, false, true);
    nest(200, MOST - 1, false, true);
    nest(200, MOST, false, false);
    nest(3, MOST / 2 - 1, true, true);
    nest(3, MOST / 2, true, false);
}

/* Bytes that are no base64 are passed over, the same ones for whoever looks for the parts and for whoever fetches them. */
static void damaged(void **state)
{
    (void)state;
    struct str raw = STR("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
                         "U3Vi*amVj\ndDogcwoKaW5uZXI=!");
    struct buf head, body;
    struct digest_body b;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    assert_int_equal(mime_digest(raw, &mime_limits_default, &head, &body), ERR_OK);
    assert_int_equal(digest_body_open(&b, buf_slice(&body)), ERR_OK);
    struct digest_part p = digest_part_at(&b, 0);
    assert_true(str_eq(p.parse_error, STR("bad base64")));
    p = digest_part_at(&b, 1);
    assert_true(p.kind == DIGEST_TEXT_PART && str_eq(p.text, STR("inner")));
    check(raw, &b, &p, p.text);
    buf_free(&head);
    buf_free(&body);
}

static void uuencode(void **state)
{
    (void)state;
    struct str raw = STR("Content-Type: message/rfc822\nContent-Transfer-Encoding: x-uuencode\n\n"
                         "begin 644 m\n14W5B:F5C=#H@<PH*:6YN97(\n`\nend\n");
    struct buf head, body;
    struct digest_body b;
    struct unwrap *u;
    uint64_t at = 0, n = 0;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    assert_int_equal(mime_digest(raw, &mime_limits_default, &head, &body), ERR_OK);
    assert_int_equal(digest_body_open(&b, buf_slice(&body)), ERR_OK);
    struct digest_part p = digest_part_at(&b, 1);
    assert_int_equal(unwrap_open(&b, &p, &at, &n, &u), ERR_UNSUPPORTED);
    p = digest_part_at(&b, 0);
    assert_int_equal(unwrap_open(&b, &p, &at, &n, &u), ERR_OK);
    assert_null(u);
    buf_free(&head);
    buf_free(&body);
}

int main(void)
{
    mime_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers), cmocka_unit_test(deep),
                                       cmocka_unit_test(damaged), cmocka_unit_test(uuencode)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
