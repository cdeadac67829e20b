// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/idmap.h"

#include <stdlib.h>

#define FIRST_SIZE 16

void idmap_init(struct idmap *m)
{
    *m = (struct idmap){0};
}

void idmap_free(struct idmap *m)
{
    free(m->slots);
    idmap_init(m);
}

static uint32_t home_of(const struct idmap *m, uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (m->size - 1);
}

/* The slot of the key, or the free one where it would go. */
static uint32_t slot_of(const struct idmap *m, uint64_t key)
{
    uint32_t i = home_of(m, key);
    while (m->slots[i].key != 0 && m->slots[i].key != key)
        i = (i + 1) & (m->size - 1);
    return i;
}

void *idmap_get(const struct idmap *m, uint64_t key)
{
    return m->size != 0 ? m->slots[slot_of(m, key)].value : NULL;
}

static enum err grow(struct idmap *m)
{
    struct idmap bigger = {.size = m->size != 0 ? m->size * 2 : FIRST_SIZE, .count = m->count};
    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < m->size; i++) {
        if (m->slots[i].key != 0)
            bigger.slots[slot_of(&bigger, m->slots[i].key)] = m->slots[i];
    }
    free(m->slots);
    *m = bigger;
    return ERR_OK;
}

enum err idmap_put(struct idmap *m, uint64_t key, void *value)
{
    BUG_IF(key == 0 || value == NULL);
    if ((m->count + 1) * 4 > m->size * 3) {
        enum err e = grow(m);
        if (e != ERR_OK)
            return e;
    }
    struct idmap_slot *s = &m->slots[slot_of(m, key)];
    m->count += s->key == 0;
    *s = (struct idmap_slot){key, value};
    return ERR_OK;
}

void idmap_remove(struct idmap *m, uint64_t key)
{
    if (m->size == 0)
        return;
    uint32_t hole = slot_of(m, key);
    if (m->slots[hole].key == 0)
        return;
    m->count--;
    /* Close the gap: move back every later entry of the run that may stand at the hole. */
    uint32_t mask = m->size - 1;
    for (uint32_t i = (hole + 1) & mask; m->slots[i].key != 0; i = (i + 1) & mask) {
        uint32_t home = home_of(m, m->slots[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct idmap_slot){0};
}

void *idmap_next(const struct idmap *m, uint32_t *at)
{
    while (*at < m->size) {
        struct idmap_slot *s = &m->slots[(*at)++];
        if (s->key != 0)
            return s->value;
    }
    return NULL;
}
