// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/fields_xml.h"

#include "codec/xout.h"
#include "codec/xtime.h"

#define NAME_MAX_BYTES 255

bool fields_name_ok(struct str name)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = str_lower(name.p[i]);
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (!letter && (i == 0 || !other))
            return false;
    }
    return true;
}

static void element(struct buf *out, struct str name, struct str text)
{
    xout_open_str(out, name);
    if (text.n == 0) {
        xout_empty(out);
        return;
    }
    xout_body(out);
    xout_text(out, text);
    xout_close_str(out, name);
}

void fields_address(struct buf *out, struct str name, const struct digest_address *a)
{
    xout_open_str(out, name);
    if (a->name.n != 0)
        xout_attr(out, "realName", a->name);
    if (a->address.n == 0) {
        xout_empty(out);
        return;
    }
    xout_body(out);
    xout_text(out, a->address);
    xout_close_str(out, name);
}

void fields_date(struct buf *out, struct str name, const struct digest_field *f,
                 const struct zone *zone)
{
    char text[XTIME_SIZE];
    if (f->kind != DIGEST_DATE) {
        element(out, name, f->text);
        return;
    }
    xout_open_str(out, name);
    xout_attr_i64(out, "timeShift", f->shift);
    xout_attr(out, "localTime", xtime_local(text, f->when, zone));
    xout_body(out);
    xout_text(out, xtime_gmt_z(text, f->when));
    xout_close_str(out, name);
}

struct str fields_priority(const struct digest_fields *f)
{
    static const char *const words[] = {
        [DIGEST_NORMAL] = "", [DIGEST_HIGH] = "High", [DIGEST_LOW] = "Low"};
    return str_of(words[f->priority]);
}

/* Runs of white space reduced to one blank. */
static void element_collapsed(struct buf *out, struct str name, struct str text)
{
    text = str_trim(text);
    if (text.n == 0) {
        element(out, name, text);
        return;
    }
    xout_open_str(out, name);
    xout_body(out);
    for (size_t i = 0; i < text.n;) {
        size_t run = i;
        while (run < text.n && text.p[run] != ' ' && text.p[run] != '\t' && text.p[run] != '\n' &&
               text.p[run] != '\r')
            run++;
        xout_text(out, str_sub(text, i, run - i));
        if (run == text.n)
            break;
        buf_char(out, ' ');
        while (run < text.n && (text.p[run] == ' ' || text.p[run] == '\t' || text.p[run] == '\n' ||
                                text.p[run] == '\r'))
            run++;
        i = run;
    }
    xout_close_str(out, name);
}

/* FLAGS, UID, INTERNALDATE, Size; false: it is none of them. */
static bool row_meta(struct buf *out, struct str name, const struct fields_meta *m)
{
    if (str_ieq(name, STR("FLAGS"))) {
        element(out, name, m->flags);
        return true;
    }
    if (str_ieq(name, STR("INTERNALDATE"))) {
        char text[XTIME_SIZE];
        xout_open_str(out, name);
        xout_attr(out, "localTime", xtime_local(text, m->internal_date, m->zone));
        xout_body(out);
        xout_text(out, xtime_gmt_z(text, m->internal_date));
        xout_close_str(out, name);
        return true;
    }
    bool uid = str_ieq(name, STR("UID"));
    if (!uid && !str_ieq(name, STR("Size")))
        return false;
    xout_open_str(out, name);
    xout_body(out);
    buf_u64(out, uid ? m->uid : m->size);
    xout_close_str(out, name);
    return true;
}

static void row_addresses(struct buf *out, struct str name, const struct digest_field *f)
{
    struct digest_address a;
    if (f->kind != DIGEST_ADDRESSES) {
        element(out, name, f->text);
        return;
    }
    for (struct str list = f->list; digest_address_next(&list, &a);)
        fields_address(out, name, &a);
}

/* From, To and their kin: names joined by ", ". */
static void row_display(struct buf *out, struct str name, const struct digest_field *f)
{
    struct digest_address a;
    bool first = true;
    if (f->kind != DIGEST_ADDRESSES || f->list.n == 0) {
        element_collapsed(out, name, f->text);
        return;
    }
    xout_open_str(out, name);
    xout_body(out);
    for (struct str list = f->list; digest_address_next(&list, &a); first = false) {
        if (!first)
            buf_lit(out, ", ");
        xout_text(out, a.name.n != 0 ? a.name : a.address);
    }
    xout_close_str(out, name);
}

/* Fields of which the first occurrence counts. */
static bool row_single(struct buf *out, struct str name, const struct digest_head *h,
                       const struct zone *zone)
{
    struct digest_field f;
    if (name.n > 2 && str_istarts(name, STR("E-")) &&
        digest_address_name(str_sub(name, 2, name.n)).p != NULL) {
        if (digest_fields_first(&h->fields, str_sub(name, 2, name.n), &f))
            row_addresses(out, name, &f);
        return true;
    }
    bool date = str_ieq(name, STR("Date")) || str_ieq(name, STR("Resent-Date"));
    bool text = str_ieq(name, STR("Subject")) || str_ieq(name, STR("Return-Path"));
    bool type = str_ieq(name, STR("Content-Type"));
    bool address = digest_address_name(name).p != NULL;
    if (!date && !text && !type && !address)
        return false;
    if (!digest_fields_first(&h->fields, name, &f))
        return true;
    if (date) {
        fields_date(out, name, &f, zone);
    } else if (type) {
        xout_open_str(out, name);
        xout_body(out);
        xout_text(out, h->type);
        buf_char(out, '/');
        xout_text(out, h->subtype);
        xout_close_str(out, name);
    } else if (text || f.text.n != 0) {
        element_collapsed(out, name, f.text);
    } else {
        row_display(out, name, &f);
    }
    return true;
}

static void row_field(struct buf *out, struct str name, const struct digest_head *h,
                      const struct fields_meta *m)
{
    if (row_meta(out, name, m) || str_ieq(name, STR("BODY")) || str_ieq(name, STR("TEXT")))
        return;
    if (str_ieq(name, STR("Pty"))) {
        struct str priority = fields_priority(&h->fields);
        if (priority.n != 0)
            element(out, name, priority);
        return;
    }
    if (row_single(out, name, h, m->zone))
        return;
    struct digest_field f;
    for (uint32_t from = 0; digest_fields_next(&h->fields, name, &from, &f);)
        element_collapsed(out, name, f.text);
}

void fields_row(struct buf *out, const struct digest_head *h, const struct str *names,
                uint32_t count, const struct fields_meta *m)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fields_name_ok(names[i]))
            row_field(out, names[i], h, m);
    }
}
