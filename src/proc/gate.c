// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

#define GATE_MAGIC     UINT64_C(0x3145544147584d49)
#define ID_COUNT       (GATE_ID_LAST - GATE_ID_FIRST + 1)
#define ID_WORDS       ((ID_COUNT + 63) / 64)
#define BLOCKED_SPARES 8192u /* room for blocked addresses without a connection */
#define PROBES         64u   /* an address is within so many steps of its home, or not counted */

struct entry {
    uint32_t owner; /* 0: free */
    uint32_t id;
    uint32_t next_free; /* index + 1 */
    uint8_t addr[16];
};

struct address {
    uint8_t addr[16];
    uint32_t count;
    uint32_t used; /* a slot that was ever used ends no search */
    int64_t blocked_until;
};

struct gate {
    uint64_t magic;
    uint64_t key[2];
    pthread_mutex_t mutex;
    uint32_t nentries;
    uint32_t naddrs; /* power of two */
    uint32_t first_free;
    uint32_t count;
    uint32_t next_id; /* 0..ID_COUNT-1, next to try */
    uint64_t ids[ID_WORDS];
    struct entry entries[];
};

static uint32_t addr_slots(uint32_t channels)
{
    uint32_t n = 1;
    while (n < (channels + BLOCKED_SPARES) * 2)
        n *= 2;
    return n;
}

size_t gate_size(uint32_t channels)
{
    return sizeof(struct gate) + channels * sizeof(struct entry) + 16 +
           addr_slots(channels) * sizeof(struct address);
}

static struct address *addrs_of(struct gate *g)
{
    uintptr_t at = (uintptr_t)(g->entries + g->nentries);
    return (struct address *)((at + 15) & ~(uintptr_t)15);
}

static void rebuild(struct gate *g);

void gate_init(void *mem, uint32_t channels)
{
    struct gate *g = mem;
    pthread_mutexattr_t a;
    BUG_IF(pthread_mutexattr_init(&a) != 0);
    BUG_IF(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) != 0);
    BUG_IF(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) != 0);
    BUG_IF(pthread_mutex_init(&g->mutex, &a) != 0);
    pthread_mutexattr_destroy(&a);
    arc4random_buf(g->key, sizeof g->key);
    g->nentries = channels;
    g->naddrs = addr_slots(channels);
    g->magic = GATE_MAGIC;
    rebuild(g);
}

struct gate *gate_of(void *mem, size_t size)
{
    struct gate *g = mem;
    if (size < sizeof *g || g->magic != GATE_MAGIC || size < gate_size(g->nentries))
        return NULL;
    return g->naddrs == addr_slots(g->nentries) ? g : NULL;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint32_t home_of(const struct gate *g, const uint8_t addr[16])
{
    uint64_t w[2];
    memcpy(w, addr, sizeof w);
    return (uint32_t)mix(mix(w[0] ^ g->key[0], w[1] ^ g->key[1]), g->key[0] | 1) & (g->naddrs - 1);
}

/* IPv6 counts by /64 (protocol 1, 7.3). */
static void counted_form(uint8_t to[16], const uint8_t addr[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(to, addr, 16);
    if (memcmp(addr, mapped, sizeof mapped) != 0)
        memset(to + 8, 0, 8);
}

/*
 * The slot of an address; with `make`, a free one when it has none. A slot is free when nothing is counted and no
 * block is in force; it stays `used`, so that searches go on past it.
 */
static struct address *find_addr(struct gate *g, const uint8_t addr[16], bool make, int64_t now)
{
    struct address *all = addrs_of(g);
    struct address *spare = NULL;
    uint32_t at = home_of(g, addr);
    for (uint32_t i = 0; i < PROBES; i++, at = (at + 1) & (g->naddrs - 1)) {
        struct address *a = &all[at];
        if (a->used && memcmp(a->addr, addr, 16) == 0)
            return a;
        if (spare == NULL && (!a->used || (a->count == 0 && a->blocked_until <= now)))
            spare = a;
        if (!a->used)
            break;
    }
    if (!make || spare == NULL)
        return NULL;
    memset(spare, 0, sizeof *spare);
    memcpy(spare->addr, addr, 16);
    spare->used = 1;
    return spare;
}

static void id_set(struct gate *g, uint32_t id, bool on)
{
    uint32_t i = id - GATE_ID_FIRST;
    uint64_t bit = UINT64_C(1) << (i & 63);
    BUG_IF(i >= ID_COUNT);
    if (on)
        g->ids[i / 64] |= bit;
    else
        g->ids[i / 64] &= ~bit;
}

/* The next number that nobody has; there are always more numbers than entries. */
static uint32_t id_take(struct gate *g)
{
    for (;;) {
        uint32_t i = g->next_id;
        g->next_id = i + 1 < ID_COUNT ? i + 1 : 0;
        if ((g->ids[i / 64] >> (i & 63) & 1) == 0) {
            id_set(g, GATE_ID_FIRST + i, true);
            return GATE_ID_FIRST + i;
        }
    }
}

/* Makes everything that is derived from the entries anew; entries that a dying process left half made are freed. */
static void rebuild(struct gate *g)
{
    struct address *all = addrs_of(g);
    for (uint32_t i = 0; i < g->naddrs; i++)
        all[i].count = 0;
    memset(g->ids, 0, sizeof g->ids);
    g->count = 0;
    g->first_free = 0;
    for (uint32_t i = g->nentries; i-- != 0;) {
        struct entry *e = &g->entries[i];
        struct address *a = NULL;
        if (e->owner != 0 && e->id >= GATE_ID_FIRST && e->id <= GATE_ID_LAST)
            a = find_addr(g, e->addr, true, 0);
        if (a == NULL) {
            *e = (struct entry){.next_free = g->first_free};
            g->first_free = i + 1;
            continue;
        }
        a->count++;
        g->count++;
        id_set(g, e->id, true);
    }
}

static void lock(struct gate *g)
{
    int rc = pthread_mutex_lock(&g->mutex);
    if (rc == EOWNERDEAD) {
        rebuild(g);
        rc = pthread_mutex_consistent(&g->mutex);
    }
    BUG_IF(rc != 0);
}

static void unlock(struct gate *g)
{
    BUG_IF(pthread_mutex_unlock(&g->mutex) != 0);
}

static enum gate_answer try_enter(struct gate *g, const struct gate_limits *lim, uint32_t owner,
                                  const uint8_t addr[16], bool is_client, int64_t now,
                                  struct gate_place *place)
{
    struct address *a = find_addr(g, addr, true, now);
    uint32_t most = is_client ? lim->per_client_address : lim->per_address;
    if (a != NULL && a->blocked_until > now)
        return GATE_BLOCKED;
    if (g->first_free == 0 || g->count >= lim->channels ||
        (!is_client && lim->channels - g->count <= lim->reserve))
        return GATE_FULL;
    if (a == NULL || (most != 0 && a->count >= most))
        return GATE_ADDRESS_FULL;
    struct entry *e = &g->entries[g->first_free - 1];
    *place = (struct gate_place){g->first_free - 1, id_take(g)};
    g->first_free = e->next_free;
    memcpy(e->addr, addr, 16);
    e->id = place->id;
    e->next_free = 0;
    __atomic_store_n(&e->owner, owner, __ATOMIC_RELEASE);
    a->count++;
    g->count++;
    return GATE_IN;
}

enum gate_answer gate_enter(struct gate *g, const struct gate_limits *lim, uint32_t owner,
                            const uint8_t addr[16], bool is_client_address, int64_t now,
                            struct gate_place *place)
{
    uint8_t counted[16];
    BUG_IF(owner == 0);
    counted_form(counted, addr);
    lock(g);
    enum gate_answer got = try_enter(g, lim, owner, counted, is_client_address, now, place);
    unlock(g);
    return got;
}

static void free_entry(struct gate *g, uint32_t i)
{
    struct entry *e = &g->entries[i];
    struct address *a = find_addr(g, e->addr, false, 0);
    if (a != NULL && a->count != 0)
        a->count--;
    id_set(g, e->id, false);
    g->count--;
    *e = (struct entry){.next_free = g->first_free};
    g->first_free = i + 1;
}

void gate_leave(struct gate *g, struct gate_place place)
{
    lock(g);
    /* After a rebuild by another process the entry may be gone already. */
    if (place.entry < g->nentries && g->entries[place.entry].owner != 0 &&
        g->entries[place.entry].id == place.id)
        free_entry(g, place.entry);
    unlock(g);
}

uint32_t gate_clear_owner(struct gate *g, uint32_t owner)
{
    uint32_t n = 0;
    lock(g);
    for (uint32_t i = 0; i < g->nentries; i++) {
        if (g->entries[i].owner == owner && owner != 0) {
            free_entry(g, i);
            n++;
        }
    }
    unlock(g);
    return n;
}

void gate_block(struct gate *g, const uint8_t addr[16], int64_t until, int64_t now)
{
    uint8_t counted[16];
    counted_form(counted, addr);
    lock(g);
    struct address *a = find_addr(g, counted, true, now);
    if (a != NULL)
        a->blocked_until = until;
    unlock(g);
}

bool gate_is_blocked(struct gate *g, const uint8_t addr[16], int64_t now)
{
    uint8_t counted[16];
    counted_form(counted, addr);
    lock(g);
    struct address *a = find_addr(g, counted, false, now);
    bool is = a != NULL && a->blocked_until > now;
    unlock(g);
    return is;
}

uint32_t gate_count(struct gate *g)
{
    lock(g);
    uint32_t n = g->count;
    unlock(g);
    return n;
}
