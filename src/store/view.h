// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * view: the ordered, filtered array of messages behind a folder (protocol 2, 4.1-4.6) and its
 * synchronisation.
 *
 * A view changes only in view_build() and in view_sync_next(). It knows the store, the mailbox id
 * and its spec, not the folder's name, fields or dirty and notified marks: those are the session's.
 * It holds 16 bytes per message: UID, flags and keywords as last told to the client. It does not
 * lock anything: between steps other sessions may write. Whoever keeps a `dirty` mark clears it
 * BEFORE view_build's first step or view_sync_start(): a change that comes between steps then sets
 * it again, and the next sync finds it.
 *
 *     view_new() -> while (view_build(v, VIEW_BUDGET) == ERR_MORE) end the slice;   -> ERR_OK: the
 * init report view_sync_start(v) -> while (view_sync_step(v, VIEW_BUDGET) == ERR_MORE) end the
 * slice;
 *                        -> while (reports < limit && view_sync_next(v, &r)) emit(r);     may be
 * spread over slices
 *                        -> more = view_sync_pending(v); view_sync_end(v); more: notify again
 *
 * folderReopen makes a new view and frees the old one; view_spec_of() tells the values to keep.
 */
#include "base/arena.h"
#include "store/flags.h"
#include "store/store.h"

#define VIEW_BUDGET 2000 /* rows per step: about a millisecond for the index alone */
#define VIEW_KEY_MAX \
    128 /* bytes of a text sort key; longer ones are cut at a character, equal keys go by UID */
#define VIEW_FILTER_MAX 4096 /* bytes of a filter; longer: ERR_ATTR_VALUE */

struct view_spec {
    struct str sort_field;   /* "" = INTERNALDATE; any case; any header field */
    bool desc;               /* the complete order reversed, ties too */
    struct str filter_field; /* .p == NULL or "": absent */
    struct str filter;       /* "": no filter */
    uint32_t uid_validity;   /* with uid_min, both from the request; 0: not given */
    uint32_t
        uid_min; /* only messages with this UID or a higher one, if uid_validity is the mailbox's */
    bool see_hidden; /* the session has right `a` */
};

struct view;

/*
 * The spec is copied. ERR_ATTR_VALUE: a field that is no legal XML name. ERR_FLAG_UNKNOWN: unknown
 * name in a FLAGS filter. ERR_MAILBOX_REMOVED. The view is empty until it is built.
 */
enum err view_new(struct store *store, int64_t account, int64_t mailbox,
                  const struct view_spec *spec, struct view **out) CHECKED;
void view_free(struct view **v);

/*
 * One step of at most `budget` rows (rows with long texts to search count more). ERR_MORE: call
 * again. ERR_OK: complete. ERR_MAILBOX_REMOVED: gone meanwhile. ERR_DB, ERR_NOMEM. After an error
 * the view must be freed.
 */
enum err view_build(struct view *v, uint32_t budget) CHECKED;

const struct view_spec *view_spec_of(const struct view *v);
int64_t view_mailbox(const struct view *v);
uint32_t view_count(const struct view *v);
uint32_t view_unseen(const struct view *v);
uint32_t view_uid(const struct view *v, uint32_t index);   /* index < view_count() */
uint32_t view_flags(const struct view *v, uint32_t index); /* as last told to the client */
/* Where that UID stands; O(log n) after a side table was made, once per change of the view, 4 bytes
 * per message. false: not in the view. */
bool view_find(struct view *v, uint32_t uid, uint32_t *index);

/* --- message sets (protocol 2, 2.1) */
struct view_range {
    bool by_uid;         /* or by index */
    uint32_t from, till; /* closed; a missing `till` is UINT32_MAX; clamped */
};

struct view_set {
    uint32_t first, count; /* at[] == NULL: the indexes first … first + count - 1 */
    const uint32_t *at;    /* else count indexes */
};

/*
 * The indexes that the ranges mean, each once, unknown ones skipped. document: in document order,
 * ranges ascending by index (folderBrowse); else in ascending view order. Arrays lie in the arena
 * (4 bytes per hit) and mean this view until its next change. Costs O(hits + ranges), not their
 * product. ERR_NOMEM.
 */
enum err view_set_eval(struct view *v, const struct view_range *ranges, size_t n, bool document,
                       struct arena *a, struct view_set *out) CHECKED;
static inline uint32_t view_set_at(const struct view_set *s, uint32_t i)
{
    return s->at != NULL ? s->at[i] : s->first + i;
}

/* --- sync (protocol 2, 4.6) */
enum view_report_kind { VIEW_REMOVED, VIEW_UPDATED, VIEW_ADDED, VIEW_INIT };

struct view_report {
    enum view_report_kind kind;
    uint32_t index;    /* position when the reports are applied one after another; VIEW_INIT: 0 */
    uint32_t uid;      /* VIEW_INIT: 0 */
    uint32_t messages; /* totals of the view after this report */
    uint32_t unseen;
};

/*
 * Begins to evaluate filter and sort anew. A sync that was cut short is forgotten: the view is what
 * the reports so far made of it. ERR_MAILBOX_REMOVED, ERR_DB, ERR_NOMEM: the view is unchanged and
 * stays usable.
 */
enum err view_sync_start(struct view *v) CHECKED;
/* Like view_build(). ERR_OK: the reports are ready. An error ends this sync; the view is unchanged.
 */
enum err view_sync_step(struct view *v, uint32_t budget) CHECKED;
/*
 * The next report; the view is changed accordingly. false: none left, the view is as the mailbox
 * was. A message that is `added` may be gone again before its row is read: emit the report with an
 * empty FLAGS then; the next sync takes it away. UIDValidity has changed: one VIEW_INIT report, the
 * view is replaced.
 */
bool view_sync_next(struct view *v, struct view_report *out);
bool view_sync_pending(const struct view *v);
/* Gives the sync's memory back. */
void view_sync_end(struct view *v);

/* --- for a keeper's successor (ximss/snapshot.h): the form changes with SNAPSHOT_VERSION */
/* The view as its client knows it, without a sync or a build that is under way. */
void view_put(const struct view *v, struct buf *b);
/* Asks nothing of the store. ERR_PACKET: this is no view; ERR_NOMEM. */
enum err view_get(struct store *store, int64_t account, struct str bytes,
                  struct view **out) CHECKED;
