// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * faillog: the failed-login rules of protocol 1, 3.9, in memory that the caller gives (a memfd, so
 * that the next auth inherits it). No clock, no system call inside.
 *
 * Two tables of 8-way sets, places chosen by a keyed hash (key in the memory, made by the first
 * auth):
 * - accounts, by canonical name whether it exists or not; `account_limit` failures within the
 * window block the name for a full window from the last of them. While blocked nothing more is
 * counted;
 * - addresses (IPv6 by /64), `address_limit` failures block the address likewise. The caller
 * exempts client_addresses: it simply does not ask. A window starts with the first failure; one
 * that has passed is a free place.
 *
 * Can a live counter be driven out? A set that is full gives up its smallest count, the oldest
 * among equals, and the newcomer goes on from that count (at most half the limit), as in the
 * Space-Saving counters of Metwally et al. To lose a count of c, all 8 places of that set must
 * reach c first; nobody can tell which names share a set, so it takes about c failed logins for
 * *every* place of the table (131,072 of them by default) within one window, while each address
 * has 20. And it buys half a limit, not a whole one. Names outside the table are never blocked, so
 * a flood of invented names shuts nobody out who types his password right.
 */
#include "codec/addrlist.h"

#define FAILLOG_WAYS 8

struct faillog_options {
    uint32_t accounts; /* places, rounded up to a power of two */
    uint32_t addresses;
    uint32_t account_limit; /* 0: no limit */
    uint32_t address_limit;
    int64_t window; /* ns */
    int64_t delay;  /* ns per failure on the connection */
    int64_t delay_max;
};

#define FAILLOG_DEFAULTS                                                                  \
    {                                                                                     \
        .accounts = 131072, .addresses = 65536, .account_limit = 10, .address_limit = 20, \
        .window = INT64_C(300000000000), .delay = INT64_C(1000000000),                    \
        .delay_max = INT64_C(5000000000)                                                  \
    }

struct faillog_head;

struct faillog {
    struct faillog_head *head; /* the caller's memory */
    struct faillog_options opt;
};

/* Bytes that these options need; a multiple of 4096. */
size_t faillog_size(const struct faillog_options *opt);
/*
 * Zero-filled memory (an empty head says so) is made ready; memory of an earlier auth with the same table sizes is taken
 * over with its counters (limits and window may have changed: a reload calls this again). Anything
 * else there is wiped and made anew: what an earlier process left is not believed. ERR_RANGE: mem_n
 * < faillog_size().
 */
enum err faillog_attach(struct faillog *f, void *mem, size_t mem_n,
                        const struct faillog_options *opt) CHECKED;

/* now: clock_mono() everywhere (the same for all processes since boot). */
bool faillog_account_blocked(const struct faillog *f, struct str name, int64_t now);
/* Counts one failure. true: the name is blocked from now on. */
bool faillog_account_fail(struct faillog *f, struct str name, int64_t now);
/* A successful login clears the counter (also lifts nothing that blocks: a blocked name had no
 * success). */
void faillog_account_ok(struct faillog *f, struct str name);

/* Until when the address is blocked (clock_mono()), or 0. */
int64_t faillog_address_blocked(const struct faillog *f, const struct ip *ip, int64_t now);
/* Counts one failure; result as above. The caller puts it into the gate. */
int64_t faillog_address_fail(struct faillog *f, const struct ip *ip, int64_t now);

/* What an admin sees and clears. */
struct faillog_state {
    uint32_t count; /* failures within the window; 0: none */
    int64_t until;  /* blocked until then (clock_mono()), or 0 */
};
struct faillog_state faillog_account_state(const struct faillog *f, struct str name, int64_t now);
/* Forgets the failures of the name, of the address (all of its /64); returns what there was. */
struct faillog_state faillog_account_clear(struct faillog *f, struct str name, int64_t now);
struct faillog_state faillog_address_clear(struct faillog *f, const struct ip *ip, int64_t now);
/* Forgets all of them; the sums are of names and addresses with failures within the window. */
struct faillog_sums {
    uint32_t accounts, blocked_accounts, addresses, blocked_addresses;
};
struct faillog_sums faillog_clear(struct faillog *f, int64_t now);

/* How long the answer to the n-th failure (from 1) on one connection waits, ns. */
int64_t faillog_delay(const struct faillog_options *opt, uint32_t n);
