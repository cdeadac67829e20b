// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/faillog.h"

#include <stdlib.h>

#include "auth/mac.h"

#define MAGIC      UINT64_C(0x31474c4641494c46) /* "FAILFLG1" */
#define PAGE       4096
#define PLACES_MAX (1U << 24)

struct place {
    uint64_t hash;  /* of the name or address; never 0 in a place that is taken */
    int64_t start;  /* of the window; of the block once count has reached the limit */
    uint32_t count; /* 0: free */
    uint32_t pad;
};

/* The beginning of the memory; the places of the accounts follow, then those of the addresses. */
struct faillog_head {
    uint64_t magic;
    uint32_t accounts, addresses; /* places */
    uint8_t key[MAC_LEN];
};

struct table {
    struct place *place;
    uint32_t places;
    uint32_t limit;
};

_Static_assert(sizeof(struct place) == 24, "faillog memory is handed from one auth to the next");

static uint32_t places_of(uint32_t wanted)
{
    uint32_t n = FAILLOG_WAYS;
    while (n < wanted && n < PLACES_MAX)
        n *= 2;
    return n;
}

size_t faillog_size(const struct faillog_options *opt)
{
    size_t n =
        sizeof(struct faillog_head) +
        ((size_t)places_of(opt->accounts) + places_of(opt->addresses)) * sizeof(struct place);
    return (n + PAGE - 1) / PAGE * PAGE;
}

enum err faillog_attach(struct faillog *f, void *mem, size_t mem_n,
                        const struct faillog_options *opt)
{
    size_t need = faillog_size(opt);
    if (mem_n < need)
        return ERR_RANGE;
    *f = (struct faillog){.head = mem, .opt = *opt};
    struct faillog_head *h = f->head;
    uint32_t accounts = places_of(opt->accounts);
    uint32_t addresses = places_of(opt->addresses);
    if (h->magic == MAGIC && h->accounts == accounts && h->addresses == addresses)
        return ERR_OK;
    /* Fresh pages stay untouched, and cost no memory until somebody fails. What hides behind an empty head matches no
     * hash of the new key. */
    static const struct faillog_head fresh;
    if (memcmp(h, &fresh, sizeof fresh) != 0)
        memset(mem, 0, need);
    h->accounts = accounts;
    h->addresses = addresses;
    arc4random_buf(h->key, sizeof h->key);
    h->magic = MAGIC;
    return ERR_OK;
}

static struct table table_of(const struct faillog *f, bool addresses)
{
    struct place *first = (struct place *)(void *)(f->head + 1);
    uint32_t accounts = places_of(f->opt.accounts);
    return addresses
               ? (struct table){first + accounts, places_of(f->opt.addresses), f->opt.address_limit}
               : (struct table){first, accounts, f->opt.account_limit};
}

static uint64_t hash_of(const struct faillog *f, struct str kind, struct str what)
{
    uint8_t mac[MAC_LEN];
    uint64_t v;
    struct str part[] = {kind, what};
    mac_hmac_list(mac_str(f->head->key, sizeof f->head->key), part, ARRAY_LEN(part), mac);
    memcpy(&v, mac, sizeof v);
    return v != 0 ? v : 1;
}

/* A start before the boot or ahead of us was not written by a sound auth: the place counts as free. */
static bool is_live(const struct faillog *f, const struct place *p, int64_t now)
{
    return p->count != 0 && p->start >= 0 && p->start <= now && now - p->start < f->opt.window;
}

static struct place *set_of(const struct table *t, uint64_t hash)
{
    return t->place + (hash >> 32) % (t->places / FAILLOG_WAYS) * FAILLOG_WAYS;
}

static struct place *find(const struct faillog *f, const struct table *t, uint64_t hash,
                          int64_t now)
{
    struct place *p = set_of(t, hash);
    for (size_t i = 0; i < FAILLOG_WAYS; i++) {
        if (p[i].hash == hash && is_live(f, &p[i], now))
            return &p[i];
    }
    return NULL;
}

/* A place for a newcomer: a free one, else the smallest count (the oldest among equals), which it goes on from. */
static struct place *take(const struct faillog *f, const struct table *t, uint64_t hash,
                          int64_t now)
{
    struct place *set = set_of(t, hash);
    struct place *best = set;
    for (size_t i = 0; i < FAILLOG_WAYS; i++) {
        struct place *p = &set[i];
        if (!is_live(f, p, now)) {
            *p = (struct place){.hash = hash, .start = now};
            return p;
        }
        if (p->count < best->count || (p->count == best->count && p->start < best->start))
            best = p;
    }
    uint32_t inherited = best->count < t->limit / 2 ? best->count : t->limit / 2;
    *best = (struct place){.hash = hash, .start = now, .count = inherited};
    return best;
}

/* Until when it is blocked, or 0. */
static int64_t blocked(const struct faillog *f, const struct table *t, uint64_t hash, int64_t now)
{
    if (t->limit == 0)
        return 0;
    const struct place *p = find(f, t, hash, now);
    return p != NULL && p->count >= t->limit ? p->start + f->opt.window : 0;
}

static int64_t fail(const struct faillog *f, const struct table *t, uint64_t hash, int64_t now)
{
    if (t->limit == 0)
        return 0;
    struct place *p = find(f, t, hash, now);
    if (p == NULL)
        p = take(f, t, hash, now);
    if (p->count < t->limit) {
        p->count++;
        if (p->count >= t->limit)
            p->start = now;
    }
    return p->count >= t->limit ? p->start + f->opt.window : 0;
}

bool faillog_account_blocked(const struct faillog *f, struct str name, int64_t now)
{
    struct table t = table_of(f, false);
    return blocked(f, &t, hash_of(f, STR("account"), name), now) != 0;
}

bool faillog_account_fail(struct faillog *f, struct str name, int64_t now)
{
    struct table t = table_of(f, false);
    return fail(f, &t, hash_of(f, STR("account"), name), now) != 0;
}

void faillog_account_ok(struct faillog *f, struct str name)
{
    struct table t = table_of(f, false);
    uint64_t hash = hash_of(f, STR("account"), name);
    struct place *p = set_of(&t, hash);
    for (size_t i = 0; i < FAILLOG_WAYS; i++) {
        if (p[i].hash == hash)
            p[i] = (struct place){0};
    }
}

static uint64_t address_hash(const struct faillog *f, const struct ip *ip)
{
    struct ip counted = ip_counted(ip);
    return hash_of(f, STR("address"), mac_str(counted.b, sizeof counted.b));
}

int64_t faillog_address_blocked(const struct faillog *f, const struct ip *ip, int64_t now)
{
    struct table t = table_of(f, true);
    return blocked(f, &t, address_hash(f, ip), now);
}

int64_t faillog_address_fail(struct faillog *f, const struct ip *ip, int64_t now)
{
    struct table t = table_of(f, true);
    return fail(f, &t, address_hash(f, ip), now);
}

/* --- admins */

static struct faillog_state state_of(const struct faillog *f, const struct table *t,
                                     const struct place *p)
{
    bool is_blocked = p != NULL && t->limit != 0 && p->count >= t->limit;
    return (struct faillog_state){.count = p != NULL ? p->count : 0,
                                  .until = is_blocked ? p->start + f->opt.window : 0};
}

struct faillog_state faillog_account_state(const struct faillog *f, struct str name, int64_t now)
{
    struct table t = table_of(f, false);
    return state_of(f, &t, find(f, &t, hash_of(f, STR("account"), name), now));
}

static struct faillog_state clear_one(const struct faillog *f, const struct table *t, uint64_t hash,
                                      int64_t now)
{
    struct place *p = find(f, t, hash, now);
    struct faillog_state was = state_of(f, t, p);
    if (p != NULL)
        *p = (struct place){0};
    return was;
}

struct faillog_state faillog_account_clear(struct faillog *f, struct str name, int64_t now)
{
    struct table t = table_of(f, false);
    return clear_one(f, &t, hash_of(f, STR("account"), name), now);
}

struct faillog_state faillog_address_clear(struct faillog *f, const struct ip *ip, int64_t now)
{
    struct table t = table_of(f, true);
    return clear_one(f, &t, address_hash(f, ip), now);
}

static void clear_table(const struct faillog *f, const struct table *t, int64_t now,
                        uint32_t *counted, uint32_t *is_blocked)
{
    for (uint32_t i = 0; i < t->places; i++) {
        struct place *p = &t->place[i];
        if (is_live(f, p, now)) {
            ++*counted;
            *is_blocked += state_of(f, t, p).until != 0;
        }
        *p = (struct place){0};
    }
}

struct faillog_sums faillog_clear(struct faillog *f, int64_t now)
{
    struct faillog_sums sums = {0};
    struct table accounts = table_of(f, false), addresses = table_of(f, true);
    clear_table(f, &accounts, now, &sums.accounts, &sums.blocked_accounts);
    clear_table(f, &addresses, now, &sums.addresses, &sums.blocked_addresses);
    return sums;
}

int64_t faillog_delay(const struct faillog_options *opt, uint32_t n)
{
    int64_t delay;
    if (__builtin_mul_overflow(opt->delay, (int64_t)n, &delay) || delay > opt->delay_max)
        return opt->delay_max;
    return delay;
}
