// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The two blobs as a damaged database or a bad helper could give them: u16 length of HEAD, HEAD, BODY. What opens must be
 * readable and printable without leaving it, in any slices, and give the same XML each time.
 */
#include <stdlib.h>

#include "codec/digest.h"
#include "ximss/email_xml.h"
#include "ximss/fields_xml.h"

static void write_in(const struct digest_head *h, const struct digest_body *b,
                     const struct email_options *o, size_t slice, struct buf *out)
{
    struct email_cursor c;
    if (email_begin(&c, h, b, o) != ERR_OK)
        return;
    enum err e;
    do {
        size_t before = out->n;
        e = email_write(&c, h, b, NULL, out, slice);
        BUG_IF(e == ERR_MORE && out->n == before);
    } while (e == ERR_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str all = {(const char *)data + 2, size - 2};
    size_t head_n = (size_t)data[0] | (size_t)data[1] << 8;
    struct str head = str_sub(all, 0, head_n), body = str_sub(all, head_n, all.n);
    struct digest_head h;
    struct digest_body b;
    bool verified = digest_verify(head, body, 1000) == ERR_OK;
    bool head_ok = digest_head_open(&h, head) == ERR_OK;
    bool body_ok = digest_body_open(&b, body) == ERR_OK;
    BUG_IF(verified && !(head_ok && body_ok));
    if (!head_ok)
        return 0;
    const struct str names[] = {STR("E-From"), STR("To"),           STR("Subject"), STR("Date"),
                                STR("Pty"),    STR("Content-Type"), STR("FLAGS")};
    const struct fields_meta meta = {.uid = 1};
    struct buf out, again;
    buf_init(&out, (size_t)64 << 20);
    buf_init(&again, (size_t)64 << 20);
    fields_row(&out, &h, names, ARRAY_LEN(names), &meta);
    buf_clear(&out);
    if (body_ok) {
        struct email_options o = {
            .limit = -1, .limit_max = EMAIL_INLINE_MAX, .text_only = size % 2 != 0};
        write_in(&h, &b, &o, 1, &out);
        write_in(&h, &b, &o, 1 << 20, &again);
        BUG_IF(!str_eq(buf_slice(&out), buf_slice(&again)));
        o.part_id = STR("02");
        write_in(&h, &b, &o, 100, &out);
    }
    buf_free(&out);
    buf_free(&again);
    return 0;
}
