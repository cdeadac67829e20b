// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * utf8: the few questions that we ask of UTF-8 (RFC 3629) without a library.
 */
#include "base/str.h"

/* Well-formed: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(struct str s);

/*
 * Decodes one character at s.p[*at] and steps over it; *at < s.n. Malformed bytes give U+FFFD and step over one
 * byte.
 */
uint32_t utf8_next(struct str s, size_t *at);

/* Writes a code point; returns the number of bytes (1-4). Illegal code points are written as U+FFFD. */
size_t utf8_put(char to[4], uint32_t cp);

/* May stand in an XML 1.0 document (XML 1.0, 2.2). */
bool utf8_xml_char(uint32_t cp);

/*
 * Does something to who shows it: control characters (C0, DEL, C1), separators of lines and paragraphs, marks that turn the
 * writing direction, U+FEFF. The same list as in shm/shm_names.c.
 */
bool utf8_is_control(uint32_t cp);

/* The longest prefix of at most n bytes that does not cut a character. */
struct str utf8_prefix(struct str s, size_t n);
