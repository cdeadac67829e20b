// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * diff: what a reload changes, for the admin who asked for it.
 */
#include <stdio.h>

#include "conf/rows.h"
#include "conf/value.h"

struct diff {
    conf_change_fn *fn;
    void *arg;
};

static void compare_rows(const struct diff *d, const struct row_section *s, struct str name,
                         const void *old, const void *new)
{
    for (uint32_t i = s->first; i < s->end; i++) {
        if (value_same(&rows[i], row_value(&rows[i], old), row_value(&rows[i], new)))
            continue;
        struct conf_change c = {
            .section = s->name, .name = name, .setting = rows[i].name, .when = rows[i].when};
        d->fn(d->arg, &c);
    }
}

/* Sections with a name: the base of the i-th, and its name, in both configurations. */
struct named {
    const char *base;
    size_t count, size;
};

static struct str name_of(const struct named *n, size_t i)
{
    return *(const struct str *)(const void *)(n->base +
                                               i * n->size); /* both structs begin with it */
}
_Static_assert(offsetof(struct conf_listener, name) == 0 && offsetof(struct conf_domain, name) == 0,
               "the name comes first");

static const char *find(const struct named *in, struct str name)
{
    for (size_t i = 0; i < in->count; i++) {
        if (str_ieq(name_of(in, i), name))
            return in->base + i * in->size;
    }
    return NULL;
}

static void compare_named(const struct diff *d, const struct row_section *s,
                          const struct named *old, const struct named *new)
{
    for (size_t i = 0; i < old->count; i++) {
        struct str name = name_of(old, i);
        const char *now = find(new, name);
        struct conf_change gone = {
            .section = s->name, .name = name, .removed = true, .when = CONF_RELOAD};
        if (now != NULL)
            compare_rows(d, s, name, old->base + i * old->size, now);
        else
            d->fn(d->arg, &gone);
    }
    for (size_t i = 0; i < new->count; i++) {
        struct conf_change c = {
            .section = s->name, .name = name_of(new, i), .added = true, .when = CONF_RELOAD};
        if (find(old, c.name) == NULL)
            d->fn(d->arg, &c);
    }
}

void conf_changes(const struct conf *old, const struct conf *new, conf_change_fn *fn, void *arg)
{
    struct diff d = {fn, arg};
    struct named lists[2][2] = {
        {{(const char *)old->listeners, old->nlisteners, sizeof *old->listeners},
         {(const char *)new->listeners, new->nlisteners, sizeof *new->listeners}},
        {{(const char *)old->domains, old->ndomains, sizeof *old->domains},
         {(const char *)new->domains, new->ndomains, sizeof *new->domains}}};
    for (size_t i = 0; i < ROW_SECTIONS; i++) {
        const struct row_section *s = &row_sections[i];
        if (s->scope == ROW_FIXED)
            compare_rows(&d, s, STR(""), old, new);
        else
            compare_named(&d, s, &lists[s->scope == ROW_DOMAIN][0],
                          &lists[s->scope == ROW_DOMAIN][1]);
    }
}

void conf_change_text(const struct conf_change *c, char *to, size_t size)
{
    if (c->name.n == 0)
        snprintf(to, size, "%s.%s", c->section, c->setting);
    else
        snprintf(to, size, "[%s %.*s] %s", c->section, STR_FMT(c->name),
                 c->added     ? "added"
                 : c->removed ? "removed"
                              : c->setting);
}
