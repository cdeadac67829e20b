// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/message_int.h"

#include "store/mailbox.h"

/* Flags and keywords of the source, and what a copy starts from. */
struct source {
    uint32_t flags;
    uint64_t keywords;
    int64_t internaldate, content;
    uint64_t size;
};

static enum err read_source(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                            struct source *src)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT flags, keywords, internaldate, content, size FROM message"
                       " WHERE account=?1 AND mailbox=?2 AND uid=?3");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_one(st);
    if (e == ERR_OK) {
        src->flags = (uint32_t)db_col_i64(st, 0);
        src->keywords = (uint64_t)db_col_i64(st, 1);
        src->internaldate = db_col_i64(st, 2);
        src->content = db_col_i64(st, 3);
        src->size = (uint64_t)db_col_i64(st, 4);
    }
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MESSAGE_MISSING : e;
}

/* The same keywords in another mailbox's slots, as far as there is room for them. */
static enum err translate_keywords(struct store *s, int64_t account, int64_t from, int64_t to,
                                   uint64_t *keywords)
{
    struct flag_keywords kw;
    struct arena a;
    uint64_t out = 0;
    enum err e;

    if (*keywords == 0 || from == to)
        return ERR_OK;
    arena_init(&a, 64 << 10);
    e = message_keywords(s, account, from, &a, &kw);
    for (uint32_t i = 0; i < FLAG_KEYWORDS_MAX && e == ERR_OK; i++) {
        struct flag_list one = {.count = 1};
        struct message_marks m = {0};

        if ((*keywords >> i & 1) == 0 || kw.names[i].n == 0)
            continue;
        one.items[0] = (struct flag_item){.set = true, .keyword = kw.names[i]};
        e = message_marks_resolve(s, account, to, &one, &m);
        out |= m.kw_set;
        if (e == ERR_FLAG_UNKNOWN)
            e = ERR_OK;
    }
    arena_free(&a);
    *keywords = out;
    return e;
}

static enum err copy_rows(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                          int64_t target, const struct source *src, const struct message_slot *slot)
{
    struct db_stmt *st = db_stmt(
        s->db,
        "INSERT INTO message(account, mailbox, uid, flags, keywords, internaldate, size, date,"
        " content, seq, sender, subject) SELECT account, ?4, ?5, ?6, ?7, internaldate, size,"
        " date, content, ?8, sender, subject FROM message"
        " WHERE account=?1 AND mailbox=?2 AND uid=?3");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    db_bind_i64(st, 4, target);
    db_bind_i64(st, 5, slot->uid);
    db_bind_i64(st, 6, src->flags);
    db_bind_i64(st, 7, (int64_t)src->keywords);
    db_bind_i64(st, 8, slot->seq);
    e = db_run(st);
    if (e != ERR_OK)
        return e;
    st = db_stmt(s->db, "INSERT INTO head(account, mailbox, uid, head) SELECT account, ?4, ?5, head"
                        " FROM head WHERE account=?1 AND mailbox=?2 AND uid=?3");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    db_bind_i64(st, 4, target);
    db_bind_i64(st, 5, slot->uid);
    return db_run(st);
}

/* net: the source is destroyed in the same request, so that the quota does not matter. */
static enum err copy_one(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                         int64_t target, uint32_t drop, bool net, uint32_t *new_uid)
{
    struct source src = {0};
    struct message_slot slot;
    enum err e = read_source(s, account, mailbox, uid, &src);

    if (e == ERR_OK && !net)
        e = message_check_quota(s, account, src.size);
    if (e == ERR_OK)
        e = translate_keywords(s, account, mailbox, target, &src.keywords);
    src.flags &= ~drop;
    if (e == ERR_OK)
        e = message_slot_take(s, account, target, src.flags, src.internaldate, src.size, &slot);
    if (e == ERR_OK)
        e = content_share(s, account, src.content);
    if (e == ERR_OK)
        e = copy_rows(s, account, mailbox, uid, target, &src, &slot);
    if (e == ERR_OK)
        e = store_changed(s, account, target, STORE_ADDED);
    if (e == ERR_OK && new_uid != NULL)
        *new_uid = (uint32_t)slot.uid;
    return e;
}

enum err message_copy(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                      int64_t target, uint32_t drop, uint32_t *new_uid)
{
    return copy_one(s, account, mailbox, uid, target, drop, false, new_uid);
}

/* Does "Move To Trash" mean destroying here (5.2)? */
static bool destroys(const struct mailbox_info *m, struct str trash)
{
    static const char *const items[] = {"IPF.Contact", "IPF.Appointment", "IPF.Task",
                                        "IPF.StickyNote"};

    if (str_starts(m->name, trash) && (m->name.n == trash.n || m->name.p[trash.n] == '/'))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (str_ieq(m->klass, str_of(items[i])))
            return true;
    return false;
}

enum err message_trash(struct store *s, int64_t account, int64_t mailbox, struct str trash,
                       const uint32_t *uids, size_t count)
{
    struct mailbox_info m;
    struct arena a;
    int64_t target = 0;
    bool here;
    enum err e;

    trash = trash.n != 0 ? trash : STR("Trash");
    arena_init(&a, 64 << 10);
    e = mailbox_get(s, account, mailbox, &a, &m);
    here = e == ERR_OK && destroys(&m, trash);
    arena_free(&a);
    if (e != ERR_OK)
        return e;
    if (here)
        return message_destroy(s, account, mailbox, uids, count);
    e = mailbox_open(s, account, trash, STR(""), &target);
    if (e == ERR_MAILBOX_NOT_SELECTABLE)
        e = mailbox_create(s, account, trash, STR(""), &target);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        e = copy_one(s, account, mailbox, uids[i], target, FLAG_RECENT, true, NULL);
        if (e == ERR_OK) /* at once: a UID that comes twice is then unknown */
            e = message_destroy(s, account, mailbox, &uids[i], 1);
        if (e == ERR_MESSAGE_MISSING)
            e = ERR_OK;
    }
    return e;
}
