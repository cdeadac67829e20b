// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/load.h"

#include "conf/address.h"
#include "conf/ini.h"
#include "conf/near.h"
#include "conf/value.h"

#define LISTENER_NAME_MAX 64

enum err load_defaults(struct load *l, const struct row_section *s, void *base)
{
    for (uint32_t i = s->first; i < s->end; i++) {
        struct str why;
        uint32_t at;
        if (rows[i].type == ROW_ADDRESS) {
            *(struct str *)row_field(&rows[i], base) = STR("");
            continue;
        }
        enum err e = value_set(&rows[i], str_of(rows[i].def), l->arena, row_field(&rows[i], base),
                               &why, &at);
        BUG_IF(e == ERR_SYNTAX);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err load_begin(struct load *l)
{
    struct conf *c = ARENA_NEW(l->arena, struct conf);
    struct conf_lines *lines = ARENA_NEW(l->arena, struct conf_lines);
    if (c == NULL || lines == NULL)
        return ERR_NOMEM;
    l->c = c;
    c->lines = lines;
    /* Two listeners and one domain can be added to those of the file. */
    c->listeners = arena_array(l->arena, CONF_LISTENERS_MAX + 2, sizeof *c->listeners);
    c->domains = arena_array(l->arena, CONF_DOMAINS_MAX + 1, sizeof *c->domains);
    lines->listener = arena_array(l->arena, CONF_LISTENERS_MAX + 2, sizeof *lines->listener);
    lines->domain = arena_array(l->arena, CONF_DOMAINS_MAX + 1, sizeof *lines->domain);
    if (c->listeners == NULL || c->domains == NULL || lines->listener == NULL ||
        lines->domain == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < ROW_SECTIONS; i++) {
        if (row_sections[i].scope != ROW_FIXED)
            continue;
        enum err e = load_defaults(l, &row_sections[i], c);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* The copy of a section's name, in lower case; .p == NULL: no memory. */
static struct str lower_copy(struct arena *a, struct str s)
{
    char *to = arena_alloc(a, s.n + 1);
    if (to == NULL)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++)
        to[i] = str_lower(s.p[i]);
    return (struct str){to, s.n};
}

static void unknown_section(struct load *l, const struct ini_item *item)
{
    struct near near;
    near_init(&near, item->word);
    for (size_t i = 0; i < ROW_SECTIONS; i++)
        near_offer(&near, str_of(row_sections[i].name));
    struct str word = problem_quote(item->word);
    if (near.best.p != NULL)
        problem_add(l->bad, item->line, "unknown section [%.*s]; did you mean [%.*s]?",
                    STR_FMT(word), STR_FMT(near.best));
    else
        problem_add(
            l->bad, item->line,
            "unknown section [%.*s]; there are server, tls, login, limits, lmtp, http, postman, "
            "listener NAME and "
            "domain NAME",
            STR_FMT(word));
}

static enum err open_listener(struct load *l, const struct ini_item *item)
{
    struct conf *c = l->c;
    struct str name = problem_quote(item->name);
    if (c->nlisteners == CONF_LISTENERS_MAX) {
        problem_add(l->bad, item->line, "at most %d listeners are allowed", CONF_LISTENERS_MAX);
        return ERR_OK;
    }
    if (item->name.n > LISTENER_NAME_MAX)
        problem_add(l->bad, item->line, "the name of a listener can have %d bytes",
                    LISTENER_NAME_MAX);
    for (size_t i = 0; i < c->nlisteners; i++) {
        if (str_eq(c->listeners[i].name, item->name))
            problem_add(l->bad, item->line, "listener '%.*s' is there already, in line %u",
                        STR_FMT(name), c->listeners[i].line);
    }
    struct conf_listener *new = &c->listeners[c->nlisteners];
    *new = (struct conf_listener){.name = arena_str(l->arena, item->name), .line = item->line};
    l->base = new;
    l->lines = c->lines->listener[c->nlisteners++];
    return new->name.p != NULL ? load_defaults(l, l->section, new) : ERR_NOMEM;
}

/* domains[0] stays free for the main domain until check_whole(). */
static enum err open_domain(struct load *l, const struct ini_item *item)
{
    struct conf *c = l->c;
    struct str name = problem_quote(item->name);
    if (c->ndomains == 0)
        c->ndomains = 1;
    if (c->ndomains == CONF_DOMAINS_MAX + 1) {
        problem_add(l->bad, item->line, "at most %d domains are allowed", CONF_DOMAINS_MAX);
        return ERR_OK;
    }
    if (!address_is_domain(item->name))
        problem_add(l->bad, item->line, "'%.*s' is not the name of a domain", STR_FMT(name));
    for (size_t i = 1; i < c->ndomains; i++) {
        if (str_ieq(c->domains[i].name, item->name))
            problem_add(l->bad, item->line, "domain '%.*s' is there already, in line %u",
                        STR_FMT(name), c->domains[i].line);
    }
    struct conf_domain *new = &c->domains[c->ndomains];
    *new = (struct conf_domain){.name = lower_copy(l->arena, item->name), .line = item->line};
    l->base = new;
    l->lines = c->lines->domain[c->ndomains++];
    return new->name.p != NULL ? load_defaults(l, l->section, new) : ERR_NOMEM;
}

static void open_fixed(struct load *l, const struct ini_item *item)
{
    uint32_t *begun = &l->begun[l->section - row_sections];
    struct str name = problem_quote(item->name);
    if (item->name.n != 0)
        problem_add(l->bad, item->line, "section [%s] has no name; allowed is [%s] without '%.*s'",
                    l->section->name, l->section->name, STR_FMT(name));
    else if (*begun != 0)
        problem_add(l->bad, item->line, "section [%s] is there already, in line %u",
                    l->section->name, *begun);
    if (*begun == 0)
        *begun = item->line;
    l->base = l->c;
    l->lines = l->c->lines->fixed + l->section->first;
}

static enum err open_section(struct load *l, const struct ini_item *item)
{
    l->any_section = true;
    l->base = NULL;
    l->section = row_section_find(item->word);
    if (l->section == NULL) {
        unknown_section(l, item);
        return ERR_OK;
    }
    if (l->section->scope == ROW_FIXED) {
        open_fixed(l, item);
        return ERR_OK;
    }
    if (item->name.n == 0) {
        problem_add(l->bad, item->line, "section [%s] needs a name: [%s NAME]", l->section->name,
                    l->section->name);
        return ERR_OK;
    }
    return l->section->scope == ROW_LISTENER ? open_listener(l, item) : open_domain(l, item);
}

/* Another section that has such a setting. */
static const struct row *elsewhere(struct str name)
{
    for (size_t i = 0; i < ROW_SECTIONS; i++) {
        const struct row *r = row_find(&row_sections[i], name);
        if (r != NULL)
            return r;
    }
    return NULL;
}

static void unknown_setting(struct load *l, const struct ini_item *item)
{
    struct near near;
    struct str word = problem_quote(item->word);
    const struct row *other = elsewhere(item->word);
    near_init(&near, item->word);
    for (uint32_t i = l->section->first; i < l->section->end; i++)
        near_offer(&near, str_of(rows[i].name));
    if (other != NULL)
        problem_add(l->bad, item->line, "'%.*s' is no setting of [%s]; it belongs to [%s]",
                    STR_FMT(word), l->section->name, other->section);
    else if (near.best.p != NULL)
        problem_add(l->bad, item->line, "unknown setting '%.*s' in [%s]; did you mean '%.*s'?",
                    STR_FMT(word), l->section->name, STR_FMT(near.best));
    else
        problem_add(l->bad, item->line, "unknown setting '%.*s' in [%s]; see ximssd.conf(5)",
                    STR_FMT(word), l->section->name);
}

static enum err bad_value(struct load *l, const struct row *r, const struct ini_item *item,
                          struct str why, uint32_t at)
{
    struct near near;
    struct str value = problem_quote(item->value);
    near_init(&near, item->value);
    for (int i = 0; r->type == ROW_ENUM && row_word(r, i).p != NULL; i++)
        near_offer(&near, row_word(r, i));
    if (r->type == ROW_LIST)
        problem_add(l->bad, item->line + at, "bad value for '%s': %.*s", r->name, STR_FMT(why));
    else if (near.best.p != NULL)
        problem_add(l->bad, item->line, "bad value '%.*s' for '%s': %.*s; did you mean '%.*s'?",
                    STR_FMT(value), r->name, STR_FMT(why), STR_FMT(near.best));
    else
        problem_add(l->bad, item->line, "bad value '%.*s' for '%s': %.*s", STR_FMT(value), r->name,
                    STR_FMT(why));
    return ERR_OK;
}

static enum err set_value(struct load *l, const struct ini_item *item)
{
    struct str word = problem_quote(item->word), why;
    uint32_t at;
    if (!l->any_section)
        problem_add(l->bad, item->line,
                    "'%.*s' stands outside of a section; a [section] has to come first",
                    STR_FMT(word));
    if (l->section == NULL || l->base == NULL)
        return ERR_OK;
    const struct row *r = row_find(l->section, item->word);
    if (r == NULL) {
        unknown_setting(l, item);
        return ERR_OK;
    }
    uint32_t *line = &l->lines[(uint32_t)(r - rows) - l->section->first];
    if (*line != 0) {
        problem_add(l->bad, item->line, "'%s' is set already, in line %u", r->name, *line);
        return ERR_OK;
    }
    *line = item->line;
    enum err e = value_set(r, item->value, l->arena, row_field(r, l->base), &why, &at);
    return e == ERR_SYNTAX ? bad_value(l, r, item, why, at) : e;
}

enum err load_items(struct load *l, struct str text)
{
    struct ini ini;
    struct ini_item item;
    ini_init(&ini, text, l->arena);
    for (;;) {
        enum err e = ini_next(&ini, &item);
        if (e == ERR_OK && item.kind == INI_SECTION)
            e = open_section(l, &item);
        else if (e == ERR_OK && item.kind == INI_SETTING)
            e = set_value(l, &item);
        else if (e == ERR_OK && item.kind == INI_BAD)
            problem_add(l->bad, item.line, "%s", item.what);
        if (e != ERR_OK || item.kind == INI_END)
            return e;
    }
}
