// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * directory: the accounts of the server (`accounts.db`). auth alone opens it and is its only writer
 * (design 2); `ximssctl account` reaches it through auth, or through the offline auth role while no
 * server runs.
 *
 * All names that come in are canonical already (auth/name.h); all strings that go out are copies.
 * Every change is committed to disk when the function returns ERR_OK. ERR_DB: the engine failed,
 * details went to the log.
 *
 * The SQL that belongs to accounts stands in directory*.c: this database is no bank and store/ knows
 * nothing of it.
 */
#include "auth/name.h"
#include "auth/verifier.h"

#define ACCOUNT_REAL_NAME_MAX 256 /* bytes of UTF-8 */
#define ACCOUNT_LANGUAGE_MAX  32
#define ACCOUNT_RECOVERY_MAX  320
#define DIRECTORY_DOMAINS     1001 /* most domains of the server */

/* Flags of an account. */
enum {
    ACCOUNT_DISABLED = 1 << 0, /* nobody can log in: 518 */
    ACCOUNT_EXPIRED = 1 << 1,  /* the password must be changed: 516 or changePassword="1" */
    ACCOUNT_FIXED = 1 << 2,    /* the user may not change the password: 501 */
};
#define ACCOUNT_FLAGS (ACCOUNT_DISABLED | ACCOUNT_EXPIRED | ACCOUNT_FIXED)

struct account {
    uint64_t id; /* from 1; never used again */
    uint32_t bank;
    uint32_t flags;
    uint64_t version; /* of the password; grows with each change */
    int64_t created;  /* Unix seconds */
    struct name name;
    struct verifiers verifiers; /* secret: account_wipe() after use */
    char real_name[ACCOUNT_REAL_NAME_MAX + 1];
    char language[ACCOUNT_LANGUAGE_MAX + 1];
    char recovery[ACCOUNT_RECOVERY_MAX + 1]; /* e-mail address for a lost password */
};

void account_wipe(struct account *a);

struct directory;

/* Which of an account's texts directory_set_text() changes. */
enum directory_text { DIRECTORY_REAL_NAME, DIRECTORY_LANGUAGE, DIRECTORY_RECOVERY };

struct directory_options {
    uint32_t banks;            /* accounts are spread over 0...banks-1 */
    const struct str *domains; /* canonical; [0] is the main domain; they must outlive the directory
                                  or the next set */
    uint32_t ndomains;
};

/* The version of the schema that this program writes. */
uint32_t directory_schema(void);
/* Opens or creates the file, brings its schema up to date. ERR_DB, ERR_NOMEM. */
enum err directory_open(struct directory **out, const char *path,
                        const struct directory_options *opt) CHECKED;
void directory_close(struct directory **d);
/* Checkpoints of the file; once a loop round. */
void directory_upkeep(struct directory *d, bool idle);
/* A reload: the new domains (banks never change). */
void directory_set_domains(struct directory *d, const struct str *domains, uint32_t n);
/* 32 random bytes made with the file: keys that must survive a restart are derived from it (made-up
 * SCRAM salts). */
const uint8_t *directory_secret(const struct directory *d);

bool directory_has_domain(const struct directory *d, struct str domain);
/*
 * Has an account of the domain what CRAM-MD5 needs (protocol 1, 3.4)? Remembered between two changes. false when the
 * engine fails.
 */
bool directory_has_cram(struct directory *d, struct str domain);

/*
 * Account or alias by canonical name. ERR_NOT_FOUND: none, or its domain is not one of the server's
 * any more; ERR_DB. All of these do the same work: for nobody's name the row of some account is read (and forgotten), so that
 * the time tells nobody who has an account here (protocol 1, 3.9).
 */
enum err directory_find(struct directory *d, struct str name, struct account *out) CHECKED;
/* The same with a void pointer in front: fits struct sasl_env. */
enum err directory_sasl_find(void *directory, struct str name, struct account *out) CHECKED;
enum err directory_find_id(struct directory *d, uint64_t id, struct account *out) CHECKED;

/*
 * New account: of *a are taken name, flags, real_name, language, recovery, verifiers; set are id,
 * bank (the one with the fewest accounts), version, created. ERR_EXISTS: an account or alias has
 * the name; ERR_NOT_FOUND: not a domain of the server; ERR_DB.
 */
enum err directory_add(struct directory *d, struct account *a, int64_t unix_now) CHECKED;
/* With its aliases. The data in its bank is the caller's to remove. ERR_NOT_FOUND. */
enum err directory_remove(struct directory *d, uint64_t id) CHECKED;

/* Clears ACCOUNT_EXPIRED, makes version grow. ERR_NOT_FOUND, ERR_DB. */
enum err directory_set_password(struct directory *d, uint64_t id,
                                const struct verifiers *v) CHECKED;
/*
 * The same password in the forms that the options now ask for; only if it is still that of `version`
 * (else ERR_NOT_FOUND). Neither version nor flags change.
 */
enum err directory_rehash(struct directory *d, uint64_t id, uint64_t version,
                          const struct verifiers *v) CHECKED;
/* "" removes it. ERR_TOO_LONG, ERR_SYNTAX (not UTF-8, or a zero byte in it), ERR_NOT_FOUND, ERR_DB. */
enum err directory_set_text(struct directory *d, uint64_t id, enum directory_text which,
                            struct str text) CHECKED;
enum err directory_set_flags(struct directory *d, uint64_t id, uint32_t flags) CHECKED;

/* ERR_EXISTS, ERR_NOT_FOUND (the account, or the alias' domain). */
enum err directory_alias_add(struct directory *d, struct str alias, uint64_t id) CHECKED;
enum err directory_alias_remove(struct directory *d, struct str alias) CHECKED;

/*
 * Up to `max` accounts after the name `after` ("" first), in byte order of names; without
 * verifiers. *n is how many; fewer than max: that was the end.
 */
enum err directory_list(struct directory *d, struct str after, struct account *out, uint32_t max,
                        uint32_t *n) CHECKED;
enum err directory_count(struct directory *d, uint64_t *n) CHECKED;
