// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Messages: every one has a digest that verifies and can be shown; so has its opaque form. */
#include <stdlib.h>

#include "codec/digest.h"
#include "codec/mime.h"
#include "codec/unwrap.h"
#include "ximss/email_xml.h"

static void show(struct str head, struct str body, size_t size)
{
    struct digest_head h;
    struct digest_body b;
    struct email_cursor c;
    struct buf out;
    enum err e = digest_verify(head, body, size);
    BUG_IF(e != ERR_OK);
    e = digest_head_open(&h, head);
    BUG_IF(e != ERR_OK);
    e = digest_body_open(&b, body);
    BUG_IF(e != ERR_OK);
    struct email_options o = {.limit = -1, .limit_max = EMAIL_INLINE_MAX};
    buf_init(&out, (size_t)256 << 20);
    e = email_begin(&c, &h, &b, &o);
    while (e == ERR_OK && (e = email_write(&c, &h, &b, NULL, &out, 65536)) == ERR_MORE)
        e = ERR_OK;
    BUG_IF(e != ERR_OK);
    buf_free(&out);
}

/* Inside of encoded messages too there is all of a part, header and body, where the digest says that it is. */
static void unwrap(struct str raw, struct str body)
{
    struct digest_body b;
    BUG_IF(digest_body_open(&b, body) != ERR_OK);
    for (uint32_t i = 0; i < b.count && i < 64; i++) {
        struct digest_part p = digest_part_at(&b, i);
        struct unwrap *u;
        uint64_t at = p.head_at, n = p.raw_at - p.head_at + (uint64_t)p.raw_n;
        enum err e = unwrap_open(&b, &p, &at, &n, &u);
        if (e == ERR_UNSUPPORTED)
            continue;
        BUG_IF(e != ERR_OK || at > raw.n || n > raw.n - at);
        struct str in = str_sub(raw, at, n);
        while (u != NULL && in.n != 0) {
            unwrap_feed(u, &in);
            u->rest = STR("");
        }
        if (u != NULL)
            unwrap_end(u);
        BUG_IF(u != NULL && !unwrap_through(u));
        free(u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct str raw = {(const char *)data, size};
    struct buf head, body;
    if (!ready)
        mime_init();
    ready = true;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    enum err e = mime_digest(raw, &mime_limits_default, &head, &body);
    BUG_IF(e != ERR_OK);
    show(buf_slice(&head), buf_slice(&body), size);
    unwrap(raw, buf_slice(&body));
    buf_clear(&head);
    buf_clear(&body);
    e = digest_opaque(raw, &head, &body);
    BUG_IF(e != ERR_OK);
    show(buf_slice(&head), buf_slice(&body), size);
    buf_free(&head);
    buf_free(&body);
    return 0;
}
