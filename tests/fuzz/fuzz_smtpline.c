// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* LMTP lines and data: any cut of the bytes gives the same message, and a naive model finds the same end. */
#include <stdlib.h>

#include "codec/smtpline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What RFC 5321 4.5.2 says, one line after the other. Returns the bytes used, or 0 when there is no end. */
static size_t model(struct str in, struct buf *out)
{
    size_t at = 0;
    for (;;) {
        size_t end = at;
        while (end + 1 < in.n && !(in.p[end] == '\r' && in.p[end + 1] == '\n'))
            end++;
        if (end + 1 >= in.n)
            return 0;
        struct str line = str_sub(in, at, end - at);
        at = end + 2;
        if (str_eq(line, STR(".")))
            return at;
        if (line.n != 0 && line.p[0] == '.')
            line = str_sub(line, 1, line.n);
        buf_str(out, line);
        buf_lit(out, "\r\n");
    }
}

static size_t feed(struct str in, size_t piece, struct buf *out)
{
    struct smtp_data d;
    size_t at = 0;
    smtp_data_init(&d);
    while (at < in.n) {
        struct str part = str_sub(in, at, piece);
        size_t n = part.n;
        if (smtp_data_feed(&d, &part, out))
            return at + n - part.n;
        at += n;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size}, line, rest;
    struct smtp_path path;
    struct buf want, got;
    buf_init(&want, size * 2 + 16);
    buf_init(&got, size * 2 + 16);
    size_t end = model(in, &want);
    for (size_t piece = 1; piece <= size && piece < 40; piece += 1 + piece / 3) {
        buf_clear(&got);
        BUG_IF(feed(in, piece, &got) != end);
        BUG_IF(end != 0 && !str_eq(buf_slice(&got), buf_slice(&want)));
    }
    buf_free(&want);
    buf_free(&got);
    for (;;) {
        enum err e = smtpline_next(&in, &line);
        if (e != ERR_OK && e != ERR_SYNTAX)
            return 0;
        BUG_IF(line.n + 2 > SMTPLINE_MAX);
        (void)smtpline_verb(line, &rest);
        if (smtp_path_parse(rest, true, &path) == ERR_OK)
            BUG_IF(path.address.n > SMTPPATH_MAX);
        (void)!smtp_path_parse(rest, false, &path);
    }
}
