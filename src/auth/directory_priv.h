// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * directory_priv: what directory.c (opening, finding) and directory_change.c (writing) share. Nobody else includes it.
 */
#include "auth/directory.h"
#include "db/db.h"

#define DIRECTORY_SECRET 32

/* The columns of an account's row, in the order in which they are read and written. */
#define ACCOUNT_COLUMNS \
    "id, name, bank, flags, version, created, real_name, language, recovery, verifiers"
#define ACCOUNT_COLUMN_COUNT 10

/* What is known of a domain's accounts and CRAM-MD5. */
enum cram_known { CRAM_UNKNOWN, CRAM_NO, CRAM_YES };

struct directory {
    struct db *db;
    struct directory_options opt;
    uint64_t *load; /* accounts per bank */
    uint64_t decoy; /* whose row is read for names that are nobody's; 0: there are no accounts */
    uint8_t cram[DIRECTORY_DOMAINS]; /* enum cram_known, by place in opt.domains */
    uint8_t secret[DIRECTORY_SECRET];
};

/* Accounts or their verifiers have changed. */
void directory_forget_cram(struct directory *d);

/* One of the accounts, whichever; after the decoy was removed, or the first one was made. */
enum err directory_choose_decoy(struct directory *d) CHECKED;

/* The account that an alias stands for. */
enum err directory_find_alias(struct directory *d, struct str name, uint64_t *id) CHECKED;

/* What stands behind the @. */
static inline struct str directory_domain_of(struct str name)
{
    size_t at = str_find(name, '@');
    return str_sub(name, at + 1, name.n);
}
