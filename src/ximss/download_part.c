// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Which bytes a reference means, and what is said about them: type, name. */
#include "ximss/download_priv.h"

#include "codec/httpfield.h"
#include "store/message.h"
#include "ximss/folder.h"
#include "ximss/session.h"

#define TOKEN_MAX 64 /* of a type, a subtype, a charset */

/* --- Content-Type */

/* RFC 9110, 5.6.2. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = str_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
            return false;
    }
    return s.n != 0 && s.n <= TOKEN_MAX;
}

/* A multipart that is none, or has been cut, is nothing that a browser should take apart. */
static void put_type(struct download *d, const struct digest_part *p)
{
    if (!is_token(p->type) || !is_token(p->subtype) || str_eq(p->type, STR("multipart"))) {
        buf_lit(&d->type, "application/octet-stream");
        return;
    }
    buf_str(&d->type, p->type);
    buf_char(&d->type, '/');
    buf_str(&d->type, p->subtype);
    if (str_eq(p->type, STR("text")) && is_token(p->charset)) {
        buf_lit(&d->type, "; charset=");
        buf_str(&d->type, p->charset);
    }
}

static struct str media_of(const struct download *d)
{
    struct str type = buf_slice(&d->type);
    return str_sub(type, 0, str_find(type, ';'));
}

/* --- Content-Disposition */

static struct str param(struct str params, struct str want)
{
    struct str name, value;
    while (digest_param_next(&params, &name, &value)) {
        if (str_eq(name, want))
            return value;
    }
    return STR_NONE;
}

/* The part's own name, or else the one that the client has put into the URL. */
static struct str name_of(const struct digest_part *p, const struct parturl *ref)
{
    struct str name = param(p->disposition_params, STR("filename"));
    if (name.n == 0)
        name = param(p->type_params, STR("name"));
    return name.n != 0 ? name : ref->name;
}

static void put_name(struct download *d, struct str name)
{
    buf_lit(&d->fields, "Content-Disposition: ");
    httpfield_disposition(&d->fields, httpfield_shown(media_of(d)), name);
    buf_lit(&d->fields, "\r\n");
}

/* --- which bytes */

static enum err find_message(const struct session *s, struct str folder, struct download *d,
                             uint64_t *size)
{
    const struct folder *f = folder_find(s, folder);
    struct message_row row;
    uint32_t index;
    if (f == NULL)
        return ERR_FOLDER_NOT_OPEN;
    if (f->dead)
        return ERR_MAILBOX_REMOVED;
    if (f->view == NULL || !view_find(f->view, d->uid, &index))
        return ERR_MESSAGE_MISSING;
    d->mailbox = f->mailbox;
    enum err e = message_row_get(s->store, s->account, f->mailbox, d->uid, &row);
    if (e == ERR_OK)
        *size = row.size;
    message_row_done(s->store);
    return e;
}

static void set_range(struct download *d, uint64_t at, uint64_t n, enum digest_encoding how)
{
    d->raw_at = at;
    d->raw_n = d->encoded = n;
    transfer_init(&d->t, how);
    if (how == DIGEST_7BIT) {
        d->size = n;
        d->measured = true;
    }
}

static void put_source_head(struct download *d, bool as_message, struct str part)
{
    struct buf name;
    buf_init(&name, DOWNLOAD_HEAD_MAX);
    buf_u64(&name, d->uid);
    if (part.n != 0)
        buf_char(&name, '-');
    buf_str(&name, part);
    buf_lit(&name, "-P.txt");
    if (as_message)
        buf_lit(&d->type, "message/rfc822");
    else
        buf_lit(&d->type, "text/plain; charset=utf-8");
    put_name(d, buf_slice(&name));
    buf_free(&name);
}

static bool find_part(const struct digest_body *b, const struct parturl *ref, struct digest_part *p)
{
    if (ref->part_n != 0)
        return digest_part_find(b, parturl_part(ref), p);
    *p = digest_part_at(b, 0);
    return true;
}

/* The range in the stored message that has to be read for it. */
static enum err set_bytes(struct download *d, const struct digest_body *b,
                          const struct digest_part *p, bool source, uint64_t size)
{
    uint64_t at = source ? p->head_at : p->raw_at;
    if (p->head_at > p->raw_at)
        return ERR_DB;
    d->part = p->index;
    set_range(d, at, p->raw_at + (uint64_t)p->raw_n - at, source ? DIGEST_7BIT : p->encoding);
    enum err e = unwrap_open(b, p, &d->raw_at, &d->raw_n, &d->unwrap);
    if (e != ERR_OK)
        return e == ERR_UNSUPPORTED ? ERR_PART_MISSING : e;
    return d->raw_at <= size && d->raw_n <= size - d->raw_at ? ERR_OK : ERR_DB;
}

static enum err set_part(const struct session *s, struct download *d, const struct digest_body *b,
                         const struct parturl *ref, uint64_t size)
{
    struct digest_part p;
    bool source = ref->kind == PARTURL_SOURCE;
    if (!find_part(b, ref, &p) || (!source && p.kind == DIGEST_MULTIPART))
        return ERR_PART_MISSING;
    enum err e = set_bytes(d, b, &p, source, size);
    if (e != ERR_OK)
        return e;
    if (source) {
        put_source_head(d, s->x->source_as_message, parturl_part(ref));
        return ERR_OK;
    }
    d->body = true;
    put_type(d, &p);
    put_name(d, name_of(&p, ref));
    return ERR_OK;
}

enum err download_find(struct download *d, const struct session *s, struct str folder,
                       const struct parturl *ref)
{
    struct buf blob;
    struct digest_body b;
    uint64_t size = 0;
    enum err e = find_message(s, folder, d, &size);
    if (e != ERR_OK)
        return e;
    if (ref->kind == PARTURL_PHOTO)
        return ERR_PART_MISSING; /* no message is a contact yet */
    if (ref->kind == PARTURL_SOURCE && ref->part_n == 0) {
        set_range(d, 0, size, DIGEST_7BIT);
        put_source_head(d, s->x->source_as_message, STR_NONE);
        return ERR_OK;
    }
    buf_init(&blob, DIGEST_BLOB_MAX);
    e = message_read_body(s->store, s->account, d->mailbox, d->uid, &blob);
    if (e == ERR_OK && digest_body_open(&b, buf_slice(&blob)) != ERR_OK)
        e = ERR_DB;
    if (e == ERR_OK)
        e = set_part(s, d, &b, ref, size);
    buf_free(&blob);
    return e;
}
