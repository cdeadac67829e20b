// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/uploads.h"

#include <stdlib.h>

#include "ximss/session.h"
#include "ximss/uploads_priv.h"

bool upload_id_ok(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = str_lower(id.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return id.n != 0 && id.n <= UPLOAD_ID_MAX;
}

/* --- files */

void upload_release(struct upload_file **fp)
{
    struct upload_file *f = *fp;
    *fp = NULL;
    if (f == NULL || --f->refs != 0)
        return;
    spool_free(&f->host->spool, &f->bytes);
    free(f);
}

static void release_all(struct upload_file *f)
{
    for (struct upload_file *next; f != NULL; f = next) {
        next = f->next;
        f->next = NULL;
        upload_release(&f);
    }
}

enum err upload_read(const struct upload_file *f, uint64_t from, size_t n, struct buf *out)
{
    return spool_read(&f->host->spool, &f->bytes, from, n, out);
}

/* --- sets */

struct upload_set **upload_find(struct uploads *all, struct str id)
{
    struct upload_set **at = &all->sets;
    while (*at != NULL && !str_eq((struct str){(*at)->id, (*at)->id_n}, id))
        at = &(*at)->next;
    return at;
}

static void drop(struct uploads *all, struct upload_set **at)
{
    struct upload_set *set = *at;
    *at = set->next;
    all->files -= set->count;
    all->bytes -= set->bytes;
    release_all(set->files);
    free(set);
}

/* It is the one used last. */
static void touch(struct upload_set **at, int64_t now)
{
    struct upload_set *set = *at;
    *at = set->next;
    while (*at != NULL)
        at = &(*at)->next;
    set->next = NULL;
    set->last = now;
    *at = set;
}

/* The used set that was used longest ago. */
static bool drop_used(struct uploads *all)
{
    struct upload_set **at = &all->sets;
    while (*at != NULL && !(*at)->used)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    drop(all, at);
    return true;
}

static void end_if_empty(struct uploads *all)
{
    if (all->sets != NULL || all->coming != 0)
        return;
    *all->at = all->next;
    if (all->next != NULL)
        all->next->at = all->at;
    all->s->uploads = NULL;
    free(all);
}

CHECKED static enum err need(struct session *s)
{
    struct upload_host *host = &s->x->uploads;
    struct uploads *all = s->uploads;
    if (all != NULL)
        return ERR_OK;
    all = calloc(1, sizeof *all);
    if (all == NULL)
        return ERR_NOMEM;
    *all = (struct uploads){.next = host->all, .at = &host->all, .host = host, .s = s};
    if (all->next != NULL)
        all->next->at = &all->next;
    host->all = all;
    s->uploads = all;
    return ERR_OK;
}

/* --- coming in */

enum err upload_begin(struct session *s, struct str id, struct upload **out)
{
    if (!upload_id_ok(id))
        return ERR_SYNTAX;
    struct upload *u = calloc(1, sizeof *u);
    enum err e = u != NULL ? need(s) : ERR_NOMEM;
    if (e != ERR_OK) {
        free(u);
        return e;
    }
    u->all = s->uploads;
    u->all->coming++;
    u->tail = &u->files;
    u->id_n = id.n;
    memcpy(u->id, id.p, id.n);
    *out = u;
    return ERR_OK;
}

enum err upload_add_file(struct upload *u, struct str name, struct str type)
{
    struct upload_file *f = calloc(1, sizeof *f + name.n + type.n);
    if (f == NULL)
        return ERR_NOMEM;
    f->host = u->all->host;
    f->refs = 1;
    if (name.n != 0)
        memcpy(f->texts, name.p, name.n);
    if (type.n != 0)
        memcpy(f->texts + name.n, type.p, type.n);
    f->name = (struct str){f->texts, name.n};
    f->type = (struct str){f->texts + name.n, type.n};
    *u->tail = u->now = f;
    u->tail = &f->next;
    u->count++;
    u->all->files++;
    return ERR_OK;
}

enum err upload_file(struct upload *u, struct str name, struct str type)
{
    struct uploads *all = u->all;
    while (all->files >= all->host->limits.files) {
        if (!drop_used(all))
            return ERR_TOO_LONG;
    }
    return upload_add_file(u, str_sub(name, 0, UPLOAD_NAME_MAX),
                           type.n <= UPLOAD_TYPE_MAX ? type : STR(""));
}

enum err upload_data(struct upload *u, struct str bytes)
{
    struct uploads *all = u->all;
    const struct upload_limits *lim = &all->host->limits;
    if (u->now == NULL)
        return ERR_PACKET;
    if (bytes.n > lim->file || u->now->bytes.size > lim->file - bytes.n)
        return ERR_TOO_LONG;
    while (bytes.n > lim->session || all->bytes > lim->session - bytes.n) {
        if (!drop_used(all))
            return ERR_TOO_LONG;
    }
    enum err e;
    while ((e = spool_add(&all->host->spool, &u->now->bytes, bytes)) == ERR_QUOTA) {
        if (!drop_used(all))
            break;
    }
    if (e != ERR_OK)
        return e;
    u->bytes += bytes.n;
    all->bytes += bytes.n;
    return ERR_OK;
}

void upload_abort(struct upload **up)
{
    struct upload *u = *up;
    *up = NULL;
    if (u == NULL)
        return;
    u->all->coming--;
    u->all->files -= u->count;
    u->all->bytes -= u->bytes;
    release_all(u->files);
    end_if_empty(u->all);
    free(u);
}

enum err upload_commit(struct upload **up, int64_t now)
{
    struct upload *u = *up;
    struct uploads *all = u->all;
    struct upload_set **at = upload_find(all, (struct str){u->id, u->id_n});
    if (u->count != 0 && *at == NULL) {
        struct upload_set *set = calloc(1, sizeof *set);
        if (set == NULL) {
            upload_abort(up);
            return ERR_NOMEM;
        }
        set->id_n = u->id_n;
        memcpy(set->id, u->id, u->id_n);
        set->tail = &set->files;
        *at = set;
    }
    if (u->count != 0) {
        struct upload_set *set = *at;
        *set->tail = u->files;
        set->tail = u->tail;
        set->count += u->count;
        set->bytes += u->bytes;
        set->used = false; /* what is new in it nobody has used */
        touch(at, now);
    }
    all->coming--;
    end_if_empty(all);
    free(u);
    *up = NULL;
    return ERR_OK;
}

/* --- life */

void uploads_free(struct session *s)
{
    struct uploads *all = s->uploads;
    if (all == NULL)
        return;
    BUG_IF(all->coming != 0);
    while (all->sets != NULL)
        drop(all, &all->sets);
    end_if_empty(all);
}

void uploads_tick(struct upload_host *host, int64_t now)
{
    struct uploads *next;
    for (struct uploads *all = host->all; all != NULL; all = next) {
        next = all->next;
        while (all->sets != NULL && now - all->sets->last >= host->limits.life)
            drop(all, &all->sets);
        end_if_empty(all);
    }
}

/* --- operations */

enum err upload_use(struct session *s, struct str id, struct str name, int64_t now,
                    struct upload_file **out)
{
    struct upload_set **at = s->uploads != NULL ? upload_find(s->uploads, id) : NULL;
    if (at == NULL || *at == NULL)
        return ERR_UPLOAD_MISSING;
    struct upload_set *set = *at;
    struct upload_file *f = name.p != NULL ? set->files : NULL;
    while (f != NULL && !str_eq(f->name, name))
        f = f->next;
    *out = f != NULL ? f : set->files;
    (*out)->refs++;
    set->used = true;
    touch(at, now);
    return ERR_OK;
}

enum err upload_remove(struct session *s, struct str id)
{
    struct upload_set **at = s->uploads != NULL ? upload_find(s->uploads, id) : NULL;
    if (at == NULL || *at == NULL)
        return ERR_UPLOAD_MISSING;
    drop(s->uploads, at);
    end_if_empty(s->uploads);
    return ERR_OK;
}
