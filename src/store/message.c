// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/message_int.h"

#include "store/sortkey.h"
#include "store/view.h"

/* The mailbox did not take a message: why? */
static enum err why_not(struct store *s, int64_t account, int64_t mailbox)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT selectable FROM mailbox WHERE account=?1 AND mailbox=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    e = db_one(st);
    if (e == ERR_OK)
        e = db_col_i64(st, 0) == 0 ? ERR_MAILBOX_NOT_SELECTABLE : ERR_QUOTA; /* UIDs used up */
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MAILBOX_REMOVED : e;
}

enum err message_slot_take(struct store *s, int64_t account, int64_t mailbox, uint32_t flags,
                           int64_t internaldate, uint64_t size, struct message_slot *out)
{
    struct db_stmt *st = db_stmt(
        s->db, "UPDATE mailbox SET uid_next=uid_next+1, messages=messages+1, unseen=unseen+?3,"
               " media=media+?4, unseen_media=unseen_media+?5, size=size+?6,"
               " oldest=CASE WHEN messages=0 OR oldest>?7 THEN ?7 ELSE oldest END,"
               " box_seq=box_seq+1"
               " WHERE account=?1 AND mailbox=?2 AND selectable=1 AND uid_next<4294967295"
               " RETURNING uid_next-1, box_seq");
    struct message_delta d = {0};
    enum err e;

    message_delta_flags(&d, flags, 1);
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, d.unseen);
    db_bind_i64(st, 4, d.media);
    db_bind_i64(st, 5, d.unseen_media);
    db_bind_i64(st, 6, (int64_t)size);
    db_bind_i64(st, 7, internaldate);
    e = db_one(st);
    if (e == ERR_OK)
        *out = (struct message_slot){db_col_i64(st, 0), db_col_i64(st, 1)};
    db_done(st);
    return e == ERR_NOT_FOUND ? why_not(s, account, mailbox) : e;
}

/* Sort keys of a HEAD that may be damaged: then there are none. */
struct keys {
    struct buf sender, subject;
    bool has_sender, has_subject, has_date;
    int64_t date;
};

static enum err make_keys(struct keys *k, struct str head)
{
    struct digest_head h;
    enum err e;

    *k = (struct keys){0};
    buf_init(&k->sender, MESSAGE_MAX);
    buf_init(&k->subject, MESSAGE_MAX);
    if (digest_head_open(&h, head) != ERR_OK)
        return ERR_OK;
    k->has_date = sortkey_date(&h, &k->date);
    e = sortkey_field(&h, STR("From"), VIEW_KEY_MAX, &k->sender, &k->has_sender);
    if (e == ERR_OK)
        e = sortkey_field(&h, STR("Subject"), VIEW_KEY_MAX, &k->subject, &k->has_subject);
    return e;
}

static void bind_key(struct db_stmt *st, int n, const struct buf *key, bool there)
{
    if (!there)
        db_bind_null(st, n);
    else
        db_bind_str(st, n, key->n != 0 ? buf_slice(key) : STR(""));
}

static enum err insert_message(struct store *s, int64_t account, int64_t mailbox,
                               const struct message_new *m, const struct message_slot *slot,
                               uint64_t keywords, int64_t content)
{
    struct db_stmt *st;
    struct keys k;
    enum err e = make_keys(&k, m->head);

    if (e == ERR_OK) {
        st = db_stmt(s->db,
                     "INSERT INTO message(account, mailbox, uid, flags, keywords, internaldate,"
                     " size, date, content, seq, sender, subject)"
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
        db_bind_i64(st, 1, account);
        db_bind_i64(st, 2, mailbox);
        db_bind_i64(st, 3, slot->uid);
        db_bind_i64(st, 4, m->flags);
        db_bind_i64(st, 5, (int64_t)keywords);
        db_bind_i64(st, 6, m->internaldate);
        db_bind_i64(st, 7, (int64_t)m->raw.n);
        if (k.has_date)
            db_bind_i64(st, 8, k.date);
        else
            db_bind_null(st, 8);
        db_bind_i64(st, 9, content);
        db_bind_i64(st, 10, slot->seq);
        bind_key(st, 11, &k.sender, k.has_sender);
        bind_key(st, 12, &k.subject, k.has_subject);
        e = db_run(st);
    }
    buf_free(&k.sender);
    buf_free(&k.subject);
    return e;
}

static enum err insert_head(struct store *s, int64_t account, int64_t mailbox, int64_t uid,
                            struct str head)
{
    struct db_stmt *st =
        db_stmt(s->db, "INSERT INTO head(account, mailbox, uid, head) VALUES(?1, ?2, ?3, ?4)");

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    db_bind_blob(st, 4, head.p != NULL ? head : STR(""));
    return db_run(st);
}

enum err message_check_quota(struct store *s, int64_t account, uint64_t more)
{
    uint64_t used = 0;
    enum err e;

    if (s->limits.quota == 0)
        return ERR_OK;
    e = store_usage(s, account, &used);
    if (e == ERR_OK && (used > s->limits.quota || more > s->limits.quota - used))
        e = ERR_QUOTA;
    return e;
}

enum err message_append(struct store *s, int64_t account, int64_t mailbox,
                        const struct message_new *in, uint32_t *uid)
{
    struct message_new m = *in;
    struct message_marks marks = {0};
    struct message_slot slot;
    int64_t content = 0;
    enum err e;

    if (m.raw.n > MESSAGE_MAX || m.body.n > MESSAGE_MAX || m.head.n > MESSAGE_MAX)
        return ERR_MESSAGE_TOO_LARGE;
    e = message_check_quota(s, account, m.raw.n);
    if (e == ERR_OK && m.more != NULL)
        e = message_marks_resolve(s, account, mailbox, m.more, &marks);
    if (e != ERR_OK)
        return e;
    m.flags = (m.flags & ~marks.clear) | marks.set;
    e = message_slot_take(s, account, mailbox, m.flags, m.internaldate, m.raw.n, &slot);
    if (e == ERR_OK)
        e = content_put(s, account, m.raw, m.body, &content);
    if (e == ERR_OK)
        e = insert_message(s, account, mailbox, &m, &slot, marks.kw_set, content);
    if (e == ERR_OK)
        e = insert_head(s, account, mailbox, slot.uid, m.head);
    if (e == ERR_OK)
        e = store_changed(s, account, mailbox, STORE_ADDED);
    if (e == ERR_OK)
        *uid = (uint32_t)slot.uid;
    return e;
}

enum err message_row_get(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                         struct message_row *out)
{
    struct db_stmt *st;
    enum err e;

    message_row_done(s);
    st =
        db_stmt(s->db, "SELECT m.flags, m.keywords, m.internaldate, m.size, h.head FROM message m"
                       " JOIN head h ON h.account=m.account AND h.mailbox=m.mailbox AND h.uid=m.uid"
                       " WHERE m.account=?1 AND m.mailbox=?2 AND m.uid=?3");
    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_one(st);
    if (e != ERR_OK) {
        db_done(st);
        return e == ERR_NOT_FOUND ? ERR_MESSAGE_MISSING : e;
    }
    *out = (struct message_row){
        .uid = uid,
        .flags = (uint32_t)db_col_i64(st, 0),
        .keywords = (uint64_t)db_col_i64(st, 1),
        .internaldate = db_col_i64(st, 2),
        .size = (uint64_t)db_col_i64(st, 3),
        .head = db_col_str(st, 4),
    };
    s->row_st = st;
    return ERR_OK;
}

void message_row_done(struct store *s)
{
    if (s->row_st != NULL)
        db_done(s->row_st);
    s->row_st = NULL;
}

static enum err find_content(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                             int64_t *content)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT content FROM message"
                                        " WHERE account=?1 AND mailbox=?2 AND uid=?3");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, mailbox);
    db_bind_i64(st, 3, uid);
    e = db_one(st);
    if (e == ERR_OK)
        *content = db_col_i64(st, 0);
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_MESSAGE_MISSING : e;
}

static enum err read_content(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                             enum content_kind kind, uint64_t from, uint64_t n, struct buf *out)
{
    int64_t content = 0;
    enum err e = find_content(s, account, mailbox, uid, &content);

    if (e == ERR_OK)
        e = content_read(s, account, content, kind, from, n, out);
    return e == ERR_NOT_FOUND ? ERR_DB : e;
}

enum err message_read_raw(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                          uint64_t from, uint64_t n, struct buf *out)
{
    return read_content(s, account, mailbox, uid, CONTENT_RAW, from, n, out);
}

enum err message_read_body(struct store *s, int64_t account, int64_t mailbox, uint32_t uid,
                           struct buf *out)
{
    return read_content(s, account, mailbox, uid, CONTENT_BODY, 0, UINT64_MAX, out);
}
