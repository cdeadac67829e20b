// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * name: the one canonicaliser of account names (protocol 1, 2.1; security 2.2 "IDN / case-folding
 * confusion").
 *
 * The stored form is the compared form: NFKC and case folding (after RFC 8265 UsernameCaseMapped;
 * width, case and compatibility forms fall together), then only letters, marks and decimal digits
 * of any script and the ASCII signs below, the Bidi rule of RFC 5893, and a second pass must change
 * nothing: a name whose folded form folds further is refused. ASCII names never reach libunistring.
 *
 *   name   = local "@" domain | local "%" domain | local        (the last one is completed with the
 * target domain) local  = 1-64 bytes; ASCII letters, digits, . - _ + = & ' # $ !; no dot at an end,
 * no two dots in a row domain = 1-255 bytes; labels of 1-63 letters, digits, inner hyphens,
 * separated by single dots
 *
 * A U-label and its A-label (xn--) are different domains here: write the domain in the
 * configuration as users do.
 */
#include "base/str.h"

#define NAME_LOCAL_MAX  64
#define NAME_DOMAIN_MAX 255
#define NAME_MAX        (NAME_LOCAL_MAX + 1 + NAME_DOMAIN_MAX)
#define NAME_INPUT_MAX  1024 /* raw bytes; folding can make a name shorter */

struct name {
    uint16_t n;       /* bytes of text, without the zero byte */
    uint16_t local_n; /* bytes before the @ */
    char text[NAME_MAX + 1];
};

/* `target` is a canonical domain. ERR_TOO_LONG or ERR_SYNTAX; *out is then unusable. */
enum err name_canon(struct str in, struct str target, struct name *out) CHECKED;
/* A domain alone; `to` gets NAME_DOMAIN_MAX + 1 bytes, zero-terminated. */
enum err name_canon_domain(struct str in, char to[NAME_DOMAIN_MAX + 1]) CHECKED;

static inline struct str name_str(const struct name *n)
{
    return (struct str){n->text, n->n};
}

static inline struct str name_domain(const struct name *n)
{
    return (struct str){n->text + n->local_n + 1, (size_t)(n->n - n->local_n - 1)};
}
