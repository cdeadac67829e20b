// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime.h"

#include "codec/digest.h"
#include "codec/mime_charset.h"
#include "codec/mime_entity.h"
#include "codec/mime_scan.h"
#include "codec/mime_text.h"
#include "codec/mime_value.h"

#include <stdio.h>

#define RAW_MAX ((size_t)1 << 30)

const struct mime_limits mime_limits_default = {
    .depth = 20,
    .parts = 1000,
    .elements = DIGEST_FIELDS_MAX,
    .params = 200,
    .header_bytes = (size_t)256 << 10,
    .text = (size_t)10 << 20,
};

void mime_init(void)
{
    mime_value_init();
}

struct walk {
    const struct mime_limits *limits;
    struct digest_body_maker body;
    uint32_t promised; /* parts added, and siblings that will be */
    bool plain_seen;   /* in the multipart/alternative that we are in */
    struct entity_reader reader;
};

/* Where an entity stands. */
struct place {
    struct str in; /* its bytes: header and body */
    const char
        *base; /* offsets count from here: the stored message or a decoded one; NULL: unknown */
    uint32_t outer_at, outer_n; /* then: the range of the encoded part that it came from */
    uint32_t parent, depth, number;
    struct str prefix; /* partID of what it is in */
    bool root;         /* of the message or of an embedded one */
    bool in_digest;    /* child of multipart/digest */
};

/* ---- parts ---- */

static bool is_type(const struct digest_part *p, const char *type, const char *subtype)
{
    return str_eq(p->type, str_of(type)) && str_eq(p->subtype, str_of(subtype));
}

/* A text part: decoded, converted, cleaned. */
static void add_text(struct walk *w, const struct entity *e, struct str body, struct digest_part *p)
{
    struct buf decoded, utf8, clean, plain;
    struct str used;
    buf_init(&decoded, RAW_MAX);
    buf_init(&utf8, RAW_MAX);
    buf_init(&clean, RAW_MAX);
    buf_init(&plain, RAW_MAX);
    const char *wrong = mime_transfer_decode(e->encoding, body, &decoded);
    if (p->parse_error.n == 0)
        p->parse_error = str_of(wrong);
    p->kind = DIGEST_TEXT_PART;
    if (decoded.n > w->limits->text) {
        p->kind = DIGEST_LEAF;
    } else {
        struct str charset = p->charset;
        if (charset.n == 0 && str_eq(p->subtype, STR("xml")))
            charset = STR("utf-8");
        mime_charset_convert(charset, buf_slice(&decoded), &utf8, &used);
        mime_clean(buf_slice(&utf8), true, &clean);
        if (p->charset.n == 0)
            p->charset = used;
        p->text = buf_slice(&clean);
    }
    bool attached = str_eq(p->disposition, STR("attachment"));
    if (is_type(p, "text", "plain") && !attached)
        w->plain_seen = true;
    if (p->kind == DIGEST_TEXT_PART && is_type(p, "text", "html")) {
        p->has_plain = w->plain_seen || attached;
        if (!p->has_plain)
            mime_html_text(p->text, &plain);
        p->plain = buf_slice(&plain);
    }
    digest_part_add(&w->body, p);
    buf_free(&decoded);
    buf_free(&utf8);
    buf_free(&clean);
    buf_free(&plain);
}

/* Blocks of fields, blank lines between them (RFC 3464, 2.1); `blocks` = 1 for a header alone. */
static void add_lists(struct walk *w, const struct entity *e, struct str body, uint32_t blocks,
                      struct digest_part *p)
{
    struct buf decoded, lists;
    struct digest_fields_maker m;
    buf_init(&decoded, RAW_MAX);
    buf_init(&lists, RAW_MAX);
    digest_fields_init(&m);
    p->parse_error = str_of(mime_transfer_decode(e->encoding, body, &decoded));
    struct str rest = buf_slice(&decoded);
    for (uint32_t n = 0; n < blocks && (rest.n != 0 || (blocks == 1 && n == 0)); n++) {
        size_t at = entity_read(&w->reader, rest, &m, NULL);
        if (m.count != 0 || blocks == 1)
            digest_fields_finish(&m, &lists);
        /* A line that is no field would hold us here for ever. */
        if (at == 0)
            break;
        rest = str_sub(rest, at, rest.n);
    }
    p->lists = buf_slice(&lists);
    digest_part_add(&w->body, p);
    digest_fields_free(&m);
    buf_free(&decoded);
    buf_free(&lists);
}

static void walk_entity(struct walk *w, const struct place *at);

static void add_message(struct walk *w, const struct entity *e, struct str body,
                        const struct place *at, struct digest_part *p)
{
    struct buf decoded, lists;
    struct digest_fields_maker m;
    buf_init(&decoded, RAW_MAX);
    buf_init(&lists, RAW_MAX);
    digest_fields_init(&m);
    struct str inner = body;
    const char *base = at->base;
    if (e->encoding != DIGEST_7BIT) {
        p->parse_error = str_of(mime_message_decode(e->encoding, body, &decoded));
        inner = decoded.n != 0 ? buf_slice(&decoded) : STR("");
        base = e->encoding != DIGEST_UUENCODE ? inner.p : NULL;
    }
    entity_read(&w->reader, inner, &m, NULL);
    digest_fields_finish(&m, &lists);
    digest_fields_free(&m);
    p->kind = DIGEST_MESSAGE;
    p->lists = buf_slice(&lists);
    w->promised++;
    uint32_t index = digest_part_add(&w->body, p);
    buf_free(&lists);
    bool seen = w->plain_seen;
    w->plain_seen = false;
    walk_entity(w, &(struct place){.in = inner,
                                   .base = base,
                                   .outer_at = p->raw_at,
                                   .outer_n = p->raw_n,
                                   .parent = index,
                                   .depth = p->depth + 1,
                                   .number = 1,
                                   .prefix = p->part_id,
                                   .root = true});
    w->plain_seen = seen;
    digest_part_close(&w->body, index);
    buf_free(&decoded);
}

/* The parts of a multipart as an array of slices; stops when there are more than `most`. */
static uint32_t find_children(struct str body, struct str boundary, uint32_t most, struct buf *out)
{
    struct part_scan scan;
    struct str part;
    uint32_t n = 0;
    part_scan_init(&scan, body, boundary);
    while (n <= most && part_next(&scan, &part)) {
        buf_add(out, &part, sizeof part);
        n++;
    }
    return n;
}

static void add_multipart(struct walk *w, const struct buf *children, const struct place *at,
                          struct digest_part *p, struct str prefix)
{
    bool alternative = str_eq(p->subtype, STR("alternative"));
    bool digest = str_eq(p->subtype, STR("digest"));
    bool seen = w->plain_seen, any = false;
    p->kind = DIGEST_MULTIPART;
    uint32_t index = digest_part_add(&w->body, p);
    if (alternative)
        w->plain_seen = false;
    for (uint32_t k = 0; k < children->n / sizeof(struct str); k++) {
        struct place child = {.base = at->base,
                              .outer_at = at->outer_at,
                              .outer_n = at->outer_n,
                              .parent = index,
                              .depth = p->depth + 1,
                              .number = k + 1,
                              .prefix = prefix,
                              .in_digest = digest};
        memcpy(&child.in, children->p + k * sizeof child.in, sizeof child.in);
        /* Outside of an alternative plain text does not stand for the HTML beside it. */
        if (!alternative)
            w->plain_seen = seen;
        walk_entity(w, &child);
        any |= w->plain_seen;
    }
    digest_part_close(&w->body, index);
    if (alternative && any)
        digest_part_mark_plain(&w->body, index);
    w->plain_seen = seen || any;
}

/* Too deep or too many (protocol 2, 6.5): the subtree is one part. */
static void add_too_complex(struct walk *w, struct digest_part *p)
{
    p->parse_error = STR("too complex");
    digest_part_add(&w->body, p);
}

static void open_multipart(struct walk *w, const struct entity *e, struct str body,
                           const struct place *at, struct digest_part *p)
{
    struct str boundary = str_trim(buf_slice(&e->boundary));
    struct buf children;
    uint32_t n = 0, room = w->limits->parts - w->promised;
    buf_init(&children, (size_t)(room + 1) * sizeof(struct str));
    if (boundary.n != 0)
        n = find_children(body, boundary, room, &children);
    if (n == 0) {
        p->parse_error = boundary.n != 0 ? STR("no parts") : STR("no boundary");
        add_text(w, e, body, p);
    } else if (n > room || children.failed) {
        add_too_complex(w, p);
    } else {
        struct str prefix = at->root ? at->prefix : p->part_id;
        if (at->root)
            p->part_id = STR("");
        w->promised += n;
        add_multipart(w, &children, at, p, prefix);
    }
    buf_free(&children);
}

/* Multiparts and messages. */
static void add_container(struct walk *w, const struct entity *e, struct str body,
                          const struct place *at, struct digest_part *p)
{
    if (p->depth + 1 >= w->limits->depth || w->promised >= w->limits->parts)
        add_too_complex(w, p);
    else if (str_eq(p->type, STR("multipart")))
        open_multipart(w, e, body, at, p);
    else
        add_message(w, e, body, at, p);
}

static void add_any(struct walk *w, const struct entity *e, struct str body, const struct place *at,
                    struct digest_part *p)
{
    if (str_eq(p->type, STR("multipart")) || is_type(p, "message", "rfc822") ||
        is_type(p, "message", "global")) {
        add_container(w, e, body, at, p);
    } else if (is_type(p, "message", "delivery-status") ||
               is_type(p, "message", "disposition-notification")) {
        p->kind = DIGEST_REPORT;
        add_lists(w, e, body, w->limits->elements, p);
    } else if (is_type(p, "text", "rfc822-headers")) {
        p->kind = DIGEST_HEADERS;
        add_lists(w, e, body, 1, p);
    } else if (str_eq(p->type, STR("text")) || is_type(p, "application", "xml")) {
        add_text(w, e, body, p);
    } else {
        digest_part_add(&w->body, p);
    }
}

static void walk_entity(struct walk *w, const struct place *at)
{
    struct entity e;
    struct digest_part p = {.parent = at->parent, .depth = at->depth};
    char id[256]; /* 20 levels of "-1000" at most */
    entity_init(&e);
    e.body_at = entity_read(&w->reader, at->in, NULL, &e);
    struct str body = str_sub(at->in, e.body_at, at->in.n);
    entity_type(&e, at->in_digest, &p);
    entity_fill(&e, &p);
    int n = snprintf(id, sizeof id, "%.*s%s%02u", STR_FMT(at->prefix), at->prefix.n != 0 ? "-" : "",
                     at->number);
    p.part_id = (struct str){id, n > 0 && (size_t)n < sizeof id ? (size_t)n : 0};
    if (at->base != NULL) {
        p.head_at = (uint32_t)(at->in.p - at->base);
        p.raw_at = p.head_at + (uint32_t)e.body_at;
        p.raw_n = (uint32_t)body.n;
    } else {
        p.head_at = p.raw_at = at->outer_at;
        p.raw_n = at->outer_n;
    }
    p.estimated = mime_estimate(e.encoding, body);
    add_any(w, &e, body, at, &p);
    entity_free(&e);
}

static void digest_root(struct walk *w, struct str raw, struct buf *head)
{
    struct entity e;
    struct digest_fields_maker m;
    struct digest_part p = {.index = 0};
    entity_init(&e);
    digest_fields_init(&m);
    entity_read(&w->reader, raw, &m, &e);
    entity_type(&e, false, &p);
    digest_head_finish(&m, p.type, p.subtype, raw.n, head);
    digest_fields_free(&m);
    entity_free(&e);
}

enum err mime_digest(struct str raw, const struct mime_limits *limits, struct buf *head,
                     struct buf *body)
{
    if (raw.n > RAW_MAX)
        return ERR_TOO_LONG;
    if (raw.p == NULL)
        raw = STR("");
    BUG_IF(limits->parts == 0 || limits->parts > DIGEST_PARTS_MAX ||
           limits->depth > DIGEST_DEPTH_MAX);
    struct walk w = {.limits = limits, .promised = 1};
    digest_body_init(&w.body);
    entity_reader_init(&w.reader, limits);
    digest_root(&w, raw, head);
    walk_entity(&w, &(struct place){.in = raw, .base = raw.p, .number = 1, .root = true});
    digest_body_finish(&w.body, body);
    digest_body_free(&w.body);
    entity_reader_free(&w.reader);
    enum err err = buf_err(head);
    return err != ERR_OK ? err : buf_err(body);
}
