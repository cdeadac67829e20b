// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * addrlist: IP addresses and lists of them (protocol 1, 7.2). Pure, no sockets.
 *
 * An address is 16 bytes whatever its family: IPv4 is kept as ::ffff:a.b.c.d, so a v4-mapped
 * address of a dual-stack socket and the plain one are the same thing. An IPv6 entry of a list (say
 * ::/0) never covers IPv4.
 *
 * List text: per line one address, a range `a-b` (both ends in), or `address/mask` whose low bits
 * are zero. `!` in front takes it out of what the lines above built. `;` starts a comment, empty
 * lines are fine. A comma ends an entry as a line end does, so that a list fits into one line of
 * the configuration.
 */
#include "base/str.h"

#define IP_TEXT_MAX      46 /* with the zero byte */
#define IP_WHO_MAX       (IP_TEXT_MAX + 2)
#define ADDRLIST_ENTRIES 10000 /* most entries of one list */

struct ip {
    uint8_t b[16];
};

/* Dotted quad or RFC 4291 text without brackets, zone or port. ERR_SYNTAX. */
enum err ip_parse(struct str text, struct ip *out) CHECKED;
/* Returns the length; RFC 5952 form, IPv4 as dotted quad, zero-terminated. */
size_t ip_print(const struct ip *ip, char to[IP_TEXT_MAX]);
/* The same in brackets, as protocol and log write it: "[192.0.2.7]" (protocol 1, 1.9). Returns `to`. */
const char *ip_who(const struct ip *ip, char to[IP_WHO_MAX]);
struct ip ip_from_v4(const uint8_t b[4]);
struct ip ip_from_v6(const uint8_t b[16]);
bool ip_is_v4(const struct ip *ip);
/* 127.0.0.0/8 and ::1. */
bool ip_is_loopback(const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
/* What the limits per address count: an IPv4 address, or the /64 of an IPv6 one. */
struct ip ip_counted(const struct ip *ip);

struct addr_range;

struct addrlist {
    struct addr_range *v4, *v6; /* sorted, disjoint, never touching */
    uint32_t v4_n, v6_n;
};

struct addrlist_error {
    uint32_t line;    /* from 1 */
    const char *what; /* constant sentence: what is wrong and what is allowed */
    struct str entry; /* the entry, inside the parsed text */
};

/* An empty list matches nothing. */
void addrlist_init(struct addrlist *l);
void addrlist_free(struct addrlist *l);
/*
 * Replaces the list by what `text` says. ERR_SYNTAX: *bad says where and why (bad may be NULL), the
 * list is as it was; ERR_TOO_LONG: more than ADDRLIST_ENTRIES; ERR_NOMEM.
 */
enum err addrlist_parse(struct addrlist *l, struct str text, struct addrlist_error *bad) CHECKED;
/* Binary search. */
bool addrlist_match(const struct addrlist *l, const struct ip *ip);
