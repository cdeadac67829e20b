// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * gate: exact limits of connections and the numbers of connections and sessions (design 2.4; protocol 1, 7.3, 9.1).
 *
 * One shared mapping, made by the master, used by workers, keepers and auth: a robust lock (proc/gate_lock.h) around a few
 * lines. One entry per counted connection, and per session over HTTP, is the truth; totals and the table of addresses are
 * sums over the entries, rebuilt when a process died inside the mutex. When a worker or keeper is gone, auth frees its entries. Nothing
 * here is read by the public table or believed by the master.
 *
 * Whoever has been taken over can spoil what the table says, and no more: every process keeps its own copy of the
 * sizes, and no index, number or pointer in the memory is followed unchecked.
 *
 * Addresses are 16 bytes: IPv4 as ::ffff:a.b.c.d and counted whole, IPv6 counted by its /64.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_ID_FIRST 100001u
#define GATE_ID_LAST  999999u

#include "base/err.h"
#include "proc/gate_lock.h"

struct gate_mem;

/* What has a place. Each kind is counted by itself. */
enum gate_kind {
    GATE_XIMSS, /* a connection, with its session when it has one */
    GATE_HTTP, /* a connection at a listener for http, as long as it speaks HTTP; its number is its name in the log */
    GATE_HTTP_SESSION, /* owned by its keeper */
    GATE_KINDS
};

/* One process's view. The fields are for the gate's own files (proc/gate_priv.h). */
struct gate {
    struct gate_mem *m;
    struct gate_lock lock;
    uint32_t nentries, naddrs;
};

/* Of a worker, or a keeper: never 0. */
#define GATE_GENERATION_AT 8
#define GATE_KEEPERS_AT    0x80u /* numbers of keepers are counted from here on */
static inline uint32_t gate_owner(uint32_t number, uint32_t generation)
{
    return generation << GATE_GENERATION_AT | (number + 1);
}

/* For one kind. */
struct gate_limits {
    uint32_t channels;           /* so many of the kind */
    uint32_t per_address;        /* 0: no limit */
    uint32_t per_client_address; /* the same for addresses that are client addresses */
    uint32_t reserve; /* with fewer free channels than this, only client addresses get in */
    uint32_t
        before_login; /* channels without a session; when there are so many, as above. 0: no limit */
    uint32_t sessions; /* GATE_HTTP_SESSION: so many sessions of all kinds. 0: no limit */
};

enum gate_answer { GATE_IN, GATE_BLOCKED, GATE_FULL, GATE_IDLERS, GATE_ADDRESS_FULL };

struct gate_place {
    uint32_t entry;
    uint32_t id; /* GATE_ID_FIRST..GATE_ID_LAST, unused by anybody else until gate_leave() */
};

/* Bytes of a gate for so many places of all kinds. */
size_t gate_size(uint32_t places);
/* Makes zeroed shared memory of gate_size() bytes a gate; once, by the master. */
void gate_init(void *mem, uint32_t places);
/* The gate in memory that the master handed over. ERR_RANGE when the size does not fit what stands in it. */
enum err gate_attach(struct gate *g, void *mem, size_t size) CHECKED;

/*
 * Asks for a place. owner: a number of the asking process, not 0. now: clock_mono(). On GATE_IN *place is filled.
 * Order of checks: blocked (GATE_XIMSS only), total with reserve, share before login, per address (protocol 1, 7.3).
 */
enum gate_answer gate_enter(struct gate *g, enum gate_kind kind, const struct gate_limits *lim,
                            uint32_t owner, const uint8_t addr[16], bool is_client_address,
                            int64_t now, struct gate_place *place);
void gate_leave(struct gate *g, struct gate_place place);

/*
 * The connection in that place gets a session: at most `most` of the server have one (0: no limit). auth asks before the
 * session is made. true also when it has one already (a login may be put to auth twice), and when there is no such
 * connection any more: its worker has the last word. false: too many.
 */
bool gate_session_begin(struct gate *g, struct gate_place place, uint32_t most);
/*
 * A login of the connection in that place failed, with this verdict (not 0). Remembered here, as neither the auth that said so
 * nor the way to the worker need live on: who is asked once more about this attempt says the same again and counts nothing.
 */
void gate_login_failed(struct gate *g, struct gate_place place, uint32_t attempt, uint32_t verdict);
/* The verdict about this attempt, if it was the last one that failed; 0: none. */
uint32_t gate_login_verdict(struct gate *g, struct gate_place place, uint32_t attempt);
/* It came to nothing. With gate_leave() a session ends by itself. */
void gate_session_end(struct gate *g, struct gate_place place);
/* Frees what a dead process held; returns how many. */
uint32_t gate_clear_owner(struct gate *g, uint32_t owner);
/* The same for all earlier generations of that process. */
uint32_t gate_clear_before(struct gate *g, uint32_t owner);

/* New connections from the address are refused until then (failed logins, protocol 1, 3.9). */
void gate_block(struct gate *g, const uint8_t addr[16], int64_t until, int64_t now);
/* Lifts that; true: it was blocked. */
bool gate_unblock(struct gate *g, const uint8_t addr[16], int64_t now);
/* All of them; returns how many there were. */
uint32_t gate_unblock_all(struct gate *g, int64_t now);
bool gate_is_blocked(struct gate *g, const uint8_t addr[16], int64_t now);

/*
 * May one more refusal be logged? GATE_SAID times a second of `now` (clock_mono()), all processes together (protocol 1,
 * 7.3).
 */
#define GATE_SAID 10
bool gate_may_say(struct gate *g, int64_t now);

/* Places taken now, of one kind; and sessions, of all kinds. */
uint32_t gate_count(struct gate *g, enum gate_kind kind);
uint32_t gate_sessions(struct gate *g);
