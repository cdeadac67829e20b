// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "http1_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void tell_head(const struct http1_request *r, struct buf *out)
{
    static const char *const methods[] = {"other", "GET", "HEAD", "POST", "OPTIONS"};
    buf_printf(out, "HEAD %s", methods[r->method]);
    if (r->method == HTTP1_M_OTHER)
        buf_printf(out, "(%.*s)", STR_FMT(r->method_name));
    buf_printf(out, " %.*s", STR_FMT(r->path));
    if (r->query.p != NULL)
        buf_printf(out, " ?%.*s", STR_FMT(r->query));
    buf_printf(out, " host=%.*s 1.%d", STR_FMT(r->host), r->minor);
    if (r->length >= 0)
        buf_printf(out, " length=%lld", (long long)r->length);
    buf_printf(out, "%s%s%s\n", r->chunked ? " chunked" : "", r->keep_alive ? " keep" : "",
               r->expect_continue ? " expect" : "");
}

/* false: nothing more is to be had of this piece. */
static bool tell(struct http1 *h, struct str *in, bool *body, struct buf *out)
{
    struct str piece;
    enum http1_event e = http1_feed(h, in, &piece);
    assert_true(e == HTTP1_BODY ? piece.n != 0 : piece.p == NULL);
    if (e == HTTP1_BODY) {
        if (!*body)
            buf_lit(out, "BODY ");
        *body = true;
        buf_str(out, piece);
        return true;
    }
    if (*body && (e == HTTP1_DONE || e == HTTP1_BAD)) {
        buf_char(out, '\n');
        *body = false;
    }
    if (e == HTTP1_HEAD)
        tell_head(http1_request(h), out);
    if (e == HTTP1_DONE) {
        buf_lit(out, "DONE\n");
        http1_next(h);
    }
    if (e == HTTP1_BAD) {
        buf_printf(out, "BAD %d %s\n", http1_status(h), http1_why(h));
        struct str was = *in;
        assert_int_equal(http1_feed(h, in, &piece), HTTP1_BAD);
        assert_true(was.p == in->p && was.n == in->n);
    }
    if (e == HTTP1_MORE)
        assert_int_equal(in->n, 0);
    return e == HTTP1_HEAD || (e == HTTP1_DONE && in->n != 0);
}

void http1_run(const struct http1_limits *limits, struct str in, size_t first, size_t step,
               struct buf *out)
{
    struct http1 *h = http1_new(limits);
    bool body = false, begun = false;
    assert_non_null(h);
    for (size_t at = 0, n = first; at < in.n; at += n, n = step) {
        struct str piece = str_sub(in, at, n);
        while (tell(h, &piece, &body, out))
            ;
        begun = http1_begun(h);
        if (http1_status(h) != 0)
            break;
    }
    if (body)
        buf_char(out, '\n');
    if (begun && http1_status(h) == 0)
        buf_lit(out, "MORE\n");
    http1_free(&h);
    assert_null(h);
    assert_int_equal(buf_err(out), ERR_OK);
}

const char *http1_run_all(const struct http1_limits *limits, struct str in, struct buf *out)
{
    struct buf other;
    buf_init(&other, SIZE_MAX / 2);
    buf_clear(out);
    http1_run(limits, in, in.n, in.n, out);
    for (size_t cut = 0; cut <= in.n; cut++) {
        buf_clear(&other);
        http1_run(limits, in, cut != 0 ? cut : 1, cut != 0 ? in.n : 1, &other);
        assert_true(str_eq(buf_slice(out), buf_slice(&other)));
    }
    buf_free(&other);
    buf_char(out, 0);
    out->n--;
    return out->p;
}
