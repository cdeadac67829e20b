// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/report.h"

#include "codec/xout.h"
#include "store/mailbox.h"
#include "ximss/fields_xml.h"
#include "ximss/locale.h"

#define FLAGS_TEXT_MAX 8192 /* 15 flags and 64 keywords of 64 bytes */

enum err report_init(struct req *r, const struct folder *f)
{
    struct mailbox_info m;
    enum err e = mailbox_get(r->s->store, r->s->account, f->mailbox, &r->arena, &m);

    if (e != ERR_OK)
        return e;
    req_open(r, "folderReport");
    xout_attr(r->out, "folder", f->name);
    xout_attr_lit(r->out, "mode", "init");
    xout_attr_u64(r->out, "messages", view_count(f->view));
    xout_attr_u64(r->out, "unseen", view_unseen(f->view));
    xout_attr_u64(r->out, "UIDNext", m.uid_next);
    xout_attr_u64(r->out, "UIDValidity", m.uid_validity);
    xout_attr_lit(r->out, "rights", FOLDER_RIGHTS);
    xout_empty(r->out);
    xout_end(r->out);
    return ERR_OK;
}

static enum err keywords_of(struct report_rows *rows, uint64_t used, struct flag_keywords **out)
{
    struct req *r = rows->r;

    *out = rows->keywords;
    if (used == 0 || *out != NULL)
        return ERR_OK;
    *out = ARENA_NEW(&r->arena, struct flag_keywords);
    if (*out == NULL)
        return ERR_NOMEM;
    rows->keywords = *out;
    return message_keywords(r->s->store, r->s->account, rows->f->mailbox, &r->arena, *out);
}

/* The field elements; a damaged HEAD gives a row without header fields, not an error. */
static enum err write_fields(struct report_rows *rows, const struct message_row *m)
{
    struct digest_head head;
    struct flag_keywords *keywords;
    struct buf flags;
    enum err e = keywords_of(rows, m->keywords, &keywords);

    if (e != ERR_OK)
        return e;
    if (digest_head_open(&head, m->head) != ERR_OK)
        head = (struct digest_head){.type = STR("text"), .subtype = STR("plain")};
    buf_init(&flags, FLAGS_TEXT_MAX);
    flags_print(&flags, m->flags, m->keywords, keywords);
    e = buf_err(&flags);
    if (e == ERR_OK) {
        struct fields_meta meta = {.flags = buf_slice(&flags),
                                   .uid = m->uid,
                                   .internal_date = m->internaldate,
                                   .size = m->size,
                                   .zone = session_zone(rows->r->s)};
        fields_row(rows->r->out, &head, rows->f->fields, rows->f->field_count, &meta);
    }
    buf_free(&flags);
    return e;
}

static void open_row(struct report_rows *rows, const char *mode, uint32_t index, uint32_t uid)
{
    struct buf *out = rows->r->out;

    req_open(rows->r, "folderReport");
    xout_attr(out, "folder", rows->f->name);
    if (mode != NULL)
        xout_attr_lit(out, "mode", mode);
    xout_attr_u64(out, "index", index);
    xout_attr_u64(out, "UID", uid);
}

/* Ends the element; m NULL: without body. */
static enum err finish_row(struct report_rows *rows, const struct message_row *m)
{
    struct buf *out = rows->r->out;
    enum err e = ERR_OK;

    if (m == NULL || rows->f->field_count == 0) {
        xout_empty(out);
    } else {
        xout_body(out);
        e = write_fields(rows, m);
        xout_close(out, "folderReport");
    }
    xout_end(out);
    return e;
}

/* A row that could not be written whole is not written at all. */
static enum err undo_row(struct report_rows *rows, size_t before, enum err e)
{
    if (e != ERR_OK)
        buf_cut(rows->r->out, before);
    return e;
}

static enum err get_row(const struct report_rows *rows, uint32_t uid, struct message_row *m)
{
    const struct session *s = rows->r->s;

    return message_row_get(s->store, s->account, rows->f->mailbox, uid, m);
}

enum err report_row(struct report_rows *rows, uint32_t index, uint32_t uid)
{
    size_t before = rows->r->out->n;
    struct message_row m = {.uid = uid};
    enum err e = get_row(rows, uid, &m);

    if (e == ERR_OK) {
        open_row(rows, NULL, index, uid);
        e = undo_row(rows, before, finish_row(rows, &m));
    }
    message_row_done(rows->r->s->store);
    return e;
}

static void write_totals(struct buf *out, const struct view_report *c)
{
    xout_attr_u64(out, "messages", c->messages);
    xout_attr_u64(out, "unseen", c->unseen);
}

enum err report_change(struct report_rows *rows, const struct view_report *c)
{
    size_t before = rows->r->out->n;
    struct message_row m = {.uid = c->uid};
    enum err e = ERR_OK;

    if (c->kind == VIEW_REMOVED) {
        open_row(rows, "removed", c->index, c->uid);
        write_totals(rows->r->out, c);
        return finish_row(rows, NULL);
    }
    e = get_row(rows, c->uid, &m);
    if (e == ERR_MESSAGE_MISSING) {
        m = (struct message_row){.uid = c->uid};
        e = ERR_OK;
    }
    if (e == ERR_OK) {
        open_row(rows, c->kind == VIEW_ADDED ? "added" : "updated", c->index, c->uid);
        write_totals(rows->r->out, c);
        e = undo_row(rows, before, finish_row(rows, &m));
    }
    message_row_done(rows->r->s->store);
    return e;
}
