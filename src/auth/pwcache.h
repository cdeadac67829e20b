// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * pwcache: passwords that were verified a short while ago, so that the next login with the same one
 * costs microseconds (performance P1) and no hasher.
 *
 * Kept is HMAC-SHA-256 under a key that lives only in this process's memory; never the password.
 * Entries live for `life`, counted from the slow check (a hit does not prolong it). Fixed memory,
 * 4-way: one entry per account, the oldest of its set gives way. Only right passwords are kept: a
 * wrong one always costs the slow check.
 */
#include "auth/mac.h"

#define PWCACHE_WAYS    4
#define PWCACHE_LIFE    (INT64_C(300) * 1000000000) /* default, ns */
#define PWCACHE_ENTRIES 16384                       /* default */

struct pwcache_entry;

struct pwcache {
    struct pwcache_entry *entry;
    uint32_t sets; /* power of two */
    int64_t life;  /* ns */
    uint8_t key[MAC_LEN];
};

/* entries: rounded up to a power of two, 4 at least. life 0: nothing is ever kept. ERR_NOMEM. */
enum err pwcache_init(struct pwcache *c, uint32_t entries, int64_t life) CHECKED;
void pwcache_free(struct pwcache *c);
/* now: clock_mono(). account 0, of nobody: no hit, after the same work. */
bool pwcache_hit(const struct pwcache *c, uint64_t account, struct str password, int64_t now);
void pwcache_put(struct pwcache *c, uint64_t account, struct str password, int64_t now);
/* Password changed, account disabled or removed. */
void pwcache_forget(struct pwcache *c, uint64_t account);
void pwcache_clear(struct pwcache *c);
