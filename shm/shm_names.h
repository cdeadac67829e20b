// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_names: states.tbl and counters.tbl as text, and the fixed text fields of the format.
 */
#include <stddef.h>

#include "shm/shm_layout.h"

/* A row of counters.tbl, in the order of enum shm_count. */
struct shm_element {
    const char *name;
    enum shm_kind kind;
    const char *unit;
    const char *line;
    const char *paragraph;
};

extern const struct shm_element shm_elements[SHM_COUNTERS];

/* Column Status of a state; "" for SHM_STATE_NONE and what is none. */
const char *shm_state_text(enum shm_state state);

/* Fills a field: the text, cut at n bytes, then zero bytes. */
void shm_field_set(char *field, size_t n, const char *text);

/*
 * A field of somebody else's as text that may be shown anywhere: up to the first zero byte; a
 * character cut by the field's end is dropped; malformed UTF-8, control characters (C0, DEL, C1),
 * line and paragraph separators, marks that turn the writing direction and U+FEFF become U+FFFD.
 * `out` must hold SHM_TEXT_MAX(n) bytes; the result is zero-terminated, its length returned.
 */
#define SHM_TEXT_MAX(n) (3 * (n) + 1)
size_t shm_field_text(const char *field, size_t n, char *out);
