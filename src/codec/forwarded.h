// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * forwarded: who the client is when proxies stand between: from Forwarded (RFC 7239) and X-Forwarded-For. Pure.
 *
 * Each proxy adds the address that it was spoken to from at the right end; what stands further left may be a lie of the client.
 * So the client is the rightmost one that is no trusted proxy, or the leftmost one when all are. The connection's own peer is the
 * first to be asked: when it is not trusted, the fields mean nothing.
 *
 * Nobody can know which of the two fields a proxy writes and which it lets pass. When both are there, they have to name the
 * same client.
 */
#include "codec/addrlist.h"

struct forwarded_hop {
    bool seen;
    bool known; /* false: unknown, hidden, or not readable */
    struct ip ip;
};

struct forwarded {
    const struct addrlist *trusted;
    struct ip peer;
    struct forwarded_hop standard, x; /* what the lines so far come to */
};

void forwarded_init(struct forwarded *f, const struct addrlist *trusted, const struct ip *peer);

/* One line of the field after the other, in their order. A line that breaks the grammar is a hop that is not known. */
void forwarded_add(struct forwarded *f, struct str value);
/* "192.0.2.7, [2001:db8::1]:4711, 2001:db8::2"; ports are ignored, empty elements are none. */
void forwarded_add_x(struct forwarded *f, struct str value);

/* false: it cannot be said who the client is. */
bool forwarded_client(const struct forwarded *f, struct ip *client) CHECKED;
