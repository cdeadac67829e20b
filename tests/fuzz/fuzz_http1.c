// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * http1: the same bytes in different pieces are read as the same requests; what was read, written down anew with Content-Length, is
 * read as the same again; a reply's field never has a line end in it. The first byte chooses the limits, the second the pieces.
 */
#include <stdlib.h>

#include "codec/http1.h"
#include "codec/http1out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_head(const struct http1_request *r, struct buf *out)
{
    BUG_IF(r->minor > 1 || r->count > HTTP1_TOP_FIELDS || (r->chunked && r->length >= 0));
    BUG_IF(r->path.n == 0 || (r->path.p[0] != '/' && !str_eq(r->path, STR("*"))));
    BUG_IF(r->minor == 1 && http1_field(r, "host").p == NULL);
    BUG_IF(r->expect_continue && !r->chunked && r->length <= 0);
    buf_printf(out, "%.*s %.*s|%.*s|%.*s %d %d %d ", STR_FMT(r->method_name), STR_FMT(r->path),
               STR_FMT(r->query), STR_FMT(r->host), r->minor, r->keep_alive, r->expect_continue);
    for (unsigned i = 0; i < r->count; i++) {
        const struct http1_field *f = &r->fields[i];
        struct str value = str_sub(r->head, f->value_at, f->value_n);
        BUG_IF(f->name_n == 0 || f->name_at + f->name_n > r->head.n || value.n != f->value_n);
        BUG_IF(str_find(value, '\n') != value.n || str_find(value, '\r') != value.n ||
               str_find(value, 0) != value.n);
        buf_printf(out, "%.*s=%.*s;", STR_FMT(str_sub(r->head, f->name_at, f->name_n)),
                   STR_FMT(value));
    }
}

/* A complete request, as somebody would write it who knows only what was read. */
static void write_again(const struct http1_request *r, struct str body, struct buf *out)
{
    buf_printf(out, "%.*s %.*s HTTP/1.%d\r\n", STR_FMT(r->method_name), STR_FMT(r->target),
               r->minor);
    for (unsigned i = 0; i < r->count; i++) {
        struct str name = str_sub(r->head, r->fields[i].name_at, r->fields[i].name_n);
        if (str_ieq(name, STR("content-length")) || str_ieq(name, STR("transfer-encoding")))
            continue;
        buf_printf(out, "%.*s:%.*s\r\n", STR_FMT(name),
                   STR_FMT(str_sub(r->head, r->fields[i].value_at, r->fields[i].value_n)));
    }
    buf_printf(out, "Content-Length: %zu\r\n\r\n", body.n);
    buf_str(out, body);
}

struct notes {
    struct buf text; /* what was read; bodies and refusals too */
    struct buf body;
    struct buf again;
};

static bool note(struct http1 *h, enum http1_event e, struct str piece, struct notes *n)
{
    switch (e) {
    case HTTP1_HEAD:
        buf_clear(&n->body);
        note_head(http1_request(h), &n->text);
        return true;
    case HTTP1_BODY:
        BUG_IF(piece.n == 0);
        buf_str(&n->body, piece);
        return true;
    case HTTP1_DONE:
        BUG_IF(http1_request(h)->length >= 0 && (uint64_t)http1_request(h)->length != n->body.n);
        buf_printf(&n->text, "[%.*s]\n", STR_FMT(buf_slice(&n->body)));
        write_again(http1_request(h), buf_slice(&n->body), &n->again);
        buf_clear(&n->body);
        http1_next(h);
        return true;
    case HTTP1_BAD:
        BUG_IF(http1out_reason(http1_status(h))[0] == 0 || http1_why(h) == NULL);
        buf_printf(&n->text, "<%.*s> %d %s\n", STR_FMT(buf_slice(&n->body)), http1_status(h),
                   http1_why(h));
        return false;
    case HTTP1_MORE:
        return false;
    }
    return false;
}

/* In pieces of first, first + more, first + 2 more, ... bytes. */
static void run(const struct http1_limits *limits, struct str in, size_t first, size_t more,
                struct notes *n)
{
    struct http1 *h = http1_new(limits);
    BUG_IF(h == NULL);
    buf_clear(&n->text);
    buf_clear(&n->body);
    buf_clear(&n->again);
    for (size_t at = 0, step = first; at < in.n && http1_status(h) == 0; step += more) {
        struct str s = str_sub(in, at, step), piece;
        at += s.n;
        for (;;) {
            const char *before = s.p;
            enum http1_event e = http1_feed(h, &s, &piece);
            BUG_IF(e == HTTP1_BODY && (piece.p < before || piece.p + piece.n != s.p));
            BUG_IF(e == HTTP1_MORE && s.n != 0);
            if (!note(h, e, piece, n) || (e == HTTP1_DONE && s.n == 0))
                break;
        }
    }
    if (http1_status(h) == 0)
        buf_printf(&n->text, "<%.*s> %d\n", STR_FMT(buf_slice(&n->body)), http1_begun(h));
    http1_free(&h);
}

static void init(struct notes *n, size_t size)
{
    buf_init(&n->text, 64 * size + 4096);
    buf_init(&n->body, size + 1);
    buf_init(&n->again, 64 * size + 4096);
}

static void done(struct notes *n)
{
    buf_free(&n->text);
    buf_free(&n->body);
    buf_free(&n->again);
}

/* What is written again is read as the same, in the order of the requests: framing and keeping no longer depend on each other. */
static void check_again(const struct http1_limits *limits, const struct notes *n, size_t size)
{
    struct http1_limits wide = {HTTP1_TOP_HEAD, HTTP1_TOP_HEAD, HTTP1_TOP_FIELDS, limits->body};
    struct notes second;
    init(&second, 64 * size + 4096);
    run(&wide, buf_slice(&n->again), SIZE_MAX, 0, &second);
    BUG_IF(!str_eq(buf_slice(&second.again), buf_slice(&n->again)));
    done(&second);
}

static void check_reply(struct str value)
{
    struct buf out;
    buf_init(&out, value.n + 16);
    if (http1out_field(&out, "X", value) == ERR_OK) {
        struct str line = buf_slice(&out);
        BUG_IF(str_find(line, '\n') != line.n - 1 || str_find(line, '\r') != line.n - 2);
    } else {
        BUG_IF(out.n != 0);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http1_limits small = {.head = 64, .target = 8, .fields = 2, .body = 9};
    if (size < 2 || size > 40000)
        return 0;
    const struct http1_limits *limits = (data[0] & 1) != 0 ? &small : &http1_limits_default;
    struct str in = {(const char *)data + 2, size - 2};
    struct notes whole, pieces;
    init(&whole, size);
    init(&pieces, size);
    run(limits, in, SIZE_MAX, 0, &whole);
    BUG_IF(buf_err(&whole.text) != ERR_OK || buf_err(&whole.again) != ERR_OK);
    const size_t steps[][2] = {{1, 0}, {1U + data[1] % 64U, 0}, {1 + data[1], 1}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        run(limits, in, steps[i][0], steps[i][1], &pieces);
        BUG_IF(!str_eq(buf_slice(&whole.text), buf_slice(&pieces.text)));
        BUG_IF(!str_eq(buf_slice(&whole.again), buf_slice(&pieces.again)));
    }
    check_again(limits, &whole, size);
    check_reply(in);
    done(&whole);
    done(&pieces);
    return 0;
}
