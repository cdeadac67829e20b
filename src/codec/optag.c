// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/optag.h"

#define KEY 32

struct row {
    const char *name, *monitor;
    enum op_state state;
    unsigned flags;
};

static const struct row rows[OP_COUNT] = {
    [OP_NONE] = {"", "", OPS_ANY, 0},
#define OP(NAME, element, state, handler, finish, monitor, flags, doc) \
    [OP_##NAME] = {element, monitor, OPS_##state, flags},
#include "gen/optag_rows.h"
#undef OP
};

/* In lower case, filled up with zero bytes, in byte order. */
static const struct {
    char key[KEY];
    enum op_id id;
} sorted[] = {
#define OP_SORTED(NAME, lower) {lower, OP_##NAME},
#include "gen/optag_sorted.h"
#undef OP_SORTED
};

_Static_assert(ARRAY_LEN(sorted) == OP_COUNT - 1, "a row of ops.tbl was not understood");

/* Eight bytes as a number that sorts as they do. */
static inline uint64_t head(const char *key)
{
    uint64_t v;
    memcpy(&v, key, sizeof v);
    return __builtin_bswap64(v);
}

static inline int compare(const char *a, const char *b)
{
    uint64_t x = head(a);
    uint64_t y = head(b);
    if (x != y)
        return x < y ? -1 : 1;
    return memcmp(a + 8, b + 8, KEY - 8);
}

enum op_id optag_find(struct str name)
{
    char key[KEY] = {0};
    if (name.n == 0 || name.n >= KEY)
        return OP_NONE;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\0')
            return OP_NONE;
        key[i] = str_lower(name.p[i]);
    }
    size_t low = 0;
    size_t high = ARRAY_LEN(sorted);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = compare(key, sorted[mid].key);
        if (c == 0)
            return sorted[mid].id;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return OP_NONE;
}

static const struct row *row_of(enum op_id id)
{
    BUG_IF((unsigned)id >= OP_COUNT);
    return &rows[id];
}

const char *optag_name(enum op_id id)
{
    return row_of(id)->name;
}

const char *optag_monitor(enum op_id id)
{
    const struct row *r = row_of(id);
    return r->monitor != NULL ? r->monitor : r->name;
}

enum op_state optag_state(enum op_id id)
{
    return row_of(id)->state;
}

unsigned optag_flags(enum op_id id)
{
    return row_of(id)->flags;
}
