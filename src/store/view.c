// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include <stdlib.h>

#define ARENA_CAP ((size_t)256 << 10)

static struct str without_e(struct str field)
{
    return str_istarts(field, STR("E-")) ? str_sub(field, 2, field.n) : field;
}

static enum view_source source_of(struct str name, struct str *field)
{
    static const struct {
        const char *name;
        enum view_source source;
    } table[] = {
        {"INTERNALDATE", VIEW_BY_INTERNALDATE},
        {"Date", VIEW_BY_DATE},
        {"Size", VIEW_BY_SIZE},
        {"UID", VIEW_BY_UID},
        {"Pty", VIEW_BY_PRIORITY},
        {"FLAGS", VIEW_BY_FLAGS},
        {"Content-Type", VIEW_BY_TYPE},
        {"From", VIEW_BY_SENDER},
        {"E-From", VIEW_BY_SENDER},
        {"Subject", VIEW_BY_SUBJECT},
    };

    *field = without_e(name);
    if (name.n == 0)
        return VIEW_BY_INTERNALDATE;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_ieq(name, str_of(table[i].name)))
            return table[i].source;
    return VIEW_BY_FIELD;
}

void view_init(struct view *v)
{
    arena_init(&v->arena, ARENA_CAP);
}

enum err view_take_spec(struct view *v, const struct view_spec *spec)
{
    if ((spec->sort_field.n != 0 && !view_field_name_ok(spec->sort_field)) ||
        (spec->filter_field.n != 0 && !view_field_name_ok(spec->filter_field)) ||
        spec->filter.n > VIEW_FILTER_MAX)
        return ERR_ATTR_VALUE;
    v->spec = *spec;
    v->spec.sort_field = arena_str(&v->arena, spec->sort_field);
    v->spec.filter_field = arena_str(&v->arena, spec->filter_field);
    v->spec.filter = arena_str(&v->arena, spec->filter);
    if (v->spec.sort_field.p == NULL || v->spec.filter_field.p == NULL || v->spec.filter.p == NULL)
        return ERR_NOMEM;
    v->source = source_of(v->spec.sort_field, &v->field);
    return ERR_OK;
}

enum err view_new(struct store *store, int64_t account, int64_t mailbox,
                  const struct view_spec *spec, struct view **out)
{
    struct view *v;
    enum err e;

    *out = NULL;
    v = calloc(1, sizeof *v);
    if (v == NULL)
        return ERR_NOMEM;
    v->store = store;
    v->account = account;
    v->mailbox = mailbox;
    view_init(v);
    e = view_take_spec(v, spec);
    if (e == ERR_OK)
        e = view_filter_parse(v);
    if (e == ERR_OK)
        e = view_eval_start(v); /* finds out that the mailbox is there */
    if (e != ERR_OK)
        view_free(&v);
    *out = v;
    return e;
}

void view_free(struct view **p)
{
    struct view *v = *p;

    *p = NULL;
    if (v == NULL)
        return;
    view_sync_end(v);
    view_eval_end(v);
    arena_free(&v->arena);
    free(v->rows);
    free(v->by_uid);
    free(v);
}

enum err view_build(struct view *v, uint32_t budget)
{
    struct view_row *rows = NULL;
    uint32_t n = 0;
    enum err e = view_eval_step(v, budget, &rows, &n);

    if (e != ERR_OK)
        return e;
    view_replace(v, rows, n);
    v->validity = v->build.validity;
    v->box_seq = v->build.box_seq;
    return ERR_OK;
}

const struct view_spec *view_spec_of(const struct view *v)
{
    return &v->spec;
}

int64_t view_mailbox(const struct view *v)
{
    return v->mailbox;
}

uint32_t view_count(const struct view *v)
{
    return v->count;
}

uint32_t view_unseen(const struct view *v)
{
    return v->unseen;
}

uint32_t view_uid(const struct view *v, uint32_t index)
{
    BUG_IF(index >= v->count);
    return view_at(v, index)->uid;
}

uint32_t view_flags(const struct view *v, uint32_t index)
{
    BUG_IF(index >= v->count);
    return view_at(v, index)->flags;
}

/* --- the array */
void view_touched(struct view *v)
{
    free(v->by_uid);
    v->by_uid = NULL;
    v->order = 0;
}

void view_replace(struct view *v, struct view_row *rows, uint32_t n)
{
    view_touched(v);
    free(v->rows);
    v->rows = rows;
    v->count = v->cap = v->gap_at = n;
    v->unseen = 0;
    for (uint32_t i = 0; i < n; i++)
        v->unseen += (rows[i].flags & FLAG_SEEN) == 0;
}

void view_move_gap(struct view *v, uint32_t i)
{
    uint32_t gap = v->cap - v->count;

    if (i < v->gap_at)
        memmove(&v->rows[i + gap], &v->rows[i], (v->gap_at - i) * sizeof *v->rows);
    else if (i > v->gap_at)
        memmove(&v->rows[v->gap_at], &v->rows[v->gap_at + gap], (i - v->gap_at) * sizeof *v->rows);
    v->gap_at = i;
}

enum err view_reserve(struct view *v, uint32_t more)
{
    struct view_row *rows;

    if (more <= v->cap - v->count)
        return ERR_OK;
    if (more > UINT32_MAX - v->count)
        return ERR_NOMEM;
    view_move_gap(v, v->count);
    rows = reallocarray(v->rows, (size_t)v->count + more, sizeof *rows);
    if (rows == NULL)
        return ERR_NOMEM;
    v->rows = rows;
    v->cap = v->count + more;
    return ERR_OK;
}

/* --- finding */
enum err view_sort_by_uid(const struct view_row *rows, uint32_t n, uint32_t **out)
{
    struct view_key *keys = calloc((size_t)n + 1, sizeof *keys);
    enum err e;

    *out = calloc((size_t)n + 1, sizeof **out);
    e = keys == NULL || *out == NULL ? ERR_NOMEM : ERR_OK;
    for (uint32_t i = 0; i < n && e == ERR_OK; i++)
        keys[i] = (struct view_key){.key = rows[i].uid, .row = i};
    if (e == ERR_OK)
        e = view_sort_keys(keys, n, NULL, false);
    for (uint32_t i = 0; i < n && e == ERR_OK; i++)
        (*out)[i] = keys[i].row;
    free(keys);
    if (e != ERR_OK) {
        free(*out);
        *out = NULL;
    }
    return e;
}

uint32_t view_lookup(const struct view_row *rows, const uint32_t *by_uid, uint32_t n, uint32_t uid)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (rows[by_uid[mid]].uid < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && rows[by_uid[lo]].uid == uid ? by_uid[lo] : UINT32_MAX;
}

static int find_order(const struct view *v)
{
    bool up = true, down = true;

    for (uint32_t i = 1; i < v->count && (up || down); i++) {
        up &= v->rows[i - 1].uid < v->rows[i].uid;
        down &= v->rows[i - 1].uid > v->rows[i].uid;
    }
    return up ? 1 : down ? -1 : 2;
}

enum err view_index(struct view *v)
{
    if (v->order == 0) {
        view_move_gap(v, v->count);
        v->order = find_order(v);
    }
    if (v->order != 2 || v->by_uid != NULL)
        return ERR_OK;
    view_move_gap(v, v->count);
    return view_sort_by_uid(v->rows, v->count, &v->by_uid);
}

bool view_find(struct view *v, uint32_t uid, uint32_t *index)
{
    uint32_t lo = 0, hi = v->count;

    if (view_index(v) != ERR_OK) { /* no memory for the table: look at all */
        for (uint32_t i = 0; i < v->count; i++)
            if (view_at(v, i)->uid == uid) {
                *index = i;
                return true;
            }
        return false;
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        uint32_t i = v->order == 2 ? v->by_uid[mid] : v->order == 1 ? mid : v->count - 1 - mid;

        if (view_at(v, i)->uid == uid) {
            *index = i;
            return true;
        }
        if (view_at(v, i)->uid < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}
