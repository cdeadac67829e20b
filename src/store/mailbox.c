// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/mailbox.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/sortkey.h"
#include "store/store_int.h"

#define COLUMNS                                                                                   \
    "mailbox, name, class, selectable, folder, uid_validity, uid_next, messages, unseen, media, " \
    "unseen_media, size, box_seq, oldest"

#define FOLD_MAX (MAILBOX_NAME_MAX * 12) /* a character folds to three at most */

static struct str none_as_empty(struct str s)
{
    return s.p != NULL ? s : STR("");
}

static enum err read_row(struct db_stmt *st, struct arena *a, struct mailbox_info *m)
{
    *m = (struct mailbox_info){
        .id = db_col_i64(st, 0),
        .name = arena_str(a, db_col_str(st, 1)),
        .klass = arena_str(a, db_col_str(st, 2)),
        .selectable = db_col_i64(st, 3) != 0,
        .folder = db_col_i64(st, 4) != 0,
        .uid_validity = (uint32_t)db_col_i64(st, 5),
        .uid_next = (uint32_t)db_col_i64(st, 6),
        .messages = (uint32_t)db_col_i64(st, 7),
        .unseen = (uint32_t)db_col_i64(st, 8),
        .media = (uint32_t)db_col_i64(st, 9),
        .unseen_media = (uint32_t)db_col_i64(st, 10),
        .size = (uint64_t)db_col_i64(st, 11),
        .box_seq = (uint64_t)db_col_i64(st, 12),
        .oldest = db_col_i64(st, 13),
    };
    return m->name.p != NULL && m->klass.p != NULL ? ERR_OK : ERR_NOMEM;
}

/* What a look-up by name tells. */
struct node {
    int64_t id;
    bool selectable, folder;
};

static enum err find_node(struct store *s, int64_t account, struct str name, struct node *n)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT mailbox, selectable, folder FROM mailbox"
                                        " WHERE account=?1 AND name=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_str(st, 2, none_as_empty(name));
    e = db_one(st);
    if (e == ERR_OK)
        *n = (struct node){db_col_i64(st, 0), db_col_i64(st, 1) != 0, db_col_i64(st, 2) != 0};
    db_done(st);
    return e;
}

enum err mailbox_find(struct store *s, int64_t account, struct str name, int64_t *id)
{
    struct node n;
    enum err e = find_node(s, account, name, &n);

    if (e == ERR_NOT_FOUND)
        return ERR_MAILBOX_MISSING;
    if (e != ERR_OK)
        return e;
    if (!n.selectable)
        return ERR_MAILBOX_NOT_SELECTABLE;
    *id = n.id;
    return ERR_OK;
}

enum err mailbox_get(struct store *s, int64_t account, int64_t id, struct arena *a,
                     struct mailbox_info *out)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT " COLUMNS " FROM mailbox WHERE account=?1 AND mailbox=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, id);
    e = db_one(st);
    if (e == ERR_OK)
        e = read_row(st, a, out);
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MAILBOX_REMOVED : e;
}

/* --- list */
static bool is_inbox(struct str name)
{
    return str_eq(name, STR("INBOX")) || str_starts(name, STR("INBOX/"));
}

/* INBOX and what is below it first, then byte order, which puts parents before children. */
static int list_order(const void *pa, const void *pb)
{
    const struct mailbox_info *a = pa, *b = pb;
    bool ia = is_inbox(a->name), ib = is_inbox(b->name);

    return ia != ib ? (ia ? -1 : 1) : str_cmp(a->name, b->name);
}

static bool class_fits(const struct mailbox_info *m, struct str want)
{
    if (want.n == 0 || str_ieq(m->klass, want))
        return true;
    /* IPF.Note is ordinary mail, said aloud (1.2) */
    return m->selectable && m->klass.n == 0 && str_ieq(want, STR("IPF.Note"));
}

/* Takes `~self/` off a filter; false: another account's, or no account at all. */
static bool own_filter(const struct mailbox_owner *self, struct str *filter)
{
    size_t at = str_find(*filter, '/');
    struct str who = str_sub(*filter, 1, at - 1);

    if (filter->n == 0 || filter->p[0] != '~')
        return true;
    *filter = str_sub(*filter, at + 1, filter->n);
    for (size_t i = 0; i < self->count; i++)
        if (str_ieq(self->names[i], who))
            return true;
    return false;
}

static enum err count_rows(struct store *s, int64_t account, uint32_t *count)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT count(*) FROM mailbox WHERE account=?1");
    enum err e;

    db_bind_i64(st, 1, account);
    e = db_one(st);
    if (e == ERR_OK)
        *count = (uint32_t)db_col_i64(st, 0);
    db_done(st);
    return e;
}

enum err mailbox_list(struct store *s, int64_t account, const struct mailbox_owner *self,
                      const struct mailbox_query *q, struct arena *a, struct mailbox_info **rows,
                      uint32_t *count)
{
    struct str filter = q->filter.p != NULL ? q->filter : STR("*");
    struct db_stmt *st;
    uint32_t max = 0;
    enum err e = ERR_OK;

    *count = 0;
    *rows = NULL;
    if (!own_filter(self, &filter))
        return ERR_OK;
    e = count_rows(s, account, &max);
    if (e != ERR_OK || max == 0)
        return e;
    *rows = arena_array(a, max, sizeof **rows);
    if (*rows == NULL)
        return ERR_NOMEM;
    st = db_stmt(s->db, "SELECT " COLUMNS " FROM mailbox WHERE account=?1");
    db_bind_i64(st, 1, account);
    while (*count < max && (e = db_step(st)) == ERR_MORE) {
        struct str name = db_col_str(st, 1);
        struct mailbox_info *m = &(*rows)[*count];

        if (!mailbox_match(filter, name, is_inbox(name) ? 5 : 0))
            continue;
        e = read_row(st, a, m);
        if (e != ERR_OK)
            break;
        if (class_fits(m, q->klass) && (m->selectable || q->pure))
            ++*count;
    }
    db_done(st);
    if (e == ERR_MORE)
        e = ERR_OK;
    if (e == ERR_OK && *count > 1)
        qsort(*rows, *count, sizeof **rows, list_order);
    return e;
}

/* --- making */
/* A new id, and a UIDValidity that this account has not seen. */
static enum err new_id(struct store *s, int64_t account, int64_t *id, int64_t *validity)
{
    struct db_stmt *st = db_stmt(
        s->db, "INSERT INTO account(account, next_mailbox, last_validity) VALUES(?1, 2, ?2)"
               " ON CONFLICT(account) DO UPDATE SET next_mailbox=next_mailbox+1,"
               " last_validity=max(last_validity+1, ?2) RETURNING next_mailbox-1, last_validity");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, clock_wall() / CLOCK_SEC);
    e = db_one(st);
    if (e == ERR_OK) {
        *id = db_col_i64(st, 0);
        *validity = db_col_i64(st, 1);
    }
    db_done(st);
    return e;
}

/* ERR_EXISTS: another one has that name, or one that differs in case. */
static enum err insert_row(struct store *s, int64_t account, struct str name, struct str klass,
                           bool selectable, int64_t *id)
{
    struct buf fold;
    struct db_stmt *st;
    int64_t validity = 0;
    enum err e = new_id(s, account, id, &validity);

    if (e != ERR_OK)
        return e;
    buf_init(&fold, FOLD_MAX);
    e = sortkey_fold(name, &fold);
    if (e == ERR_OK) {
        st = db_stmt(s->db,
                     "INSERT INTO mailbox(account, mailbox, name, fold, class, selectable, folder,"
                     " uid_validity, uid_next, messages, unseen, media, unseen_media, size,"
                     " oldest, box_seq) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1,"
                     " 0, 0, 0, 0, 0, 0, 0)");
        db_bind_i64(st, 1, account);
        db_bind_i64(st, 2, *id);
        db_bind_str(st, 3, name);
        db_bind_str(st, 4, buf_slice(&fold));
        db_bind_str(st, 5, none_as_empty(klass));
        db_bind_i64(st, 6, selectable);
        db_bind_i64(st, 7, !selectable);
        db_bind_i64(st, 8, validity);
        e = db_run(st);
    }
    buf_free(&fold);
    return e != ERR_OK ? e : store_changed(s, account, *id, STORE_MAILBOX_CREATED);
}

static enum err set_folder(struct store *s, int64_t account, int64_t id)
{
    struct db_stmt *st =
        db_stmt(s->db, "UPDATE mailbox SET folder=1 WHERE account=?1 AND mailbox=?2");

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, id);
    return db_run(st);
}

static enum err add_storage(struct store *s, int64_t account, int64_t id, struct str klass)
{
    struct db_stmt *st = db_stmt(s->db, "UPDATE mailbox SET selectable=1, class=?3"
                                        " WHERE account=?1 AND mailbox=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, id);
    db_bind_str(st, 3, none_as_empty(klass));
    e = db_run(st);
    return e != ERR_OK ? e : store_changed(s, account, id, STORE_MAILBOX_CREATED);
}

/* Every ancestor gets a directory entity. */
static enum err make_ancestors(struct store *s, int64_t account, struct str name)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < name.n && e == ERR_OK; i++) {
        struct str up = str_sub(name, 0, i);
        struct node n;
        int64_t id;

        if (name.p[i] != '/')
            continue;
        e = find_node(s, account, up, &n);
        if (e == ERR_NOT_FOUND)
            e = insert_row(s, account, up, STR(""), false, &id);
        else if (e == ERR_OK && !n.folder)
            e = set_folder(s, account, n.id);
    }
    return e;
}

static enum err check_count(struct store *s, int64_t account)
{
    uint32_t n = 0;
    enum err e = count_rows(s, account, &n);

    return e == ERR_OK && n > s->limits.mailboxes ? ERR_QUOTA : e;
}

enum err mailbox_create(struct store *s, int64_t account, struct str name, struct str klass,
                        int64_t *id_out)
{
    enum err e = mailbox_name_check(name, true);
    struct node n;
    int64_t id = 0;
    bool pure;

    if (e != ERR_OK || memchr(name.p, '*', name.n) != NULL || memchr(name.p, '%', name.n) != NULL ||
        klass.n > MAILBOX_CLASS_MAX)
        return e != ERR_OK ? e : ERR_MAILBOX_NAME;
    pure = name.p[name.n - 1] == '/';
    name.n -= pure;
    e = find_node(s, account, name, &n);
    if (e == ERR_OK) {
        id = n.id;
        if (pure ? n.folder : n.selectable)
            return ERR_MAILBOX_EXISTS;
        e = pure ? set_folder(s, account, id) : add_storage(s, account, id, klass);
    } else if (e == ERR_NOT_FOUND) {
        e = make_ancestors(s, account, name);
        if (e == ERR_OK)
            e = insert_row(s, account, name, klass, !pure, &id);
        if (e == ERR_OK)
            e = check_count(s, account);
    }
    if (e == ERR_OK && id_out != NULL)
        *id_out = id;
    return e == ERR_EXISTS ? ERR_MAILBOX_EXISTS : e;
}

enum err mailbox_open(struct store *s, int64_t account, struct str name, struct str klass,
                      int64_t *id)
{
    enum err e = mailbox_find(s, account, name, id);

    if (e != ERR_MAILBOX_MISSING || klass.p == NULL)
        return e;
    return mailbox_create(s, account, name, klass, id);
}

enum err mailbox_has_inbox(struct store *s, int64_t account, int64_t *id)
{
    return mailbox_find(s, account, STR("INBOX"), id);
}

enum err mailbox_inbox(struct store *s, int64_t account, int64_t *id)
{
    return mailbox_open(s, account, STR("INBOX"), STR(""), id);
}

/* --- removing */
static enum err delete_row(struct store *s, int64_t account, const struct node *n)
{
    struct db_stmt *st;
    enum err e = n->selectable ? message_destroy_all(s, account, n->id) : ERR_OK;

    if (e != ERR_OK)
        return e;
    st = db_stmt(s->db, "DELETE FROM mailbox WHERE account=?1 AND mailbox=?2");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, n->id);
    e = db_run(st);
    return e != ERR_OK ? e : store_changed(s, account, n->id, STORE_MAILBOX_REMOVED);
}

/* Any one below it: names from "A/" up to, but without, "A0" (the character after the slash). */
static enum err find_below(struct store *s, int64_t account, struct str name, struct node *n)
{
    char from[MAILBOX_NAME_MAX + 1], till[MAILBOX_NAME_MAX + 1];
    struct db_stmt *st;
    enum err e;

    if (name.n > MAILBOX_NAME_MAX)
        return ERR_NOT_FOUND;
    memcpy(from, name.p, name.n);
    memcpy(till, name.p, name.n);
    from[name.n] = '/';
    till[name.n] = '/' + 1;
    st = db_stmt(s->db, "SELECT mailbox, selectable, folder FROM mailbox"
                        " WHERE account=?1 AND name>?2 AND name<?3 LIMIT 1");
    db_bind_i64(st, 1, account);
    db_bind_str(st, 2, (struct str){from, name.n + 1});
    db_bind_str(st, 3, (struct str){till, name.n + 1});
    e = db_one(st);
    if (e == ERR_OK)
        *n = (struct node){db_col_i64(st, 0), db_col_i64(st, 1) != 0, db_col_i64(st, 2) != 0};
    db_done(st);
    return e;
}

enum err mailbox_remove(struct store *s, int64_t account, struct str name, bool children)
{
    struct node n, below;
    int64_t id;
    enum err e = find_node(s, account, name, &n), kids = ERR_OK;

    if (e == ERR_NOT_FOUND)
        return ERR_MAILBOX_MISSING;
    if (e == ERR_OK && str_eq(name, STR("INBOX")))
        return ERR_MAILBOX_INBOX;
    while (e == ERR_OK && (kids = find_below(s, account, name, &below)) == ERR_OK && children)
        e = delete_row(s, account, &below);
    if (e != ERR_OK || (kids != ERR_OK && kids != ERR_NOT_FOUND))
        return e != ERR_OK ? e : kids;
    if (kids == ERR_OK && !n.selectable)
        return ERR_MAILBOX_HAS_CHILDREN;
    e = delete_row(s, account, &n);
    if (e == ERR_OK && kids == ERR_OK)
        e = insert_row(s, account, name, STR(""), false, &id);
    return e;
}
