// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_prefs: prefsRead, prefsStore (protocol 3, 6.1 to 6.3).
 *
 * Names that this server knows are matched without regard to case and stored as documented; all others are the client's own,
 * to the byte (protocol/README rule 2). Who has set none gets the defaults of prefs.tbl.
 *
 * Both are one slice each: prefsStore is all or nothing, and what an account can have is bounded (store_limits).
 */
#include <stdlib.h>

#include "codec/xname.h"
#include "codec/xout.h"
#include "store/prefs.h"
#include "ximss/args.h"
#include "ximss/locale.h"
#include "ximss/object_xml.h"
#include "ximss/ops/handlers.h"

enum prefs_type { PREFS_EFFECTIVE, PREFS_CUSTOM, PREFS_DEFAULT };

static const char *const type_names[] = {
    [PREFS_EFFECTIVE] = "", [PREFS_CUSTOM] = "custom", [PREFS_DEFAULT] = "default"};

static const struct {
    const char *name, *value;
} known[] = {
#define PREF(name, value) {name, value},
#include "ximss/prefs.tbl"
#undef PREF
};
#define KNOWN ARRAY_LEN(known)

static enum err read_type(const struct req *r, enum prefs_type *out)
{
    struct str given = str_trim(arg_str(r, "type"));

    for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
        if (str_ieq(given, str_of(type_names[i]))) {
            *out = (enum prefs_type)i;
            return ERR_OK;
        }
    return ERR_ATTR_VALUE;
}

/* The place in the table, or KNOWN; *name gets the documented spelling. */
static size_t find_known(struct str *name)
{
    size_t i = 0;

    while (i < KNOWN && !str_ieq(*name, str_of(known[i].name)))
        i++;
    if (i < KNOWN)
        *name = str_of(known[i].name);
    return i;
}

static struct str default_of(const struct req *r, size_t i)
{
    if (i == KNOWN)
        return STR("");
    return str_eq(str_of(known[i].name), STR("Language")) ? locale_default(r->s)
                                                          : str_of(known[i].value);
}

/* --- prefsRead */

struct reading {
    struct req *r;
    enum prefs_type type;
    bool any;     /* an element is written */
    size_t known; /* defaults before this one have had their turn */
};

static void write_pref(struct reading *x, struct str name, struct str value)
{
    struct buf *out = x->r->out;

    if (!x->any)
        xout_body(out);
    x->any = true;
    xout_open_str(out, name);
    if (value.n == 0) {
        xout_empty(out);
        return;
    }
    xout_body(out);
    buf_str(out, value);
    xout_close_str(out, name);
}

/* Defaults whose name comes before `name` (.p == NULL: all that are left); one of the same name is stepped over. */
static void write_defaults(struct reading *x, struct str name)
{
    for (; x->type != PREFS_CUSTOM && x->known < KNOWN; x->known++) {
        struct str at = str_of(known[x->known].name), value = default_of(x->r, x->known);
        int c = name.p != NULL ? str_cmp(at, name) : -1;
        if (c > 0)
            return;
        if (c < 0 && value.n != 0)
            write_pref(x, at, value);
    }
}

static void write_custom(void *arg, struct str name, struct str value)
{
    struct reading *x = arg;

    write_defaults(x, name);
    write_pref(x, name, value);
}

static enum err read_all(struct reading *x)
{
    enum err e = ERR_OK;

    if (x->type != PREFS_DEFAULT)
        e = prefs_each(x->r->s->store, x->r->s->account, write_custom, x);
    if (e == ERR_OK)
        write_defaults(x, STR_NONE);
    return e;
}

static enum err read_one(struct reading *x, struct str name, struct buf *value)
{
    size_t i = find_known(&name);
    const struct session *s = x->r->s;
    struct str without = x->type != PREFS_CUSTOM ? default_of(x->r, i) : STR("");
    enum err e = ERR_NOT_FOUND;

    buf_clear(value);
    if (x->type != PREFS_DEFAULT)
        e = prefs_get(s->store, s->account, name, value);
    if (e == ERR_OK)
        write_pref(x, name, buf_slice(value));
    else if (e == ERR_NOT_FOUND && without.n != 0)
        write_pref(x, name, without);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

struct asked {
    struct str name; /* .p == NULL: it was asked for before */
    uint32_t at;
};

static int by_name(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    int c = str_cmp(x->name, y->name);

    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* In the order of the request, each once. */
static void drop_repeated(struct asked *list, uint32_t n)
{
    struct str last = STR_NONE;

    qsort(list, n, sizeof *list, by_name);
    for (uint32_t i = 0; i < n; i++)
        if (i != 0 && str_eq(list[i].name, last))
            list[i].name = STR_NONE;
        else
            last = list[i].name;
    qsort(list, n, sizeof *list, by_place);
}

static enum err list_names(const struct reading *x, const struct xelem *first, struct asked **out,
                           uint32_t *count)
{
    uint32_t n = 0, max = store_limits(x->r->s->store)->prefs;

    for (const struct xelem *at = first; at != NULL; at = xelem_next(at, "name"))
        if (++n > max)
            return ERR_ATTR_VALUE;
    *out = arena_array(&x->r->arena, n, sizeof **out);
    if (*out == NULL)
        return ERR_NOMEM;
    *count = n;
    n = 0;
    for (const struct xelem *at = first; at != NULL; at = xelem_next(at, "name"), n++) {
        (*out)[n] = (struct asked){str_trim(at->text), n};
        find_known(&(*out)[n].name);
    }
    drop_repeated(*out, *count);
    return ERR_OK;
}

static enum err read_named(struct reading *x, const struct xelem *first)
{
    struct asked *list;
    uint32_t n = 0;
    struct buf value;
    enum err e = list_names(x, first, &list, &n);

    buf_init(&value, SIZE_MAX);
    for (uint32_t i = 0; i < n && e == ERR_OK; i++)
        if (list[i].name.p != NULL)
            e = read_one(x, list[i].name, &value);
    buf_free(&value);
    return e;
}

enum err op_prefs_read(struct req *r)
{
    struct reading x = {.r = r};
    const struct xelem *name = xelem_child(r->root, "name");
    enum err e = read_type(r, &x.type);

    if (e != ERR_OK)
        return e;
    req_open(r, "prefs");
    if (x.type != PREFS_EFFECTIVE)
        xout_attr_lit(r->out, "type", type_names[x.type]);
    e = name != NULL ? read_named(&x, name) : read_all(&x);
    if (e != ERR_OK) {
        buf_clear(r->out);
        return e;
    }
    if (x.any)
        xout_close(r->out, "prefs");
    else
        xout_empty(r->out);
    xout_end(r->out);
    return ERR_OK;
}

/* --- prefsStore */

static bool is_reset(const struct xelem *e)
{
    if (e->child == NULL)
        return str_eq(e->text, STR("default"));
    return !e->mixed && xelem_is(e->child, "default") && e->child->next == NULL;
}

struct storing {
    struct req *r;
    struct buf value;
    uint32_t count; /* elements so far, and their bytes: no more than an account may have */
    size_t bytes;
    bool only_check;
};

static enum err store_pref(struct storing *x, const struct xelem *e)
{
    const struct session *s = x->r->s;
    const struct store_limits *limits = store_limits(s->store);
    bool reset = is_reset(e);
    struct str name = e->name;
    enum err err = ERR_OK;

    find_known(&name);
    buf_clear(&x->value);
    if (++x->count > limits->prefs || !xname_portable(name) || name.n > PREF_NAME_MAX)
        return ERR_ATTR_VALUE;
    if (!reset)
        err = object_write(e, &x->r->arena, &x->value);
    if (x->value.failed) /* it holds as much as a value may have */
        err = ERR_ATTR_VALUE;
    x->bytes += x->value.n;
    if (err == ERR_OK && x->bytes > limits->prefs_bytes)
        err = ERR_ATTR_VALUE;
    if (err != ERR_OK || x->only_check)
        return err;
    return reset ? prefs_unset(s->store, s->account, name)
                 : prefs_set(s->store, s->account, name, buf_slice(&x->value));
}

enum err op_prefs_store(struct req *r)
{
    struct storing x = {.r = r};
    enum prefs_type type;
    enum err e = read_type(r, &type);

    if (e == ERR_OK && str_trim(r->root->text).n != 0)
        e = ERR_ATTR_VALUE;
    x.only_check = type == PREFS_DEFAULT;
    buf_init(&x.value, store_limits(r->s->store)->pref_bytes);
    for (const struct xelem *at = r->root->child; at != NULL && e == ERR_OK; at = at->next)
        e = store_pref(&x, at);
    buf_free(&x.value);
    if (e != ERR_OK)
        return e;
    /* Defaults are the domain's, and there are no administrators yet. */
    return x.only_check ? ERR_PERMISSION : prefs_changed(r->s->store, r->s->account);
}
