// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * value: one setting's value, from text to field and back. The forms and units of each type stand in conf.h; sizes
 * take k, M, G (of 1024), times ms, s, m, h, d, and a time other than 0 has to have its unit.
 */
#include "conf/rows.h"

#define VALUE_TEXT_MAX 64 /* a number, size, time or word, with the zero byte */

/*
 * Checks the text and fills the field. ERR_SYNTAX: *why (in the arena, "" if there is no memory) says what is
 * allowed; *at is the line within the value, from 0. ERR_NOMEM.
 */
enum err value_set(const struct row *r, struct str text, struct arena *a, void *field,
                   struct str *why, uint32_t *at) CHECKED;

/* The value as it would stand in a file. */
void value_print(FILE *to, const struct row *r, const void *field);
/* The number of a NUMBER, AUTO, SIZE or TIME. */
uint64_t value_number(const struct row *r, const void *field);
/* Texts are copied into the arena. ERR_NOMEM. */
enum err value_copy(const struct row *r, const void *from, struct arena *a, void *to) CHECKED;
bool value_same(const struct row *r, const void *x, const void *y);
/* What is allowed, as the end of a sentence: "a size from 1k to 1M". */
struct str value_allowed(const struct row *r, struct arena *a);

/* 1536 -> "1536", 65536 -> "64k"; 5000000000 -> "5s". */
void value_size_text(uint64_t bytes, char to[VALUE_TEXT_MAX]);
void value_time_text(int64_t ns, char to[VALUE_TEXT_MAX]);
