// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/pwcache.h"

#include <stdlib.h>

struct pwcache_entry {
    uint64_t account; /* 0: free */
    int64_t until;
    uint8_t digest[MAC_LEN];
};

enum err pwcache_init(struct pwcache *c, uint32_t entries, int64_t life)
{
    *c = (struct pwcache){.sets = 1, .life = life};
    while (c->sets < entries / PWCACHE_WAYS && c->sets < 1U << 24)
        c->sets *= 2;
    c->entry = calloc((size_t)c->sets * PWCACHE_WAYS, sizeof *c->entry);
    if (c->entry == NULL)
        return ERR_NOMEM;
    arc4random_buf(c->key, sizeof c->key);
    return ERR_OK;
}

void pwcache_free(struct pwcache *c)
{
    if (c->entry != NULL)
        pwcache_clear(c);
    free(c->entry);
    explicit_bzero(c, sizeof *c);
}

/* Account numbers are ours, given one after the other: they spread without a hash. */
static struct pwcache_entry *set_of(const struct pwcache *c, uint64_t account)
{
    return c->entry + (account & (c->sets - 1)) * PWCACHE_WAYS;
}

static struct pwcache_entry *find(const struct pwcache *c, uint64_t account)
{
    struct pwcache_entry *e = set_of(c, account);
    for (size_t i = 0; i < PWCACHE_WAYS; i++) {
        if (e[i].account == account)
            return &e[i];
    }
    return NULL;
}

static void digest_of(const struct pwcache *c, uint64_t account, struct str password, uint8_t *out)
{
    struct str part[] = {mac_str(&account, sizeof account), password};
    mac_hmac_list(mac_str(c->key, sizeof c->key), part, ARRAY_LEN(part), out);
}

bool pwcache_hit(const struct pwcache *c, uint64_t account, struct str password, int64_t now)
{
    static const struct pwcache_entry none;
    const struct pwcache_entry *e = find(c, account);
    if (e == NULL)
        e = &none; /* the same work: how long it takes does not tell who was here */
    uint8_t digest[MAC_LEN];
    digest_of(c, account, password, digest);
    bool hit = str_eq_secret(mac_str(digest, MAC_LEN), mac_str(e->digest, MAC_LEN));
    explicit_bzero(digest, sizeof digest);
    return hit && account != 0 && e->until > now;
}

void pwcache_put(struct pwcache *c, uint64_t account, struct str password, int64_t now)
{
    BUG_IF(account == 0);
    if (c->life <= 0)
        return;
    struct pwcache_entry *e = find(c, account);
    if (e == NULL) {
        struct pwcache_entry *set = set_of(c, account);
        e = set;
        for (size_t i = 1; i < PWCACHE_WAYS; i++) {
            if (set[i].until < e->until)
                e = &set[i];
        }
    }
    e->account = account;
    e->until = now + c->life;
    digest_of(c, account, password, e->digest);
}

void pwcache_forget(struct pwcache *c, uint64_t account)
{
    struct pwcache_entry *e = find(c, account);
    if (e != NULL)
        explicit_bzero(e, sizeof *e);
}

void pwcache_clear(struct pwcache *c)
{
    explicit_bzero(c->entry, (size_t)c->sets * PWCACHE_WAYS * sizeof *c->entry);
}
