// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * view_int: what view*.c share. view.c: life and array. view_build.c: evaluating filter and sort. view_filter.c: does a
 * message pass? view_sort.c: ordering. view_set.c: message sets. view_sync.c: reports.
 * view_save.c: bytes for a keeper's successor.
 */
#include "base/buf.h"
#include "codec/digest.h"
#include "store/store_int.h"
#include "store/view.h"

/* One message of a view: what was last told to the client. */
struct view_row {
    uint32_t uid;
    uint32_t flags;
    uint64_t keywords;
};

/* Where sort keys come from. */
enum view_source {
    VIEW_BY_INTERNALDATE,
    VIEW_BY_SIZE,
    VIEW_BY_DATE,
    VIEW_BY_SENDER,  /* key kept beside the message */
    VIEW_BY_SUBJECT, /* likewise */
    VIEW_BY_UID,
    VIEW_BY_FLAGS,
    VIEW_BY_PRIORITY, /* from here on the HEAD digest is needed */
    VIEW_BY_TYPE,
    VIEW_BY_FIELD,
};

enum view_filter_kind {
    VIEW_FILTER_NONE,
    VIEW_FILTER_FLAGS,
    VIEW_FILTER_ROW,   /* UID, Size, INTERNALDATE as text */
    VIEW_FILTER_FIELD, /* HEAD */
    VIEW_FILTER_BODY,
    VIEW_FILTER_TEXT,
};

struct view_filter {
    enum view_filter_kind kind;
    uint32_t set, clear;       /* flags that must be there, must not be there */
    uint64_t kw_set, kw_clear; /* keywords likewise */
    struct str field;          /* without E- */
    struct str needle;         /* folded */
};

/* A row as the index gives it. */
struct view_candidate {
    struct view_row row;
    int64_t internaldate, size, content; /* only with a head */
    struct str head;                     /* where the statement reads it */
};

/* Sort key of a row: numbers and text prefixes as 64 bits that compare unsigned; text behind the prefix in a pool. */
struct view_key {
    uint64_t key;
    uint32_t row;       /* number in order of UIDs */
    uint32_t text_size; /* VIEW_NO_TEXT: no such field */
    uint64_t text_at;   /* in the pool */
};
#define VIEW_NO_TEXT UINT32_MAX

/* An evaluation in progress. */
struct view_build_state {
    bool running;
    uint32_t last_uid; /* rows up to here have been seen */
    uint32_t validity, uid_min;
    uint64_t box_seq;
    struct buf rows; /* struct view_row, in order of UIDs; in view order when done */
    struct buf keys; /* struct view_key */
    struct buf text; /* pool of text keys */
    struct buf scratch[2];
};

struct view_sync {
    bool running, ready;
    int phase;        /* 1 removed, 2 updated, 3 added, 4 done; 0 a new UIDValidity */
    uint32_t at;      /* next old or new index to look at */
    uint32_t current; /* phase 2: where old index `at` is now */
    uint32_t old_count;
    struct view_row *fresh; /* the target, in view order */
    uint32_t fresh_count;
    uint32_t *fresh_by_uid;     /* indexes into fresh, by UID */
    uint8_t *gone, *upd, *come; /* bits by old index (R∪M, U) and by new index (A∪M) */
    uint32_t left;              /* reports to come */
};

struct view {
    struct store *store;
    int64_t account, mailbox;
    struct view_spec spec;
    struct arena arena; /* of the spec and the filter */
    enum view_source source;
    struct str field; /* VIEW_BY_FIELD: without E- */
    struct view_filter filter;

    /* The array, with a gap: index i is rows[i] before gap_at and rows[i + cap - count] behind it. */
    struct view_row *rows;
    uint32_t count, cap, gap_at;
    uint32_t unseen;
    uint32_t validity;
    uint64_t box_seq; /* the mailbox's when the view was last a true copy of it; 0: never */

    int order;        /* 1 UIDs ascend, -1 descend, 2 mixed, 0 not looked yet */
    uint32_t *by_uid; /* indexes by UID, for order 2; NULL: not made */

    struct view_build_state build;
    struct view_sync sync;
};

static inline struct view_row *view_at(const struct view *v, uint32_t i)
{
    return &v->rows[i < v->gap_at ? i : i + (v->cap - v->count)];
}

/* --- view.c */
void view_init(struct view *v);
/* All but the filter. ERR_ATTR_VALUE, ERR_NOMEM. */
enum err view_take_spec(struct view *v, const struct view_spec *spec) CHECKED;
/* UIDs of fresh rows in order; the caller frees *out. */
enum err view_sort_by_uid(const struct view_row *rows, uint32_t n, uint32_t **out) CHECKED;
/* Index (into rows) of a UID by such a table, or UINT32_MAX. */
uint32_t view_lookup(const struct view_row *rows, const uint32_t *by_uid, uint32_t n, uint32_t uid);
/* Takes the rows over (malloc'd) as the whole view. */
void view_replace(struct view *v, struct view_row *rows, uint32_t n);
/* The array has changed: forget side tables. */
void view_touched(struct view *v);
/* Moves the gap so that it begins at index i. */
void view_move_gap(struct view *v, uint32_t i);
/* Room for `more` insertions. */
enum err view_reserve(struct view *v, uint32_t more) CHECKED;
/* The table of a view with order 2, made when it is missing; also tells v->order. */
enum err view_index(struct view *v) CHECKED;

/* --- view_build.c */
enum err view_eval_start(struct view *v) CHECKED;
/* ERR_MORE: not finished. ERR_OK: the rows are the caller's (free()). */
enum err view_eval_step(struct view *v, uint32_t budget, struct view_row **rows,
                        uint32_t *n) CHECKED;
void view_eval_end(struct view *v);

/* --- view_filter.c */
enum err view_filter_parse(struct view *v) CHECKED;
/* The same when it is known not to be one of flags. Asks nothing of the store. */
enum err view_filter_parse_text(struct view *v) CHECKED;
/* Does it pass? *cost grows by what the look at long texts was worth in rows. */
enum err view_filter_pass(struct view *v, const struct view_candidate *c, bool *pass,
                          uint32_t *cost) CHECKED;
bool view_field_name_ok(struct str name);

/* --- view_sort.c */
/* Orders keys (struct view_key) by key, text and row. NULL-safe for n == 0. */
enum err view_sort_keys(struct view_key *keys, uint32_t n, const char *pool, bool text) CHECKED;
