// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A view as bytes and back. What a client was told cannot be had from the store again, so every row goes along. */
#include <stdlib.h>

#include "codec/ipcmsg.h"
#include "store/view_int.h"

_Static_assert(sizeof(struct view_row) == 16, "rows are written as they lie in memory");

static void put_spec(const struct view_spec *s, struct buf *b)
{
    ipc_put_str(b, s->sort_field);
    ipc_put_u32(b, s->desc);
    ipc_put_opt(b, s->filter_field);
    ipc_put_str(b, s->filter);
    ipc_put_u32(b, s->uid_validity);
    ipc_put_u32(b, s->uid_min);
    ipc_put_u32(b, s->see_hidden);
}

static void get_spec(struct ipc_in *in, struct view_spec *s)
{
    s->sort_field = ipc_get_str(in);
    s->desc = ipc_get_u32(in) != 0;
    s->filter_field = ipc_get_opt(in);
    s->filter = ipc_get_str(in);
    s->uid_validity = ipc_get_u32(in);
    s->uid_min = ipc_get_u32(in);
    s->see_hidden = ipc_get_u32(in) != 0;
}

/* Which keywords a name meant when the folder was opened, the mailbox may no longer say. */
static void put_filter(const struct view_filter *f, struct buf *b)
{
    ipc_put_u32(b, f->kind == VIEW_FILTER_FLAGS);
    ipc_put_u32(b, f->set);
    ipc_put_u32(b, f->clear);
    ipc_put_u64(b, f->kw_set);
    ipc_put_u64(b, f->kw_clear);
}

static bool get_filter(struct ipc_in *in, struct view_filter *f)
{
    bool flags = ipc_get_u32(in) != 0;

    *f = (struct view_filter){.kind = flags ? VIEW_FILTER_FLAGS : VIEW_FILTER_NONE};
    f->set = ipc_get_u32(in);
    f->clear = ipc_get_u32(in);
    f->kw_set = ipc_get_u64(in);
    f->kw_clear = ipc_get_u64(in);
    return flags;
}

void view_put(const struct view *v, struct buf *b)
{
    uint32_t gap = v->cap - v->count;

    ipc_put_u64(b, (uint64_t)v->mailbox);
    put_spec(&v->spec, b);
    put_filter(&v->filter, b);
    ipc_put_u32(b, v->validity);
    ipc_put_u64(b, v->box_seq);
    ipc_put_u32(b, v->count);
    if (v->gap_at != 0)
        buf_add(b, v->rows, v->gap_at * sizeof *v->rows);
    if (v->gap_at != v->count)
        buf_add(b, v->rows + v->gap_at + gap, (v->count - v->gap_at) * sizeof *v->rows);
}

/* No UID is 0 or stands there twice: what a sync counts on. */
static enum err check_rows(struct view *v)
{
    uint32_t *order = NULL;
    enum err e = ERR_OK;

    for (uint32_t i = 0; i < v->count; i++)
        if (v->rows[i].uid == 0)
            return ERR_PACKET;
    e = view_sort_by_uid(v->rows, v->count, &order);
    for (uint32_t i = 1; i < v->count && e == ERR_OK; i++)
        if (v->rows[order[i - 1]].uid == v->rows[order[i]].uid)
            e = ERR_PACKET;
    free(order);
    return e;
}

static enum err get_rows(struct view *v, struct ipc_in *in)
{
    uint32_t count = ipc_get_u32(in);
    struct str bytes = ipc_get_rest(in);
    struct view_row *rows = NULL;

    if (ipc_in_end(in) != ERR_OK || bytes.n != count * sizeof *rows)
        return ERR_PACKET;
    if (count != 0) {
        rows = malloc(bytes.n);
        if (rows == NULL)
            return ERR_NOMEM;
        memcpy(rows, bytes.p, bytes.n);
    }
    view_replace(v, rows, count);
    return check_rows(v);
}

/* As in view_new(): what comes from outside may be wrong. */
static enum err get_all(struct view *v, struct ipc_in *in)
{
    struct view_spec spec;
    struct view_filter flags;

    v->mailbox = (int64_t)ipc_get_u64(in);
    get_spec(in, &spec);
    bool by_flags = get_filter(in, &flags);
    v->validity = ipc_get_u32(in);
    v->box_seq = ipc_get_u64(in);
    if (in->bad)
        return ERR_PACKET;
    enum err e = view_take_spec(v, &spec);
    if (e == ERR_OK && by_flags)
        v->filter = flags;
    else if (e == ERR_OK)
        e = view_filter_parse_text(v);
    if (e == ERR_OK && !by_flags && v->filter.kind == VIEW_FILTER_FLAGS)
        e = ERR_PACKET;
    return e == ERR_OK ? get_rows(v, in) : e == ERR_NOMEM ? e : ERR_PACKET;
}

enum err view_get(struct store *store, int64_t account, struct str bytes, struct view **out)
{
    struct ipc_in in = {bytes, false};
    struct view *v = calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL)
        return ERR_NOMEM;
    v->store = store;
    v->account = account;
    view_init(v);
    enum err e = get_all(v, &in);
    if (e != ERR_OK)
        view_free(&v);
    *out = v;
    return e;
}
