// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Addresses whose connections are refused for a time, after failed logins (protocol 1, 3.9). */
#include "proc/gate_priv.h"

void gate_block(struct gate *g, const uint8_t addr[16], int64_t until, int64_t now)
{
    uint8_t counted[16];
    gate_addr_counted(counted, addr);
    if (!gate_hold(g))
        return;
    struct gate_address *a = gate_addr_find(g, counted, true, now);
    if (a != NULL)
        a->blocked_until = until;
    gate_release(g);
}

static bool lift(struct gate_address *a, int64_t now)
{
    bool was = a->blocked_until > now;
    a->blocked_until = 0;
    return was;
}

bool gate_unblock(struct gate *g, const uint8_t addr[16], int64_t now)
{
    uint8_t counted[16];
    gate_addr_counted(counted, addr);
    if (!gate_hold(g))
        return false;
    struct gate_address *a = gate_addr_find(g, counted, false, now);
    bool was = a != NULL && lift(a, now);
    gate_release(g);
    return was;
}

uint32_t gate_unblock_all(struct gate *g, int64_t now)
{
    struct gate_address *all = gate_addrs(g);
    uint32_t n = 0;
    if (!gate_hold(g))
        return 0;
    for (uint32_t i = 0; i < g->naddrs; i++)
        n += lift(&all[i], now);
    gate_release(g);
    return n;
}

bool gate_is_blocked(struct gate *g, const uint8_t addr[16], int64_t now)
{
    uint8_t counted[16];
    gate_addr_counted(counted, addr);
    if (!gate_hold(g))
        return false;
    struct gate_address *a = gate_addr_find(g, counted, false, now);
    bool is = a != NULL && a->blocked_until > now;
    gate_release(g);
    return is;
}
