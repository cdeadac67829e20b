// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Everything that writes the directory: each change is a round of its own (db_once). */
#include "auth/directory_priv.h"
#include "base/utf8.h"

struct change {
    struct directory *d;
    struct account *account;
    struct str text;
    uint64_t id;
    uint64_t version;
    uint32_t flags;
    const char *sql;
};

static enum err run_change(struct db_stmt *st, const struct db *db)
{
    enum err e = db_run(st);
    if (e != ERR_OK)
        return e;
    return db_changes(db) != 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* The bank with the fewest accounts; the first of equals. */
static uint32_t next_bank(const struct directory *d)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < d->opt.banks; i++) {
        if (d->load[i] < d->load[best])
            best = i;
    }
    return best;
}

static enum err take_id(struct db *db, uint64_t *id)
{
    struct db_stmt *st =
        db_stmt(db, "UPDATE server SET next_id = next_id + 1 WHERE id = 1 RETURNING next_id - 1");
    enum err e = db_one(st);
    if (e == ERR_OK)
        *id = (uint64_t)db_col_i64(st, 0);
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_DB : e;
}

static enum err insert_account(struct db *db, const struct account *a)
{
    struct buf text;
    buf_init(&text, VERIFIER_TEXT_MAX);
    (void)buf_room(&text, VERIFIER_TEXT_MAX);
    verifier_put(&text, &a->verifiers);
    enum err e = buf_err(&text);
    if (e == ERR_OK) {
        struct db_stmt *st = db_stmt(db, "INSERT INTO account (" ACCOUNT_COLUMNS
                                         ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
        db_bind_i64(st, 1, (int64_t)a->id);
        db_bind_str(st, 2, name_str(&a->name));
        db_bind_i64(st, 3, a->bank);
        db_bind_i64(st, 4, a->flags & ACCOUNT_FLAGS);
        db_bind_i64(st, 5, (int64_t)a->version);
        db_bind_i64(st, 6, a->created);
        db_bind_str(st, 7, str_of(a->real_name));
        db_bind_str(st, 8, str_of(a->language));
        db_bind_str(st, 9, str_of(a->recovery));
        db_bind_str(st, 10, buf_slice(&text));
        e = db_run(st);
    }
    if (text.p != NULL)
        explicit_bzero(text.p, text.cap);
    buf_free(&text);
    return e;
}

static enum err add(struct db *db, void *arg)
{
    struct change *c = arg;
    uint64_t taken;
    enum err e = directory_find_alias(c->d, name_str(&c->account->name), &taken);
    if (e != ERR_NOT_FOUND)
        return e == ERR_OK ? ERR_EXISTS : e;
    e = take_id(db, &c->account->id);
    return e == ERR_OK ? insert_account(db, c->account) : e;
}

enum err directory_add(struct directory *d, struct account *a, int64_t unix_now)
{
    struct change c = {.d = d, .account = a};
    if (!directory_has_domain(d, name_domain(&a->name)))
        return ERR_NOT_FOUND;
    a->bank = next_bank(d);
    a->version = 1;
    a->created = unix_now;
    enum err e = db_once(d->db, add, &c);
    if (e == ERR_OK)
        d->load[a->bank]++;
    if (e == ERR_OK && d->decoy == 0)
        d->decoy = a->id;
    directory_forget_cram(d);
    return e;
}

static enum err drop(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st = db_stmt(db, "DELETE FROM alias WHERE account = ?1");
    db_bind_i64(st, 1, (int64_t)c->id);
    enum err e = db_run(st);
    if (e != ERR_OK)
        return e;
    st = db_stmt(db, "DELETE FROM account WHERE id = ?1");
    db_bind_i64(st, 1, (int64_t)c->id);
    return run_change(st, db);
}

enum err directory_remove(struct directory *d, uint64_t id)
{
    struct change c = {.d = d, .id = id};
    struct account was;
    enum err e = directory_find_id(d, id, &was);
    if (e == ERR_OK)
        e = db_once(d->db, drop, &c);
    if (e == ERR_OK && d->load[was.bank] != 0)
        d->load[was.bank]--;
    /* without one, names that are nobody's are found out sooner; nothing else */
    if (e == ERR_OK && d->decoy == id && directory_choose_decoy(d) != ERR_OK)
        d->decoy = 0;
    directory_forget_cram(d);
    account_wipe(&was);
    return e;
}

/* version 0: a new password; else the same one in new forms. */
static enum err set_verifiers(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st =
        c->version == 0
            ? db_stmt(db, "UPDATE account SET verifiers = ?2, version = version + 1,"
                          " flags = flags & ?3 WHERE id = ?1")
            : db_stmt(db, "UPDATE account SET verifiers = ?2 WHERE id = ?1 AND version = ?3");
    db_bind_i64(st, 1, (int64_t)c->id);
    db_bind_str(st, 2, c->text);
    db_bind_i64(st, 3, c->version == 0 ? ~ACCOUNT_EXPIRED & ACCOUNT_FLAGS : (int64_t)c->version);
    return run_change(st, db);
}

static enum err store_verifiers(struct directory *d, uint64_t id, uint64_t version,
                                const struct verifiers *v)
{
    struct buf text;
    buf_init(&text, VERIFIER_TEXT_MAX);
    (void)buf_room(&text, VERIFIER_TEXT_MAX);
    verifier_put(&text, v);
    enum err e = buf_err(&text);
    struct change c = {.d = d, .id = id, .version = version, .text = buf_slice(&text)};
    if (e == ERR_OK)
        e = db_once(d->db, set_verifiers, &c);
    directory_forget_cram(d);
    if (text.p != NULL)
        explicit_bzero(text.p, text.cap);
    buf_free(&text);
    return e;
}

enum err directory_set_password(struct directory *d, uint64_t id, const struct verifiers *v)
{
    return store_verifiers(d, id, 0, v);
}

enum err directory_rehash(struct directory *d, uint64_t id, uint64_t version,
                          const struct verifiers *v)
{
    BUG_IF(version == 0);
    return store_verifiers(d, id, version, v);
}

static enum err set_text(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st = db_stmt(db, c->sql);
    db_bind_i64(st, 1, (int64_t)c->id);
    db_bind_str(st, 2, c->text);
    return run_change(st, db);
}

enum err directory_set_text(struct directory *d, uint64_t id, enum directory_text which,
                            struct str text)
{
    static const struct {
        const char *sql;
        size_t max;
    } row[] = {
        [DIRECTORY_REAL_NAME] = {"UPDATE account SET real_name = ?2 WHERE id = ?1",
                                 ACCOUNT_REAL_NAME_MAX},
        [DIRECTORY_LANGUAGE] = {"UPDATE account SET language = ?2 WHERE id = ?1",
                                ACCOUNT_LANGUAGE_MAX},
        [DIRECTORY_RECOVERY] = {"UPDATE account SET recovery = ?2 WHERE id = ?1",
                                ACCOUNT_RECOVERY_MAX},
    };
    BUG_IF((unsigned)which >= ARRAY_LEN(row));
    if (text.n > row[which].max)
        return ERR_TOO_LONG;
    if (!utf8_valid(text) || str_find(text, '\0') != text.n)
        return ERR_SYNTAX;
    struct change c = {.id = id, .text = text.n != 0 ? text : STR(""), .sql = row[which].sql};
    return db_once(d->db, set_text, &c);
}

static enum err set_flags(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st = db_stmt(db, "UPDATE account SET flags = ?2 WHERE id = ?1");
    db_bind_i64(st, 1, (int64_t)c->id);
    db_bind_i64(st, 2, c->flags);
    return run_change(st, db);
}

enum err directory_set_flags(struct directory *d, uint64_t id, uint32_t flags)
{
    struct change c = {.id = id, .flags = flags & ACCOUNT_FLAGS};
    return db_once(d->db, set_flags, &c);
}

/* --- aliases */

static enum err alias_add(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st = db_stmt(db, "SELECT 1 FROM account WHERE name = ?1");
    db_bind_str(st, 1, c->text);
    enum err e = db_one(st);
    db_done(st);
    if (e != ERR_NOT_FOUND)
        return e == ERR_OK ? ERR_EXISTS : e;
    st = db_stmt(db, "INSERT INTO alias (name, account) SELECT ?1, id FROM account WHERE id = ?2");
    db_bind_str(st, 1, c->text);
    db_bind_i64(st, 2, (int64_t)c->id);
    return run_change(st, db);
}

enum err directory_alias_add(struct directory *d, struct str alias, uint64_t id)
{
    struct change c = {.id = id, .text = alias};
    if (!directory_has_domain(d, directory_domain_of(alias)))
        return ERR_NOT_FOUND;
    return db_once(d->db, alias_add, &c);
}

static enum err alias_remove(struct db *db, void *arg)
{
    struct change *c = arg;
    struct db_stmt *st = db_stmt(db, "DELETE FROM alias WHERE name = ?1");
    db_bind_str(st, 1, c->text);
    return run_change(st, db);
}

enum err directory_alias_remove(struct directory *d, struct str alias)
{
    struct change c = {.text = alias};
    return db_once(d->db, alias_remove, &c);
}
