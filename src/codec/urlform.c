// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/urlform.h"

#include "codec/urlpath.h"

static enum err read_param(struct arena *a, struct str piece, struct urlform_param *p)
{
    size_t equals = str_find(piece, '=');
    enum err e = url_decode(a, str_sub(piece, 0, equals), true, &p->name);
    if (e != ERR_OK)
        return e;
    p->value = STR("");
    return equals < piece.n ? url_decode(a, str_sub(piece, equals + 1, piece.n), true, &p->value)
                            : ERR_OK;
}

enum err urlform_parse(struct arena *a, struct str text, struct urlform *out)
{
    struct str piece;
    out->n = 0;
    while (str_split(&text, '&', &piece)) {
        if (piece.n == 0)
            continue;
        if (out->n == URLFORM_PARAMS)
            return ERR_TOO_LONG;
        enum err e = read_param(a, piece, &out->param[out->n]);
        if (e != ERR_OK)
            return e;
        out->n++;
    }
    return ERR_OK;
}

static struct str first_of(const struct urlform *f, struct str name)
{
    for (uint32_t i = 0; f != NULL && i < f->n; i++) {
        if (str_ieq(f->param[i].name, name))
            return f->param[i].value;
    }
    return STR_NONE;
}

struct str urlform_get(const struct urlform *body, const struct urlform *query, struct str name)
{
    struct str value = first_of(body, name);
    return value.p != NULL ? value : first_of(query, name);
}

enum err urlform_bool(const struct urlform *body, const struct urlform *query, struct str name,
                      bool *out)
{
    return str_bool(urlform_get(body, query, name), out);
}
