// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The page, written piece by piece: header, text, attachments. */
#include <stdio.h>

#include "base/utf8.h"
#include "codec/filename.h"
#include "codec/xtime.h"
#include "ximss/format_priv.h"

#define PIECE         8192
#define ADDRESSES_MAX 50 /* of one field */

/* --- the header */

static void put_row(struct buf *out, const char *name, struct str text)
{
    if (text.n == 0)
        return;
    buf_printf(out, "<tr><th>%s:</th><td>", name);
    html_escape(out, utf8_prefix(text, FORMAT_VALUE_MAX));
    buf_lit(out, "</td></tr>");
}

static void put_address(struct buf *out, const struct digest_address *a)
{
    html_escape(out, utf8_prefix(a->name.n != 0 ? a->name : a->address, FORMAT_VALUE_MAX));
    if (a->name.n == 0 || a->address.n == 0)
        return;
    buf_lit(out, " &lt;");
    html_escape(out, utf8_prefix(a->address, FORMAT_VALUE_MAX));
    buf_lit(out, "&gt;");
}

static void put_addresses(struct buf *out, const char *name, const struct digest_field *field)
{
    struct digest_address a;
    uint32_t n = 0;
    if (field->kind != DIGEST_ADDRESSES || field->list.n == 0) {
        put_row(out, name, field->text);
        return;
    }
    buf_printf(out, "<tr><th>%s:</th><td>", name);
    for (struct str list = field->list; digest_address_next(&list, &a); n++) {
        if (n != 0)
            buf_lit(out, ", ");
        if (n == ADDRESSES_MAX) {
            buf_lit(out, "\xe2\x80\xa6"); /* an ellipsis */
            break;
        }
        put_address(out, &a);
    }
    buf_lit(out, "</td></tr>");
}

/* 2026-05-25 08:14:00, the reader's time. */
static void put_date(struct buf *out, const struct format *f, const struct digest_field *field)
{
    char t[XTIME_SIZE], text[32];
    if (field->kind != DIGEST_DATE) {
        put_row(out, "Date", field->text);
        return;
    }
    xtime_local(t, field->when, f->o.zone);
    snprintf(text, sizeof text, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s", t, t + 4, t + 6, t + 9, t + 11,
             t + 13);
    put_row(out, "Date", str_of(text));
}

static void put_head(struct format *f, struct buf *out)
{
    static const char *const names[] = {"From", "Reply-To", "To", "Cc", "Subject", "Date"};
    struct digest_field field;
    buf_lit(out, "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>");
    if (digest_fields_first(&f->h.fields, STR("Subject"), &field))
        html_escape(out, utf8_prefix(field.text, FORMAT_VALUE_MAX));
    buf_lit(out, "</title></head><body><table class=\"rfcheader\"><tbody>");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!digest_fields_first(&f->h.fields, str_of(names[i]), &field))
            continue;
        if (str_eq(str_of(names[i]), STR("Date")))
            put_date(out, f, &field);
        else
            put_addresses(out, names[i], &field);
    }
    buf_lit(out, "</tbody></table><div class=\"samoware-RFC822-body\">");
    f->stage = FORMAT_STAGE_TEXT;
}

/* --- text and attachments */

static struct str text_of(const struct format *f, const struct digest_part *p)
{
    if (f->roles[p->index] == FORMAT_ROLE_HTML)
        return buf_slice(&f->clean);
    return str_eq(p->subtype, STR("html")) && str_eq(p->type, STR("text")) ? p->plain : p->text;
}

/* One piece of the text at hand; its end when all of it, or all that may come, is written. */
static void put_text(struct format *f, struct buf *out, const struct digest_part *p)
{
    bool html = f->roles[p->index] == FORMAT_ROLE_HTML;
    struct str rest = text_of(f, p);
    rest = str_sub(rest, f->at, rest.n);
    if (!f->opened) {
        buf_str(out, f->any ? STR("<hr>") : STR(""));
        buf_str(out, html ? STR("<div>") : STR("<div style=\"white-space: pre-wrap\">"));
        f->opened = f->any = true;
    }
    struct str piece = utf8_prefix(rest, PIECE);
    if (html) {
        buf_str(out, piece);
    } else {
        piece = utf8_prefix(piece, f->left < PIECE ? (size_t)f->left : PIECE);
        html_escape(out, piece);
        f->left -= piece.n;
    }
    f->at += piece.n;
    if (piece.n != 0 && piece.n < rest.n)
        return;
    buf_lit(out, "</div>");
    f->opened = false;
    f->at = 0;
    f->part++;
}

static void put_attachment(const struct format *f, struct buf *out, const struct digest_part *p)
{
    struct buf url, name;
    buf_init(&url, 65536);
    buf_init(&name, 65536);
    format_part_url(f, p, &url);
    filename_clean(&name, format_part_name(p));
    if (url.failed || name.failed)
        out->failed = true;
    buf_lit(out, "<cg-message-attachment attachment-ref=\"");
    html_escape(out, buf_slice(&url));
    buf_lit(out, "\" attachment-name=\"");
    html_escape(out, buf_slice(&name));
    buf_lit(out, "\"></cg-message-attachment>");
    buf_free(&url);
    buf_free(&name);
}

/* One step of the text or of the attachments: the part at hand. */
static void put_part(struct format *f, struct buf *out)
{
    struct digest_part p = digest_part_at(&f->b, f->part);
    enum format_role role = (enum format_role)f->roles[f->part];
    if (f->stage == FORMAT_STAGE_TEXT && (role == FORMAT_ROLE_TEXT || role == FORMAT_ROLE_HTML)) {
        put_text(f, out, &p);
        return;
    }
    if (f->stage == FORMAT_STAGE_ATTACHED && role == FORMAT_ROLE_ATTACHED)
        put_attachment(f, out, &p);
    f->part++;
}

static void put_next(struct format *f, struct buf *out)
{
    if (f->stage == FORMAT_STAGE_HEAD) {
        put_head(f, out);
    } else if (f->stage == FORMAT_STAGE_END) {
        buf_lit(out, "</body></html>");
        f->stage = FORMAT_STAGE_DONE;
    } else if (f->part < f->b.count) {
        put_part(f, out);
    } else {
        f->part = 0;
        if (f->stage == FORMAT_STAGE_TEXT)
            buf_lit(out, "</div>");
        f->stage = f->stage == FORMAT_STAGE_TEXT ? FORMAT_STAGE_ATTACHED : FORMAT_STAGE_END;
    }
}

enum err format_write(struct format *f, struct buf *out, size_t slice)
{
    size_t full = out->n + slice;
    if (format_wants_clean(f)) /* nobody could, or would, clean it */
        format_cleaned(f, ERR_TIMEOUT, STR_NONE);
    while (f->stage != FORMAT_STAGE_DONE && out->n < full && !out->failed)
        put_next(f, out);
    enum err e = buf_err(out);
    return e != ERR_OK ? e : f->stage == FORMAT_STAGE_DONE ? ERR_OK : ERR_MORE;
}
