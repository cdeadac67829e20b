// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * str: a slice of bytes that somebody else owns. Not zero-terminated, may hold zero bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){("" lit), sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For "%.*s". */
#define STR_FMT(s) (int)(s).n, (s).n != 0 ? (s).p : ""

static inline struct str str_of(const char *z)
{
    return (struct str){z, z != NULL ? strlen(z) : 0};
}

bool str_eq(struct str a, struct str b);
/* Without regard to ASCII case (protocol/README rule 2). */
bool str_ieq(struct str a, struct str b);
/* Byte order; a shorter prefix comes first. */
int str_cmp(struct str a, struct str b);
int str_icmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
/* Position of c, or s.n. */
size_t str_find(struct str s, char c);
struct str str_sub(struct str s, size_t from, size_t n);
/* Without leading and trailing blank, TAB, CR, LF. */
struct str str_trim(struct str s);
/* Cuts off and returns what stands before `sep`; the rest (after it) stays in *s. false when *s was used up. */
bool str_split(struct str *s, char sep, struct str *head);

/* Decimal, whole slice, no blanks. ERR_SYNTAX or ERR_RANGE; *out is untouched then. */
enum err str_u64(struct str s, uint64_t max, uint64_t *out) CHECKED;
/* The same with an optional leading '-' (protocol 1, 1.9). */
enum err str_i64(struct str s, int64_t *out) CHECKED;
/* Booleans of protocol 1, 1.9: no, false, off, 0, empty; yes, true, on, any other number. Else ERR_SYNTAX. */
enum err str_bool(struct str s, bool *out) CHECKED;

static inline char str_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* What a hexadecimal digit stands for; -1: it is none. */
static inline int str_hex(char c)
{
    c = str_lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Compares n bytes in a time that does not depend on their values (secrets). */
bool str_eq_secret(struct str a, struct str b);
