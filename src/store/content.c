// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/store_int.h"

#include "base/log.h"
#include "store/message.h"

/*
 * The form of a blob on disk. Level 1 of zstd, and only where it saves an eighth: the levels above cost
 * more time than the writing that they save.
 */
enum form {
    FORM_PLAIN,
    FORM_ZSTD,
    FORM_PIECES, /* the row holds nothing; table piece does */
};

#define PACK_MIN   512 /* shorter ones stay plain */
#define PACK_LEVEL 1

struct packed {
    struct str data;
    enum form form;
};

/* Compresses into scratch when that saves an eighth or more. */
static struct packed pack(struct store *s, struct buf *scratch, struct str in)
{
    size_t room = ZSTD_compressBound(in.n), n;
    char *to;

    if (in.n < PACK_MIN)
        return (struct packed){in, FORM_PLAIN};
    buf_clear(scratch);
    to = buf_room(scratch, room);
    if (to == NULL)
        return (struct packed){in, FORM_PLAIN};
    n = ZSTD_compressCCtx(s->pack, to, room, in.p, in.n, PACK_LEVEL);
    if (ZSTD_isError(n) || n > in.n - in.n / 8)
        return (struct packed){in, FORM_PLAIN};
    return (struct packed){{to, n}, FORM_ZSTD};
}

static enum err put_pieces(struct store *s, int64_t account, int64_t content,
                           enum content_kind kind, struct str all)
{
    enum err e = ERR_OK;

    for (int64_t i = 0; all.n != 0 && e == ERR_OK; i++) {
        struct str in = str_sub(all, 0, MESSAGE_PIECE);
        struct packed p = pack(s, &s->scratch[0], in);
        struct db_stmt *st =
            db_stmt(s->db, "INSERT INTO piece(account, content, kind, piece, form, data)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, ?6)");

        db_bind_i64(st, 1, account);
        db_bind_i64(st, 2, content);
        db_bind_i64(st, 3, kind);
        db_bind_i64(st, 4, i);
        db_bind_i64(st, 5, p.form);
        db_bind_blob(st, 6, p.data);
        e = db_run(st);
        all = str_sub(all, in.n, all.n);
    }
    return e;
}

static struct packed inline_form(struct store *s, struct buf *scratch, struct str in)
{
    if (in.n > MESSAGE_PIECE)
        return (struct packed){STR(""), FORM_PIECES};
    if (in.n == 0)
        return (struct packed){STR(""), FORM_PLAIN};
    return pack(s, scratch, in);
}

enum err content_put(struct store *s, int64_t account, struct str raw, struct str body,
                     int64_t *content)
{
    struct packed r = inline_form(s, &s->scratch[0], raw), b = inline_form(s, &s->scratch[1], body);
    struct db_stmt *st = db_stmt(
        s->db,
        "INSERT INTO content(content, account, body_size, body_form, raw_size, raw_form, body, raw)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    int64_t id = s->next_content++;
    enum err e;

    db_bind_i64(st, 1, id);
    db_bind_i64(st, 2, account);
    db_bind_i64(st, 3, (int64_t)body.n);
    db_bind_i64(st, 4, b.form);
    db_bind_i64(st, 5, (int64_t)raw.n);
    db_bind_i64(st, 6, r.form);
    db_bind_blob(st, 7, b.data);
    db_bind_blob(st, 8, r.data);
    e = db_run(st);
    if (e == ERR_OK && b.form == FORM_PIECES)
        e = put_pieces(s, account, id, CONTENT_BODY, body);
    if (e == ERR_OK && r.form == FORM_PIECES)
        e = put_pieces(s, account, id, CONTENT_RAW, raw);
    *content = id;
    return e;
}

enum err content_share(struct store *s, int64_t account, int64_t content)
{
    struct db_stmt *st =
        db_stmt(s->db, "INSERT INTO share(account, content, users) VALUES(?1, ?2, 2)"
                       " ON CONFLICT(account, content) DO UPDATE SET users=users+1");

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, content);
    return db_run(st);
}

static enum err run_keyed(struct store *s, const char *sql, int64_t account, int64_t content)
{
    struct db_stmt *st = db_stmt(s->db, sql);

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, content);
    return db_run(st);
}

enum err content_drop(struct store *s, int64_t account, int64_t content)
{
    struct db_stmt *st = db_stmt(s->db, "SELECT users FROM share WHERE account=?1 AND content=?2");
    int64_t users = 1;
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, content);
    e = db_one(st);
    if (e == ERR_OK)
        users = db_col_i64(st, 0);
    db_done(st);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (users > 2)
        return run_keyed(s, "UPDATE share SET users=users-1 WHERE account=?1 AND content=?2",
                         account, content);
    if (users == 2)
        return run_keyed(s, "DELETE FROM share WHERE account=?1 AND content=?2", account, content);
    e = run_keyed(s, "DELETE FROM content WHERE account=?1 AND content=?2", account, content);
    return e != ERR_OK ? e
                       : run_keyed(s, "DELETE FROM piece WHERE account=?1 AND content=?2", account,
                                   content);
}

/* Appends bytes [from, from + n) of a blob whose plain size is `size`. */
static enum err unpack(struct store *s, enum form form, struct str data, size_t size, size_t from,
                       size_t n, struct buf *out)
{
    struct buf *to_buf = out;
    size_t got;
    char *to;

    if (form == FORM_PLAIN && data.n == size) {
        buf_str(out, str_sub(data, from, n));
        return buf_err(out);
    }
    if (n != size) { /* a part of it: `out` may have no room for the whole */
        to_buf = &s->scratch[0];
        buf_clear(to_buf);
    }
    to = buf_room(to_buf, size);
    if (to == NULL)
        return ERR_NOMEM;
    got = form == FORM_ZSTD ? ZSTD_decompressDCtx(s->unpack, to, size, data.p, data.n) : 0;
    if (got != size) {
        log_write(LOG_FAILURES, "STORE", 0, NULL, "stored bytes are damaged (form %d)", (int)form);
        return ERR_DB;
    }
    if (n == size)
        buf_grow(out, n);
    else
        buf_add(out, to + from, n);
    return buf_err(out);
}

static enum err read_piece(struct store *s, int64_t account, int64_t content,
                           enum content_kind kind, uint64_t piece, size_t size, size_t from,
                           size_t n, struct buf *out)
{
    struct db_stmt *st =
        db_stmt(s->db, "SELECT form, data FROM piece"
                       " WHERE account=?1 AND content=?2 AND kind=?3 AND piece=?4");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, content);
    db_bind_i64(st, 3, kind);
    db_bind_i64(st, 4, (int64_t)piece);
    e = db_one(st);
    if (e == ERR_OK)
        e = unpack(s, (enum form)db_col_i64(st, 0), db_col_str(st, 1), size, from, n, out);
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_DB : e;
}

static enum err read_pieces(struct store *s, int64_t account, int64_t content,
                            enum content_kind kind, uint64_t size, uint64_t from, uint64_t n,
                            struct buf *out)
{
    enum err e = ERR_OK;

    while (n != 0 && e == ERR_OK) {
        uint64_t piece = from / MESSAGE_PIECE, start = piece * MESSAGE_PIECE;
        uint64_t plain = size - start < MESSAGE_PIECE ? size - start : MESSAGE_PIECE;
        uint64_t take = start + plain - from < n ? start + plain - from : n;

        e = read_piece(s, account, content, kind, piece, plain, from - start, take, out);
        from += take;
        n -= take;
    }
    return e;
}

enum err content_read(struct store *s, int64_t account, int64_t content, enum content_kind kind,
                      uint64_t from, uint64_t n, struct buf *out)
{
    struct db_stmt *st = db_stmt(
        s->db,
        kind == CONTENT_RAW
            ? "SELECT raw_size, raw_form, raw FROM content WHERE content=?2 AND account=?1"
            : "SELECT body_size, body_form, body FROM content WHERE content=?2 AND account=?1");
    uint64_t size = 0;
    enum form form = FORM_PLAIN;
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_i64(st, 2, content);
    e = db_one(st);
    if (e == ERR_OK) {
        size = (uint64_t)db_col_i64(st, 0);
        form = (enum form)db_col_i64(st, 1);
        from = from < size ? from : size;
        n = n < size - from ? n : size - from;
        if (n != 0 && form != FORM_PIECES)
            e = unpack(s, form, db_col_str(st, 2), size, from, n, out);
    }
    db_done(st);
    return e == ERR_OK && form == FORM_PIECES
               ? read_pieces(s, account, content, kind, size, from, n, out)
               : e;
}
