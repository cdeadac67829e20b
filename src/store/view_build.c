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
    return v->source >= VIEW_BY_PRIORITY || v->filter.kind >= VIEW_FILTER_FIELD;
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

/* Column 5 of both statements is the number or text of a source that has a column. */
static enum err make_key(struct view *v, struct db_stmt *st, const struct view_candidate *c,
                         struct view_key *k)
{
    switch (v->source) {
    case VIEW_BY_INTERNALDATE:
        k->key = number_key(c->internaldate);
        return ERR_OK;
    case VIEW_BY_SIZE:
        k->key = number_key(c->size);
        return ERR_OK;
    case VIEW_BY_DATE:
        k->key = db_col_is_null(st, 5) ? 0 : number_key(db_col_i64(st, 5));
        return ERR_OK;
    case VIEW_BY_SENDER:
    case VIEW_BY_SUBJECT:
        text_key(&v->build, k, db_col_str(st, 5));
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

#define INDEX_QUERY(column)                                                    \
    "SELECT uid, flags, keywords, internaldate, size, " column " FROM message" \
    " WHERE account=?1 AND mailbox=?2 AND uid>?3 ORDER BY uid LIMIT ?4"
#define HEAD_QUERY(column)                                                                     \
    "SELECT m.uid, m.flags, m.keywords, m.internaldate, m.size, " column ", m.content, h.head" \
    " FROM message m CROSS JOIN head h ON h.account=?1 AND h.mailbox=?2 AND h.uid=m.uid"       \
    " WHERE m.account=?1 AND m.mailbox=?2 AND m.uid>?3 ORDER BY m.uid LIMIT ?4"

static struct db_stmt *scan(struct view *v, uint32_t limit)
{
    static const char *const plain[] = {INDEX_QUERY("0"), INDEX_QUERY("date"),
                                        INDEX_QUERY("sender"), INDEX_QUERY("subject")};
    static const char *const heads[] = {HEAD_QUERY("0"), HEAD_QUERY("m.date"),
                                        HEAD_QUERY("m.sender"), HEAD_QUERY("m.subject")};
    size_t i = v->source == VIEW_BY_DATE      ? 1
               : v->source == VIEW_BY_SENDER  ? 2
               : v->source == VIEW_BY_SUBJECT ? 3
                                              : 0;
    struct db_stmt *st = db_stmt(v->store->db, needs_head(v) ? heads[i] : plain[i]);

    db_bind_i64(st, 1, v->account);
    db_bind_i64(st, 2, v->mailbox);
    db_bind_i64(st, 3, v->build.last_uid);
    db_bind_i64(st, 4, limit);
    return st;
}

static struct view_candidate candidate(const struct view *v, struct db_stmt *st)
{
    struct view_candidate c = {
        .row = {.uid = (uint32_t)db_col_i64(st, 0),
                .flags = (uint32_t)db_col_i64(st, 1),
                .keywords = (uint64_t)db_col_i64(st, 2)},
        .internaldate = db_col_i64(st, 3),
        .size = db_col_i64(st, 4),
    };

    if (needs_head(v)) {
        c.content = db_col_i64(st, 6);
        c.head = db_col_str(st, 7);
    }
    return c;
}

static enum err take(struct view *v, struct db_stmt *st, uint32_t *cost)
{
    struct view_build_state *b = &v->build;
    struct view_candidate c = candidate(v, st);
    struct view_key k = {.text_size = VIEW_NO_TEXT};
    bool pass = false;
    enum err e;

    b->last_uid = c.row.uid;
    if (!v->spec.see_hidden && (c.row.flags & FLAG_HIDDEN) != 0)
        return ERR_OK;
    e = view_filter_pass(v, &c, &pass, cost);
    if (e != ERR_OK || !pass)
        return e;
    k.row = (uint32_t)(b->rows.n / sizeof c.row);
    e = make_key(v, st, &c, &k);
    buf_add(&b->rows, &c.row, sizeof c.row);
    buf_add(&b->keys, &k, sizeof k);
    if (e == ERR_OK && (b->rows.failed || b->keys.failed || b->text.failed))
        e = ERR_NOMEM;
    if (e == ERR_NOMEM)
        log_write(LOG_PROBLEMS, "STORE", 0, NULL, "a view is too large (%u messages and more)",
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
    struct db_stmt *st;
    uint32_t validity = 0, seen = 0, cost = 0;
    uint64_t seq;
    enum err e = read_mailbox(v, &validity, &seq), end = ERR_MORE;

    BUG_IF(!b->running || budget == 0);
    if (e != ERR_OK || validity != b->validity)
        return e != ERR_OK ? e : ERR_MAILBOX_REMOVED;
    st = scan(v, budget);
    while (e == ERR_OK && seen + cost < budget && (end = db_step(st)) == ERR_MORE) {
        seen++;
        e = take(v, st, &cost);
    }
    db_done(st);
    if (e != ERR_OK)
        return e;
    if (end == ERR_OK && seen < budget)
        return finish(v, rows, n);
    return end == ERR_OK ? ERR_MORE : end;
}
