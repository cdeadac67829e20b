// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The configuration of a child: at its start, and the two steps of a reload (design 2.5). The text comes from the
 * master as a sealed memfd and has been checked; parsing it again is the only form in which it travels.
 */
#include <unistd.h>

#include "base/log.h"
#include "net/memfd.h"
#include "proc/child.h"

#define ARENA_OF_CONF ((size_t)16 << 20)

static enum err parse(const struct ipc_item *it, struct child_conf *to)
{
    struct conf_problems problems;
    struct ipc_in in = {it->body, false};
    arena_init(&to->arena, ARENA_OF_CONF);
    struct str label = arena_str(&to->arena, ipc_get_str(&in));
    struct str text = memfd_map(it->fd, CONF_FILE_MAX);
    close(it->fd);
    to->number = it->id;
    if (ipc_in_end(&in) != ERR_OK || text.p == NULL || label.p == NULL)
        return ERR_PACKET;
    enum err e = conf_load_text(label, text, &to->arena, &to->conf, &problems);
    memfd_unmap(text);
    return e;
}

static void drop(struct child_conf *k)
{
    arena_free(&k->arena);
    *k = (struct child_conf){.conf = NULL};
}

void child_conf_take(struct child *c, const struct ipc_item *it)
{
    enum err e = parse(it, &c->now);
    if (e != ERR_OK) /* the master has checked the same bytes: it is memory that is missing */
        child_cannot_start(c, "configuration", err_name(e));
    c->conf = c->now.conf;
    log_set_level((enum log_level)c->conf->server.log_level);
}

static void forget(struct child *c)
{
    if (c->started && c->next.conf != NULL && c->hooks->forget != NULL)
        c->hooks->forget(c);
    drop(&c->next);
}

void child_conf_prepare(struct child *c, const struct ipc_item *it)
{
    forget(c);
    enum err e = parse(it, &c->next);
    if (e == ERR_OK && !c->started)
        e = ERR_TIMEOUT; /* it could not start, and is about to leave */
    if (e == ERR_OK && c->hooks->prepare != NULL)
        e = c->hooks->prepare(c, c->next.conf);
    if (e != ERR_OK)
        forget(c);
    bus_put(&c->master, IPC_PREPARED, it->id, (uint32_t)e, STR_NONE);
}

void child_conf_apply(struct child *c, const struct ipc_item *it)
{
    if (it->id == 0 || c->next.conf == NULL || c->next.number != it->id) {
        forget(c);
        return;
    }
    struct child_conf old = c->now;
    c->now = c->next;
    c->next = (struct child_conf){.conf = NULL};
    c->conf = c->now.conf;
    log_set_level((enum log_level)c->conf->server.log_level);
    if (c->hooks->apply != NULL)
        c->hooks->apply(c, old.conf);
    drop(&old);
}
