// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What stands in the gate's memory: entries, and the addresses and numbers that are derived from them. */
#include "proc/gate_priv.h"

#include <stdlib.h>
#include <string.h>

#define GATE_MAGIC     UINT64_C(0x3345544147584d49)
#define BLOCKED_SPARES 8192u /* room for blocked addresses without a connection */
#define PROBES         64u   /* an address is within so many steps of its home, or not counted */

/* --- addresses */

struct gate_address *gate_addrs(const struct gate *g)
{
    uintptr_t at = (uintptr_t)(g->m->entries + g->nentries);
    return (struct gate_address *)((at + 15) & ~(uintptr_t)15);
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

void gate_addr_counted(uint8_t to[16], const uint8_t addr[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(to, addr, 16);
    if (memcmp(addr, mapped, sizeof mapped) != 0)
        memset(to + 8, 0, 8);
}

static bool is_free(const struct gate_address *a, int64_t now)
{
    uint32_t n = 0;
    for (int kind = 0; kind < GATE_KINDS; kind++)
        n |= a->count[kind];
    return !a->used || (n == 0 && a->blocked_until <= now);
}

struct gate_address *gate_addr_find(struct gate *g, const uint8_t addr[16], bool make, int64_t now)
{
    struct gate_address *all = gate_addrs(g);
    struct gate_address *spare = NULL;
    uint32_t at = home_of(g, addr);
    for (uint32_t i = 0; i < PROBES; i++, at = (at + 1) & (g->naddrs - 1)) {
        struct gate_address *a = &all[at];
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

/* --- numbers */

static void id_set(struct gate *g, uint32_t id, bool on)
{
    uint32_t i = id - GATE_ID_FIRST;
    uint64_t bit = UINT64_C(1) << (i & 63);
    if (i >= GATE_ID_COUNT)
        return;
    if (on)
        g->m->ids[i / 64] |= bit;
    else
        g->m->ids[i / 64] &= ~bit;
}

uint32_t gate_id_take(struct gate *g)
{
    uint32_t i = __atomic_load_n(&g->m->next_id, __ATOMIC_RELAXED);
    for (uint32_t n = 0; n < GATE_ID_COUNT; n++, i++) {
        if (i >= GATE_ID_COUNT)
            i = 0;
        if ((g->m->ids[i / 64] >> (i & 63) & 1) == 0) {
            g->m->next_id = i + 1;
            id_set(g, GATE_ID_FIRST + i, true);
            return GATE_ID_FIRST + i;
        }
    }
    return 0;
}

/* --- entries */

void gate_entry_free(struct gate *g, uint32_t i)
{
    struct gate_mem *m = g->m;
    struct gate_entry *e = &m->entries[i];
    struct gate_address *a = gate_addr_find(g, e->addr, false, 0);
    uint32_t kind = e->kind < GATE_KINDS ? e->kind : GATE_XIMSS;
    if (a != NULL && a->count[kind] != 0)
        a->count[kind]--;
    id_set(g, e->id, false);
    m->count[kind]--;
    m->sessions -= e->session != 0;
    *e = (struct gate_entry){.next_free = m->first_free};
    m->first_free = i + 1;
}

/* Makes everything that is derived from the entries anew; entries that a dying process left half made are freed. */
static void rebuild(struct gate *g)
{
    struct gate_mem *m = g->m;
    struct gate_address *all = gate_addrs(g);
    for (uint32_t i = 0; i < g->naddrs; i++)
        memset(all[i].count, 0, sizeof all[i].count);
    memset(m->ids, 0, sizeof m->ids);
    memset(m->count, 0, sizeof m->count);
    m->sessions = 0;
    m->first_free = 0;
    for (uint32_t i = g->nentries; i-- != 0;) {
        struct gate_entry *e = &m->entries[i];
        struct gate_address *a = NULL;
        if (e->owner != 0 && e->kind < GATE_KINDS && e->id >= GATE_ID_FIRST &&
            e->id <= GATE_ID_LAST)
            a = gate_addr_find(g, e->addr, true, 0);
        if (a == NULL) {
            *e = (struct gate_entry){.next_free = m->first_free};
            m->first_free = i + 1;
            continue;
        }
        a->count[e->kind]++;
        m->count[e->kind]++;
        m->sessions += e->session != 0;
        id_set(g, e->id, true);
    }
}

bool gate_hold(struct gate *g)
{
    enum gate_locked got = gate_lock_take(&g->lock);
    if (got == GATE_LOCKED_DIRTY)
        rebuild(g);
    return got != GATE_NOT_LOCKED;
}

void gate_release(struct gate *g)
{
    gate_lock_give(&g->lock);
}

/* --- the memory as a whole */

static uint32_t addr_slots(uint32_t places)
{
    uint32_t n = 1;
    while (n < (places + BLOCKED_SPARES) * 2)
        n *= 2;
    return n;
}

size_t gate_size(uint32_t places)
{
    return sizeof(struct gate_mem) + places * sizeof(struct gate_entry) + 16 +
           addr_slots(places) * sizeof(struct gate_address);
}

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
