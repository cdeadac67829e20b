// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/target.h"

#define OWNER_NAMES 2

enum err target_owner(struct req *r, struct mailbox_owner *out)
{
    struct str full = r->s->name;
    struct str *names = arena_array(&r->arena, OWNER_NAMES, sizeof *names);

    if (names == NULL)
        return ERR_NOMEM;
    names[0] = full;
    names[1] = str_sub(full, 0, str_find(full, '@'));
    *out = (struct mailbox_owner){.names = names, .count = OWNER_NAMES};
    return ERR_OK;
}

enum err target_resolve(struct req *r, struct str given, bool slash, bool may_create,
                        struct str *out)
{
    struct mailbox_owner self;
    enum err e = target_owner(r, &self);

    if (e == ERR_OK)
        e = mailbox_resolve(&self, given, slash, &r->arena, out);
    if (e == ERR_MAILBOX_NAME && !may_create &&
        (str_find(given, '%') < given.n || str_find(given, '*') < given.n))
        e = ERR_MAILBOX_MISSING;
    return e;
}
