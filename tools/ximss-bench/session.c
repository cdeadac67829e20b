// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-bench/session.h"

#include <stdlib.h>

#define HELD_MAX ((size_t)64 << 20)

void account_name(const struct options *o, uint32_t account, char *to, size_t room)
{
    snprintf(to, room, "bench%u@%s", account, o->domain);
}

static void send_login(struct session *s)
{
    char name[300], line[900];
    account_name(s->o, s->account, name, sizeof name);
    int n = snprintf(line, sizeof line, "<login id=\"L\" authData=\"%s\" password=\"%s\"/>", name,
                     s->o->password);
    link_send(&s->l, (struct str){line, (size_t)n + 1});
}

static void is_up(struct session *s)
{
    s->is_up = true;
    s->up(s);
}

static void one_message(struct session *s, struct str message)
{
    if (s->is_up)
        s->message(s, message);
    else if (str_eq(message, STR("<response id=\"L\"/>")))
        is_up(s);
    else if (!str_starts(message, STR("<session ")))
        fail("login of bench%u: %.*s", s->account, STR_FMT(message));
}

static void cut(struct session *s, struct str data)
{
    while (data.n != 0 && s->l.fd != -1) {
        size_t at = str_find(data, '\0');
        if (at >= data.n) {
            buf_str(&s->held, data);
            return;
        }
        struct str message = str_sub(data, 0, at);
        if (s->held.n != 0) {
            buf_str(&s->held, message);
            message = buf_slice(&s->held);
        }
        one_message(s, message);
        buf_clear(&s->held);
        data = str_sub(data, at + 1, data.n);
    }
}

static void on_link(struct link *l, enum link_event what, struct str data)
{
    struct session *s = CONTAINER_OF(l, struct session, l);
    switch (what) {
    case LINK_UP:
        if (!s->o->no_login)
            send_login(s);
        else
            is_up(s);
        break;
    case LINK_DATA:
        cut(s, data);
        break;
    case LINK_DOWN:
        if (s->down == NULL || !s->is_up)
            fail("the server closed a connection of bench%u", s->account);
        s->down(s);
        break;
    }
}

void session_open(struct session *s, const struct options *o, uint32_t account)
{
    s->o = o;
    s->account = account;
    s->is_up = false;
    buf_init(&s->held, HELD_MAX);
    link_open(&s->l, &o->to, o->ctx, on_link);
}

void session_close(struct session *s)
{
    link_close(&s->l);
    buf_free(&s->held);
}

/* --- many */

static void set_flag(struct session *s)
{
    *(bool *)s->owner = true;
}

static void ignore(struct session *s, struct str message)
{
    (void)s, (void)message;
}

void sessions_first_logins(const struct options *o)
{
    for (uint32_t i = 0; !o->no_login && !o->no_first && i < o->accounts; i++) {
        bool up = false;
        struct session s = {.up = set_flag, .message = ignore, .owner = &up};
        session_open(&s, o, i);
        link_wait(&up, "first login");
        session_close(&s);
    }
}

struct opening {
    const struct options *o;
    struct session *const *s;
    session_fn *up; /* theirs */
    uint32_t n, begun, done;
    bool all;
};

static void open_next(struct opening *all)
{
    struct session *s = all->s[all->begun];
    s->owner = all;
    session_open(s, all->o, all->begun % all->o->accounts);
    all->begun++;
}

static void opened(struct session *s)
{
    struct opening *all = s->owner;
    s->up = all->up;
    if (++all->done == all->n)
        all->all = true;
    else if (all->begun < all->n)
        open_next(all);
}

void sessions_open(struct session *const *s, uint32_t n, const struct options *o)
{
    struct opening all = {.o = o, .s = s, .up = s[0]->up, .n = n};
    for (uint32_t i = 0; i < n; i++)
        s[i]->up = opened;
    for (uint32_t i = 0; i < o->parallel && i < n; i++)
        open_next(&all);
    link_wait(&all.all, "opening sessions");
    for (uint32_t i = 0; i < n; i++)
        s[i]->owner = NULL;
}
