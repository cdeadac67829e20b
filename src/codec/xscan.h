// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xscan: root tag and `id` of a message in one pass, without libxml2 (design 2.2).
 *
 * xscan_start() is strict: for whatever it finds, libxml2 finds the same or refuses the message,
 * and a message that it calls simple is never refused (fuzz_xscan compares the two). It takes what
 * frame_next() called ERR_OK. xscan_rescue() is the opposite: it guesses, in bytes that no parser
 * accepts, so that the error can carry the request's id (protocol 1, 1.7).
 *
 * All slices lie in the message.
 */
#include "base/str.h"

#define XSCAN_SIMPLE_ATTRS 16 /* a message with more attributes is not called simple */

struct xscan {
    struct str name; /* root tag as written; .p == NULL: could not be made out */
    struct str id;   /* value of the first attribute whose name is id in any case, as written; .p ==
                        NULL: none */
    uint32_t nattrs; /* attributes of the root; right only if simple */
    bool id_plain; /* id holds printable ASCII and no reference: xscan_decode() would give the same
                      bytes */
    bool simple; /* the whole message is <name a="b" .../>, all values printable ASCII without & and
                    <, with single or double quotes, no colon in a name, no two attributes of one
                    name */
};

void xscan_start(struct str msg, struct xscan *out);

/* Name and id only; simple is false. An id that xscan_decode() refuses is left out. */
void xscan_rescue(struct str bytes, struct xscan *out);

/*
 * Undoes the escapes of an attribute value as an XML parser does: five entities, character
 * references, TAB CR LF to blanks. `to` has room for raw.n bytes (the result is never longer); it
 * may not overlap raw. ERR_SYNTAX: not the value of an attribute (bad reference, malformed UTF-8, a
 * character that XML forbids, <).
 */
enum err xscan_decode(struct str raw, char *to, size_t *n) CHECKED;
