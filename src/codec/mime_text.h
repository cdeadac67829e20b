// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime_text: bodies of parts: transfer encodings undone (RFC 2045, 6; uuencode), sizes, HTML to plain text. Helper only.
 */
#include "base/buf.h"
#include "codec/digest.h"

/* The value of Content-Transfer-Encoding, as mail programs misspell it too. */
enum digest_encoding mime_encoding(struct str unfolded);

/* estimatedSize of a body (protocol 2, 6.3). */
uint32_t mime_estimate(enum digest_encoding how, struct str raw);

/* Appends the decoded bytes, as good as they can be had. Returns "" or what is wrong, for parseError. */
const char *mime_transfer_decode(enum digest_encoding how, struct str raw, struct buf *out);
/* The same for a message: byte for byte as whoever fetches one of its parts will decode it (codec/unwrap.h). */
const char *mime_message_decode(enum digest_encoding how, struct str raw, struct buf *out);

/* HTML (clean UTF-8) to text (protocol 2, appendix B), read by libxml2's forgiving parser without network or entities. */
void mime_html_text(struct str html, struct buf *out);
