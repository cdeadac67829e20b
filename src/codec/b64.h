// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * b64: base64, standard alphabet (RFC 4648, section 4), as XIMSS uses it (protocol 1, 1.9).
 */
#include "base/buf.h"
#include "base/str.h"

/* Padded, in one line. A failure stays in the buffer (buf_err). */
void b64_encode(struct buf *to, struct str bytes);

/*
 * Appends what the text stands for. Blank, TAB, CR and LF may stand anywhere, padding may be
 * missing or cut short. ERR_SYNTAX: another character, one left over, or anything behind the
 * padding; the buffer is as it was. ERR_NOMEM: the buffer's cap or memory. Bits that fall off the
 * end are not looked at.
 */
enum err b64_decode(struct buf *to, struct str text) CHECKED;

/* Bytes that b64_encode() appends. */
static inline size_t b64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}
