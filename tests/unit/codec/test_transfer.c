// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Transfer encodings in pieces: the papers' examples, and what GMime encodes, in every cut and with little room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <gmime/gmime.h>

#include "base/buf.h"
#include "codec/transfer.h"

/* In pieces of `step` bytes, each into `room` bytes. */
static void decode(enum digest_encoding how, struct str text, size_t step, size_t room,
                   struct buf *out, bool *encoded)
{
    struct transfer t;
    char to[512];
    assert_true(room <= sizeof to);
    transfer_init(&t, how);
    for (size_t at = 0; at < text.n; at += step) {
        struct str in = str_sub(text, at, step);
        while (in.n != 0) {
            size_t was = in.n, n = transfer_feed(&t, &in, to, room);
            assert_true(in.n < was && n <= room);
            buf_add(out, to, n);
        }
    }
    size_t n = transfer_finish(&t, to);
    assert_true(n <= TRANSFER_STEP);
    buf_add(out, to, n);
    *encoded = transfer_was_encoded(&t);
}

static void is(enum digest_encoding how, struct str text, struct str want)
{
    static const size_t steps[] = {1, 2, 3, 5, 64, 100000}, rooms[] = {TRANSFER_STEP, 100, 512};
    bool encoded;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        for (size_t k = 0; k < ARRAY_LEN(rooms); k++) {
            struct buf out;
            buf_init(&out, 1 << 20);
            decode(how, text, steps[i], rooms[k], &out, &encoded);
            assert_int_equal(out.n, want.n);
            assert_memory_equal(want.n != 0 ? out.p : "", want.n != 0 ? want.p : "", want.n);
            assert_true(encoded);
            buf_free(&out);
        }
    }
}

/* RFC 4648, 10; RFC 2045, 6.7 and 6.8; POSIX uuencode. */
static void papers(void **state)
{
    (void)state;
    static const char *const b64[][2] = {{"", ""},
                                         {"Zg==", "f"},
                                         {"Zm8=", "fo"},
                                         {"Zm9v", "foo"},
                                         {"Zm9vYg==", "foob"},
                                         {"Zm9vYmE=", "fooba"},
                                         {"Zm9vYmFy", "foobar"}};
    for (size_t i = 0; i < ARRAY_LEN(b64); i++)
        is(DIGEST_BASE64, str_of(b64[i][0]), str_of(b64[i][1]));
    is(DIGEST_BASE64, STR(" Zm9v\r\nY*m\tF\ny\r\n"), STR("foobar"));
    is(DIGEST_QP, STR("Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."),
       STR("Now's the time for all folk to come to the aid of their country."));
    is(DIGEST_QP, STR("a=3D=c3=A9=\nb\r\n"),
       STR("a=\xc3\xa9"
           "b\r\n"));
    is(DIGEST_UUENCODE, STR("text before\nbegin 644 cat.txt\n#0V%T\n`\nend\nbehind\n"), STR("Cat"));
    is(DIGEST_7BIT, STR("=41 Zg==\n"), STR("=41 Zg==\n"));
}

/* Nothing is lost that could have been meant. */
static void damaged(void **state)
{
    (void)state;
    is(DIGEST_BASE64,
       STR("Zm9vYg=="
           "Zm9vYmE="),
       STR("foobfooba"));
    is(DIGEST_BASE64, STR("Zm9vYg"), STR("foob"));
    is(DIGEST_BASE64, STR("Zm9vY"), STR("foo"));
    is(DIGEST_BASE64, STR("===="), STR(""));
    is(DIGEST_QP, STR("a=b =4 =4G =zz ="), STR("a=b =4 =4G =zz ="));
    is(DIGEST_QP, STR("1=\r2"), STR("12"));
    /* A line that promises more than it has; one that is far too long. */
    is(DIGEST_UUENCODE, STR("begin 1 a\n#\nend"), STR("\0\0\0"));
}

static void no_begin(void **state)
{
    (void)state;
    struct buf out;
    bool encoded = true;
    buf_init(&out, 4096);
    decode(DIGEST_UUENCODE, STR("#0V%T\n`\nend\n"), 4, 64, &out, &encoded);
    assert_false(encoded);
    assert_int_equal(out.n, 0);
}

/* With the decoder that reads texts for the digest: what it encodes comes back. */
static void round_trips(void **state)
{
    (void)state;
    static const struct {
        GMimeContentEncoding theirs;
        enum digest_encoding ours;
    } kinds[] = {{GMIME_CONTENT_ENCODING_BASE64, DIGEST_BASE64},
                 {GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE, DIGEST_QP}};
    uint32_t seed = 12345;
    for (size_t n = 0; n < 1500; n = n < 40 ? n + 1 : n * 3 / 2) {
        char *bytes = malloc(n + 1);
        assert_non_null(bytes);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 24);
        }
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            GMimeEncoding e;
            g_mime_encoding_init_encode(&e, kinds[k].theirs);
            char *text = malloc(g_mime_encoding_outlen(&e, n) + 1);
            assert_non_null(text);
            size_t m = g_mime_encoding_flush(&e, bytes, n, text);
            is(kinds[k].ours, (struct str){text, m}, (struct str){bytes, n});
            free(text);
        }
        free(bytes);
    }
}

int main(void)
{
    g_mime_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(papers), cmocka_unit_test(damaged),
                                       cmocka_unit_test(no_begin), cmocka_unit_test(round_trips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
