// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * email_xml: writes the XML form of a message, `<EMail>…</EMail>` (protocol 2, section 6), from its digest. No MIME is
 * parsed here and nothing is kept: a long message is written in pieces, the place is in the cursor.
 *
 *     digest_head_open(&h, …); digest_body_open(&b, …);
 *     email_begin(&c, &h, &b, &how);          // ERR_PART_MISSING before anything is written
 *     while (email_write(&c, &h, &b, zone, out, 65536) == ERR_MORE) … send out, go on later with the same blobs …
 *
 * Differences from section 6, all to end with their issues: calendar, vCard and XML parts are plain text parts.
 */
#include "codec/digest.h"
#include "codec/zone.h"

#define EMAIL_INLINE_MAX \
    ((uint64_t)10 << 20) /* the server's cap of totalSizeLimit (protocol 2, 6.5) */

struct email_options {
    struct str part_id; /* .p == NULL: the whole message */
    int64_t limit;      /* totalSizeLimit; negative: the server's cap */
    uint64_t limit_max; /* the server's cap; EMAIL_INLINE_MAX */
    bool unreadable;    /* the body could not be read: the parts say so (readError) */
    bool
        text_only; /* mode="text" (protocol 2, 5.6): of the bodies only text/plain, or HTML as text when there is nothing else */
};

/* Copyable, no pointers: fits into a request's cursor. */
struct email_cursor {
    uint64_t budget;     /* bytes of bodies that may still come */
    uint32_t first, end; /* parts to write: first … end-1 */
    uint32_t part;       /* where we are */
    uint32_t list, field, item;
    uint32_t text_at;
    uint8_t stage;
    bool text_only;
    bool unreadable;
    bool inner;         /* the header is that of the message part before `first` */
    bool opened;        /* the element of the field at hand is open */
    bool recipient;     /* <recipient> is open */
    bool priority_done; /* Pty of this header is written */
};
_Static_assert(sizeof(struct email_cursor) <= 64, "fits into req->cursor (design 2.1)");

/* ERR_PART_MISSING: no such partID. */
enum err email_begin(struct email_cursor *c, const struct digest_head *h,
                     const struct digest_body *b, const struct email_options *o) CHECKED;

/*
 * Appends what comes next; ERR_MORE when at least `slice` bytes were appended (a few hundred more are possible) and something is left;
 * ERR_OK: `</EMail>` is written; ERR_NOMEM: the buffer is full. The digest must be the same at each call. zone: of the
 * reader's local times; NULL: the server's.
 */
enum err email_write(struct email_cursor *c, const struct digest_head *h,
                     const struct digest_body *b, const struct zone *zone, struct buf *out,
                     size_t slice) CHECKED;
