// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/str.h"

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n != 0 ? memcmp(a.p, b.p, n) : 0;
    if (c != 0)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

int str_icmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)str_lower(a.p[i]);
        unsigned char y = (unsigned char)str_lower(b.p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool str_ieq(struct str a, struct str b)
{
    return a.n == b.n && str_icmp(a, b) == 0;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_ieq(str_sub(s, 0, prefix.n), prefix);
}

size_t str_find(struct str s, char c)
{
    const char *hit = s.n != 0 ? memchr(s.p, c, s.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return (struct str){s.p != NULL ? s.p + from : NULL, n};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n != 0 && is_blank(s.p[0]))
        s = str_sub(s, 1, s.n - 1);
    while (s.n != 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *s, char sep, struct str *head)
{
    if (s->p == NULL)
        return false;
    size_t at = str_find(*s, sep);
    *head = str_sub(*s, 0, at);
    *s = at == s->n ? STR_NONE : str_sub(*s, at + 1, s->n - at - 1);
    return true;
}

enum err str_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return ERR_SYNTAX;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return ERR_RANGE;
    }
    if (v > max)
        return ERR_RANGE;
    *out = v;
    return ERR_OK;
}

enum err str_i64(struct str s, int64_t *out)
{
    bool neg = s.n != 0 && s.p[0] == '-';
    uint64_t v;
    enum err e = str_u64(neg ? str_sub(s, 1, s.n) : s, (uint64_t)INT64_MAX + neg, &v);
    if (e == ERR_OK)
        *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return e;
}

enum err str_bool(struct str s, bool *out)
{
    static const char *const no[] = {"", "no", "false", "off"};
    static const char *const yes[] = {"yes", "true", "on"};
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        if (str_ieq(s, str_of(no[i]))) {
            *out = false;
            return ERR_OK;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_ieq(s, str_of(yes[i]))) {
            *out = true;
            return ERR_OK;
        }
    }
    int64_t v;
    if (str_i64(s, &v) != ERR_OK)
        return ERR_SYNTAX;
    *out = v != 0;
    return ERR_OK;
}

bool str_eq_secret(struct str a, struct str b)
{
    unsigned char diff = 0;
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff = (unsigned char)(diff | (unsigned char)(a.p[i] ^ b.p[i]));
    return diff == 0;
}
