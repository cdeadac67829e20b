// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * digest: a parsed message as two flat blobs, HEAD and BODY (design 4, Messages).
 *
 * Made once, at delivery: by codec/mime in a helper, or by digest_opaque() when nothing could parse the message. Stored
 * beside the message. The keeper answers rows and sorts from HEAD and reads messages from HEAD and BODY; no MIME code runs there.
 *
 * Nobody trusts a blob. digest_head_open() and digest_body_open() check every offset, length and count and the nesting, so
 * that nothing below leaves the blob; digest_verify() checks the rest (UTF-8, characters that XML allows, offsets into
 * the message) and is called once, on what a helper sent. Slices handed out point into the blob and live as long
 * as it. Numbers in blobs are little-endian. Sizes and offsets are below 2^32 (a message is far smaller).
 *
 * Reading:   struct digest_head h;  if (digest_head_open(&h, blob) == ERR_OK) …
 *            struct digest_field f; if (digest_fields_first(&h.fields, STR("Subject"), &f)) … f.text …
 */
#include "base/buf.h"
#include "base/str.h"

#define DIGEST_FIELDS_MAX 1000 /* fields of one list (protocol 2, 6.2: header elements) */
#define DIGEST_PARTS_MAX  4000 /* parts of a message; mime_limits is lower */
#define DIGEST_DEPTH_MAX  64   /* nesting of parts; mime_limits is lower */
#define DIGEST_BLOB_MAX   ((size_t)512 << 20)

enum digest_field_kind {
    DIGEST_TEXT,        /* decoded, unfolded, trimmed; also a date that cannot be read as one */
    DIGEST_ADDRESSES,   /* the address fields of protocol 2, 6.2 */
    DIGEST_DATE,        /* Date, Resent-Date */
    DIGEST_RETURN_PATH, /* text = address without < > */
};

struct digest_field {
    struct str name; /* as the message spells it */
    enum digest_field_kind kind;
    struct str
        text; /* UTF-8; for DIGEST_ADDRESSES the decoded header text, for DIGEST_DATE the raw one; may be left out ("") */
    struct str list; /* DIGEST_ADDRESSES: for digest_address_next() */
    int64_t when;    /* DIGEST_DATE: Unix seconds */
    int32_t shift;   /* DIGEST_DATE: the sender's offset from UTC in seconds */
};

enum digest_address_kind {
    DIGEST_MAILBOX,     /* members of groups too */
    DIGEST_EMPTY_GROUP, /* name = the group's, address = "" */
    DIGEST_RAW_ADDRESS, /* syntax error: address = the raw decoded text */
};

struct digest_address {
    enum digest_address_kind kind;
    struct str name; /* decoded; "" when there is none (or it equals the address) */
    struct str address;
};

enum digest_priority { DIGEST_NORMAL, DIGEST_HIGH, DIGEST_LOW };

/* A list of header fields, in message order. */
struct digest_fields {
    struct str blob;
    uint32_t count;
    enum digest_priority priority; /* protocol 2, 1.7 `Pty` */
};

struct digest_head {
    struct digest_fields fields; /* all of them, Content-* and priority fields too */
    struct str type, subtype;    /* of the whole message, lower case, text/plain when not said */
    uint64_t size;               /* of the message in bytes */
};

/* ERR_SYNTAX: not a HEAD blob, or a damaged one. */
enum err digest_head_open(struct digest_head *h, struct str blob) CHECKED;

/* Field number i (0 … count-1). */
struct digest_field digest_fields_at(const struct digest_fields *f, uint32_t i);
/* First field of that name, without regard to case. */
bool digest_fields_first(const struct digest_fields *f, struct str name, struct digest_field *out);
/* All of that name: *from = 0 at first, then call until false. */
bool digest_fields_next(const struct digest_fields *f, struct str name, uint32_t *from,
                        struct digest_field *out);
/* Takes the first address off *list (a copy of field.list); false when there is none left. */
bool digest_address_next(struct str *list, struct digest_address *out);
/*
 * The display form of an address field (protocol 2, 1.7): names, or the address where there is none, joined by ", ".
 * Any other field: its text; a date: nothing.
 */
void digest_display(const struct digest_field *f, struct buf *out);
/* Is this one of the address fields of protocol 2, 6.2? Its canonical spelling, or STR_NONE. */
struct str digest_address_name(struct str name);
/* Canonical spelling of the names of protocol 2, 6.2 and 1.7; any other name as it is. */
struct str digest_canonical(struct str name);
/* X-Priority, Importance, Priority, X-MSMail-Priority. */
bool digest_is_priority(struct str name);

/* ---- BODY ---- */

enum digest_part_kind {
    DIGEST_LEAF,      /* not text: no body in XML */
    DIGEST_TEXT_PART, /* text: `text` is the body */
    DIGEST_MULTIPART, /* children follow */
    DIGEST_MESSAGE, /* message/rfc822, message/global: one child, the inner root; `lists` holds its one field list */
    DIGEST_HEADERS, /* text/rfc822-headers: `lists` holds one field list */
    DIGEST_REPORT, /* delivery-status, disposition-notification: `lists` holds a list for each block */
};

enum digest_encoding {
    DIGEST_7BIT, /* 7bit, 8bit, binary, unknown: as it is */
    DIGEST_BASE64,
    DIGEST_QP,
    DIGEST_UUENCODE,
};

struct digest_part {
    uint32_t index;  /* depth-first, root = 0 */
    uint32_t parent; /* index; the root's is 0 */
    uint32_t next;   /* index of the first part behind this one's subtree */
    uint32_t depth;  /* root = 0 */
    enum digest_part_kind kind;
    enum digest_encoding encoding;
    uint32_t estimated; /* estimatedSize */
    /*
     * Where the part's own header begins, and its encoded body without the line end that belongs to the boundary: in the stored
     * message; or, inside of a message that is itself encoded in base64 or quoted-printable, in that one's decoded body
     * (codec/unwrap.h). Unknown, inside of one in uuencode: the place of that one's body, without a header.
     */
    uint32_t head_at, raw_at, raw_n;
    bool
        has_plain; /* of text/html: stands beside a text/plain alternative, so mode="text" leaves it out */
    struct str type, subtype, charset, content_id, disposition, description, location, klass;
    struct str part_id;                         /* protocol 2, 6.4; "" for multipart roots */
    struct str parse_error;                     /* "" when there is none */
    struct str type_params, disposition_params; /* for digest_param_next() */
    struct str text;                            /* DIGEST_TEXT_PART: decoded UTF-8, line ends LF */
    struct str plain; /* of text/html without has_plain: its text form (protocol 2, appendix B) */
    struct str lists; /* for digest_lists_next() */
};

struct digest_body {
    struct str blob;
    uint32_t count; /* parts, 1 or more */
};

/* ERR_SYNTAX as above. */
enum err digest_body_open(struct digest_body *b, struct str blob) CHECKED;
/* Part number i (0 … count-1). */
struct digest_part digest_part_at(const struct digest_body *b, uint32_t i);
/*
 * The part of that partID: "02-01"; one-digit numbers and '.' as separator are understood (protocol 2, 6.4). false: none, also
 * for text that is no partID.
 */
bool digest_part_find(const struct digest_body *b, struct str part_id, struct digest_part *out);
/* Next parameter of *params (a copy of part.…_params): name in lower case, value decoded. */
bool digest_param_next(struct str *params, struct str *name, struct str *value);
/* Next field list of *lists (a copy of part.lists). */
bool digest_lists_next(struct str *lists, struct digest_fields *out);

/*
 * Everything that open() does not check, over both blobs: sizes against the message of `size` bytes, UTF-8, characters
 * that XML forbids, form of partIDs. ERR_SYNTAX: throw the digest away and use digest_opaque().
 */
enum err digest_verify(struct str head, struct str body, uint64_t size) CHECKED;

/*
 * The digest of a message that nothing could parse: header lines unfolded but not decoded, and the rest as one
 * text part with a parseError. Appends to *head and *body. ERR_NOMEM only.
 */
enum err digest_opaque(struct str raw, struct buf *head, struct buf *body) CHECKED;

/* ---- making (codec/mime; digest_opaque) ---- */

/* Collects a field list. Values that come in must be UTF-8; what is over DIGEST_FIELDS_MAX is dropped. */
struct digest_fields_maker {
    struct buf entries, data;
    uint32_t count;
};

void digest_fields_init(struct digest_fields_maker *m);
void digest_fields_free(struct digest_fields_maker *m);
/* false: the list is full. */
bool digest_fields_text(struct digest_fields_maker *m, struct str name, enum digest_field_kind kind,
                        struct str text);
bool digest_fields_date(struct digest_fields_maker *m, struct str name, int64_t when, int32_t shift,
                        struct str text);
/* `list` was made with digest_address_add(). */
bool digest_fields_addresses(struct digest_fields_maker *m, struct str name, struct str list,
                             struct str text);
void digest_address_add(struct buf *list, const struct digest_address *a);
void digest_param_add(struct buf *params, struct str name, struct str value);
/* Appends the finished list (a piece of part.lists) and empties the maker. The priority is found here. */
void digest_fields_finish(struct digest_fields_maker *m, struct buf *out);
/* Appends a whole HEAD and empties the maker. */
void digest_head_finish(struct digest_fields_maker *m, struct str type, struct str subtype,
                        uint64_t size, struct buf *out);

struct digest_body_maker {
    struct buf parts, data;
    uint32_t count;
};

void digest_body_init(struct digest_body_maker *m);
void digest_body_free(struct digest_body_maker *m);
/*
 * Adds a part behind the last one; reads every member of *p but `index` and `next` and returns the index.
 * BUG when there are DIGEST_PARTS_MAX parts.
 */
uint32_t digest_part_add(struct digest_body_maker *m, const struct digest_part *p);
/* All parts of its subtree are in: fixes `next` and, for a multipart, estimatedSize. */
void digest_part_close(struct digest_body_maker *m, uint32_t index);
/* In the subtree of `index` stands a text/plain alternative: marks its text/html parts (has_plain). */
void digest_part_mark_plain(struct digest_body_maker *m, uint32_t index);
/* Appends a whole BODY and empties the maker. */
void digest_body_finish(struct digest_body_maker *m, struct buf *out);
