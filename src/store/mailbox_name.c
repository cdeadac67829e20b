// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/mailbox.h"

#include "base/utf8.h"

static bool component_ok(struct str c, bool first)
{
    if (c.n == 0 || c.n > MAILBOX_COMPONENT_MAX || c.p[0] == ' ' || c.p[c.n - 1] == ' ')
        return false;
    if (str_eq(c, STR(".")) || str_eq(c, STR("..")) || (first && c.p[0] == '~'))
        return false;
    for (size_t i = 0; i < c.n; i++)
        if ((unsigned char)c.p[i] < 0x20 || c.p[i] == 0x7f)
            return false;
    return utf8_valid(c);
}

enum err mailbox_name_check(struct str name, bool slash)
{
    struct str c;
    uint32_t n = 0;

    if (name.n == 0 || name.n > MAILBOX_NAME_MAX)
        return ERR_MAILBOX_NAME;
    if (slash && name.n > 1 && name.p[name.n - 1] == '/')
        name.n--;
    while (str_split(&name, '/', &c))
        if (!component_ok(c, n == 0) || ++n > MAILBOX_COMPONENTS_MAX)
            return ERR_MAILBOX_NAME;
    return ERR_OK;
}

/* Is it one of the asker's own names? */
static bool is_self(const struct mailbox_owner *self, struct str name)
{
    for (size_t i = 0; i < self->count; i++)
        if (str_ieq(self->names[i], name))
            return true;
    return false;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

/* Length of a first component INBOX in any case, else 0. */
static size_t inbox_length(struct str s)
{
    return str_ieq(str_sub(s, 0, str_find(s, '/')), STR("INBOX")) ? 5 : 0;
}

enum err mailbox_resolve(const struct mailbox_owner *self, struct str given, bool slash,
                         struct arena *a, struct str *out)
{
    struct str path = given;
    size_t fold;
    char *copy;
    enum err e;

    if (given.n > MAILBOX_NAME_MAX)
        return ERR_MAILBOX_NAME;
    if (given.n != 0 && given.p[0] == '~') {
        size_t at = str_find(given, '/');
        struct str who = str_sub(given, 1, at - 1);

        if (at == given.n || who.n == 0 || has_control(who))
            return ERR_MAILBOX_NAME;
        path = str_sub(given, at + 1, given.n);
        if (!is_self(self, who))
            return mailbox_name_check(path, slash) == ERR_OK ? ERR_MAILBOX_DENIED
                                                             : ERR_MAILBOX_NAME;
    }
    e = mailbox_name_check(path, slash);
    if (e != ERR_OK)
        return e;
    copy = arena_alloc(a, path.n + 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, path.p, path.n);
    fold = inbox_length(path);
    memcpy(copy, "INBOX", fold);
    *out = (struct str){copy, path.n};
    return ERR_OK;
}

/* Where to go on when the pattern stops fitting. */
struct retry {
    bool on;
    size_t i, j; /* in pattern and text */
};

bool mailbox_match(struct str p, struct str t, size_t fold)
{
    struct retry star = {0}, pct = {0};
    size_t i = 0, j = 0;

    for (;;) {
        if (i < p.n && p.p[i] == '*') {
            star = (struct retry){true, i++, j};
            pct.on = false;
        } else if (i < p.n && p.p[i] == '%') {
            pct = (struct retry){true, i++, j};
        } else if (i < p.n && j < t.n &&
                   (p.p[i] == t.p[j] || (j < fold && str_lower(p.p[i]) == str_lower(t.p[j])))) {
            i++;
            j++;
        } else if (i == p.n && j == t.n) {
            return true;
        } else if (pct.on && pct.j < t.n && t.p[pct.j] != '/') {
            j = ++pct.j;
            i = pct.i + 1;
        } else if (star.on && star.j < t.n) {
            pct.on = false;
            j = ++star.j;
            i = star.i + 1;
        } else {
            return false;
        }
    }
}
