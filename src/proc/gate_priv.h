// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * gate_priv: what stands in the gate's memory, for its files:
 *
 *   gate_table.c  the memory: entries, addresses, numbers, and the lock around them
 *   gate.c        places and sessions: who gets in
 *   gate_block.c  addresses that are refused
 *
 * The memory is looked at between gate_hold() and gate_release() only.
 */
#include "proc/gate.h"

#define GATE_SAID_BITS 8
#define GATE_ID_COUNT  (GATE_ID_LAST - GATE_ID_FIRST + 1)
#define GATE_ID_WORDS  ((GATE_ID_COUNT + 63) / 64)

struct gate_entry {
    uint32_t owner; /* 0: free */
    uint32_t id;
    uint32_t next_free;       /* index + 1 */
    uint16_t kind;            /* enum gate_kind */
    uint16_t session;         /* 1: it has one */
    uint32_t failed, verdict; /* the login that failed last, and how; 0: none */
    uint8_t addr[16];
};

struct gate_address {
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
    uint32_t next_id;  /* 0..GATE_ID_COUNT-1, next to try */
    uint64_t said;     /* second << GATE_SAID_BITS | refusals that were logged in it */
    uint64_t ids[GATE_ID_WORDS];
    struct gate_entry entries[];
};

/* false: there is no getting in. What a dying process left half made is put right first. */
bool gate_hold(struct gate *g);
void gate_release(struct gate *g);

/* The table of addresses, of g->naddrs slots. */
struct gate_address *gate_addrs(const struct gate *g);
/* IPv6 counts by /64 (protocol 1, 7.3). */
void gate_addr_counted(uint8_t to[16], const uint8_t addr[16]);
/*
 * The slot of an address; with `make`, a free one when it has none. A slot is free when nothing is counted and no
 * block is in force; it stays `used`, so that searches go on past it.
 */
struct gate_address *gate_addr_find(struct gate *g, const uint8_t addr[16], bool make, int64_t now);

/* The next number that nobody has; there are always more numbers than entries. 0: somebody has spoilt the table. */
uint32_t gate_id_take(struct gate *g);
/* Takes the entry out of all sums, with its number. */
void gate_entry_free(struct gate *g, uint32_t i);
