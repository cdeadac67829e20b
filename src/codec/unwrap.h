// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * unwrap: the bytes of a part that stands inside of a message which is encoded as a whole (RFC 2045, 6.4 forbids it, real mail has
 * it, RFC 6532, 3.7 allows it), or inside of several, one in the other. Pure.
 *
 * A layer is such a message's body: what it is encoded in, and which piece of the decoded bytes is the next layer's body, or the
 * part itself behind the last one. Layers are base64 or quoted-printable: with them nothing grows.
 *
 *     unwrap_open(&body, &part, &at, &n, &u)
 *     while (there is input)            of the n bytes at `at` of the stored message
 *         unwrap_feed(u, &in);              takes some of it, once u->rest is used up
 *         … u->rest …                       is the caller's to take off
 *     unwrap_end(u), … u->rest …
 */
#include "codec/transfer.h"

#define UNWRAP_STEP 4096 /* bytes of input that a step takes */
#define UNWRAP_ROOM \
    8192 /* a step, and what DIGEST_DEPTH_MAX layers have kept of the steps before */

struct unwrap_layer {
    struct transfer t;
    uint64_t at, n;      /* of the decoded bytes */
    uint64_t skip, left; /* what of that is still to come */
};

struct unwrap {
    struct str rest; /* decoded, not taken yet */
    bool ended;
    uint32_t n;
    char room[2][UNWRAP_ROOM];
    struct unwrap_layer layer[];
};

/*
 * For the n bytes at *at of what part `p` stands in (codec/digest.h), its raw_at and raw_n for instance. Afterwards they say which
 * bytes of the stored message have to be read. *out: NULL when it stands in no such message, and the bytes are its own; free() frees
 * it. ERR_UNSUPPORTED: it stands in one in uuencode. ERR_NOMEM.
 */
enum err unwrap_open(const struct digest_body *b, const struct digest_part *p, uint64_t *at,
                     uint64_t *n, struct unwrap **out) CHECKED;
/* From the beginning again. */
void unwrap_rewind(struct unwrap *u);
/* Only while u->rest is empty. */
void unwrap_feed(struct unwrap *u, struct str *in);
/* No more comes. Only while u->rest is empty; does nothing the second time. */
void unwrap_end(struct unwrap *u);
/* All of the part has been decoded: what comes behind it need not be fed. */
bool unwrap_through(const struct unwrap *u);
