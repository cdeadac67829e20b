// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/child_log.h"

#include <unistd.h>

#include "base/clock.h"
#include "codec/ipclog.h"

static void expire(struct timer *t)
{
    struct child_log *l = CONTAINER_OF(t, struct child_log, expiry);
    int64_t next = log_rules_expire(clock_mono());
    if (next != 0)
        loop_timer_set_at(l->loop, &l->expiry, next);
}

void child_log_init(struct child_log *l)
{
    *l = (struct child_log){.journal = -1};
    timer_init(&l->expiry, expire);
    log_open(STDERR_FILENO, LOG_MAJOR);
}

void child_log_rules(struct child_log *l, struct loop *loop, const struct ipc_item *it)
{
    struct log_rule rules[LOG_RULES_MAX];
    size_t n;
    BUG_IF(ipc_log_get(it->body, rules, &n) != ERR_OK);
    l->loop = loop;
    log_rules_set(rules, n);
    loop_timer_cancel(loop, &l->expiry);
    expire(&l->expiry);
}

void child_log_to(struct child_log *l, const struct ipc_item *it)
{
    int old = l->journal;
    log_flush(); /* to where it was meant to go, if that is possible */
    l->journal = -1;
    if (it->id == 1) {
        l->journal = it->fd;
        log_open_journal(it->fd);
    } else {
        /* Libraries, sanitizers and abort() write to standard error: it goes to the same place. */
        if (dup2(it->fd, STDERR_FILENO) >= 0)
            log_open(STDERR_FILENO, log_get_level());
        close(it->fd);
    }
    if (old >= 0)
        close(old);
}
