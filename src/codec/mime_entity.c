// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_entity.h"

#include "codec/mime_scan.h"
#include "codec/mime_text.h"
#include "codec/mime_value.h"

void entity_reader_init(struct entity_reader *r, const struct mime_limits *limits)
{
    r->limits = limits;
    buf_init(&r->scratch, (size_t)16 << 20);
    buf_init(&r->value, (size_t)4 << 20);
}

void entity_reader_free(struct entity_reader *r)
{
    buf_free(&r->scratch);
    buf_free(&r->value);
}

void entity_init(struct entity *e)
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

void entity_free(struct entity *e)
{
    struct buf *all[] = {
        &e->type_word,          &e->type_params, &e->charset,     &e->boundary, &e->disposition,
        &e->disposition_params, &e->id,          &e->description, &e->location, &e->klass};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_free(all[i]);
}

/* One Content-* field; the first of a name counts. `value` is unfolded. */
static void entity_field(struct entity_reader *r, struct entity *e, struct str name,
                         struct str value)
{
    if (str_ieq(name, STR("Content-Type"))) {
        if (!e->has_type)
            mime_params(value, r->limits->params, &e->type_word, &e->type_params, &e->charset,
                        &e->boundary);
        e->has_type = true;
    } else if (str_ieq(name, STR("Content-Disposition"))) {
        if (e->disposition.n == 0)
            mime_params(value, r->limits->params, &e->disposition, &e->disposition_params, NULL,
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
static uint32_t list_field(struct entity_reader *r, struct digest_fields_maker *m, struct str name,
                           struct str value, uint32_t room)
{
    struct buf *out = &r->scratch;
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
size_t entity_read(struct entity_reader *r, struct str in, struct digest_fields_maker *m,
                   struct entity *e)
{
    struct header_scan scan;
    struct str name, folded;
    uint32_t used = 0, most = r->limits->elements;
    header_scan_init(&scan, in, r->limits->header_bytes);
    while (header_next(&scan, &name, &folded)) {
        bool content = e != NULL && str_istarts(name, STR("Content-"));
        bool listed = m != NULL && used < most;
        if (!content && !listed)
            continue;
        buf_clear(&r->value);
        mime_unfold(folded, &r->value);
        if (content)
            entity_field(r, e, name, buf_slice(&r->value));
        if (listed)
            used += list_field(r, m, name, buf_slice(&r->value), most - used);
    }
    return scan.at;
}

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
void entity_type(const struct entity *e, bool in_digest, struct digest_part *p)
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

void entity_fill(const struct entity *e, struct digest_part *p)
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
