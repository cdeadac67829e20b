// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * transfer: undoes a Content-Transfer-Encoding (RFC 2045, 6), in whatever pieces the body comes. Pure; for bodies that are too
 * large to stand in memory. What is not legal is passed over (base64: other characters) or passed on (quoted-printable: a "="
 * that means nothing); padding inside base64 ends a group and nothing else.
 *
 *     transfer_init(&t, how);
 *     while (there is input)
 *         n = transfer_feed(&t, &in, out, room);     n bytes of out; all of `in` was used, or room has become too small
 *     n = transfer_finish(&t, out);
 */
#include "codec/digest.h"

/* With less room nothing is done; never does a step give more. */
#define TRANSFER_STEP 64

struct transfer {
    enum digest_encoding how;
    bool begun, ended; /* uuencode: the lines between "begin" and "end" */
    uint8_t state;     /* base64: characters in `bits`; quoted-printable: what of "=XY" has come */
    uint8_t n;         /* of `line`; uuencode needs no more of a line */
    uint32_t bits;
    char line[86];
};

void transfer_init(struct transfer *t, enum digest_encoding how);
/* Takes *in off as far as it was used. Returns how many bytes of `out` were written. */
size_t transfer_feed(struct transfer *t, struct str *in, char *out, size_t room);
/* At the end of the input: the last bytes, TRANSFER_STEP at most. */
size_t transfer_finish(struct transfer *t, char *out);
/* After transfer_finish(): was it encoded at all? uuencode without "begin" was not: the body is what came in. */
bool transfer_was_encoded(const struct transfer *t);
