// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/email_xml.h"

#include <stdio.h>

#include "base/utf8.h"
#include "codec/xout.h"
#include "ximss/fields_xml.h"

enum stage {
    STAGE_START,
    STAGE_FIELDS, /* of the message's header */
    STAGE_PART,
    STAGE_TEXT,
    STAGE_SUB_FIELDS, /* of the lists inside a part */
    STAGE_PART_DONE,  /* close what ends with this part, go to the next one */
};

/* Text is written in pieces of so many bytes, which escaping can make longer. */
#define PIECE 4096
/* More parameters of one part are not shown; the helper's limit is the same. */
#define PARAMS_MAX 200

/* One call of email_write(). */
struct writer {
    struct email_cursor *c;
    const struct digest_head *h;
    const struct digest_body *b;
    const struct zone *zone;
    struct buf *out;
    size_t full; /* out->n at which the slice ends */
};

static bool is_full(const struct writer *w)
{
    return w->out->n >= w->full || w->out->failed;
}

enum err email_begin(struct email_cursor *c, const struct digest_head *h,
                     const struct digest_body *b, const struct email_options *o)
{
    (void)h;
    bool all = o->limit < 0 || (uint64_t)o->limit > o->limit_max;
    *c = (struct email_cursor){.budget = all ? o->limit_max : (uint64_t)o->limit,
                               .end = b->count,
                               .text_only = o->text_only,
                               .unreadable = o->unreadable};
    if (o->part_id.p == NULL)
        return ERR_OK;
    struct digest_part p;
    if (!digest_part_find(b, o->part_id, &p))
        return ERR_PART_MISSING;
    c->inner = p.kind == DIGEST_MESSAGE;
    c->first = p.index + c->inner;
    c->end = p.next;
    return ERR_OK;
}

/* Goes on with a text at c->text_at; true: it is all written, and text_at is 0 again. */
static bool write_text(struct writer *w, struct str text)
{
    while (w->c->text_at < text.n) {
        if (is_full(w))
            return false;
        struct str rest = str_sub(text, w->c->text_at, text.n);
        struct str piece = utf8_prefix(rest, PIECE);
        if (piece.n == 0)
            piece = str_sub(rest, 0, PIECE);
        xout_text(w->out, piece);
        w->c->text_at += (uint32_t)piece.n;
    }
    w->c->text_at = 0;
    return true;
}

/* ---- header fields ---- */

static bool is_structural(struct str name)
{
    return str_ieq(name, STR("MIME-Version")) || str_istarts(name, STR("Content-")) ||
           str_ieq(name, STR("MIME")) || str_ieq(name, STR("EMail"));
}

/* An element with text that may be long. */
static bool write_long(struct writer *w, struct str name, struct str text)
{
    if (!w->c->opened) {
        xout_open_str(w->out, name);
        if (text.n == 0) {
            xout_empty(w->out);
            return true;
        }
        xout_body(w->out);
        w->c->opened = true;
    }
    if (!write_text(w, text))
        return false;
    xout_close_str(w->out, name);
    w->c->opened = false;
    return true;
}

static bool write_addresses(struct writer *w, struct str name, const struct digest_field *f)
{
    struct str list = f->list;
    struct digest_address a;
    for (uint32_t i = 0; digest_address_next(&list, &a); i++) {
        if (i < w->c->item)
            continue;
        if (is_full(w))
            return false;
        if (a.name.n == 0 && a.address.n != 0) {
            if (!write_long(w, name, a.address))
                return false;
        } else {
            fields_address(w->out, name, &a);
        }
        w->c->item++;
    }
    w->c->item = 0;
    return true;
}

/* One field of a message header; false: the slice is full. */
static bool write_field(struct writer *w, const struct digest_fields *list,
                        const struct digest_field *f)
{
    if (digest_is_priority(f->name)) {
        struct str priority = fields_priority(list);
        if (!w->c->priority_done && priority.n != 0)
            xout_elem(w->out, "Pty", priority);
        w->c->priority_done = true;
        return true;
    }
    if (is_structural(f->name) || !fields_name_ok(f->name))
        return true;
    struct str name = digest_canonical(f->name);
    if (f->kind == DIGEST_ADDRESSES)
        return write_addresses(w, name, f);
    if (f->kind == DIGEST_DATE) {
        fields_date(w->out, name, f, w->zone);
        return true;
    }
    return write_long(w, name, f->text);
}

/* A list from c->field on; `report`: all of its fields as plain text (protocol 2, 6.5). */
static bool write_fields(struct writer *w, const struct digest_fields *list, bool report)
{
    for (; w->c->field < list->count; w->c->field++) {
        if (is_full(w))
            return false;
        struct digest_field f = digest_fields_at(list, w->c->field);
        bool done;
        if (report)
            done = !fields_name_ok(f.name) || write_long(w, f.name, f.text);
        else
            done = write_field(w, list, &f);
        if (!done)
            return false;
    }
    w->c->field = 0;
    w->c->priority_done = false;
    return true;
}

/* ---- parts ---- */

static void attr_unless_empty(struct buf *out, const char *name, struct str value)
{
    if (value.n != 0)
        xout_attr(out, name, value);
}

/* Is the name among the first `n` of the parameters? XML allows no attribute twice. */
static bool is_repeated(struct str params, uint32_t n, struct str name)
{
    struct str other, value;
    while (n-- != 0 && digest_param_next(&params, &other, &value)) {
        if (str_eq(other, name))
            return true;
    }
    return false;
}

static void write_params(struct buf *out, const char *prefix, struct str params)
{
    struct str rest = params, name, value;
    for (uint32_t i = 0; i < PARAMS_MAX && digest_param_next(&rest, &name, &value); i++) {
        char attr[288]; /* fields_name_ok() allows 255 */
        if (!fields_name_ok(name) || is_repeated(params, i, name))
            continue;
        snprintf(attr, sizeof attr, "%s%.*s", prefix, STR_FMT(name));
        xout_attr(out, attr, value);
    }
}

static void write_attrs(struct buf *out, const struct digest_part *p, bool unreadable)
{
    attr_unless_empty(out, "partID", p->part_id);
    xout_attr_u64(out, "estimatedSize", p->estimated);
    xout_attr(out, "type", p->type);
    xout_attr(out, "subtype", p->subtype);
    attr_unless_empty(out, "charset", p->charset);
    attr_unless_empty(out, "contentID", p->content_id);
    attr_unless_empty(out, "disposition", p->disposition);
    attr_unless_empty(out, "description", p->description);
    attr_unless_empty(out, "location", p->location);
    attr_unless_empty(out, "class", p->klass);
    write_params(out, "Type-", p->type_params);
    write_params(out, "Disposition-", p->disposition_params);
    if (unreadable)
        xout_attr_lit(out, "readError", "message could not be read");
    attr_unless_empty(out, "parseError", p->parse_error);
}

/* What stands in the MIME element of a text part; "" for nothing. */
static struct str body_text(const struct email_cursor *c, const struct digest_part *p)
{
    if (!c->text_only)
        return p->text;
    if (str_eq(p->type, STR("text")) && str_eq(p->subtype, STR("plain")))
        return p->text;
    return p->has_plain ? STR("") : p->plain;
}

static bool take_budget(struct email_cursor *c, size_t n)
{
    if (n == 0 || n > c->budget)
        return false;
    c->budget -= n;
    return true;
}

/* The start tag, and where to go on. */
static void write_part(struct writer *w)
{
    struct email_cursor *c = w->c;
    struct digest_part p = digest_part_at(w->b, c->part);
    xout_open(w->out, "MIME");
    write_attrs(w->out, &p, c->unreadable);
    switch (p.kind) {
    case DIGEST_MULTIPART:
        if (p.next == p.index + 1)
            break;
        xout_body(w->out);
        c->part++;
        return; /* STAGE_PART again */
    case DIGEST_MESSAGE:
        xout_body(w->out);
        buf_lit(w->out, "<EMail>");
        c->stage = STAGE_SUB_FIELDS;
        return;
    case DIGEST_HEADERS:
    case DIGEST_REPORT:
        if (!take_budget(c, p.lists.n))
            break;
        xout_body(w->out);
        buf_str(w->out, p.kind == DIGEST_REPORT ? STR("<MIMEReport>") : STR("<EMail>"));
        c->stage = STAGE_SUB_FIELDS;
        return;
    case DIGEST_TEXT_PART:
        if (!take_budget(c, body_text(c, &p).n))
            break;
        xout_body(w->out);
        c->stage = STAGE_TEXT;
        return;
    case DIGEST_LEAF:
        break;
    }
    xout_empty(w->out);
    c->stage = STAGE_PART_DONE;
}

static bool write_sub_fields(struct writer *w)
{
    struct email_cursor *c = w->c;
    struct digest_part p = digest_part_at(w->b, c->part);
    struct str lists = p.lists;
    struct digest_fields list;
    bool report = p.kind == DIGEST_REPORT;
    for (uint32_t i = 0; digest_lists_next(&lists, &list); i++) {
        if (i < c->list)
            continue;
        bool recipient = report && i != 0;
        if (recipient && !c->recipient) {
            buf_lit(w->out, "<recipient>");
            c->recipient = true;
        }
        if (!write_fields(w, &list, report))
            return false;
        if (recipient)
            buf_lit(w->out, "</recipient>");
        c->recipient = false;
        c->list++;
    }
    c->list = 0;
    if (p.kind == DIGEST_MESSAGE) {
        c->part++;
        c->stage = STAGE_PART;
        return true;
    }
    buf_str(w->out, report ? STR("</MIMEReport></MIME>") : STR("</EMail></MIME>"));
    c->stage = STAGE_PART_DONE;
    return true;
}

/* Closes every container that ends with this part; true: that was the last one. */
static bool part_done(struct writer *w)
{
    struct email_cursor *c = w->c;
    uint32_t next = c->part + 1;
    for (uint32_t i = c->part; i > c->first;) {
        i = digest_part_at(w->b, i).parent;
        struct digest_part p = digest_part_at(w->b, i);
        if (i < c->first || p.next != next)
            break;
        if (p.kind == DIGEST_MESSAGE)
            buf_lit(w->out, "</EMail>");
        xout_close(w->out, "MIME");
    }
    c->part = next;
    c->stage = STAGE_PART;
    return next == c->end;
}

static void list_of_message(const struct writer *w, struct digest_fields *list)
{
    *list = w->h->fields;
    if (w->c->inner) {
        struct str lists = digest_part_at(w->b, w->c->first - 1).lists;
        bool there = digest_lists_next(&lists, list);
        BUG_IF(!there);
    }
}

/* One step; false: the slice is full in the middle of it. */
static bool step(struct writer *w, bool *end)
{
    struct email_cursor *c = w->c;
    struct digest_fields list;
    switch ((enum stage)c->stage) {
    case STAGE_START:
        xout_open(w->out, "EMail");
        xout_body(w->out);
        c->stage = STAGE_FIELDS;
        return true;
    case STAGE_FIELDS:
        list_of_message(w, &list);
        if (!write_fields(w, &list, false))
            return false;
        c->part = c->first;
        c->stage = STAGE_PART;
        return true;
    case STAGE_PART:
        write_part(w);
        return true;
    case STAGE_TEXT: {
        struct digest_part p = digest_part_at(w->b, c->part);
        if (!write_text(w, body_text(c, &p)))
            return false;
        xout_close(w->out, "MIME");
        c->stage = STAGE_PART_DONE;
        return true;
    }
    case STAGE_SUB_FIELDS:
        return write_sub_fields(w);
    case STAGE_PART_DONE:
        *end = part_done(w);
        return true;
    }
    return true;
}

enum err email_write(struct email_cursor *c, const struct digest_head *h,
                     const struct digest_body *b, const struct zone *zone, struct buf *out,
                     size_t slice)
{
    struct writer w = {c, h, b, zone, out, out->n + slice};
    bool end = false;
    while (!end) {
        if (is_full(&w) || !step(&w, &end)) {
            enum err e = buf_err(out);
            return e != ERR_OK ? e : ERR_MORE;
        }
    }
    xout_close(out, "EMail");
    return buf_err(out);
}
