// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/snapshot.h"

#include <stdlib.h>

#include "base/log.h"
#include "codec/ipcmsg.h"
#include "ximss/alert.h"
#include "ximss/binding.h"
#include "ximss/fields_xml.h"
#include "ximss/folder.h"
#include "ximss/req.h"

#define CORE "core"

/* A field that came or went: is it in the record? Then SNAPSHOT_VERSION counts. (64 bit; others follow.) */
_Static_assert(sizeof(void *) != 8 || sizeof(struct session) == 320, "snapshot.c is told");
_Static_assert(sizeof(void *) != 8 || sizeof(struct folder) == 56, "snapshot.c is told");

bool snapshot_ready(const struct session *s)
{
    if (s->closing || !req_settled(s))
        return false;
    if (s->binding != NULL && (s->req != NULL || !binding_settled(s->binding)))
        return false;
    for (uint32_t i = 0; i < s->folder_count; i++)
        if (s->folders[i]->view == NULL || s->folders[i]->busy)
            return false;
    return true;
}

/* --- core */

static bool put_core(const struct session *s, uint32_t i, struct buf *b)
{
    if (i != 0)
        return false;
    ipc_put_u32(b, s->id);
    ipc_put_u64(b, (uint64_t)s->account);
    ipc_put_u32(b, s->bank);
    ipc_put_u32(b, s->worker);
    ipc_put_u32(b, s->conn);
    ipc_put_u32(b, s->must_change);
    ipc_put_str(b, s->name);
    ipc_put_str(b, s->real_name);
    ipc_put_str(b, s->url_id);
    ipc_put_str(b, s->address);
    ipc_put_opt(b, s->client_name != NULL ? str_of(s->client_name) : STR_NONE);
    ipc_put_u32(b, s->idle_timeout);
    ipc_put_u32(b, s->error_count);
    ipc_put_u64(b, s->request_count);
    ipc_put_u32(b, s->report_changes);
    ipc_put_u32(b, s->mid_message);
    return true;
}

static enum err get_info(struct ipc_in *in, struct session_info *info)
{
    info->id = ipc_get_u32(in);
    info->account = (int64_t)ipc_get_u64(in);
    uint32_t bank = ipc_get_u32(in), worker = ipc_get_u32(in);
    info->conn = ipc_get_u32(in);
    info->must_change = ipc_get_u32(in) != 0;
    info->name = ipc_get_str(in);
    info->real_name = ipc_get_str(in);
    info->url_id = ipc_get_str(in);
    info->address = ipc_get_str(in);
    if (in->bad || info->id == 0 || info->account <= 0 || bank > UINT16_MAX ||
        worker > UINT16_MAX || info->name.n == 0 || info->url_id.n == 0)
        return ERR_PACKET;
    info->bank = (uint16_t)bank;
    info->worker = (uint16_t)worker;
    return ERR_OK;
}

static enum err get_options(struct session *s, struct ipc_in *in)
{
    struct str client = ipc_get_opt(in);
    s->idle_timeout = ipc_get_u32(in);
    s->error_count = ipc_get_u32(in);
    s->request_count = ipc_get_u64(in);
    s->report_changes = ipc_get_u32(in) != 0;
    s->mid_message = ipc_get_u32(in) != 0;
    if (ipc_in_end(in) != ERR_OK || memchr(client.n != 0 ? client.p : "x", 0, client.n) != NULL)
        return ERR_PACKET;
    if (client.p == NULL)
        return ERR_OK;
    s->client_name = strndup(client.p, client.n);
    return s->client_name != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err get_core(const struct snapshot_from *from, struct str body, struct session **out)
{
    struct ipc_in in = {body, false};
    struct session_info info = {0};
    enum err e = get_info(&in, &info);
    struct store *store = e == ERR_OK ? from->store(from->ctx, info.bank) : NULL;
    if (e != ERR_OK || store == NULL)
        return ERR_PACKET;
    e = session_new(from->x, store, &info, out);
    if (e != ERR_OK)
        return e;
    (*out)->user = from->user;
    return get_options(*out, &in);
}

/* --- requests */

static bool put_queue(const struct session *s, uint32_t i, struct buf *b)
{
    if (i != 0 || s->queue.n == 0)
        return false;
    buf_str(b, buf_slice(&s->queue));
    return true;
}

static enum err get_queue(struct session *s, struct str body)
{
    struct ipc_in in = {body, false};
    size_t before = s->queue.n;
    while (!in.bad && in.rest.n != 0) {
        struct str message = ipc_get_str(&in);
        s->queue_bytes += message.n;
        s->queue_count++;
    }
    if (before != 0 || body.n == 0 || in.bad)
        return ERR_PACKET;
    buf_str(&s->queue, body);
    return buf_err(&s->queue);
}

static bool put_rest(const struct session *s, uint32_t i, struct buf *b)
{
    if (i != 0 || s->req == NULL)
        return false;
    ipc_put_u32(b, s->req->bytes);
    req_put_rest(s, b);
    return true;
}

static enum err get_rest(struct session *s, struct str body)
{
    struct ipc_in in = {body, false};
    uint32_t bytes = ipc_get_u32(&in);
    struct str rest = ipc_get_rest(&in);
    return in.bad ? ERR_PACKET : req_resume(s, rest, bytes);
}

/* --- folders */

enum { DIRTY = 1, NOTIFIED = 2, NOTIFY_DUE = 4, DEAD = 8, STALE = 16 };

static uint32_t bits_of(const struct folder *f)
{
    return (f->dirty ? DIRTY : 0u) | (f->notified ? NOTIFIED : 0u) |
           (f->notify_due ? NOTIFY_DUE : 0u) | (f->dead ? DEAD : 0u) | (f->stale ? STALE : 0u);
}

static void set_bits(struct folder *f, uint32_t bits)
{
    f->busy = false;
    f->dirty = (bits & DIRTY) != 0;
    f->notified = (bits & NOTIFIED) != 0;
    f->notify_due = (bits & NOTIFY_DUE) != 0;
    f->dead = (bits & DEAD) != 0;
    f->stale = (bits & STALE) != 0;
}

static bool put_folder(const struct session *s, uint32_t i, struct buf *b)
{
    if (i >= s->folder_count)
        return false;
    const struct folder *f = s->folders[i];
    ipc_put_str(b, f->name);
    ipc_put_u64(b, (uint64_t)f->mailbox);
    ipc_put_u32(b, f->recent_at);
    ipc_put_u32(b, bits_of(f));
    ipc_put_u32(b, f->field_count);
    for (uint32_t k = 0; k < f->field_count; k++)
        ipc_put_str(b, f->fields[k]);
    view_put(f->view, b);
    return true;
}

/* One block, as folder_fields_read() makes it. */
static enum err get_fields(struct ipc_in *in, struct str **fields, uint32_t *count)
{
    struct ipc_in look;
    size_t bytes = 0;
    *fields = NULL;
    *count = ipc_get_u32(in);
    look = *in;
    for (uint32_t i = 0; i < *count && !look.bad; i++) {
        struct str name = ipc_get_str(&look);
        if (look.bad || !fields_name_ok(name))
            return ERR_PACKET;
        bytes += name.n;
    }
    if (look.bad || *count == 0)
        return look.bad ? ERR_PACKET : ERR_OK;
    *fields = malloc(*count * sizeof **fields + bytes);
    if (*fields == NULL)
        return ERR_NOMEM;
    char *at = (char *)(*fields + *count);
    for (uint32_t i = 0; i < *count; i++) {
        struct str name = ipc_get_str(in);
        memcpy(at, name.p, name.n);
        (*fields)[i] = (struct str){at, name.n};
        at += name.n;
    }
    return ERR_OK;
}

static enum err get_folder(struct session *s, struct str body)
{
    struct ipc_in in = {body, false};
    struct folder *f;
    struct str *fields, name = ipc_get_str(&in);
    int64_t mailbox = (int64_t)ipc_get_u64(&in);
    uint32_t recent_at = ipc_get_u32(&in), bits = ipc_get_u32(&in), count;
    enum err e = get_fields(&in, &fields, &count);
    if (e != ERR_OK)
        return e;
    if (name.n == 0 || name.n > FOLDER_NAME_MAX || folder_find(s, name) != NULL) {
        free(fields);
        return ERR_PACKET;
    }
    e = folder_add(s, name, mailbox, fields, count, &f);
    if (e != ERR_OK)
        return e;
    set_bits(f, bits);
    f->recent_at = recent_at;
    e = view_get(s->store, s->account, ipc_get_rest(&in), &f->view);
    if (e == ERR_OK && view_mailbox(f->view) != mailbox)
        e = ERR_PACKET;
    return e;
}

/* --- alerts */

static bool put_alert(const struct session *s, uint32_t i, struct buf *b)
{
    struct str text;
    int64_t at;
    if (!alert_at(s, i, &text, &at))
        return false;
    ipc_put_u64(b, (uint64_t)at);
    buf_str(b, text);
    return true;
}

static enum err get_alert(struct session *s, struct str body)
{
    struct ipc_in in = {body, false};
    int64_t at = (int64_t)ipc_get_u64(&in);
    struct str text = ipc_get_rest(&in);
    return in.bad ? ERR_PACKET : alert_restore(s, text, at);
}

/* --- uploads */

/* Clients can send it again: no reason to end a session. */
static enum err get_upload(struct session *s, struct str body)
{
    enum err e = uploads_get(s, body);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "XIMSS", s->id, s->name.p,
                  "a set of uploads is lost at an upgrade: %s", err_name(e));
    return ERR_OK;
}

/* --- records */

static const struct snapshot_part parts[] = {
    {"queue", false, put_queue, get_queue},     {"rest", false, put_rest, get_rest},
    {"folder", false, put_folder, get_folder},  {"alert", false, put_alert, get_alert},
    {"upload", false, uploads_put, get_upload},
};

static void put_name(const char *name, struct buf *b)
{
    char bytes[SNAPSHOT_NAME] = {0};
    BUG_IF(strlen(name) > sizeof bytes);
    memcpy(bytes, name, strlen(name));
    buf_add(b, bytes, sizeof bytes);
}

/* false: there is no i-th one, or no memory for it. */
static bool put_part(const char *name, bool (*put)(const struct session *, uint32_t, struct buf *),
                     const struct session *s, uint32_t i, struct buf *b)
{
    size_t before = b->n, head;
    put_name(name, b);
    ipc_put_u32(b, 0);
    head = b->n;
    bool there = put(s, i, b);
    if (buf_err(b) != ERR_OK)
        return false;
    if (!there || b->n - head > UINT32_MAX) {
        b->failed = there;
        b->n = before;
        return false;
    }
    uint32_t n = (uint32_t)(b->n - head);
    memcpy(b->p + head - sizeof n, &n, sizeof n);
    return true;
}

static void put_table(const struct snapshot_part *table, size_t n, const struct session *s,
                      struct buf *b)
{
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; put_part(table[k].name, table[k].put, s, i, b); i++)
            ;
}

enum err snapshot_put(const struct session *s, const struct snapshot_part *more, size_t nmore,
                      struct buf *b)
{
    size_t before = b->n;
    BUG_IF(!snapshot_ready(s));
    put_part(CORE, put_core, s, 0, b);
    put_table(parts, ARRAY_LEN(parts), s, b);
    put_table(more, nmore, s, b);
    enum err e = buf_err(b);
    if (e != ERR_OK)
        buf_cut(b, before);
    return e;
}

static bool is_named(struct str name, const char *want)
{
    size_t n = strlen(want);
    return memcmp(name.p, want, n) == 0 && (n == SNAPSHOT_NAME || name.p[n] == 0);
}

static bool next_part(struct str *rest, struct str *name, struct str *body)
{
    if (rest->n < SNAPSHOT_NAME)
        return false;
    *name = str_sub(*rest, 0, SNAPSHOT_NAME);
    struct ipc_in in = {str_sub(*rest, SNAPSHOT_NAME, rest->n), false};
    *body = ipc_get_str(&in);
    *rest = in.rest;
    return !in.bad;
}

static const struct snapshot_part *find_part(const struct snapshot_part *table, size_t n,
                                             struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (is_named(name, table[i].name))
            return &table[i];
    return NULL;
}

#define MORE_MAX 32 /* parts of the caller's table: a bit each */

static enum err get_parts(const struct snapshot_from *from, struct str rest, struct session *s)
{
    struct str name, body;
    uint32_t seen = 0;
    while (rest.n != 0) {
        if (!next_part(&rest, &name, &body))
            return ERR_PACKET;
        const struct snapshot_part *p = find_part(parts, ARRAY_LEN(parts), name);
        const struct snapshot_part *more = find_part(from->more, from->nmore, name);
        if (more != NULL)
            seen |= UINT32_C(1) << (more - from->more);
        if (p == NULL && (p = more) == NULL)
            return ERR_PACKET;
        enum err e = p->get(s, body);
        if (e != ERR_OK)
            return e;
    }
    for (size_t i = 0; i < from->nmore; i++)
        if (from->more[i].required && (seen >> i & 1) == 0)
            return ERR_PACKET;
    /* Inside a message there is more of it; nothing else could end it. */
    return s->mid_message && s->req == NULL ? ERR_PACKET : ERR_OK;
}

enum err snapshot_get(const struct snapshot_from *from, struct str record, struct session **out)
{
    struct str name, body;
    *out = NULL;
    BUG_IF(from->nmore > MORE_MAX);
    if (!next_part(&record, &name, &body) || !is_named(name, CORE))
        return ERR_PACKET;
    enum err e = get_core(from, body, out);
    if (e == ERR_OK)
        e = get_parts(from, record, *out);
    if (e == ERR_OK && session_async_due(*out))
        hub_announce(&from->x->hub, *out);
    if (e != ERR_OK)
        session_free(out);
    return e;
}
