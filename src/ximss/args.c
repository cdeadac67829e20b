// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/args.h"

struct str arg_str(const struct req *r, const char *name)
{
    return xelem_attr(r->root, name);
}

enum err arg_need(const struct req *r, const char *name, struct str *out)
{
    *out = xelem_attr(r->root, name);
    return out->n != 0 ? ERR_OK : ERR_ATTR_MISSING;
}

enum err arg_bool(const struct req *r, const char *name, bool absent, bool *out)
{
    struct str v = xelem_attr(r->root, name);

    *out = absent;
    if (v.p == NULL)
        return ERR_OK;
    return str_bool(str_trim(v), out) == ERR_OK ? ERR_OK : ERR_ATTR_VALUE;
}

enum err arg_u64(const struct req *r, const char *name, uint64_t max, uint64_t absent,
                 uint64_t *out)
{
    struct str v = xelem_attr(r->root, name);

    *out = absent;
    if (v.p == NULL)
        return ERR_OK;
    return str_u64(str_trim(v), max, out) == ERR_OK ? ERR_OK : ERR_ATTR_VALUE;
}

enum err arg_limit(const struct req *r, const char *name, uint64_t *out)
{
    struct str v = xelem_attr(r->root, name);

    *out = UINT64_MAX;
    if (v.p == NULL || str_eq(str_trim(v), STR("-1")))
        return ERR_OK;
    return str_u64(str_trim(v), INT64_MAX, out) == ERR_OK ? ERR_OK : ERR_ATTR_VALUE;
}
