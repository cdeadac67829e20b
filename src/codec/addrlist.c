// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/addrlist.h"

#include <arpa/inet.h>
#include <stdlib.h>

typedef unsigned __int128 u128;

/* Both ends belong to it. IPv4 addresses are numbers below 2^32. */
struct addr_range {
    u128 from, to;
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* --- addresses */

struct ip ip_from_v4(const uint8_t b[4])
{
    struct ip ip;
    memcpy(ip.b, mapped, sizeof mapped);
    memcpy(ip.b + 12, b, 4);
    return ip;
}

struct ip ip_from_v6(const uint8_t b[16])
{
    struct ip ip;
    memcpy(ip.b, b, 16);
    return ip;
}

enum err ip_parse(struct str text, struct ip *out)
{
    char z[IP_TEXT_MAX];
    uint8_t raw[16];
    if (text.n == 0 || text.n >= sizeof z || str_find(text, '\0') != text.n)
        return ERR_SYNTAX;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, raw) == 1)
        *out = ip_from_v4(raw);
    else if (inet_pton(AF_INET6, z, raw) == 1)
        *out = ip_from_v6(raw);
    else
        return ERR_SYNTAX;
    return ERR_OK;
}

size_t ip_print(const struct ip *ip, char to[IP_TEXT_MAX])
{
    const char *p = ip_is_v4(ip) ? inet_ntop(AF_INET, ip->b + 12, to, IP_TEXT_MAX)
                                 : inet_ntop(AF_INET6, ip->b, to, IP_TEXT_MAX);
    BUG_IF(p == NULL);
    return strlen(to);
}

const char *ip_who(const struct ip *ip, char to[IP_WHO_MAX])
{
    size_t n = ip_print(ip, to + 1);
    to[0] = '[';
    to[n + 1] = ']';
    to[n + 2] = '\0';
    return to;
}

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->b, mapped, sizeof mapped) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = {[15] = 1};
    return ip_is_v4(ip) ? ip->b[12] == 127 : memcmp(ip->b, one, sizeof one) == 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

struct ip ip_counted(const struct ip *ip)
{
    struct ip out = *ip;
    if (!ip_is_v4(ip))
        memset(out.b + 8, 0, 8);
    return out;
}

static u128 number_of(const struct ip *ip)
{
    u128 v = 0;
    for (size_t i = ip_is_v4(ip) ? 12 : 0; i < 16; i++)
        v = v << 8 | ip->b[i];
    return v;
}

/* --- sets of ranges: sorted, disjoint, never touching */

struct set {
    struct addr_range *range;
    uint32_t n, cap;
};

static enum err set_room(struct set *s, uint32_t more)
{
    if (s->n + more <= s->cap)
        return ERR_OK;
    uint32_t cap = (s->n + more) * 2;
    struct addr_range *p = reallocarray(s->range, cap, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    s->range = p;
    s->cap = cap;
    return ERR_OK;
}

/* The first range that ends at or after v. */
static uint32_t set_find(const struct addr_range *r, uint32_t n, u128 v)
{
    uint32_t lo = 0;
    while (n != 0) {
        uint32_t half = n / 2;
        if (r[lo + half].to < v) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}

/* Puts `count` ranges in place of those from `at` to before `end`. */
static void set_splice(struct set *s, uint32_t at, uint32_t end, const struct addr_range *with,
                       uint32_t count)
{
    memmove(s->range + at + count, s->range + end, (s->n - end) * sizeof *s->range);
    for (uint32_t i = 0; i < count; i++)
        s->range[at + i] = with[i];
    s->n = s->n - (end - at) + count;
}

static enum err set_add(struct set *s, struct addr_range r)
{
    enum err e = set_room(s, 1);
    if (e != ERR_OK)
        return e;
    uint32_t at = set_find(s->range, s->n, r.from == 0 ? 0 : r.from - 1);
    uint32_t end = at;
    while (end < s->n && (s->range[end].from == 0 || s->range[end].from - 1 <= r.to)) {
        if (s->range[end].from < r.from)
            r.from = s->range[end].from;
        if (s->range[end].to > r.to)
            r.to = s->range[end].to;
        end++;
    }
    set_splice(s, at, end, &r, 1);
    return ERR_OK;
}

static enum err set_remove(struct set *s, struct addr_range r)
{
    enum err e = set_room(s, 1);
    if (e != ERR_OK)
        return e;
    struct addr_range rest[2];
    uint32_t kept = 0;
    uint32_t at = set_find(s->range, s->n, r.from);
    uint32_t end = at;
    for (; end < s->n && s->range[end].from <= r.to; end++) {
        if (s->range[end].from < r.from)
            rest[kept++] = (struct addr_range){s->range[end].from, r.from - 1};
        if (s->range[end].to > r.to)
            rest[kept++] = (struct addr_range){r.to + 1, s->range[end].to};
    }
    set_splice(s, at, end, rest, kept);
    return ERR_OK;
}

/* --- the text */

struct entry {
    struct addr_range range;
    bool v4;
    bool exclude;
};

static const char *parse_range(struct str a, struct str b, struct entry *out)
{
    struct ip from, to;
    if (ip_parse(str_trim(a), &from) != ERR_OK || ip_parse(str_trim(b), &to) != ERR_OK)
        return "not an IP address";
    if (ip_is_v4(&from) != ip_is_v4(&to))
        return "a range from IPv4 to IPv6";
    out->v4 = ip_is_v4(&from);
    out->range = (struct addr_range){number_of(&from), number_of(&to)};
    return out->range.from <= out->range.to ? NULL : "the range's first address is above its last";
}

static const char *parse_mask(struct str a, struct str mask, struct entry *out)
{
    struct ip base;
    uint64_t bits;
    if (ip_parse(str_trim(a), &base) != ERR_OK)
        return "not an IP address";
    out->v4 = ip_is_v4(&base);
    uint32_t width = out->v4 ? 32 : 128;
    if (str_u64(str_trim(mask), width, &bits) != ERR_OK || bits == 0)
        return out->v4 ? "the mask must be 1-32" : "the mask must be 1-128";
    u128 low = bits == width ? 0 : (((u128)1 << (width - bits)) - 1);
    u128 first = number_of(&base);
    if ((first & low) != 0)
        return "the address has bits set beyond its mask";
    out->range = (struct addr_range){first, first | low};
    return NULL;
}

/* NULL or what is wrong. */
static const char *parse_entry(struct str s, struct entry *out)
{
    out->exclude = s.p[0] == '!';
    if (out->exclude)
        s = str_trim(str_sub(s, 1, s.n));
    size_t dash = str_find(s, '-');
    size_t slash = str_find(s, '/');
    if (dash != s.n)
        return parse_range(str_sub(s, 0, dash), str_sub(s, dash + 1, s.n), out);
    if (slash != s.n)
        return parse_mask(str_sub(s, 0, slash), str_sub(s, slash + 1, s.n), out);
    return parse_range(s, s, out);
}

static enum err parse_line(struct str line, struct set set[2], uint32_t *entries,
                           struct addrlist_error *bad)
{
    struct str item, rest = str_sub(line, 0, str_find(line, ';'));
    while (str_split(&rest, ',', &item)) {
        struct entry e;
        item = str_trim(item);
        if (item.n == 0)
            continue;
        bad->entry = item;
        bad->what = parse_entry(item, &e);
        if (bad->what != NULL)
            return ERR_SYNTAX;
        if (++*entries > ADDRLIST_ENTRIES) {
            bad->what = "the list has too many entries";
            return ERR_TOO_LONG;
        }
        struct set *s = &set[e.v4 ? 0 : 1];
        enum err err = e.exclude ? set_remove(s, e.range) : set_add(s, e.range);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

void addrlist_init(struct addrlist *l)
{
    *l = (struct addrlist){0};
}

void addrlist_free(struct addrlist *l)
{
    free(l->v4);
    free(l->v6);
    addrlist_init(l);
}

enum err addrlist_parse(struct addrlist *l, struct str text, struct addrlist_error *bad)
{
    struct addrlist_error where = {0};
    struct set set[2] = {0};
    uint32_t entries = 0;
    struct str line;
    enum err e = ERR_OK;
    while (e == ERR_OK && str_split(&text, '\n', &line)) {
        where.line++;
        e = parse_line(line, set, &entries, &where);
    }
    if (e != ERR_OK) {
        free(set[0].range);
        free(set[1].range);
        if (bad != NULL)
            *bad = where;
        return e;
    }
    addrlist_free(l);
    *l = (struct addrlist){set[0].range, set[1].range, set[0].n, set[1].n};
    return ERR_OK;
}

bool addrlist_match(const struct addrlist *l, const struct ip *ip)
{
    bool v4 = ip_is_v4(ip);
    const struct addr_range *r = v4 ? l->v4 : l->v6;
    uint32_t n = v4 ? l->v4_n : l->v6_n;
    u128 v = number_of(ip);
    uint32_t at = set_find(r, n, v);
    return at < n && r[at].from <= v;
}
