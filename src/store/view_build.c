// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"
#include "store/sortkey.h"

/*
 * An evaluation reads the mailbox in the order of UIDs, some thousand rows a step, and notes rows and sort keys; at the end it
 * sorts. What is written between two steps may be seen or not: the change is announced, so a later sync tells it.
 */

#define KEY_BYTES 8

static bool needs_head(const struct view *v)
{
    return v->source >= VIEW_BY_PRIORITY || v->filter.kind >= VIEW_FILTER_ROW;
}

static bool is_text(const struct view *v)
{
    return v->source == VIEW_BY_SENDER || v->source == VIEW_BY_SUBJECT ||
           v->source == VIEW_BY_TYPE || v->source == VIEW_BY_FIELD;
}

static enum err read_mailbox(struct view *v, uint32_t *validity, uint64_t *seq)
{
    struct db_stmt *st = db_stmt(v->store->db, "SELECT uid_validity, box_seq FROM mailbox"
                                               " WHERE account=?1 AND mailbox=?2 AND selectable=1");
    enum err e;

    db_bind_i64(st, 1, v->account);
    db_bind_i64(st, 2, v->mailbox);
    e = db_one(st);
    if (e == ERR_OK) {
        *validity = (uint32_t)db_col_i64(st, 0);
        *seq = (uint64_t)db_col_i64(st, 1);
    }
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MAILBOX_REMOVED : e;
}

void view_eval_end(struct view *v)
{
    struct view_build_state *b = &v->build;

    if (!b->running)
        return;
    b->running = false;
    buf_free(&b->rows);
    buf_free(&b->keys);
    buf_free(&b->text);
    for (size_t i = 0; i < ARRAY_LEN(b->scratch); i++)
        buf_free(&b->scratch[i]);
}

enum err view_eval_start(struct view *v)
{
    struct view_build_state *b = &v->build;
    size_t most = v->store->limits.view_messages;
    enum err e;

    view_eval_end(v);
    *b = (struct view_build_state){0};
    e = read_mailbox(v, &b->validity, &b->box_seq);
    if (e != ERR_OK)
        return e;
    b->running = true;
    if (v->spec.uid_min > 1 && v->spec.uid_validity == b->validity)
        b->last_uid = v->spec.uid_min - 1;
    buf_init(&b->rows, most * sizeof(struct view_row));
    buf_init(&b->keys, most * sizeof(struct view_key));
    buf_init(&b->text, v->store->limits.sort_memory);
    buf_init(&b->scratch[0], DIGEST_BLOB_MAX);
    buf_init(&b->scratch[1], DIGEST_BLOB_MAX * 2);
    return ERR_OK;
}

/* Big-endian, so that comparing the numbers compares the bytes. */
static uint64_t prefix_of(struct str s)
{
    uint64_t k = 0;

    for (size_t i = 0; i < KEY_BYTES; i++)
        k = k << 8 | (i < s.n ? (unsigned char)s.p[i] : 0);
    return k;
}

static void text_key(struct view_build_state *b, struct view_key *k, struct str s)
{
    if (s.p == NULL)
        return;
    k->key = prefix_of(s);
    k->text_at = b->text.n;
    k->text_size = (uint32_t)s.n;
    buf_str(&b->text, s);
}

static uint64_t number_key(int64_t n)
{
    return (uint64_t)n ^ (UINT64_C(1) << 63);
}

/* A header that the message does not have sorts first; so does a HEAD that cannot be read. */
static enum err head_key(struct view *v, struct str head, struct view_key *k)
{
    static const uint64_t rank[] = {[DIGEST_NORMAL] = 1, [DIGEST_HIGH] = 2, [DIGEST_LOW] = 0};
    struct view_build_state *b = &v->build;
    struct digest_head h;
    bool there = false;
    enum err e;

    if (digest_head_open(&h, head) != ERR_OK)
        return ERR_OK;
    if (v->source == VIEW_BY_PRIORITY) {
        k->key = rank[h.fields.priority];
        return ERR_OK;
    }
    if (v->source == VIEW_BY_TYPE) {
        buf_clear(&b->scratch[0]);
        buf_str(&b->scratch[0], h.type);
        buf_char(&b->scratch[0], '/');
        buf_str(&b->scratch[0], h.subtype);
        text_key(b, k, utf8_prefix(buf_slice(&b->scratch[0]), VIEW_KEY_MAX));
        return buf_err(&b->scratch[0]);
    }
    e = sortkey_field(&h, v->field, VIEW_KEY_MAX, &b->scratch[0], &there);
    if (e == ERR_OK && there)
        text_key(b, k, b->scratch[0].n != 0 ? buf_slice(&b->scratch[0]) : STR(""));
    return e;
}

/* Column 3 of the scan is the key of every source that has a column. */
static enum err make_key(struct view *v, struct db_stmt *st, const struct view_candidate *c,
                         struct view_key *k)
{
    switch (v->source) {
    case VIEW_BY_INTERNALDATE:
    case VIEW_BY_SIZE:
        k->key = number_key(db_col_i64(st, 3));
        return ERR_OK;
    case VIEW_BY_DATE:
        k->key = db_col_is_null(st, 3) ? 0 : number_key(db_col_i64(st, 3));
        return ERR_OK;
    case VIEW_BY_SENDER:
    case VIEW_BY_SUBJECT:
        text_key(&v->build, k, db_col_str(st, 3));
        return ERR_OK;
    case VIEW_BY_UID:
        k->key = c->row.uid;
        return ERR_OK;
    case VIEW_BY_FLAGS:
        k->key = (c->row.flags & FLAG_SEEN) != 0;
        return ERR_OK;
    case VIEW_BY_PRIORITY:
    case VIEW_BY_TYPE:
    case VIEW_BY_FIELD:
        return head_key(v, c->head, k);
    }
    return ERR_INTERNAL;
}

#define FROM_MESSAGE \
    " FROM message WHERE account=?1 AND mailbox=?2 AND uid>?3 ORDER BY uid LIMIT ?4"
/* As few columns as will do: a column costs as much as finding the row. */
#define QUERY(column) "SELECT uid, flags, keywords, " column FROM_MESSAGE
#define LONG_QUERY(column) \
    "SELECT uid, flags, keywords, " column ", internaldate, size, content" FROM_MESSAGE
#define BOTH(column)                      \
    {                                     \
        QUERY(column), LONG_QUERY(column) \
    }

static const char *const queries[][2] = {
    [VIEW_BY_INTERNALDATE] = BOTH("internaldate"),
    [VIEW_BY_SIZE] = BOTH("size"),
    [VIEW_BY_DATE] = BOTH("date"),
    [VIEW_BY_SENDER] = BOTH("sender"),
    [VIEW_BY_SUBJECT] = BOTH("subject"),
    [VIEW_BY_UID] = BOTH("0"),
    [VIEW_BY_FLAGS] = BOTH("0"),
    [VIEW_BY_PRIORITY] = BOTH("0"),
    [VIEW_BY_TYPE] = BOTH("0"),
    [VIEW_BY_FIELD] = BOTH("0"),
};

/* Rows of the index, and beside them, in step, their heads: one walk over each table, no look-up per row. */
struct scan {
    struct db_stmt *rows, *heads; /* heads: NULL when not needed */
    uint32_t head_uid;            /* heads stands at this one */
};

static struct db_stmt *open_scan(struct view *v, const char *sql, uint32_t limit)
{
    struct db_stmt *st = db_stmt(v->store->db, sql);

    db_bind_i64(st, 1, v->account);
    db_bind_i64(st, 2, v->mailbox);
    db_bind_i64(st, 3, v->build.last_uid);
    db_bind_i64(st, 4, limit);
    return st;
}

static void scan_open(struct view *v, uint32_t limit, struct scan *sc)
{
    *sc = (struct scan){.rows = open_scan(v, queries[v->source][needs_head(v)], limit)};
    if (needs_head(v))
        sc->heads = open_scan(v,
                              "SELECT uid, head FROM head WHERE account=?1 AND mailbox=?2"
                              " AND uid>?3 ORDER BY uid LIMIT ?4",
                              limit);
}

static void scan_close(struct scan *sc)
{
    db_done(sc->rows);
    if (sc->heads != NULL)
        db_done(sc->heads);
}

static enum err candidate(struct scan *sc, struct view_candidate *c)
{
    struct db_stmt *st = sc->rows;
    enum err e = ERR_MORE;

    *c = (struct view_candidate){
        .row = {.uid = (uint32_t)db_col_i64(st, 0),
                .flags = (uint32_t)db_col_i64(st, 1),
                .keywords = (uint64_t)db_col_i64(st, 2)},
    };
    if (sc->heads == NULL)
        return ERR_OK;
    c->internaldate = db_col_i64(st, 4);
    c->size = db_col_i64(st, 5);
    c->content = db_col_i64(st, 6);
    while (sc->head_uid < c->row.uid && (e = db_step(sc->heads)) == ERR_MORE)
        sc->head_uid = (uint32_t)db_col_i64(sc->heads, 0);
    if (e == ERR_OK) /* heads are used up: a message without one, which never happens */
        return ERR_DB;
    if (e == ERR_MORE && sc->head_uid == c->row.uid)
        c->head = db_col_str(sc->heads, 1);
    return e == ERR_MORE ? ERR_OK : e;
}

static enum err take(struct view *v, struct scan *sc, uint32_t *cost)
{
    struct view_build_state *b = &v->build;
    struct view_candidate c;
    struct view_key k = {.text_size = VIEW_NO_TEXT};
    bool pass = false;
    enum err e = candidate(sc, &c);

    if (e != ERR_OK)
        return e;
    b->last_uid = c.row.uid;
    if (!v->spec.see_hidden && (c.row.flags & FLAG_HIDDEN) != 0)
        return ERR_OK;
    e = view_filter_pass(v, &c, &pass, cost);
    if (e != ERR_OK || !pass)
        return e;
    k.row = (uint32_t)(b->rows.n / sizeof c.row);
    e = make_key(v, sc->rows, &c, &k);
    buf_add(&b->rows, &c.row, sizeof c.row);
    buf_add(&b->keys, &k, sizeof k);
    if (e == ERR_OK && (b->rows.failed || b->keys.failed || b->text.failed))
        e = ERR_NOMEM;
    if (e == ERR_NOMEM)
        log_write(LOG_FAILURES, "STORE", 0, NULL, "a view is too large (%u messages and more)",
                  k.row);
    return e;
}

/* Rows in view order, in memory of their own. */
static enum err finish(struct view *v, struct view_row **out, uint32_t *n)
{
    struct view_build_state *b = &v->build;
    struct view_key *keys = (struct view_key *)(void *)b->keys.p;
    const struct view_row *rows = (const struct view_row *)(const void *)b->rows.p;
    enum err e;

    *n = (uint32_t)(b->rows.n / sizeof *rows);
    e = view_sort_keys(keys, *n, b->text.p != NULL ? b->text.p : "", is_text(v));
    if (e != ERR_OK)
        return e;
    *out = calloc((size_t)*n + 1, sizeof **out);
    if (*out == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < *n; i++)
        (*out)[v->spec.desc ? *n - 1 - i : i] = rows[keys[i].row];
    view_eval_end(v);
    return ERR_OK;
}

enum err view_eval_step(struct view *v, uint32_t budget, struct view_row **rows, uint32_t *n)
{
    struct view_build_state *b = &v->build;
    struct scan sc;
    uint32_t validity = 0, seen = 0, cost = 0;
    uint64_t seq;
    enum err e = read_mailbox(v, &validity, &seq), end = ERR_MORE;

    BUG_IF(!b->running || budget == 0);
    if (e != ERR_OK || validity != b->validity)
        return e != ERR_OK ? e : ERR_MAILBOX_REMOVED;
    scan_open(v, budget, &sc);
    while (e == ERR_OK && seen + cost < budget && (end = db_step(sc.rows)) == ERR_MORE) {
        seen++;
        e = take(v, &sc, &cost);
    }
    scan_close(&sc);
    if (e != ERR_OK)
        return e;
    if (end == ERR_OK && seen < budget)
        return finish(v, rows, n);
    return end == ERR_OK ? ERR_MORE : end;
}
