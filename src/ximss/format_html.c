// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/format_html.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "codec/filename.h"
#include "codec/html_job.h"
#include "codec/parturl.h"
#include "codec/xtime.h"
#include "store/message.h"
#include "ximss/folder.h"
#include "ximss/locale.h"

#define PIECE         8192
#define VALUE_MAX     1024 /* bytes of one value of the header */
#define ADDRESSES_MAX 50   /* of one field */
#define MEMORY        ((size_t)4 << 20)

/* What becomes of a part. */
enum role {
    ROLE_HIDDEN, /* an alternative of what is shown, an image in it, or a frame of other parts */
    ROLE_TEXT,
    ROLE_HTML, /* the clean form stands for it */
    ROLE_ATTACHED,
};

enum stage { STAGE_HEAD, STAGE_TEXT, STAGE_ATTACHED, STAGE_END, STAGE_DONE };

#define NO_PART UINT32_MAX

struct format {
    struct arena a; /* names, roles, URLs */
    struct buf head, body, clean;
    struct digest_head h;
    struct digest_body b;
    struct format_options o;
    uint8_t *roles;
    uint32_t html; /* the part that is shown as HTML, or NO_PART */
    struct html_part *parts;
    uint32_t nparts;
    /* the place */
    enum stage stage;
    uint32_t part;
    size_t at;     /* in its text */
    bool opened;   /* its text has begun */
    bool any;      /* there was a text before */
    uint64_t left; /* bytes of text that may still come */
};

/* --- which part is what */

static bool is(const struct digest_part *p, const char *type, const char *subtype)
{
    return str_eq(p->type, str_of(type)) && str_eq(p->subtype, str_of(subtype));
}

static bool is_html(const struct digest_part *p)
{
    return p->kind == DIGEST_TEXT_PART && is(p, "text", "html") &&
           !str_ieq(p->disposition, STR("attachment"));
}

/* The next part that is not inside of a message. */
static uint32_t step(const struct digest_part *p)
{
    return p->kind == DIGEST_MESSAGE ? p->next : p->index + 1;
}

static uint32_t find_html(const struct format *f)
{
    struct digest_part p;
    for (uint32_t i = 0; i < f->b.count; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        if (is_html(&p))
            return i;
    }
    return NO_PART;
}

/* Is there a multipart of that subtype around both, in which they stand in different branches? */
static bool are_apart(const struct format *f, const struct digest_part *p, uint32_t other,
                      const char *subtype)
{
    struct digest_part branch = *p, above;
    while (branch.index != 0) {
        above = digest_part_at(&f->b, branch.parent);
        bool around = other > above.index && other < above.next;
        if (around && is(&above, "multipart", subtype) &&
            (other < branch.index || other >= branch.next))
            return true;
        branch = above;
    }
    return false;
}

static enum role role_of(const struct format *f, const struct digest_part *p)
{
    if (p->kind == DIGEST_MULTIPART)
        return ROLE_HIDDEN;
    if (p->index == f->html)
        return ROLE_HTML;
    if (f->html != NO_PART && are_apart(f, p, f->html, "alternative"))
        return ROLE_HIDDEN;
    if (f->html != NO_PART && p->content_id.n != 0 && str_eq(p->type, STR("image")) &&
        are_apart(f, p, f->html, "related"))
        return ROLE_HIDDEN;
    if (p->kind != DIGEST_TEXT_PART || str_ieq(p->disposition, STR("attachment")))
        return ROLE_ATTACHED;
    if (is_html(p) && p->has_plain)
        return f->html == NO_PART ? ROLE_HIDDEN : ROLE_ATTACHED;
    if (is_html(p))
        return f->html == NO_PART ? ROLE_TEXT : ROLE_ATTACHED;
    return p->index == 0 || is(p, "text", "plain") ? ROLE_TEXT : ROLE_ATTACHED;
}

static void give_roles(struct format *f)
{
    struct digest_part p;
    memset(f->roles, ROLE_HIDDEN, f->b.count);
    for (uint32_t i = 0; i < f->b.count; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        f->roles[i] = (uint8_t)role_of(f, &p);
    }
}

static struct str name_of(const struct digest_part *p)
{
    struct str lists[] = {p->disposition_params, p->type_params}, name, value;
    static const char *const wanted[] = {"filename", "name"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (digest_param_next(&lists[i], &name, &value)) {
            if (str_eq(name, str_of(wanted[i])) && value.n != 0)
                return value;
        }
    }
    return p->description;
}

static void put_url(const struct format *f, const struct digest_part *p, struct buf *to)
{
    parturl_make(to, f->o.url_id, f->o.folder, f->o.uid, p->part_id, name_of(p));
}

/* Parts that the HTML may show. */
static enum err list_parts(struct format *f)
{
    struct digest_part p;
    struct buf url;
    f->parts = arena_array(&f->a, HTML_PARTS_MAX, sizeof *f->parts);
    if (f->parts == NULL)
        return ERR_NOMEM;
    buf_init(&url, 65536);
    for (uint32_t i = 0; i < f->b.count && f->nparts < HTML_PARTS_MAX; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        if (p.content_id.n == 0 || p.content_id.n > VALUE_MAX || p.kind == DIGEST_MULTIPART)
            continue;
        buf_clear(&url);
        put_url(f, &p, &url);
        struct str copy = arena_str(&f->a, buf_slice(&url));
        if (copy.p != NULL && !url.failed)
            f->parts[f->nparts++] = (struct html_part){p.content_id, copy};
    }
    buf_free(&url);
    return ERR_OK;
}

/* --- making */

static enum err prepare(struct format *f, const struct format_options *o)
{
    enum err e = digest_head_open(&f->h, buf_slice(&f->head));
    if (e == ERR_OK)
        e = digest_body_open(&f->b, buf_slice(&f->body));
    if (e != ERR_OK)
        return e;
    f->o = *o;
    f->left = o->text_max;
    f->o.url_id = arena_str(&f->a, o->url_id);
    f->o.folder = arena_str(&f->a, o->folder);
    f->roles = arena_alloc(&f->a, f->b.count);
    if (f->o.url_id.p == NULL || f->o.folder.p == NULL || f->roles == NULL)
        return ERR_NOMEM;
    f->html = find_html(f);
    give_roles(f);
    return f->html != NO_PART ? list_parts(f) : ERR_OK;
}

enum err format_new(struct buf *head, struct buf *body, const struct format_options *o,
                    struct format **out)
{
    struct format *f = calloc(1, sizeof *f);
    *out = NULL;
    if (f == NULL) {
        buf_free(head);
        buf_free(body);
        return ERR_NOMEM;
    }
    arena_init(&f->a, MEMORY);
    f->head = *head;
    f->body = *body;
    buf_init(head, head->max);
    buf_init(body, body->max);
    buf_init(&f->clean, html_limits_default.output);
    enum err e = prepare(f, o);
    if (e != ERR_OK)
        format_free(&f);
    *out = f;
    return e;
}

void format_free(struct format **fp)
{
    struct format *f = *fp;
    *fp = NULL;
    if (f == NULL)
        return;
    buf_free(&f->head);
    buf_free(&f->body);
    buf_free(&f->clean);
    arena_free(&f->a);
    free(f);
}

/* --- from the store */

static enum err read_digest(const struct session *s, int64_t mailbox, uint32_t uid,
                            struct buf *head, struct buf *body)
{
    struct message_row m;
    enum err e = message_row_get(s->store, s->account, mailbox, uid, &m);

    if (e == ERR_OK) {
        buf_str(head, m.head);
        e = buf_err(head);
    }
    message_row_done(s->store);
    return e == ERR_OK ? message_read_body(s->store, s->account, mailbox, uid, body) : e;
}

/* As if nothing could parse the message (design 4). */
static enum err read_opaque(const struct session *s, int64_t mailbox, uint32_t uid,
                            struct buf *head, struct buf *body)
{
    struct buf raw;
    enum err e;

    buf_clear(head);
    buf_clear(body);
    buf_init(&raw, MESSAGE_MAX);
    e = message_read_raw(s->store, s->account, mailbox, uid, 0, UINT64_MAX, &raw);
    if (e == ERR_OK)
        e = digest_opaque(buf_slice(&raw), head, body);
    buf_free(&raw);
    return e;
}

enum err format_open(struct session *s, struct str folder, uint32_t uid, struct format **out)
{
    const struct folder *f = folder_find(s, folder);
    struct format_options o = {.url_id = s->url_id,
                               .folder = folder,
                               .uid = uid,
                               .zone = session_zone(s),
                               .text_max = s->x->limits.inline_text};
    struct buf head, body;
    uint32_t index;

    *out = NULL;
    if (f == NULL)
        return ERR_FOLDER_NOT_OPEN;
    if (f->dead)
        return ERR_MAILBOX_REMOVED;
    if (!view_find(f->view, uid, &index))
        return ERR_MESSAGE_MISSING;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    enum err e = read_digest(s, f->mailbox, uid, &head, &body);
    if (e == ERR_OK)
        e = format_new(&head, &body, &o, out);
    if (e == ERR_SYNTAX || e == ERR_DB) {
        e = read_opaque(s, f->mailbox, uid, &head, &body);
        if (e == ERR_OK)
            e = format_new(&head, &body, &o, out);
    }
    buf_free(&head);
    buf_free(&body);
    return e;
}

/* --- the clean form */

bool format_wants_clean(const struct format *f)
{
    return f->html != NO_PART && f->stage == STAGE_HEAD && f->clean.n == 0;
}

void format_job(struct format *f, struct buf *job)
{
    struct digest_part p = digest_part_at(&f->b, f->html);
    html_job_write(job, f->parts, f->nparts, utf8_prefix(p.text, html_limits_default.input));
}

void format_cleaned(struct format *f, enum err e, struct str html)
{
    if (e == ERR_OK)
        buf_str(&f->clean, html);
    if (e == ERR_OK && buf_err(&f->clean) == ERR_OK)
        return;
    f->html = NO_PART;
    give_roles(f);
}

/* --- writing */

static void put_row(struct buf *out, const char *name, struct str text)
{
    if (text.n == 0)
        return;
    buf_printf(out, "<tr><th>%s:</th><td>", name);
    html_escape(out, utf8_prefix(text, VALUE_MAX));
    buf_lit(out, "</td></tr>");
}

static void put_address(struct buf *out, const struct digest_address *a)
{
    html_escape(out, utf8_prefix(a->name.n != 0 ? a->name : a->address, VALUE_MAX));
    if (a->name.n == 0 || a->address.n == 0)
        return;
    buf_lit(out, " &lt;");
    html_escape(out, utf8_prefix(a->address, VALUE_MAX));
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
        html_escape(out, utf8_prefix(field.text, VALUE_MAX));
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
    f->stage = STAGE_TEXT;
}

static struct str text_of(const struct format *f, const struct digest_part *p)
{
    if (f->roles[p->index] == ROLE_HTML)
        return buf_slice(&f->clean);
    return str_eq(p->subtype, STR("html")) && str_eq(p->type, STR("text")) ? p->plain : p->text;
}

/* One piece of the text at hand; its end when all of it, or all that may come, is written. */
static void put_text(struct format *f, struct buf *out, const struct digest_part *p)
{
    bool html = f->roles[p->index] == ROLE_HTML;
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
    put_url(f, p, &url);
    filename_clean(&name, name_of(p));
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
    enum role role = (enum role)f->roles[f->part];
    if (f->stage == STAGE_TEXT && (role == ROLE_TEXT || role == ROLE_HTML)) {
        put_text(f, out, &p);
        return;
    }
    if (f->stage == STAGE_ATTACHED && role == ROLE_ATTACHED)
        put_attachment(f, out, &p);
    f->part++;
}

static void put_next(struct format *f, struct buf *out)
{
    if (f->stage == STAGE_HEAD) {
        put_head(f, out);
    } else if (f->stage == STAGE_END) {
        buf_lit(out, "</body></html>");
        f->stage = STAGE_DONE;
    } else if (f->part < f->b.count) {
        put_part(f, out);
    } else {
        f->part = 0;
        if (f->stage == STAGE_TEXT)
            buf_lit(out, "</div>");
        f->stage = f->stage == STAGE_TEXT ? STAGE_ATTACHED : STAGE_END;
    }
}

enum err format_write(struct format *f, struct buf *out, size_t slice)
{
    size_t full = out->n + slice;
    if (format_wants_clean(f)) /* nobody could, or would, clean it */
        format_cleaned(f, ERR_TIMEOUT, STR_NONE);
    while (f->stage != STAGE_DONE && out->n < full && !out->failed)
        put_next(f, out);
    enum err e = buf_err(out);
    return e != ERR_OK ? e : f->stage == STAGE_DONE ? ERR_OK : ERR_MORE;
}
