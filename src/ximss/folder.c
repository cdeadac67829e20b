// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/folder.h"

#include <stdlib.h>

#include "codec/xout.h"
#include "store/message.h"
#include "ximss/fields_xml.h"

#define FIRST_ROOM  4
#define RECENT_STEP 500  /* messages of one writing slice */
#define NOTIFY_ROOM 2048 /* one notify with the longest name, escaped */

struct folder *folder_find(const struct session *s, struct str name)
{
    for (uint32_t i = 0; i < s->folder_count; i++)
        if (str_eq(s->folders[i]->name, name))
            return s->folders[i];
    return NULL;
}

enum err folder_get(const struct req *r, struct str name, const char *rights, struct folder **out)
{
    struct folder *f = folder_find(r->s, name);

    if (f == NULL)
        return ERR_FOLDER_NOT_OPEN;
    if (f->dead)
        return ERR_MAILBOX_REMOVED;
    for (; *rights != '\0'; rights++)
        if (strchr(FOLDER_RIGHTS, *rights) == NULL)
            return ERR_MAILBOX_DENIED;
    *out = f;
    return ERR_OK;
}

/* --- fields */

static enum err count_fields(const struct req *r, uint32_t *count, size_t *bytes)
{
    const struct xelem *x = xelem_child(r->root, "field");

    for (; x != NULL; x = xelem_next(x, "field")) {
        struct str name = str_trim(x->text);
        if (++*count > r->s->x->limits.fields || !fields_name_ok(name))
            return ERR_ATTR_VALUE;
        *bytes += name.n;
    }
    return ERR_OK;
}

enum err folder_fields_read(const struct req *r, struct str **fields, uint32_t *count)
{
    const struct xelem *x = xelem_child(r->root, "field");
    size_t bytes = 0;
    enum err e;
    char *at;

    *fields = NULL;
    *count = 0;
    e = count_fields(r, count, &bytes);
    if (e != ERR_OK || *count == 0)
        return e;
    *fields = malloc(*count * sizeof **fields + bytes);
    if (*fields == NULL)
        return ERR_NOMEM;
    at = (char *)(*fields + *count);
    for (uint32_t i = 0; x != NULL; x = xelem_next(x, "field"), i++) {
        struct str name = str_trim(x->text);
        memcpy(at, name.p, name.n);
        (*fields)[i] = (struct str){at, name.n};
        at += name.n;
    }
    return ERR_OK;
}

/* --- a folder's life */

static enum err make_room(struct session *s)
{
    uint32_t room = s->folder_room != 0 ? s->folder_room * 2 : FIRST_ROOM;
    struct folder **p;

    if (s->folder_count < s->folder_room)
        return ERR_OK;
    p = realloc(s->folders, room * sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    s->folders = p;
    s->folder_room = room;
    return ERR_OK;
}

enum err folder_add(struct session *s, struct str name, int64_t mailbox, struct str *fields,
                    uint32_t field_count, struct folder **out)
{
    struct folder *f = calloc(1, sizeof *f + name.n);
    char *text = (char *)(f + 1);

    if (f == NULL || make_room(s) != ERR_OK) {
        free(f);
        free(fields);
        return ERR_NOMEM;
    }
    memcpy(text, name.p, name.n);
    f->name = (struct str){text, name.n};
    f->mailbox = mailbox;
    f->fields = fields;
    f->field_count = field_count;
    folder_begin(f);
    s->folders[s->folder_count++] = f;
    *out = f;
    return ERR_OK;
}

static void folder_free(struct folder *f)
{
    view_free(&f->view);
    free(f->fields);
    free(f);
}

void folder_remove(struct session *s, struct folder *f)
{
    uint32_t i = 0;

    while (s->folders[i] != f)
        i++;
    s->folder_count--;
    for (; i < s->folder_count; i++)
        s->folders[i] = s->folders[i + 1];
    folder_free(f);
    if (s->folder_count == 0) {
        free(s->folders);
        s->folders = NULL;
        s->folder_room = 0;
    }
}

static void notify_now_due(struct session *s, struct folder *f)
{
    f->notified = true;
    f->notify_due = true;
    hub_announce(&s->x->hub, s);
}

void folder_begin(struct folder *f)
{
    f->busy = true;
    f->dirty = false;
}

void folder_settle(struct session *s, struct folder *f, bool left)
{
    f->busy = false;
    f->notified = false;
    f->notify_due = false;
    f->dirty = f->dirty || left;
    if (f->dirty)
        notify_now_due(s, f);
}

void folder_give_up(struct session *s, struct folder *f)
{
    f->busy = false;
    f->dirty = true;
    if (!f->notified)
        notify_now_due(s, f);
}

/* --- Recent (protocol 2, 12.2) */

bool folder_has_recent(struct folder *f)
{
    uint32_t n = f->view != NULL && !f->dead ? view_count(f->view) : 0;

    while (f->recent_at < n && (view_flags(f->view, f->recent_at) & FLAG_RECENT) == 0)
        f->recent_at++;
    return f->recent_at < n;
}

uint32_t folder_take_recent(struct folder *f, uint32_t *uids, uint32_t max)
{
    uint32_t n = 0;

    while (n < max && folder_has_recent(f))
        uids[n++] = view_uid(f->view, f->recent_at++);
    return n;
}

bool folders_need_write(struct session *s)
{
    for (uint32_t i = 0; i < s->folder_count; i++)
        if (folder_has_recent(s->folders[i]))
            return true;
    return false;
}

enum err folders_end(struct session *s, bool *more)
{
    uint32_t uids[RECENT_STEP];
    enum err e = ERR_OK;

    for (uint32_t i = 0; i < s->folder_count; i++) {
        struct folder *f = s->folders[i];
        uint32_t n = folder_take_recent(f, uids, RECENT_STEP);
        if (n == 0)
            continue;
        e = message_clear_recent(s->store, s->account, f->mailbox, uids, n);
        if (e == ERR_MAILBOX_REMOVED || e == ERR_MAILBOX_MISSING) {
            f->dead = true;
            e = ERR_OK;
        }
        break;
    }
    *more = e == ERR_OK && folders_need_write(s);
    return e;
}

/* --- all folders of a session */

void folders_mailbox_changed(struct session *s, int64_t mailbox, bool removed)
{
    for (uint32_t i = 0; i < s->folder_count; i++) {
        struct folder *f = s->folders[i];
        if (f->mailbox != mailbox || f->dead)
            continue;
        f->dead = removed;
        f->dirty = true;
        if (!f->notified && !f->busy)
            notify_now_due(s, f);
    }
}

bool folders_notify_due(const struct session *s)
{
    for (uint32_t i = 0; i < s->folder_count; i++)
        if (s->folders[i]->notify_due && !s->folders[i]->busy)
            return true;
    return false;
}

void folders_notify(struct session *s, struct buf *out, size_t max)
{
    for (uint32_t i = 0; i < s->folder_count; i++) {
        struct folder *f = s->folders[i];
        if (!f->notify_due || f->busy)
            continue;
        if (out->n + NOTIFY_ROOM > max)
            return;
        f->notify_due = false;
        xout_open(out, "folderReport");
        xout_attr(out, "folder", f->name);
        xout_attr_lit(out, "mode", "notify");
        xout_empty(out);
        xout_end(out);
    }
}

void folders_free(struct session *s)
{
    while (s->folder_count != 0)
        folder_free(s->folders[--s->folder_count]);
    free(s->folders);
    s->folders = NULL;
    s->folder_room = 0;
}
