// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include <stdlib.h>

struct item {
    uint64_t key;
    uint32_t at; /* number in the array that is sorted */
};

/* One pass of a stable radix sort; false: all have the same byte there. */
static bool pass(const struct item *from, struct item *to, uint32_t n, unsigned shift)
{
    uint32_t start[256] = {0}, sum = 0;

    for (uint32_t i = 0; i < n; i++)
        start[from[i].key >> shift & 0xff]++;
    if (start[from[0].key >> shift & 0xff] == n)
        return false;
    for (int b = 0; b < 256; b++) {
        uint32_t count = start[b];

        start[b] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++)
        to[start[from[i].key >> shift & 0xff]++] = from[i];
    return true;
}

/* Stable, by the 64 bits alone: eight passes at most, fewer where bytes do not differ. */
static struct item *radix(struct item *a, struct item *b, uint32_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        if (pass(a, b, n, shift)) {
            struct item *t = a;

            a = b;
            b = t;
        }
    return a;
}

static int text_order(const struct view_key *a, const struct view_key *b, const char *pool)
{
    bool none_a = a->text_size == VIEW_NO_TEXT, none_b = b->text_size == VIEW_NO_TEXT;
    int c = 0;

    if (none_a != none_b)
        return none_a ? -1 : 1;
    if (!none_a)
        c = str_cmp((struct str){pool + a->text_at, a->text_size},
                    (struct str){pool + b->text_at, b->text_size});
    return c != 0 ? c : (a->row > b->row) - (a->row < b->row);
}

static int compare(const void *pa, const void *pb, void *pool)
{
    return text_order(pa, pb, pool);
}

/* Texts that share their first eight bytes. */
static void sort_ties(struct view_key *keys, uint32_t n, const char *pool)
{
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && keys[j].key == keys[i].key; j++)
            ;
        if (j - i > 1)
            qsort_r(&keys[i], j - i, sizeof *keys, compare, (void *)(uintptr_t)pool);
    }
}

static bool in_order(const struct view_key *keys, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (keys[i - 1].key > keys[i].key)
            return false;
    return true;
}

static enum err sort_numbers(struct view_key *keys, uint32_t n)
{
    struct item *items = calloc(n, 2 * sizeof *items), *sorted;
    struct view_key *copy = calloc(n, sizeof *copy);

    if (items == NULL || copy == NULL) {
        free(items);
        free(copy);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++)
        items[i] = (struct item){keys[i].key, i};
    memcpy(copy, keys, n * sizeof *keys);
    sorted = radix(items, items + n, n);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = copy[sorted[i].at];
    free(items);
    free(copy);
    return ERR_OK;
}

enum err view_sort_keys(struct view_key *keys, uint32_t n, const char *pool, bool text)
{
    enum err e = ERR_OK;

    if (n < 2)
        return ERR_OK;
    if (!in_order(keys, n)) /* mail mostly comes in the order of its dates */
        e = sort_numbers(keys, n);
    if (e == ERR_OK && text)
        sort_ties(keys, n, pool);
    return e;
}
