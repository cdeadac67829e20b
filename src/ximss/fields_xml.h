// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * fields_xml: header fields as XML elements: those of a folder's row (protocol 2, 1.7) and the pieces that email_xml shares.
 */
#include "codec/digest.h"
#include "codec/zone.h"

/* May this be asked for in `field`? A legal XML name: letter or '_', then letters, digits, '.', '-', '_' (else 502). 255 bytes at most. */
bool fields_name_ok(struct str name);

/* What a row knows that is not in the header. */
struct fields_meta {
    struct str flags; /* as of 1.6: "Seen,Flagged"; may be empty */
    uint32_t uid;
    int64_t internal_date; /* Unix seconds */
    uint64_t size;
    const struct zone *zone; /* of local times; NULL: the server's */
};

/*
 * Appends the elements of one row, in the order of `names` and in their spelling. Absent headers give nothing; FLAGS, UID, INTERNALDATE
 * and Size are always there. BODY and TEXT give nothing. Names that are not fields_name_ok() give nothing.
 */
void fields_row(struct buf *out, const struct digest_head *h, const struct str *names,
                uint32_t count, const struct fields_meta *m);

/* <name realName="…">address</name> */
void fields_address(struct buf *out, struct str name, const struct digest_address *a);
/* <name timeShift="…" localTime="…">…Z</name>; anything but DIGEST_DATE: <name>text</name>. */
void fields_date(struct buf *out, struct str name, const struct digest_field *f,
                 const struct zone *zone);
/* "High", "Low", or "" for normal. */
struct str fields_priority(const struct digest_fields *f);
