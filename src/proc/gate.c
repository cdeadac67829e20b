// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Places and sessions: who gets in, who leaves, and how many there are. */
#include "proc/gate_priv.h"

#include <string.h>

#include "base/bug.h"
#include "base/clock.h"

#define SAID_TRIES 100 /* against the others, before it is given up */

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
    struct gate_address *a = gate_addr_find(g, addr, true, now);
    uint32_t most = is_client ? lim->per_client_address : lim->per_address;
    uint32_t at = __atomic_load_n(&m->first_free, __ATOMIC_RELAXED) - 1; /* 0: none */
    if (kind == GATE_XIMSS && a != NULL && a->blocked_until > now)
        return GATE_BLOCKED;
    enum gate_answer room = at < g->nentries ? has_room(m, kind, lim, is_client) : GATE_FULL;
    if (room != GATE_IN)
        return room;
    if (a == NULL || (most != 0 && a->count[kind] >= most))
        return GATE_ADDRESS_FULL;
    struct gate_entry *e = &m->entries[at];
    *place = (struct gate_place){at, gate_id_take(g)};
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
    gate_addr_counted(counted, addr);
    if (!gate_hold(g))
        return GATE_FULL;
    enum gate_answer got = try_enter(g, kind, lim, owner, counted, is_client_address, now, place);
    gate_release(g);
    return got;
}

/* Inside the lock; NULL: after a rebuild by another process it may be gone already. */
static struct gate_entry *entry_of(const struct gate *g, struct gate_place place)
{
    struct gate_entry *e = &g->m->entries[place.entry];
    return e->owner != 0 && e->id == place.id ? e : NULL;
}

void gate_leave(struct gate *g, struct gate_place place)
{
    if (place.entry >= g->nentries || !gate_hold(g))
        return;
    if (entry_of(g, place) != NULL)
        gate_entry_free(g, place.entry);
    gate_release(g);
}

bool gate_session_begin(struct gate *g, struct gate_place place, uint32_t most)
{
    if (place.entry >= g->nentries || !gate_hold(g))
        return false;
    struct gate_entry *e = entry_of(g, place);
    bool wants = e != NULL && e->session == 0;
    bool room = most == 0 || g->m->sessions + g->m->count[GATE_HTTP_SESSION] < most;
    if (wants && room) {
        e->session = 1;
        g->m->sessions++;
    }
    gate_release(g);
    return !wants || room;
}

void gate_session_end(struct gate *g, struct gate_place place)
{
    if (place.entry >= g->nentries || !gate_hold(g))
        return;
    struct gate_entry *e = entry_of(g, place);
    if (e != NULL && e->session != 0) {
        e->session = 0;
        g->m->sessions--;
    }
    gate_release(g);
}

void gate_login_failed(struct gate *g, struct gate_place place, uint32_t attempt, uint32_t verdict)
{
    if (place.entry >= g->nentries || !gate_hold(g))
        return;
    struct gate_entry *e = entry_of(g, place);
    if (e != NULL) {
        e->failed = attempt;
        e->verdict = verdict;
    }
    gate_release(g);
}

uint32_t gate_login_verdict(struct gate *g, struct gate_place place, uint32_t attempt)
{
    if (place.entry >= g->nentries || !gate_hold(g))
        return 0;
    const struct gate_entry *e = entry_of(g, place);
    uint32_t verdict = e != NULL && e->failed == attempt ? e->verdict : 0;
    gate_release(g);
    return verdict;
}

static uint32_t clear(struct gate *g, bool (*gone)(uint32_t owner, uint32_t arg), uint32_t arg)
{
    uint32_t n = 0;
    if (!gate_hold(g))
        return 0;
    for (uint32_t i = 0; i < g->nentries; i++) {
        uint32_t owner = g->m->entries[i].owner;
        if (owner != 0 && gone(owner, arg)) {
            gate_entry_free(g, i);
            n++;
        }
    }
    gate_release(g);
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

bool gate_may_say(struct gate *g, int64_t now)
{
    uint64_t second = (uint64_t)(now / CLOCK_SEC);
    uint64_t old = __atomic_load_n(&g->m->said, __ATOMIC_RELAXED);
    for (int i = 0; i < SAID_TRIES; i++) {
        bool same = old >> GATE_SAID_BITS == second;
        if (same && (old & ((1u << GATE_SAID_BITS) - 1)) >= GATE_SAID)
            return false;
        if (__atomic_compare_exchange_n(&g->m->said, &old,
                                        same ? old + 1 : second << GATE_SAID_BITS | 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static uint32_t read_locked(struct gate *g, const uint32_t *word)
{
    if (!gate_hold(g))
        return 0;
    uint32_t n = *word;
    gate_release(g);
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
