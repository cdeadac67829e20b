// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/directory_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"

#define BANKS 4096

/* One row of `server`; ids come from a counter, so that one that was removed is never given again. */
static const char *const schema[] = {
    "CREATE TABLE server (id INTEGER PRIMARY KEY, secret BLOB NOT NULL, next_id INTEGER NOT NULL);"
    "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, bank INTEGER NOT "
    "NULL,"
    " flags INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,"
    " verifiers TEXT NOT NULL, real_name TEXT NOT NULL, language TEXT NOT NULL,"
    " recovery TEXT NOT NULL);"
    "CREATE TABLE alias (name TEXT PRIMARY KEY, account INTEGER NOT NULL);"
    "CREATE INDEX alias_account ON alias (account);",
};

void account_wipe(struct account *a)
{
    explicit_bzero(a, sizeof *a);
}

/* --- rows */

static void copy_text(struct str s, char *to, size_t cap)
{
    struct str cut = utf8_prefix(s, cap - 1);
    if (cut.n != 0)
        memcpy(to, cut.p, cut.n);
    to[cut.n] = '\0';
}

/* The row under the statement; verifiers only if asked for. ERR_DB: a row that we cannot have written. */
static enum err get_row(const struct directory *d, struct db_stmt *st, bool secrets,
                        struct account *out)
{
    struct str name = db_col_str(st, 1);
    *out = (struct account){.id = (uint64_t)db_col_i64(st, 0),
                            .bank = (uint32_t)db_col_i64(st, 2),
                            .flags = (uint32_t)db_col_i64(st, 3) & ACCOUNT_FLAGS,
                            .version = (uint64_t)db_col_i64(st, 4),
                            .created = db_col_i64(st, 5)};
    verifier_none(&out->verifiers);
    size_t at = str_find(name, '@');
    if (name.n > NAME_MAX || at == name.n || out->id == 0 || out->bank >= d->opt.banks) {
        log_write(LOG_FAILURES, "AUTH", 0, NULL, "accounts.db: account %llu is damaged",
                  (unsigned long long)out->id);
        return ERR_DB;
    }
    memcpy(out->name.text, name.p, name.n);
    out->name.text[name.n] = '\0';
    out->name.n = (uint16_t)name.n;
    out->name.local_n = (uint16_t)at;
    copy_text(db_col_str(st, 6), out->real_name, sizeof out->real_name);
    copy_text(db_col_str(st, 7), out->language, sizeof out->language);
    copy_text(db_col_str(st, 8), out->recovery, sizeof out->recovery);
    enum err e = secrets ? verifier_get(db_col_str(st, 9), &out->verifiers) : ERR_OK;
    if (e == ERR_NOMEM)
        return ERR_DB; /* or the right password would be wrong */
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "AUTH", 0, NULL,
                  "accounts.db: the password of account %llu is unreadable: nobody can log in",
                  (unsigned long long)out->id);
    return ERR_OK;
}

static enum err find_with(struct directory *d, struct db_stmt *st, struct account *out)
{
    enum err e = db_one(st);
    if (e == ERR_OK)
        e = get_row(d, st, true, out);
    db_done(st);
    return e;
}

enum err directory_find_id(struct directory *d, uint64_t id, struct account *out)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE id = ?1");
    db_bind_i64(st, 1, (int64_t)id);
    return find_with(d, st, out);
}

enum err directory_find_alias(struct directory *d, struct str name, uint64_t *id)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT account FROM alias WHERE name = ?1");
    db_bind_str(st, 1, name);
    enum err e = db_one(st);
    if (e == ERR_OK)
        *id = (uint64_t)db_col_i64(st, 0);
    db_done(st);
    return e;
}

/* One statement for all names: it looks in both places, and where there is nobody, it reads the decoy's row. */
#define FIND                                                             \
    "SELECT " ACCOUNT_COLUMNS ", found FROM (SELECT max("                \
    "ifnull((SELECT id FROM account WHERE name = ?1), 0),"               \
    "ifnull((SELECT account FROM alias WHERE name = ?1), 0)) AS found) " \
    "CROSS JOIN account ON account.id = CASE found WHEN 0 THEN ?2 ELSE found END"

enum err directory_find(struct directory *d, struct str name, struct account *out)
{
    bool ours = directory_has_domain(d, directory_domain_of(name));
    struct db_stmt *st = db_stmt(d->db, FIND);
    db_bind_str(st, 1, name);
    db_bind_i64(st, 2, (int64_t)d->decoy);
    enum err e = db_one(st);
    if (e == ERR_OK) {
        bool found = ours && db_col_i64(st, ACCOUNT_COLUMN_COUNT) != 0;
        e = get_row(d, st, true, out);
        e = found ? e : ERR_NOT_FOUND;
    }
    db_done(st);
    if (e != ERR_OK)
        account_wipe(out);
    return e;
}

enum err directory_sasl_find(void *directory, struct str name, struct account *out)
{
    return directory_find(directory, name, out);
}

enum err directory_list(struct directory *d, struct str after, struct account *out, uint32_t max,
                        uint32_t *n)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT " ACCOUNT_COLUMNS
                                        " FROM account WHERE name > ?1 ORDER BY name LIMIT ?2");
    enum err e = ERR_OK;
    *n = 0;
    db_bind_str(st, 1, after.n != 0 ? after : STR(""));
    db_bind_i64(st, 2, max);
    while (*n < max && (e = db_step(st)) == ERR_MORE) {
        e = get_row(d, st, false, &out[*n]);
        if (e != ERR_OK)
            break;
        ++*n;
    }
    db_done(st);
    return e == ERR_MORE ? ERR_OK : e;
}

enum err directory_count(struct directory *d, uint64_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < d->opt.banks; i++)
        *n += d->load[i];
    return ERR_OK;
}

/* --- opening */

static enum err make_server_row(struct db *db, void *arg)
{
    uint8_t secret[DIRECTORY_SECRET];
    (void)arg;
    arc4random_buf(secret, sizeof secret);
    struct db_stmt *st = db_stmt(db, "INSERT INTO server (id, secret, next_id) VALUES (1, ?1, 1)");
    db_bind_blob(st, 1, mac_str(secret, sizeof secret));
    enum err e = db_run(st);
    explicit_bzero(secret, sizeof secret);
    return e;
}

static enum err read_server_row(struct directory *d)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT secret FROM server WHERE id = 1");
    enum err e = db_one(st);
    if (e == ERR_OK) {
        struct str secret = db_col_str(st, 0);
        if (secret.n == DIRECTORY_SECRET)
            memcpy(d->secret, secret.p, DIRECTORY_SECRET);
        else
            e = ERR_DB;
    }
    db_done(st);
    return e;
}

static enum err read_load(struct directory *d)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT bank, COUNT(*) FROM account GROUP BY bank");
    enum err e;
    while ((e = db_step(st)) == ERR_MORE) {
        int64_t bank = db_col_i64(st, 0);
        if (bank >= 0 && bank < d->opt.banks)
            d->load[bank] = (uint64_t)db_col_i64(st, 1);
    }
    db_done(st);
    return e;
}

enum err directory_choose_decoy(struct directory *d)
{
    struct db_stmt *st = db_stmt(d->db, "SELECT id FROM account ORDER BY id LIMIT 1");
    enum err e = db_one(st);
    d->decoy = e == ERR_OK ? (uint64_t)db_col_i64(st, 0) : 0;
    db_done(st);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err directory_open(struct directory **out, const char *path,
                        const struct directory_options *opt)
{
    BUG_IF(opt->banks == 0 || opt->banks > BANKS || opt->ndomains > DIRECTORY_DOMAINS);
    struct directory *d = calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL)
        return ERR_NOMEM;
    d->opt = *opt;
    d->load = calloc(opt->banks, sizeof *d->load);
    enum err e = d->load != NULL ? db_open(path, DB_EXCLUSIVE, &d->db) : ERR_NOMEM;
    if (e == ERR_OK)
        e = db_migrate(d->db, schema, ARRAY_LEN(schema));
    if (e == ERR_OK)
        e = read_server_row(d);
    if (e == ERR_NOT_FOUND) {
        e = db_once(d->db, make_server_row, NULL);
        if (e == ERR_OK)
            e = read_server_row(d);
    }
    if (e == ERR_OK)
        e = read_load(d);
    if (e == ERR_OK)
        e = directory_choose_decoy(d);
    if (e != ERR_OK)
        directory_close(&d);
    *out = d;
    return e;
}

void directory_close(struct directory **d)
{
    if (*d == NULL)
        return;
    db_close(&(*d)->db);
    free((*d)->load);
    explicit_bzero(*d, sizeof **d);
    free(*d);
    *d = NULL;
}

void directory_set_domains(struct directory *d, const struct str *domains, uint32_t n)
{
    BUG_IF(n > DIRECTORY_DOMAINS);
    d->opt.domains = domains;
    d->opt.ndomains = n;
    directory_forget_cram(d);
}

void directory_upkeep(struct directory *d, bool idle)
{
    db_upkeep(d->db, idle);
}

const uint8_t *directory_secret(const struct directory *d)
{
    return d->secret;
}

void directory_forget_cram(struct directory *d)
{
    memset(d->cram, CRAM_UNKNOWN, sizeof d->cram);
}

/* A look through all accounts, until there is one. */
static enum cram_known look_for_cram(struct directory *d, struct str domain)
{
    char pattern[NAME_DOMAIN_MAX + 3];
    int n = snprintf(pattern, sizeof pattern, "%%@%.*s", STR_FMT(domain));
    struct db_stmt *st = db_stmt(
        d->db,
        "SELECT 1 FROM account WHERE verifiers LIKE '% CRAM-MD5$%' AND name LIKE ?1 LIMIT 1");
    db_bind_str(st, 1, (struct str){pattern, (size_t)n});
    enum err e = db_one(st);
    db_done(st);
    return e == ERR_OK ? CRAM_YES : e == ERR_NOT_FOUND ? CRAM_NO : CRAM_UNKNOWN;
}

bool directory_has_cram(struct directory *d, struct str domain)
{
    for (uint32_t i = 0; i < d->opt.ndomains; i++) {
        if (!str_eq(d->opt.domains[i], domain))
            continue;
        if (d->cram[i] == CRAM_UNKNOWN)
            d->cram[i] = (uint8_t)look_for_cram(d, domain);
        return d->cram[i] == CRAM_YES;
    }
    return false;
}

bool directory_has_domain(const struct directory *d, struct str domain)
{
    for (uint32_t i = 0; i < d->opt.ndomains; i++) {
        if (str_eq(d->opt.domains[i], domain))
            return true;
    }
    return false;
}

uint32_t directory_schema(void)
{
    return ARRAY_LEN(schema);
}
