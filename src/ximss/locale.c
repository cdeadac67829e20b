// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/locale.h"

#include "store/prefs.h"

/* A preference that is a short word. ERR_NOT_FOUND: not set, or something else. */
static enum err read_word(const struct session *s, struct str name, char to[LANGUAGE_MAX],
                          struct str *out)
{
    struct buf b;
    enum err e;

    buf_init(&b, LANGUAGE_MAX);
    e = prefs_get(s->store, s->account, name, &b);
    *out = (struct str){to, b.n};
    if (e == ERR_NOMEM)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK &&
        (b.n == 0 || str_find(buf_slice(&b), '<') != b.n || str_find(buf_slice(&b), '&') != b.n))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        memcpy(to, b.p, b.n);
    buf_free(&b);
    return e;
}

const struct zone *session_zone(struct session *s)
{
    char text[LANGUAGE_MAX];
    struct str name;
    enum err e;

    if (s->zone_known)
        return s->zone;
    s->zone = NULL;
    e = read_word(s, STR("TimeZone"), text, &name);
    if (e == ERR_OK && s->x->zones != NULL)
        s->zone = zones_find(s->x->zones, name);
    s->zone_known = e == ERR_OK || e == ERR_NOT_FOUND;
    return s->zone;
}

void locale_forget(struct session *s)
{
    s->zone_known = false;
}

struct str locale_default(const struct session *s)
{
    size_t at = str_find(s->name, '@');

    if (s->x->language == NULL)
        return STR("english");
    return s->x->language(s->x->language_arg, str_sub(s->name, at + 1, s->name.n));
}

enum err locale_language(const struct session *s, char to[LANGUAGE_MAX], struct str *out)
{
    enum err e = read_word(s, STR("Language"), to, out);

    if (e != ERR_NOT_FOUND)
        return e;
    *out = locale_default(s);
    return ERR_OK;
}
