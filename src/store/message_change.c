// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/message_int.h"

#include <stdlib.h>

void message_delta_flags(struct message_delta *d, uint32_t flags, int sign)
{
    bool unseen = (flags & FLAG_SEEN) == 0, media = (flags & FLAG_MEDIA) != 0;

    d->unseen += unseen ? sign : 0;
    d->media += media ? sign : 0;
    d->unseen_media += unseen && media ? sign : 0;
}

/* The oldest message was destroyed: find the next one. */
static enum err renew_oldest(struct store *s, int64_t account, int64_t mailbox)
{
    struct db_stmt *st = db_stmt(
        s->db, "UPDATE mailbox SET oldest=(SELECT coalesce(min(internaldate), 0) FROM message"
               " WHERE account=?1 AND mailbox=?2) WHERE account=?1 AND mailbox=?2");

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    return db_run(st);
}

enum err message_delta_apply(struct store *s, int64_t account, int64_t mailbox,
                             const struct message_delta *d)
{
    struct db_stmt *st;
    bool renew = false;
    enum err e;

    if (d->changes == 0)
        return ERR_OK;
    st = db_stmt(s->db, "UPDATE mailbox SET messages=messages+?3, unseen=unseen+?4, media=media+?5,"
                        " unseen_media=unseen_media+?6, size=size+?7, box_seq=box_seq+?8"
                        " WHERE account=?1 AND mailbox=?2 RETURNING oldest");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, d->messages);
    db_bind_i64(st, 4, d->unseen);
    db_bind_i64(st, 5, d->media);
    db_bind_i64(st, 6, d->unseen_media);
    db_bind_i64(st, 7, d->size);
    db_bind_i64(st, 8, d->changes);
    e = db_one(st);
    if (e == ERR_OK)
        renew = d->messages < 0 && db_col_i64(st, 0) >= d->gone_min;
    db_done(st);
    if (e == ERR_OK && renew)
        e = renew_oldest(s, account, mailbox);
    return e != ERR_OK ? e : store_changed(s, account, mailbox, d->what);
}

/* --- keywords */
enum err message_keywords(struct store *s, int64_t account, int64_t mailbox, struct arena *a,
                          struct flag_keywords *out)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT slot, name FROM keyword WHERE account=?1 AND mailbox=?2");
    enum err e;

    *out = (struct flag_keywords){0};
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    while ((e = db_step(st)) == ERR_MORE) {
        int64_t slot = db_col_i64(st, 0);
        struct str name = arena_str(a, db_col_str(st, 1));

        if (name.p == NULL) {
            e = ERR_NOMEM;
            break;
        }
        if (slot >= 0 && slot < FLAG_KEYWORDS_MAX)
            out->names[slot] = name;
    }
    db_done(st);
    return e;
}

static enum err new_keyword(struct store *s, int64_t account, int64_t mailbox, struct str name,
                            struct flag_keywords *kw, int *slot)
{
    struct db_stmt *st;

    for (*slot = 0; *slot < FLAG_KEYWORDS_MAX && kw->names[*slot].n != 0; ++*slot)
        ;
    if (*slot == FLAG_KEYWORDS_MAX)
        return ERR_FLAG_UNKNOWN;
    kw->names[*slot] = name;
    st = db_stmt(s->db, "INSERT INTO keyword(account, mailbox, slot, name) VALUES(?1, ?2, ?3, ?4)");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, *slot);
    db_bind_str(st, 4, name);
    return db_run(st);
}

/* `X` and, where the mailbox knows X, `NotX` (1.6); anything else is a new keyword. */
static enum err resolve_keyword(struct store *s, int64_t account, int64_t mailbox,
                                struct flag_keywords *kw, struct str name, struct message_marks *m)
{
    int slot = flag_keyword_bit(kw, name);
    uint64_t bit;
    enum err e = ERR_OK;

    if (slot < 0 && str_istarts(name, STR("Not"))) {
        int negative = flag_keyword_bit(kw, str_sub(name, 3, name.n));

        if (negative >= 0) {
            bit = UINT64_C(1) << negative;
            m->kw_clear |= bit;
            m->kw_set &= ~bit;
            return ERR_OK;
        }
    }
    if (slot < 0)
        e = new_keyword(s, account, mailbox, name, kw, &slot);
    if (e != ERR_OK)
        return e;
    bit = UINT64_C(1) << slot;
    m->kw_set |= bit;
    m->kw_clear &= ~bit;
    return ERR_OK;
}

static enum err resolve_items(struct store *s, int64_t account, int64_t mailbox,
                              const struct flag_list *list, struct flag_keywords *kw,
                              struct message_marks *m)
{
    enum err e = ERR_OK;

    for (uint32_t i = 0; i < list->count && e == ERR_OK; i++) {
        const struct flag_item *f = &list->items[i];

        if (f->bit == 0)
            e = resolve_keyword(s, account, mailbox, kw, f->keyword, m);
        else if (f->bit == FLAG_RECENT)
            continue; /* no client sets or clears it */
        else if (f->set) {
            m->set |= f->bit;
            m->clear &= ~f->bit;
        } else {
            m->clear |= f->bit;
            m->set &= ~f->bit;
        }
    }
    return e;
}

enum err message_marks_resolve(struct store *s, int64_t account, int64_t mailbox,
                               const struct flag_list *list, struct message_marks *out)
{
    struct flag_keywords kw = {0};
    struct arena a;
    bool words = false;
    enum err e = ERR_OK;

    *out = (struct message_marks){0};
    for (uint32_t i = 0; i < list->count; i++)
        words |= list->items[i].bit == 0;
    arena_init(&a, 64 << 10);
    if (words)
        e = message_keywords(s, account, mailbox, &a, &kw);
    if (e == ERR_OK)
        e = resolve_items(s, account, mailbox, list, &kw, out);
    arena_free(&a);
    return e;
}

/* --- marking */
static enum err read_seq(struct store *s, int64_t account, int64_t mailbox, int64_t *seq)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT box_seq FROM mailbox WHERE account=?1 AND mailbox=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    e = db_one(st);
    if (e == ERR_OK)
        *seq = db_col_i64(st, 0);
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MAILBOX_REMOVED : e;
}

static enum err write_flags(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                            uint32_t flags, uint64_t keywords, int64_t seq)
{
    struct db_stmt *st = db_stmt(s->db, "UPDATE message SET flags=?4, keywords=?5, seq=?6"
                                        " WHERE account=?1 AND mailbox=?2 AND uid=?3");

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    db_bind_i64(st, 4, flags);
    db_bind_i64(st, 5, (int64_t)keywords);
    db_bind_i64(st, 6, seq);
    return db_run(st);
}

static enum err mark_one(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                         const struct message_marks *m, int64_t seq, struct message_delta *d)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT flags, keywords FROM message"
                                        " WHERE account=?1 AND mailbox=?2 AND uid=?3");
    uint32_t flags = 0, new_flags;
    uint64_t keywords = 0, new_keywords;
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_one(st);
    if (e == ERR_OK) {
        flags = (uint32_t)db_col_i64(st, 0);
        keywords = (uint64_t)db_col_i64(st, 1);
    }
    db_done(st);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    new_flags = (flags & ~m->clear) | m->set;
    new_keywords = (keywords & ~m->kw_clear) | m->kw_set;
    if (new_flags == flags && new_keywords == keywords)
        return ERR_OK;
    message_delta_flags(d, flags, -1);
    message_delta_flags(d, new_flags, 1);
    d->changes++;
    d->what |= STORE_FLAGS;
    return write_flags(s, account, mailbox, uid, new_flags, new_keywords, seq + d->changes);
}

static enum err mark_all(struct store *s, int64_t account, int64_t mailbox, const uint32_t *uids,
                         size_t count, const struct message_marks *m)
{
    struct message_delta d = {0};
    int64_t seq = 0;
    enum err e = read_seq(s, account, mailbox, &seq);

    for (size_t i = 0; i < count && e == ERR_OK; i++)
        e = mark_one(s, account, mailbox, uids[i], m, seq, &d);
    return e != ERR_OK ? e : message_delta_apply(s, account, mailbox, &d);
}

enum err message_mark(struct store *s, int64_t account, int64_t mailbox, const uint32_t *uids,
                      size_t count, const struct flag_list *list)
{
    struct message_marks m;
    enum err e = message_marks_resolve(s, account, mailbox, list, &m);

    return e != ERR_OK ? e : mark_all(s, account, mailbox, uids, count, &m);
}

enum err message_clear_recent(struct store *s, int64_t account, int64_t mailbox,
                              const uint32_t *uids, size_t count)
{
    struct message_marks m = {.clear = FLAG_RECENT};

    return mark_all(s, account, mailbox, uids, count, &m);
}

/* --- destroying */
static enum err destroy_one(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                            struct message_delta *d)
{
    struct db_stmt *st =
        db_stmt(s->db, "DELETE FROM message WHERE account=?1 AND mailbox=?2 AND uid=?3"
                       " RETURNING flags, size, internaldate, content");
    int64_t content = 0, when;
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_one(st);
    if (e == ERR_OK) {
        message_delta_flags(d, (uint32_t)db_col_i64(st, 0), -1);
        d->size -= db_col_i64(st, 1);
        when = db_col_i64(st, 2);
        d->gone_min = d->messages == 0 || when < d->gone_min ? when : d->gone_min;
        content = db_col_i64(st, 3);
        d->messages--;
        d->changes++;
        d->what |= STORE_REMOVED;
    }
    db_done(st);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    st = db_stmt(s->db, "DELETE FROM head WHERE account=?1 AND mailbox=?2 AND uid=?3");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_run(st);
    return e != ERR_OK ? e : content_drop(s, account, content);
}

enum err message_destroy(struct store *s, int64_t account, int64_t mailbox, const uint32_t *uids,
                         size_t count)
{
    struct message_delta d = {0};
    enum err e = ERR_OK;

    for (size_t i = 0; i < count && e == ERR_OK; i++)
        e = destroy_one(s, account, mailbox, uids[i], &d);
    return e != ERR_OK ? e : message_delta_apply(s, account, mailbox, &d);
}

#define EXPUNGE_LOOK 2000 /* messages that one step looks at, */
#define EXPUNGE_STEP 500  /* and that it destroys */

/* UIDs behind *at with Deleted; *at becomes the last UID that was looked at. ERR_MORE: there may be more. */
static enum err find_deleted(struct store *s, int64_t account, int64_t mailbox, uint32_t *at,
                             uint32_t uids[EXPUNGE_STEP], size_t *n)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT uid, flags FROM message WHERE account=?1"
                                        " AND mailbox=?2 AND uid>?3 ORDER BY uid LIMIT ?4");
    uint32_t looked = 0;
    enum err e = ERR_MORE;

    *n = 0;
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, *at);
    db_bind_i64(st, 4, EXPUNGE_LOOK);
    while (*n < EXPUNGE_STEP && (e = db_step(st)) == ERR_MORE) {
        *at = (uint32_t)db_col_i64(st, 0);
        if ((db_col_i64(st, 1) & FLAG_DELETED) != 0)
            uids[(*n)++] = *at;
        looked++;
    }
    db_done(st);
    return e == ERR_OK && looked == EXPUNGE_LOOK ? ERR_MORE : e;
}

enum err message_expunge(struct store *s, int64_t account, int64_t mailbox, uint32_t *at)
{
    uint32_t uids[EXPUNGE_STEP];
    size_t n;
    enum err more = find_deleted(s, account, mailbox, at, uids, &n), e = ERR_OK;

    if (more != ERR_OK && more != ERR_MORE)
        return more;
    if (n != 0)
        e = message_destroy(s, account, mailbox, uids, n);
    return e != ERR_OK ? e : more;
}

enum err message_destroy_all(struct store *s, int64_t account, int64_t mailbox)
{
    static const char *const sql[] = {"DELETE FROM message WHERE account=?1 AND mailbox=?2",
                                      "DELETE FROM head WHERE account=?1 AND mailbox=?2",
                                      "DELETE FROM keyword WHERE account=?1 AND mailbox=?2"};
    struct db_stmt *st =
        db_stmt(s->db, "SELECT content FROM message WHERE account=?1 AND mailbox=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    while ((e = db_step(st)) == ERR_MORE) {
        e = content_drop(s, account, db_col_i64(st, 0));
        if (e != ERR_OK)
            break;
    }
    db_done(st);
    for (size_t i = 0; i < ARRAY_LEN(sql) && e == ERR_OK; i++) {
        st = db_stmt(s->db, sql[i]);
        db_bind_i64(st, 1, account);
        db_bind_i64(st, 2, mailbox);
        e = db_run(st);
    }
    return e;
}
