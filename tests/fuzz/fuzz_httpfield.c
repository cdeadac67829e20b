// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Values of HTTP fields. A range lies within; what Basic gives is UTF-8 without control characters; a name becomes one field in
 * ASCII with two quotes; an origin that a list of one has is in it in capitals, too.
 */
#include "base/utf8.h"
#include "codec/filename.h"
#include "codec/httpfield.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(struct str in)
{
    static const uint64_t sizes[] = {0, 1, 500, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t from = 0, n = 0;
        if (httpfield_range(in, sizes[i], &from, &n) == HTTP_RANGE_ONE)
            BUG_IF(n == 0 || from >= sizes[i] || n > sizes[i] - from);
    }
}

static void check_basic(struct str in, struct buf *b)
{
    struct str user, password;
    buf_clear(b);
    if (httpfield_basic(in, b, &user, &password) != ERR_OK) {
        BUG_IF(b->n != 0);
        return;
    }
    BUG_IF(!utf8_valid(user) || !utf8_valid(password) || str_find(user, ':') != user.n);
    BUG_IF(user.n + password.n + 1 > HTTP_BASIC_MAX);
    for (size_t i = 0; i < b->n; i++)
        BUG_IF((unsigned char)b->p[i] < 0x20);
}

static void check_name(struct str in, struct buf *b)
{
    buf_clear(b);
    filename_clean(b, in);
    BUG_IF(buf_err(b) != ERR_OK || b->n == 0 || b->n > FILENAME_MAX_BYTES);
    BUG_IF(!utf8_valid(buf_slice(b)) || str_find(buf_slice(b), '/') != b->n);
    buf_clear(b);
    httpfield_disposition(b, in.n % 2 == 0, in);
    size_t quotes = 0;
    for (size_t i = 0; i < b->n; i++) {
        BUG_IF(b->p[i] < 0x20 || b->p[i] == 0x7f);
        quotes += b->p[i] == '"';
    }
    BUG_IF(buf_err(b) != ERR_OK || quotes != 2);
}

static void check_origin(struct str in, struct buf *b)
{
    buf_clear(b);
    for (size_t i = 0; i < in.n; i++)
        buf_char(b, (char)(in.p[i] >= 'a' && in.p[i] <= 'z' ? in.p[i] - 32 : in.p[i]));
    if (!str_eq(in, STR("*")))
        BUG_IF(httpfield_origin(in, in) != httpfield_origin(buf_slice(b), in));
    BUG_IF(httpfield_origin(STR("null"), in) && str_find(in, '*') == in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct buf b;
    buf_init(&b, size + 4096);
    check_range(in);
    check_basic(in, &b);
    check_name(in, &b);
    check_origin(in, &b);
    struct str value = httpfield_cookie(in, STR("a"));
    BUG_IF(value.p != NULL && str_find(value, ';') != value.n);
    struct str media = httpfield_media(in);
    BUG_IF(media.p != NULL && str_find(media, '/') == media.n);
    buf_free(&b);
    return 0;
}
