// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/prefs.h"

#include "store/store_int.h"

enum err prefs_get(struct store *store, int64_t account, struct str name, struct buf *value)
{
    struct db_stmt *st = db_stmt(store->db, "SELECT value FROM pref WHERE account=?1 AND name=?2");
    enum err e;

    db_bind_i64(st, 1, account);
    db_bind_str(st, 2, name);
    e = db_one(st);
    if (e == ERR_OK) {
        buf_str(value, db_col_str(st, 0));
        e = buf_err(value);
    }
    db_done(st);
    return e;
}

enum err prefs_each(struct store *store, int64_t account,
                    void (*fn)(void *arg, struct str name, struct str value), void *arg)
{
    struct db_stmt *st =
        db_stmt(store->db, "SELECT name, value FROM pref WHERE account=?1 ORDER BY name");
    enum err e;

    db_bind_i64(st, 1, account);
    while ((e = db_step(st)) == ERR_MORE)
        fn(arg, db_col_str(st, 0), db_col_str(st, 1));
    db_done(st);
    return e;
}

enum err prefs_set(struct store *store, int64_t account, struct str name, struct str value)
{
    struct db_stmt *st;

    if (value.n > store->limits.pref_bytes || name.n > PREF_NAME_MAX)
        return ERR_ATTR_VALUE;
    st = db_stmt(store->db, "INSERT INTO pref(account, name, value) VALUES(?1, ?2, ?3)"
                            " ON CONFLICT(account, name) DO UPDATE SET value=excluded.value");
    db_bind_i64(st, 1, account);
    db_bind_str(st, 2, name);
    db_bind_blob(st, 3, value.p != NULL ? value : STR(""));
    return db_run(st);
}

enum err prefs_unset(struct store *store, int64_t account, struct str name)
{
    struct db_stmt *st = db_stmt(store->db, "DELETE FROM pref WHERE account=?1 AND name=?2");

    db_bind_i64(st, 1, account);
    db_bind_str(st, 2, name);
    return db_run(st);
}

enum err prefs_changed(struct store *store, int64_t account)
{
    /* <name>value</name> */
    struct db_stmt *st =
        db_stmt(store->db, "SELECT count(*), coalesce(sum(length(value)"
                           " + 2 * length(CAST(name AS BLOB)) + 5), 0) FROM pref WHERE account=?1");
    bool fits;
    enum err e;

    db_bind_i64(st, 1, account);
    e = db_one(st);
    fits = e == ERR_OK && (uint64_t)db_col_i64(st, 0) <= store->limits.prefs &&
           (uint64_t)db_col_i64(st, 1) <= store->limits.prefs_bytes;
    db_done(st);
    if (e != ERR_OK)
        return e;
    return fits ? store_changed(store, account, 0, STORE_PREFS) : ERR_ATTR_VALUE;
}
