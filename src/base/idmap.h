// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * idmap: a hash table from a number other than 0 to a pointer other than NULL. Open addressing; keys are ours
 * (session and connection numbers), so no secret hash is needed. Grows; never shrinks.
 */
#include <stdint.h>

#include "base/err.h"

struct idmap_slot {
    uint64_t key; /* 0: free */
    void *value;
};

struct idmap {
    struct idmap_slot *slots;
    uint32_t size; /* power of two, or 0 */
    uint32_t count;
};

void idmap_init(struct idmap *m);
void idmap_free(struct idmap *m);
void *idmap_get(const struct idmap *m, uint64_t key);
/* Adds or replaces. ERR_NOMEM leaves the map as it was. */
enum err idmap_put(struct idmap *m, uint64_t key, void *value) CHECKED;
void idmap_remove(struct idmap *m, uint64_t key);
/* Walks all entries: start with *at = 0; NULL at the end. The map must not be changed meanwhile. */
void *idmap_next(const struct idmap *m, uint32_t *at);
