// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime: a message of RFC 5322 and 2045-2049 to its digest (codec/digest.h). For the helper alone: here, and in the mime_*
 * files, foreign libraries (GMime, iconv, libxml2's HTML parser) open hostile formats.
 *
 * mime_init() must be called while files can still be opened: it loads the charset converters. mime_digest() opens
 * nothing afterwards, keeps nothing between calls, and is linear in the size of the message (times the nesting, which is limited).
 */
#include "base/buf.h"

struct mime_limits {
    uint32_t depth; /* levels of parts, the root is the first; deeper: parseError="too complex" */
    uint32_t parts; /* parts of a message; more: the same */
    uint32_t
        elements; /* header elements of one message, an address field counts its addresses; more are dropped */
    uint32_t params;     /* parameters of one field */
    size_t header_bytes; /* header text of one message or part */
    size_t
        text; /* longest decoded text of one part that is kept: over it the part is shown without a body */
};

/* The values of protocol 2, 6.2, 6.5 and 14: 20, 1000, 1000, 200, 256 KiB, 10 MiB. */
extern const struct mime_limits mime_limits_default;

void mime_init(void);

/*
 * Appends the two blobs. Any bytes give a digest; ERR_TOO_LONG: over 1 GiB; ERR_NOMEM: a blob went over its buffer's
 * cap (then the caller takes digest_opaque()).
 */
enum err mime_digest(struct str raw, const struct mime_limits *limits, struct buf *head,
                     struct buf *body) CHECKED;
