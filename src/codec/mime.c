// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime.h"

#include "codec/digest.h"
#include "codec/mime_charset.h"
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
    struct str raw;    /* the stored message */
    uint32_t promised; /* parts added, and siblings that will be */
    bool plain_seen;   /* in the multipart/alternative that we are in */
    struct buf scratch, value;
};

/* What the Content-* fields of an entity say; the buffers are used by all parts in turn. */
struct entity {
    struct buf type_word, type_params, charset, boundary;
    struct buf disposition, disposition_params;
    struct buf id, description, location, klass;
    enum digest_encoding encoding;
    bool has_type;
    size_t body_at;
};

/* Where an entity stands. */
struct place {
    struct str in;              /* its bytes: header and body */
    bool stored;                /* `in` lies in the stored message */
    uint32_t outer_at, outer_n; /* else: the range of the encoded part that it came from */
    uint32_t parent, depth, number;
    struct str prefix; /* partID of what it is in */
    bool root;         /* of the message or of an embedded one */
    bool in_digest;    /* child of multipart/digest */
};

static void entity_init(struct entity *e)
{
    struct buf *all[] = {
        &e->type_word,          &e->type_params, &e->charset,     &e->boundary, &e->disposition,
        &e->disposition_params, &e->id,          &e->description, &e->location, &e->klass};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i], (size_t)4 << 20);
    e->encoding = DIGEST_7BIT;
    e->has_type = false;
    e->body_at = 0;
}

static void entity_free(struct entity *e)
{
    struct buf *all[] = {
        &e->type_word,          &e->type_params, &e->charset,     &e->boundary, &e->disposition,
        &e->disposition_params, &e->id,          &e->description, &e->location, &e->klass};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_free(all[i]);
}

/* One Content-* field; the first of a name counts. `value` is unfolded. */
static void entity_field(struct walk *w, struct entity *e, struct str name, struct str value)
{
    if (str_ieq(name, STR("Content-Type"))) {
        if (!e->has_type)
            mime_params(value, w->limits->params, &e->type_word, &e->type_params, &e->charset,
                        &e->boundary);
        e->has_type = true;
    } else if (str_ieq(name, STR("Content-Disposition"))) {
        if (e->disposition.n == 0)
            mime_params(value, w->limits->params, &e->disposition, &e->disposition_params, NULL,
                        NULL);
    } else if (str_ieq(name, STR("Content-Transfer-Encoding"))) {
        if (e->encoding == DIGEST_7BIT)
            e->encoding = mime_encoding(value);
    } else if (str_ieq(name, STR("Content-ID"))) {
        if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
            value = str_sub(value, 1, value.n - 2);
        if (e->id.n == 0)
            buf_str(&e->id, value);
    } else if (str_ieq(name, STR("Content-Description"))) {
        if (e->description.n == 0)
            mime_decode(value, &e->description);
    } else if (str_ieq(name, STR("Content-Location"))) {
        if (e->location.n == 0)
            mime_decode(value, &e->location);
    } else if (str_ieq(name, STR("Content-Class"))) {
        if (e->klass.n == 0)
            buf_str(&e->klass, value);
    }
}

/* message-ids are raw text (protocol 2, 1.7). */
static bool is_raw_field(struct str name)
{
    return str_ieq(name, STR("Message-ID")) || str_ieq(name, STR("In-Reply-To")) ||
           str_ieq(name, STR("References"));
}

static bool wants_address_text(struct str name)
{
    return str_ieq(name, STR("Disposition-Notification-To")) ||
           str_ieq(name, STR("Return-Receipt-To")) || str_ieq(name, STR("Errors-To"));
}

/* One header field into a list; returns the elements that it makes. */
static uint32_t list_field(struct walk *w, struct digest_fields_maker *m, struct str name,
                           struct str value, uint32_t room)
{
    struct buf *out = &w->scratch;
    int64_t when;
    int32_t shift;
    buf_clear(out);
    if (digest_address_name(name).p != NULL) {
        uint32_t n = mime_addresses(value, room, out);
        size_t list_n = out->n;
        if (wants_address_text(name))
            mime_decode(value, out);
        struct str all = buf_slice(out);
        digest_fields_addresses(m, name, str_sub(all, 0, list_n), str_sub(all, list_n, all.n));
        return n != 0 ? n : 1;
    }
    if (str_ieq(name, STR("Return-Path"))) {
        if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
            value = str_trim(str_sub(value, 1, value.n - 2));
        digest_fields_text(m, name, DIGEST_RETURN_PATH, value);
    } else if ((str_ieq(name, STR("Date")) || str_ieq(name, STR("Resent-Date"))) &&
               mime_date(value, &when, &shift)) {
        digest_fields_date(m, name, when, shift, STR(""));
    } else if (is_raw_field(name)) {
        digest_fields_text(m, name, DIGEST_TEXT, value);
    } else {
        mime_decode(value, out);
        digest_fields_text(m, name, DIGEST_TEXT, buf_slice(out));
    }
    return 1;
}

/* Reads a header; m and e may be NULL. Returns where the body begins. */
static size_t read_header(struct walk *w, struct str in, struct digest_fields_maker *m,
                          struct entity *e)
{
    struct header_scan scan;
    struct str name, folded;
    uint32_t used = 0, most = w->limits->elements;
    header_scan_init(&scan, in, w->limits->header_bytes);
    while (header_next(&scan, &name, &folded)) {
        bool content = e != NULL && str_istarts(name, STR("Content-"));
        bool listed = m != NULL && used < most;
        if (!content && !listed)
            continue;
        buf_clear(&w->value);
        mime_unfold(folded, &w->value);
        if (content)
            entity_field(w, e, name, buf_slice(&w->value));
        if (listed)
            used += list_field(w, m, name, buf_slice(&w->value), most - used);
    }
    return scan.at;
}

/* ---- parts ---- */

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?=", c) != NULL)
            return false;
    }
    return s.n != 0 && s.n <= 127;
}

/* RFC 2045, 5.2: what cannot be read is text/plain. */
static void set_type(const struct entity *e, bool in_digest, struct digest_part *p)
{
    struct str word = buf_slice(&e->type_word);
    size_t slash = str_find(word, '/');
    p->type = str_sub(word, 0, slash);
    p->subtype = str_sub(word, slash + 1, word.n);
    if (is_token(p->type) && is_token(p->subtype))
        return;
    bool message = in_digest && !e->has_type;
    p->type = message ? STR("message") : STR("text");
    p->subtype = message ? STR("rfc822") : STR("plain");
}

static bool is_type(const struct digest_part *p, const char *type, const char *subtype)
{
    return str_eq(p->type, str_of(type)) && str_eq(p->subtype, str_of(subtype));
}

static void fill(const struct entity *e, struct digest_part *p)
{
    p->charset = buf_slice(&e->charset);
    p->type_params = buf_slice(&e->type_params);
    p->disposition = buf_slice(&e->disposition);
    p->disposition_params = buf_slice(&e->disposition_params);
    p->content_id = buf_slice(&e->id);
    p->description = buf_slice(&e->description);
    p->location = buf_slice(&e->location);
    p->klass = buf_slice(&e->klass);
    p->encoding = e->encoding;
}

static uint32_t add_part(struct walk *w, const struct digest_part *p)
{
    return digest_part_add(&w->body, p);
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
    add_part(w, p);
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
        size_t at = read_header(w, rest, &m, NULL);
        if (m.count != 0 || blocks == 1)
            digest_fields_finish(&m, &lists);
        /* A line that is no field would hold us here for ever. */
        if (at == 0)
            break;
        rest = str_sub(rest, at, rest.n);
    }
    p->lists = buf_slice(&lists);
    add_part(w, p);
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
    bool stored = at->stored && e->encoding == DIGEST_7BIT;
    if (e->encoding != DIGEST_7BIT) {
        p->parse_error = str_of(mime_transfer_decode(e->encoding, body, &decoded));
        inner = buf_slice(&decoded);
    }
    read_header(w, inner, &m, NULL);
    digest_fields_finish(&m, &lists);
    digest_fields_free(&m);
    p->kind = DIGEST_MESSAGE;
    p->lists = buf_slice(&lists);
    w->promised++;
    uint32_t index = add_part(w, p);
    buf_free(&lists);
    bool seen = w->plain_seen;
    w->plain_seen = false;
    walk_entity(w, &(struct place){.in = inner,
                                   .stored = stored,
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

static uint32_t count_children(struct str body, struct str boundary, uint32_t most)
{
    struct part_scan scan;
    struct str part;
    uint32_t n = 0;
    part_scan_init(&scan, body, boundary);
    while (n <= most && part_next(&scan, &part))
        n++;
    return n;
}

static void add_multipart(struct walk *w, struct str boundary, struct str body,
                          const struct place *at, struct digest_part *p, struct str prefix)
{
    struct part_scan scan;
    struct str part;
    bool alternative = str_eq(p->subtype, STR("alternative"));
    bool seen = w->plain_seen;
    bool digest = str_eq(p->subtype, STR("digest"));
    p->kind = DIGEST_MULTIPART;
    uint32_t index = add_part(w, p);
    if (alternative)
        w->plain_seen = false;
    part_scan_init(&scan, body, boundary);
    bool any = false;
    for (uint32_t k = 1; part_next(&scan, &part); k++) {
        /* Outside of an alternative plain text does not stand for the HTML beside it. */
        if (!alternative)
            w->plain_seen = seen;
        walk_entity(w, &(struct place){.in = part,
                                       .stored = at->stored,
                                       .outer_at = at->outer_at,
                                       .outer_n = at->outer_n,
                                       .parent = index,
                                       .depth = p->depth + 1,
                                       .number = k,
                                       .prefix = prefix,
                                       .in_digest = digest});
        any |= w->plain_seen;
    }
    digest_part_close(&w->body, index);
    if (alternative && any)
        digest_part_mark_plain(&w->body, index);
    w->plain_seen = seen || any;
}

/* Multiparts and messages: opened when the limits allow it, else one opaque part. */
static void add_container(struct walk *w, const struct entity *e, struct str body,
                          const struct place *at, struct digest_part *p)
{
    bool message = str_eq(p->type, STR("message"));
    struct str boundary = str_trim(buf_slice(&e->boundary));
    uint32_t room = w->limits->parts - w->promised, children = 1;
    if (!message) {
        children = boundary.n != 0 ? count_children(body, boundary, room) : 0;
        if (children == 0) {
            p->parse_error = boundary.n != 0 ? STR("no parts") : STR("no boundary");
            add_text(w, e, body, p);
            return;
        }
    }
    if (p->depth + 1 >= w->limits->depth || children > room) {
        p->parse_error = STR("too complex");
        add_part(w, p);
        return;
    }
    if (message) {
        add_message(w, e, body, at, p);
        return;
    }
    struct str prefix = at->prefix;
    w->promised += children;
    if (at->root)
        p->part_id = STR("");
    else
        prefix = p->part_id;
    p->estimated = 0;
    add_multipart(w, boundary, body, at, p, prefix);
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
        add_part(w, p);
    }
}

static void walk_entity(struct walk *w, const struct place *at)
{
    struct entity e;
    struct digest_part p = {.parent = at->parent, .depth = at->depth};
    char id[256]; /* 20 levels of "-1000" at most */
    entity_init(&e);
    e.body_at = read_header(w, at->in, NULL, &e);
    struct str body = str_sub(at->in, e.body_at, at->in.n);
    set_type(&e, at->in_digest, &p);
    fill(&e, &p);
    int n = snprintf(id, sizeof id, "%.*s%s%02u", STR_FMT(at->prefix), at->prefix.n != 0 ? "-" : "",
                     at->number);
    p.part_id = (struct str){id, n > 0 && (size_t)n < sizeof id ? (size_t)n : 0};
    if (at->stored) {
        p.head_at = (uint32_t)(at->in.p - w->raw.p);
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
    read_header(w, raw, &m, &e);
    set_type(&e, false, &p);
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
    struct walk w = {.limits = limits, .raw = raw, .promised = 1};
    digest_body_init(&w.body);
    buf_init(&w.scratch, (size_t)16 << 20);
    buf_init(&w.value, (size_t)4 << 20);
    digest_root(&w, raw, head);
    walk_entity(&w, &(struct place){.in = raw, .stored = true, .number = 1, .root = true});
    digest_body_finish(&w.body, body);
    digest_body_free(&w.body);
    buf_free(&w.scratch);
    buf_free(&w.value);
    enum err err = buf_err(head);
    return err != ERR_OK ? err : buf_err(body);
}
