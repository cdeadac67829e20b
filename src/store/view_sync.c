// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include <stdlib.h>

/*
 * The algorithm of protocol 2, 4.6. The new state is evaluated beside the view; three sets of bits say what to tell; the
 * reports then change the view one by one. Removals go down and insertions go up, so the gap of the view's array
 * walks over it once each way and a sync costs what is told plus one look at everything.
 */

enum phase { PHASE_INIT, PHASE_REMOVED, PHASE_UPDATED, PHASE_ADDED, PHASE_DONE };

static bool bit(const uint8_t *bits, uint32_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, uint32_t i)
{
    bits[i / 8] |= (uint8_t)(1 << (i % 8));
}

void view_sync_end(struct view *v)
{
    struct view_sync *s = &v->sync;

    if (s->running && !s->ready)
        view_eval_end(v);
    free(s->fresh);
    free(s->fresh_by_uid);
    free(s->gone);
    free(s->upd);
    free(s->come);
    *s = (struct view_sync){0};
}

enum err view_sync_start(struct view *v)
{
    enum err e;

    view_sync_end(v);
    e = view_eval_start(v);
    if (e != ERR_OK)
        return e;
    v->sync.running = true;
    if (v->box_seq != 0 && v->box_seq == v->build.box_seq && v->validity == v->build.validity) {
        view_eval_end(v);
        v->sync.ready = true;
        v->sync.phase = PHASE_DONE;
    }
    return ERR_OK;
}

/* Only sortField FLAGS has a key that can change. */
static bool key_changed(const struct view *v, const struct view_row *a, const struct view_row *b)
{
    return v->source == VIEW_BY_FLAGS && ((a->flags ^ b->flags) & FLAG_SEEN) != 0;
}

/* Sorts the messages of both states into R, M, U and A. */
static uint32_t mark(struct view *v)
{
    struct view_sync *s = &v->sync;
    uint32_t added = s->fresh_count;

    memset(s->come, 0xff, s->fresh_count / 8 + 1);
    for (uint32_t i = 0; i < s->old_count; i++) {
        const struct view_row *old = view_at(v, i), *now;
        uint32_t j = view_lookup(s->fresh, s->fresh_by_uid, s->fresh_count, old->uid);

        now = j != UINT32_MAX ? &s->fresh[j] : NULL;
        if (now == NULL || key_changed(v, old, now)) {
            set_bit(s->gone, i);
            s->left++;
            continue;
        }
        s->come[j / 8] &= (uint8_t) ~(1 << (j % 8));
        added--;
        if (old->flags != now->flags || old->keywords != now->keywords) {
            set_bit(s->upd, i);
            s->left++;
        }
    }
    s->left += added;
    return added;
}

static enum err prepare(struct view *v)
{
    struct view_sync *s = &v->sync;
    enum err e;

    s->old_count = v->count;
    if (v->validity != v->build.validity) {
        s->phase = PHASE_INIT;
        s->left = 1;
        return ERR_OK;
    }
    e = view_sort_by_uid(s->fresh, s->fresh_count, &s->fresh_by_uid);
    s->gone = calloc(s->old_count / 8 + 1, 1);
    s->upd = calloc(s->old_count / 8 + 1, 1);
    s->come = calloc(s->fresh_count / 8 + 1, 1);
    if (e != ERR_OK || s->gone == NULL || s->upd == NULL || s->come == NULL)
        return ERR_NOMEM;
    s->phase = PHASE_REMOVED;
    s->at = s->old_count;
    return view_reserve(v, mark(v)); /* no report can fail any more */
}

/* Everything was told: the view is the mailbox as it was when the evaluation began. */
static void complete(struct view *v)
{
    v->sync.phase = PHASE_DONE;
    v->box_seq = v->build.box_seq;
    v->validity = v->build.validity;
}

enum err view_sync_step(struct view *v, uint32_t budget)
{
    struct view_sync *s = &v->sync;
    enum err e;

    BUG_IF(!s->running);
    if (s->ready)
        return ERR_OK;
    e = view_eval_step(v, budget, &s->fresh, &s->fresh_count);
    if (e == ERR_MORE)
        return e;
    if (e == ERR_OK) {
        s->ready = true;
        e = prepare(v);
    }
    if (e != ERR_OK)
        view_sync_end(v);
    else if (s->left == 0)
        complete(v);
    return e;
}

static struct view_report report(struct view *v, enum view_report_kind kind, uint32_t index,
                                 uint32_t uid)
{
    view_touched(v);
    v->sync.left--;
    return (struct view_report){kind, index, uid, v->count, v->unseen};
}

static bool next_removed(struct view *v, struct view_report *out)
{
    struct view_sync *s = &v->sync;

    while (s->at > 0) {
        const struct view_row *row;
        uint32_t uid;

        if (!bit(s->gone, --s->at))
            continue;
        row = view_at(v, s->at);
        uid = row->uid;
        v->unseen -= (row->flags & FLAG_SEEN) == 0;
        view_move_gap(v, s->at);
        v->count--; /* the gap swallows the row behind it */
        *out = report(v, VIEW_REMOVED, s->at, uid);
        return true;
    }
    s->phase = PHASE_UPDATED;
    s->current = 0;
    return false;
}

static bool next_updated(struct view *v, struct view_report *out)
{
    struct view_sync *s = &v->sync;

    while (s->at < s->old_count) {
        uint32_t i = s->at++;
        struct view_row *row;

        if (bit(s->gone, i))
            continue;
        s->current++;
        if (!bit(s->upd, i))
            continue;
        row = view_at(v, s->current - 1);
        v->unseen -= (row->flags & FLAG_SEEN) == 0;
        *row = s->fresh[view_lookup(s->fresh, s->fresh_by_uid, s->fresh_count, row->uid)];
        v->unseen += (row->flags & FLAG_SEEN) == 0;
        *out = report(v, VIEW_UPDATED, s->current - 1, row->uid);
        return true;
    }
    s->phase = PHASE_ADDED;
    s->at = 0;
    return false;
}

static bool next_added(struct view *v, struct view_report *out)
{
    struct view_sync *s = &v->sync;

    while (s->at < s->fresh_count) {
        uint32_t j = s->at++;

        if (!bit(s->come, j))
            continue;
        BUG_IF(j > v->count || v->count == v->cap);
        view_move_gap(v, j);
        v->rows[j] = s->fresh[j];
        v->gap_at++;
        v->count++;
        v->unseen += (s->fresh[j].flags & FLAG_SEEN) == 0;
        *out = report(v, VIEW_ADDED, j, s->fresh[j].uid);
        return true;
    }
    s->phase = PHASE_DONE;
    return false;
}

static bool next_init(struct view *v, struct view_report *out)
{
    struct view_sync *s = &v->sync;

    view_replace(v, s->fresh, s->fresh_count);
    s->fresh = NULL;
    s->phase = PHASE_DONE;
    *out = report(v, VIEW_INIT, 0, 0);
    return true;
}

bool view_sync_next(struct view *v, struct view_report *out)
{
    bool told = false;

    if (!v->sync.ready || v->sync.left == 0)
        return false;
    if (v->sync.phase == PHASE_INIT)
        told = next_init(v, out);
    if (!told && v->sync.phase == PHASE_REMOVED)
        told = next_removed(v, out);
    if (!told && v->sync.phase == PHASE_UPDATED)
        told = next_updated(v, out);
    if (!told && v->sync.phase == PHASE_ADDED)
        told = next_added(v, out);
    BUG_IF(!told);
    if (v->sync.left == 0)
        complete(v);
    return true;
}

bool view_sync_pending(const struct view *v)
{
    return v->sync.ready && v->sync.left != 0;
}
