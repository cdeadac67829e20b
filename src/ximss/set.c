// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/set.h"

/* All digits; what is too large for a UID or index is only "beyond the end". */
static enum err read_number(struct str s, uint64_t *out)
{
    enum err e = str_u64(str_trim(s), UINT32_MAX, out);

    if (e == ERR_RANGE)
        *out = UINT64_MAX;
    return e == ERR_OK || e == ERR_RANGE ? ERR_OK : ERR_ATTR_VALUE;
}

static void set_range(struct view_range *to, uint64_t from, uint64_t till)
{
    if (from > UINT32_MAX) { /* wholly outside: empty */
        from = 1;
        till = 0;
    }
    to->from = (uint32_t)from;
    to->till = till > UINT32_MAX ? UINT32_MAX : (uint32_t)till;
}

static enum err read_element(const struct xelem *x, struct view_range *to)
{
    struct str a = xelem_attr(x, "from"), b = xelem_attr(x, "till");
    uint64_t from = 0, till = UINT32_MAX;
    enum err e = ERR_OK;

    if (a.p == NULL && b.p == NULL) {
        e = read_number(x->text, &from);
        till = from;
    }
    if (a.p != NULL)
        e = read_number(a, &from);
    if (e == ERR_OK && b.p != NULL)
        e = read_number(b, &till);
    if (e == ERR_OK)
        set_range(to, from, till);
    return e;
}

enum err set_read(struct req *r, struct set *out)
{
    uint32_t n = 0;

    *out = (struct set){0};
    for (const struct xelem *x = r->root->child; x != NULL; x = x->next)
        n += xelem_is(x, "UID") || xelem_is(x, "index");
    if (n > r->s->x->limits.set_elements)
        return ERR_ATTR_VALUE;
    if (n == 0)
        return ERR_OK;
    out->ranges = arena_array(&r->arena, n, sizeof *out->ranges);
    if (out->ranges == NULL)
        return ERR_NOMEM;
    for (const struct xelem *x = r->root->child; x != NULL; x = x->next) {
        struct view_range *to = &out->ranges[out->count];
        to->by_uid = xelem_is(x, "UID");
        if (!to->by_uid && !xelem_is(x, "index"))
            continue;
        enum err e = read_element(x, to);
        if (e != ERR_OK)
            return e;
        out->count++;
    }
    return ERR_OK;
}
