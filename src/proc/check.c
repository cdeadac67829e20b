// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * check: reads a new configuration for the master, once, and ends (design 2.5). What a file could do to its reader, it
 * does to this process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proc/child.h"
#include "net/memfd.h"
#include "proc/priv.h"

#define ARENA_OF_CONF ((size_t)16 << 20)

/* The problems as text, cut at what an item can hold. */
static void say(struct child *c, enum err e, const struct conf_problems *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (to != NULL) {
        conf_problems_print(to, p);
        fclose(to);
    }
    struct str s =
        str_sub((struct str){text != NULL ? text : "", text != NULL ? n : 0}, 0, IPC_BODY_MAX);
    bus_put(&c->master, IPC_CHECKED, (uint32_t)e, 0, s);
    free(text);
}

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct conf_problems problems = {.count = 0};
    struct ipc_in in = {it->body, false};
    struct conf *conf;
    (void)from;
    if (it->type != IPC_CHECK)
        return;
    if (priv_lock(c->role) != ERR_OK)
        child_cannot_start(c, "giving up rights", "see above");
    arena_init(&c->next.arena, ARENA_OF_CONF);
    struct str label = ipc_get_str(&in);
    struct str text = memfd_map(it->fd, CONF_FILE_MAX + 1);
    close(it->fd);
    enum err e = text.p != NULL && ipc_in_end(&in) == ERR_OK
                     ? conf_load_text(label, text, &c->next.arena, &conf, &problems)
                     : ERR_PACKET;
    memfd_unmap(text);
    say(c, e, &problems);
    child_leave(c, bus_flush(&c->master) == ERR_OK ? 0 : 1); /* there are no rounds before START */
}

static const struct child_hooks hooks = {.item = item};

void check_setup(struct child *c)
{
    c->hooks = &hooks;
}
