// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/hub.h"

#include "ximss/folder.h"
#include "ximss/locale.h"
#include "ximss/session.h"

void hub_init(struct hub *h)
{
    idmap_init(&h->accounts);
    h->waiting = NULL;
    h->tail = &h->waiting;
}

void hub_free(struct hub *h)
{
    BUG_IF(h->accounts.count != 0);
    idmap_free(&h->accounts);
}

struct session *hub_first(const struct hub *h, int64_t account)
{
    return idmap_get(&h->accounts, (uint64_t)account);
}

enum err hub_add(struct hub *h, struct session *s)
{
    s->peer = hub_first(h, s->account);
    return idmap_put(&h->accounts, (uint64_t)s->account, s);
}

static void leave_line(struct hub *h, struct session *s)
{
    struct session **at = &h->waiting;

    if (!s->waiting)
        return;
    while (*at != s)
        at = &(*at)->waiting_next;
    *at = s->waiting_next;
    if (*at == NULL)
        h->tail = at;
    s->waiting_next = NULL;
    s->waiting = false;
}

void hub_remove(struct hub *h, struct session *s)
{
    struct session *first = hub_first(h, s->account);

    leave_line(h, s);
    if (first == s) {
        idmap_remove(&h->accounts, (uint64_t)s->account);
        /* Cannot fail: a place has just become free. */
        if (s->peer != NULL && idmap_put(&h->accounts, (uint64_t)s->account, s->peer) != ERR_OK)
            BUG_IF(true);
        return;
    }
    for (struct session *at = first; at != NULL; at = at->peer)
        if (at->peer == s) {
            at->peer = s->peer;
            return;
        }
}

void hub_on_change(void *hub, const struct store_change *c)
{
    bool removed = (c->what & STORE_MAILBOX_REMOVED) != 0;
    bool prefs = (c->what & STORE_PREFS) != 0;

    for (struct session *s = hub_first(hub, c->account); s != NULL; s = s->peer) {
        if (prefs)
            locale_forget(s);
        else
            folders_mailbox_changed(s, c->mailbox, removed);
    }
}

struct session *hub_next(struct hub *h)
{
    struct session *s = h->waiting;

    if (s != NULL)
        leave_line(h, s);
    return s;
}

void hub_announce(struct hub *h, struct session *s)
{
    if (s->waiting)
        return;
    s->waiting = true;
    s->waiting_next = NULL;
    *h->tail = s;
    h->tail = &s->waiting_next;
}
