// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/gate.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/clock.h"

#define GATE_MAGIC     UINT64_C(0x3345544147584d49)
#define ID_COUNT       (GATE_ID_LAST - GATE_ID_FIRST + 1)
#define ID_WORDS       ((ID_COUNT + 63) / 64)
#define BLOCKED_SPARES 8192u /* room for blocked addresses without a connection */
#define SAID_BITS      8
#define SAID_TRIES     100 /* against the others, before it is given up */
#define PROBES         64u /* an address is within so many steps of its home, or not counted */

struct entry {
    uint32_t owner; /* 0: free */
    uint32_t id;
    uint32_t next_free;       /* index + 1 */
    uint16_t kind;            /* enum gate_kind */
    uint16_t session;         /* 1: it has one */
    uint32_t failed, verdict; /* the login that failed last, and how; 0: none */
    uint8_t addr[16];
};

struct address {
    uint8_t addr[16];
    uint32_t count[GATE_KINDS];
    uint32_t used; /* a slot that was ever used ends no search */
    int64_t blocked_until;
};

struct gate_mem {
    uint64_t magic;
    uint64_t key[2];
    struct gate_word lock;
    uint32_t nentries;
    uint32_t naddrs; /* power of two */
    uint32_t first_free;
    uint32_t count[GATE_KINDS];
    uint32_t sessions; /* of XIMSS connections */
    uint32_t next_id;  /* 0..ID_COUNT-1, next to try */
    uint64_t said;     /* second << SAID_BITS | refusals that were logged in it */
    uint64_t ids[ID_WORDS];
    struct entry entries[];
};

static uint32_t addr_slots(uint32_t places)
{
    uint32_t n = 1;
    while (n < (places + BLOCKED_SPARES) * 2)
        n *= 2;
    return n;
}

size_t gate_size(uint32_t places)
{
    return sizeof(struct gate_mem) + places * sizeof(struct entry) + 16 +
           addr_slots(places) * sizeof(struct address);
}

static struct address *addrs_of(const struct gate *g)
{
    uintptr_t at = (uintptr_t)(g->m->entries + g->nentries);
    return (struct address *)((at + 15) & ~(uintptr_t)15);
}

static void rebuild(struct gate *g);

void gate_init(void *mem, uint32_t places)
{
    struct gate_mem *m = mem;
    struct gate g = {.m = m, .nentries = places, .naddrs = addr_slots(places)};
    arc4random_buf(m->key, sizeof m->key);
    m->nentries = g.nentries;
    m->naddrs = g.naddrs;
    m->magic = GATE_MAGIC;
    rebuild(&g);
}

enum err gate_attach(struct gate *g, void *mem, size_t size)
{
    struct gate_mem *m = mem;
    if (size < sizeof *m || m->magic != GATE_MAGIC)
        return ERR_RANGE;
    *g = (struct gate){.m = m, .nentries = m->nentries};
    g->naddrs = addr_slots(g->nentries);
    if (m->naddrs != g->naddrs || size < gate_size(g->nentries))
        return ERR_RANGE;
    gate_lock_attach(&g->lock, &m->lock);
    return ERR_OK;
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
    return (uint32_t)mix(mix(w[0] ^ g->m->key[0], w[1] ^ g->m->key[1]), g->m->key[0] | 1) &
           (g->naddrs - 1);
}

/* IPv6 counts by /64 (protocol 1, 7.3). */
static void counted_form(uint8_t to[16], const uint8_t addr[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(to, addr, 16);
    if (memcmp(addr, mapped, sizeof mapped) != 0)
        memset(to + 8, 0, 8);
}

static bool is_free(const struct address *a, int64_t now)
{
    uint32_t n = 0;
    for (int kind = 0; kind < GATE_KINDS; kind++)
        n |= a->count[kind];
    return !a->used || (n == 0 && a->blocked_until <= now);
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
        if (spare == NULL && is_free(a, now))
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
    if (i >= ID_COUNT)
        return;
    if (on)
        g->m->ids[i / 64] |= bit;
    else
        g->m->ids[i / 64] &= ~bit;
}

/* The next number that nobody has; there are always more numbers than entries. 0: somebody has spoilt the table. */
static uint32_t id_take(struct gate *g)
{
    uint32_t i = __atomic_load_n(&g->m->next_id, __ATOMIC_RELAXED);
    for (uint32_t n = 0; n < ID_COUNT; n++, i++) {
        if (i >= ID_COUNT)
            i = 0;
        if ((g->m->ids[i / 64] >> (i & 63) & 1) == 0) {
            g->m->next_id = i + 1;
            id_set(g, GATE_ID_FIRST + i, true);
            return GATE_ID_FIRST + i;
        }
    }
    return 0;
}

/* Makes everything that is derived from the entries anew; entries that a dying process left half made are freed. */
static void rebuild(struct gate *g)
{
    struct gate_mem *m = g->m;
    struct address *all = addrs_of(g);
    for (uint32_t i = 0; i < g->naddrs; i++)
        memset(all[i].count, 0, sizeof all[i].count);
    memset(m->ids, 0, sizeof m->ids);
    memset(m->count, 0, sizeof m->count);
    m->sessions = 0;
    m->first_free = 0;
    for (uint32_t i = g->nentries; i-- != 0;) {
        struct entry *e = &m->entries[i];
        struct address *a = NULL;
        if (e->owner != 0 && e->kind < GATE_KINDS && e->id >= GATE_ID_FIRST &&
            e->id <= GATE_ID_LAST)
            a = find_addr(g, e->addr, true, 0);
        if (a == NULL) {
            *e = (struct entry){.next_free = m->first_free};
            m->first_free = i + 1;
            continue;
        }
        a->count[e->kind]++;
        m->count[e->kind]++;
        m->sessions += e->session != 0;
        id_set(g, e->id, true);
    }
}

static bool lock(struct gate *g)
{
    enum gate_locked got = gate_lock_take(&g->lock);
    if (got == GATE_LOCKED_DIRTY)
        rebuild(g);
    return got != GATE_NOT_LOCKED;
}

static void unlock(struct gate *g)
{
    gate_lock_give(&g->lock);
}

/* By numbers alone. */
static enum gate_answer has_room(const struct gate_mem *m, enum gate_kind kind,
                                 const struct gate_limits *lim, bool is_client)
{
    uint32_t count = __atomic_load_n(&m->count[kind], __ATOMIC_RELAXED);
    uint32_t sessions = __atomic_load_n(&m->sessions, __ATOMIC_RELAXED);
    if (count >= lim->channels || (!is_client && lim->channels - count <= lim->reserve))
        return GATE_FULL;
    if (kind == GATE_HTTP_SESSION && lim->sessions != 0 && count + sessions >= lim->sessions)
        return GATE_FULL;
    if (!is_client && lim->before_login != 0 && count - sessions >= lim->before_login)
        return GATE_IDLERS;
    return GATE_IN;
}

static enum gate_answer try_enter(struct gate *g, enum gate_kind kind,
                                  const struct gate_limits *lim, uint32_t owner,
                                  const uint8_t addr[16], bool is_client, int64_t now,
                                  struct gate_place *place)
{
    struct gate_mem *m = g->m;
    struct address *a = find_addr(g, addr, true, now);
    uint32_t most = is_client ? lim->per_client_address : lim->per_address;
    uint32_t at = __atomic_load_n(&m->first_free, __ATOMIC_RELAXED) - 1; /* 0: none */
    if (kind == GATE_XIMSS && a != NULL && a->blocked_until > now)
        return GATE_BLOCKED;
    enum gate_answer room = at < g->nentries ? has_room(m, kind, lim, is_client) : GATE_FULL;
    if (room != GATE_IN)
        return room;
    if (a == NULL || (most != 0 && a->count[kind] >= most))
        return GATE_ADDRESS_FULL;
    struct entry *e = &m->entries[at];
    *place = (struct gate_place){at, id_take(g)};
    if (place->id == 0)
        return GATE_FULL;
    m->first_free = e->next_free;
    memcpy(e->addr, addr, 16);
    e->id = place->id;
    e->next_free = 0;
    e->kind = (uint16_t)kind;
    e->session = 0;
    e->failed = e->verdict = 0;
    __atomic_store_n(&e->owner, owner, __ATOMIC_RELEASE);
    a->count[kind]++;
    m->count[kind]++;
    return GATE_IN;
}

enum gate_answer gate_enter(struct gate *g, enum gate_kind kind, const struct gate_limits *lim,
                            uint32_t owner, const uint8_t addr[16], bool is_client_address,
                            int64_t now, struct gate_place *place)
{
    uint8_t counted[16];
    BUG_IF(owner == 0);
    counted_form(counted, addr);
    if (!lock(g))
        return GATE_FULL;
    enum gate_answer got = try_enter(g, kind, lim, owner, counted, is_client_address, now, place);
    unlock(g);
    return got;
}

static void free_entry(struct gate *g, uint32_t i)
{
    struct gate_mem *m = g->m;
    struct entry *e = &m->entries[i];
    struct address *a = find_addr(g, e->addr, false, 0);
    uint32_t kind = e->kind < GATE_KINDS ? e->kind : GATE_XIMSS;
    if (a != NULL && a->count[kind] != 0)
        a->count[kind]--;
    id_set(g, e->id, false);
    m->count[kind]--;
    m->sessions -= e->session != 0;
    *e = (struct entry){.next_free = m->first_free};
    m->first_free = i + 1;
}

/* Inside the lock; NULL: after a rebuild by another process it may be gone already. */
static struct entry *entry_of(const struct gate *g, struct gate_place place)
{
    struct entry *e = &g->m->entries[place.entry];
    return e->owner != 0 && e->id == place.id ? e : NULL;
}

void gate_leave(struct gate *g, struct gate_place place)
{
    if (place.entry >= g->nentries || !lock(g))
        return;
    if (entry_of(g, place) != NULL)
        free_entry(g, place.entry);
    unlock(g);
}

bool gate_session_begin(struct gate *g, struct gate_place place, uint32_t most)
{
    if (place.entry >= g->nentries || !lock(g))
        return false;
    struct entry *e = entry_of(g, place);
    bool wants = e != NULL && e->session == 0;
    bool room = most == 0 || g->m->sessions + g->m->count[GATE_HTTP_SESSION] < most;
    if (wants && room) {
        e->session = 1;
        g->m->sessions++;
    }
    unlock(g);
    return !wants || room;
}

void gate_session_end(struct gate *g, struct gate_place place)
{
    if (place.entry >= g->nentries || !lock(g))
        return;
    struct entry *e = entry_of(g, place);
    if (e != NULL && e->session != 0) {
        e->session = 0;
        g->m->sessions--;
    }
    unlock(g);
}

void gate_login_failed(struct gate *g, struct gate_place place, uint32_t attempt, uint32_t verdict)
{
    if (place.entry >= g->nentries || !lock(g))
        return;
    struct entry *e = entry_of(g, place);
    if (e != NULL) {
        e->failed = attempt;
        e->verdict = verdict;
    }
    unlock(g);
}

uint32_t gate_login_verdict(struct gate *g, struct gate_place place, uint32_t attempt)
{
    if (place.entry >= g->nentries || !lock(g))
        return 0;
    const struct entry *e = entry_of(g, place);
    uint32_t verdict = e != NULL && e->failed == attempt ? e->verdict : 0;
    unlock(g);
    return verdict;
}

static uint32_t clear(struct gate *g, bool (*gone)(uint32_t owner, uint32_t arg), uint32_t arg)
{
    uint32_t n = 0;
    if (!lock(g))
        return 0;
    for (uint32_t i = 0; i < g->nentries; i++) {
        uint32_t owner = g->m->entries[i].owner;
        if (owner != 0 && gone(owner, arg)) {
            free_entry(g, i);
            n++;
        }
    }
    unlock(g);
    return n;
}

static bool is_same(uint32_t owner, uint32_t arg)
{
    return owner == arg;
}

uint32_t gate_clear_owner(struct gate *g, uint32_t owner)
{
    return clear(g, is_same, owner);
}

static bool is_before(uint32_t owner, uint32_t arg)
{
    uint32_t mask = (1u << GATE_GENERATION_AT) - 1;
    return owner < arg && (owner & mask) == (arg & mask);
}

uint32_t gate_clear_before(struct gate *g, uint32_t owner)
{
    return clear(g, is_before, owner);
}

void gate_block(struct gate *g, const uint8_t addr[16], int64_t until, int64_t now)
{
    uint8_t counted[16];
    counted_form(counted, addr);
    if (!lock(g))
        return;
    struct address *a = find_addr(g, counted, true, now);
    if (a != NULL)
        a->blocked_until = until;
    unlock(g);
}

static bool lift(struct address *a, int64_t now)
{
    bool was = a->blocked_until > now;
    a->blocked_until = 0;
    return was;
}

bool gate_unblock(struct gate *g, const uint8_t addr[16], int64_t now)
{
    uint8_t counted[16];
    counted_form(counted, addr);
    if (!lock(g))
        return false;
    struct address *a = find_addr(g, counted, false, now);
    bool was = a != NULL && lift(a, now);
    unlock(g);
    return was;
}

uint32_t gate_unblock_all(struct gate *g, int64_t now)
{
    struct address *all = addrs_of(g);
    uint32_t n = 0;
    if (!lock(g))
        return 0;
    for (uint32_t i = 0; i < g->naddrs; i++)
        n += lift(&all[i], now);
    unlock(g);
    return n;
}

bool gate_is_blocked(struct gate *g, const uint8_t addr[16], int64_t now)
{
    uint8_t counted[16];
    counted_form(counted, addr);
    if (!lock(g))
        return false;
    struct address *a = find_addr(g, counted, false, now);
    bool is = a != NULL && a->blocked_until > now;
    unlock(g);
    return is;
}

bool gate_may_say(struct gate *g, int64_t now)
{
    uint64_t second = (uint64_t)(now / CLOCK_SEC);
    uint64_t old = __atomic_load_n(&g->m->said, __ATOMIC_RELAXED);
    for (int i = 0; i < SAID_TRIES; i++) {
        bool same = old >> SAID_BITS == second;
        if (same && (old & ((1u << SAID_BITS) - 1)) >= GATE_SAID)
            return false;
        if (__atomic_compare_exchange_n(&g->m->said, &old, same ? old + 1 : second << SAID_BITS | 1,
                                        false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static uint32_t read_locked(struct gate *g, const uint32_t *word)
{
    if (!lock(g))
        return 0;
    uint32_t n = *word;
    unlock(g);
    return n;
}

uint32_t gate_sessions(struct gate *g)
{
    return read_locked(g, &g->m->sessions) + gate_count(g, GATE_HTTP_SESSION);
}

uint32_t gate_count(struct gate *g, enum gate_kind kind)
{
    return read_locked(g, &g->m->count[kind]);
}
