// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime_scan: where things are in a message: header lines (RFC 5322, 2.2) and the parts of a multipart (RFC 2046, 5.1.1).
 * Slices of the input only, no memory, one look at each byte; lines end with CRLF or LF.
 *
 * We cut ourselves, and GMime only reads values, because its tree does not tell where multiparts and embedded
 * messages lie in the stored bytes, and because exact limits are simpler here.
 */
#include "base/str.h"

struct header_scan {
    struct str in;
    size_t at;     /* after the last call: where the body begins */
    size_t budget; /* bytes of header lines that are still handed out; the rest is stepped over */
    bool ended;
};

/* `budget`: most bytes of header lines (protocol 2, 6.2: 256 KiB). */
void header_scan_init(struct header_scan *h, struct str in, size_t budget);
/*
 * Next field: name as spelled, value still folded, without the line end. Lines that are no field end the header, and belong to
 * the body, as mail programs are used to; lines "From " (mbox), lines without a name and a first
 * line that is a continuation are skipped. false: the header has ended.
 */
bool header_next(struct header_scan *h, struct str *name, struct str *value);

struct part_scan {
    struct str in; /* body of the multipart */
    struct str boundary;
    size_t at;   /* where the next part begins */
    bool open;   /* there is a next part */
    bool closed; /* the closing delimiter was seen */
};

/* Steps over the preamble. `boundary` without leading "--"; not empty. */
void part_scan_init(struct part_scan *s, struct str in, struct str boundary);
/* Next part without its delimiters and the line end before the one that ends it. */
bool part_next(struct part_scan *s, struct str *part);
