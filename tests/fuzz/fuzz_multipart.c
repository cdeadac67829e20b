// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Bodies of multipart/form-data: a line with the Content-Type, then the body. In whatever pieces it comes, the same parts come
 * out; names are UTF-8; no data hold a line that begins with the boundary; memory stays within its caps.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct multipart *m)
{
    BUG_IF(m->name.p == NULL || !utf8_valid(m->name) || !utf8_valid(m->filename));
    BUG_IF(!utf8_valid(m->type) || m->parts > MULTIPART_PARTS_MAX);
    BUG_IF(m->head.n > MULTIPART_HEAD_MAX || m->text.held > m->text.cap);
}

/* `data` is that of one part. */
static void check_data(const struct multipart *m, struct str data)
{
    const char *p = data.n != 0 ? memmem(data.p, data.n, m->mark, m->mark_n) : NULL;
    BUG_IF(p != NULL || str_starts(data, (struct str){m->mark + 2, (size_t)m->mark_n - 2}));
}

/* Everything that happens, in a form that does not depend on the pieces. */
static enum err play(struct str type, struct str body, size_t size, struct buf *log)
{
    struct multipart m;
    struct str piece;
    size_t start = 0;
    enum err e = multipart_init(&m, type);
    if (e != ERR_OK)
        return e;
    while (body.n != 0) {
        struct str in = str_sub(body, 0, size);
        enum multipart_event ev;
        body = str_sub(body, in.n, body.n);
        while ((ev = multipart_feed(&m, &in, &piece)) != MULTIPART_MORE && ev != MULTIPART_BAD) {
            if (ev == MULTIPART_PART) {
                check_part(&m);
                buf_printf(log, "[%.*s|%.*s|%.*s|", STR_FMT(m.name), STR_FMT(m.filename),
                           STR_FMT(m.type));
                start = log->n;
            } else if (ev == MULTIPART_DATA) {
                BUG_IF(piece.n == 0);
                buf_str(log, piece);
            } else if (ev == MULTIPART_PART_END) {
                check_data(&m, str_sub(buf_slice(log), start, log->n));
                buf_char(log, ']');
            } else {
                buf_char(log, '.');
            }
        }
        BUG_IF(ev == MULTIPART_MORE && in.n != 0);
    }
    e = multipart_finish(&m);
    multipart_free(&m);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = {(const char *)data, size}, type;
    struct buf want, got;
    if (!str_split(&body, '\n', &type))
        return 0;
    buf_init(&want, 4 * size + 1024);
    buf_init(&got, 4 * size + 1024);
    enum err e = play(type, body, SIZE_MAX, &want);
    for (size_t piece = 1; piece < size && piece < 60; piece += 1 + piece / 3) {
        buf_clear(&got);
        BUG_IF(play(type, body, piece, &got) != e);
        BUG_IF(!str_eq(buf_slice(&want), buf_slice(&got)));
    }
    buf_free(&want);
    buf_free(&got);
    return 0;
}
