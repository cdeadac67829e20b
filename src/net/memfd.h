// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * memfd: bytes that one process gives to another as a file in memory (memfd_create(2)). Any process may call. Sealed, so
 * that who maps them reads what stood there when they were handed over, whatever the giver does afterwards.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * One with these bytes (the second: with both, one behind the other), sealed. The caller's descriptor, close-on-exec; -1: no
 * memory or no descriptor (logged).
 */
int memfd_make(const char *name, struct str bytes);
int memfd_make_joined(const char *name, struct str head, struct str tail);

/* --- for one that is made piece by piece */

/* Writes at its end. false: errno says why, and a part may stand there. */
bool memfd_add(int fd, struct str bytes);
/* Nobody can change it from now on. false: errno. */
bool memfd_seal(int fd);

/* --- for who is given one */

/*
 * Maps it for reading; the descriptor stays the caller's. STR_NONE: it is not sealed, no file in memory, longer than `max` bytes, or
 * there is no memory. An empty one gives an empty string.
 */
struct str memfd_map(int fd, uint64_t max);
/* What memfd_map() gave; STR_NONE and an empty string are fine. */
void memfd_unmap(struct str bytes);
