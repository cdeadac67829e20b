// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include <stdlib.h>

/*
 * Places: indexes of the view, or, for UID ranges of a view that is not ordered by UID, positions in its UID table. A
 * request may hold thousands of ranges over the whole view; so that this costs no more than the view is long, `next`
 * tables lead over places that were visited already.
 */
struct span {
    bool table; /* places are positions in v->by_uid */
    uint32_t from, count;
};

struct collector {
    const struct view *v;
    uint8_t *seen;     /* bit per index */
    uint32_t *next[2]; /* by place; NULL: ranges overlap little */
    uint32_t *hits, n;
};

/* First place whose UID is `uid` or more (order 1 and 2), or is at most `uid` (order -1). */
static uint32_t bound(const struct view *v, uint32_t uid)
{
    uint32_t lo = 0, hi = v->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        uint32_t here = view_at(v, v->order == 2 ? v->by_uid[mid] : mid)->uid;

        if (v->order == -1 ? here > uid : here < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct span span_of(const struct view *v, const struct view_range *r)
{
    uint32_t from = r->from, end;

    if (r->from > r->till || v->count == 0)
        return (struct span){0};
    if (!r->by_uid) {
        end = r->till < v->count ? r->till + 1 : v->count;
        return (struct span){false, from, end > from ? end - from : 0};
    }
    if (v->order == -1) {
        from = bound(v, r->till);
        end = r->from == 0 ? v->count : bound(v, r->from - 1);
    } else {
        from = bound(v, r->from);
        end = r->till == UINT32_MAX ? v->count : bound(v, r->till + 1);
    }
    return (struct span){v->order == 2, from, end - from};
}

/* First unvisited place at or behind `at`; halves the way for the next one. */
static uint32_t unvisited(uint32_t *next, uint32_t at)
{
    while (next != NULL && next[at] != at) {
        next[at] = next[next[at]];
        at = next[at];
    }
    return at;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void sort_hits(uint32_t *hits, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (hits[i - 1] > hits[i]) {
            qsort(hits, n, sizeof *hits, ascending);
            return;
        }
}

static void collect(struct collector *c, struct span s)
{
    uint32_t *next = c->next[s.table], end = s.from + s.count, first = c->n;

    for (uint32_t at = unvisited(next, s.from); at < end; at = unvisited(next, at + 1)) {
        uint32_t i = s.table ? c->v->by_uid[at] : at;

        if (next != NULL)
            next[at] = at + 1;
        if ((c->seen[i / 8] >> (i % 8) & 1) != 0)
            continue;
        c->seen[i / 8] |= (uint8_t)(1 << (i % 8));
        c->hits[c->n++] = i;
    }
    sort_hits(c->hits + first, c->n - first);
}

static enum err make_tables(struct collector *c)
{
    for (int t = 0; t < 2; t++) {
        c->next[t] = reallocarray(NULL, (size_t)c->v->count + 1, sizeof *c->next[t]);
        if (c->next[t] == NULL)
            return ERR_NOMEM;
        for (uint32_t i = 0; i <= c->v->count; i++)
            c->next[t][i] = i;
    }
    return ERR_OK;
}

static enum err collect_all(const struct view *v, const struct view_range *ranges, size_t n,
                            uint64_t total, bool document, struct arena *a, struct view_set *out)
{
    struct collector c = {.v = v, .seen = calloc(v->count / 8 + 1, 1)};
    enum err e = c.seen != NULL ? ERR_OK : ERR_NOMEM;

    c.hits = arena_array(a, total < v->count ? total : v->count, sizeof *c.hits);
    if (e == ERR_OK && c.hits == NULL)
        e = ERR_NOMEM;
    if (e == ERR_OK && total / 4 > v->count)
        e = make_tables(&c);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        struct span s = span_of(v, &ranges[i]);

        if (s.count != 0)
            collect(&c, s);
    }
    if (e == ERR_OK && !document)
        sort_hits(c.hits, c.n);
    *out = (struct view_set){.count = c.n, .at = c.hits};
    free(c.seen);
    free(c.next[0]);
    free(c.next[1]);
    return e;
}

enum err view_set_eval(struct view *v, const struct view_range *ranges, size_t n, bool document,
                       struct arena *a, struct view_set *out)
{
    struct span only = {0};
    uint64_t total = 0;
    size_t used = 0;

    *out = (struct view_set){0};
    for (size_t i = 0; i < n; i++) {
        struct span s;

        if (ranges[i].by_uid && view_index(v) != ERR_OK)
            return ERR_NOMEM;
        s = span_of(v, &ranges[i]);
        total += s.count;
        used += s.count != 0;
        only = s.count != 0 ? s : only;
    }
    if (used == 0)
        return ERR_OK;
    if (used > 1 || only.table)
        return collect_all(v, ranges, n, total, document, a, out);
    *out = (struct view_set){.first = only.from, .count = only.count};
    return ERR_OK;
}
