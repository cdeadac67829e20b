// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * memfd: bytes that one process gives to another as a file in memory (memfd_create(2)). Any process may call. Sealed, so
 * that who maps them reads what stood there when they were handed over, whatever the giver does afterwards.
 */
#ifndef XIMSSD_NET_MEMFD_H
#define XIMSSD_NET_MEMFD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* One with these bytes, sealed. The caller's descriptor, close-on-exec; -1 on failure (errno logged). */
int memfd_make(const char *name, struct str bytes);
int memfd_make_joined(const char *name, struct str head, struct str tail);
/* Nobody can change it from now on. For one that was not made in one piece. */
bool memfd_seal(int fd);
/* Maps one of at most `max` bytes after looking at its seals; STR_NONE when it is not what it should be. */
struct str memfd_map(int fd, uint64_t max);
void memfd_unmap(struct str bytes);

#endif
