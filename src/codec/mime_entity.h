// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime_entity: the header of a message or part: its Content-* fields, and its fields as a list for the digest. For mime.c.
 */
#include "codec/digest.h"
#include "codec/mime.h"

struct entity_reader {
    const struct mime_limits *limits;
    struct buf scratch, value; /* used by all headers in turn */
};

/* What the Content-* fields say. */
struct entity {
    struct buf type_word, type_params, charset, boundary;
    struct buf disposition, disposition_params;
    struct buf id, description, location, klass;
    enum digest_encoding encoding;
    bool has_type;
    size_t body_at;
};

void entity_reader_init(struct entity_reader *r, const struct mime_limits *limits);
void entity_reader_free(struct entity_reader *r);
void entity_init(struct entity *e);
void entity_free(struct entity *e);

/* Reads a header into the list m and the entity e, each may be NULL. Returns where the body begins. */
size_t entity_read(struct entity_reader *r, struct str in, struct digest_fields_maker *m,
                   struct entity *e);

/* Sets type and subtype; what cannot be read is text/plain (RFC 2045, 5.2), inside a multipart/digest message/rfc822. */
void entity_type(const struct entity *e, bool in_digest, struct digest_part *p);

/* Sets the other members that come from Content-* fields; they live as long as e. */
void entity_fill(const struct entity *e, struct digest_part *p);
