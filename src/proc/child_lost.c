// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Peers that broke off, or were dropped, and of whose death the master has not told: the two could never speak again
 * (proc/child.h).
 *
 * Patience is counted in heartbeats that were run, not in time: for a machine or a process that stood still, or a clock that leaps, that
 * is one or two of them, however long it was; and what the master said meanwhile is read before the next one.
 */
#include "base/log.h"
#include "proc/child.h"

/* How far a role is trusted. */
static int rank_of(enum ipc_role role)
{
    return role == IPC_ROLE_AUTH     ? 3
           : role == IPC_ROLE_KEEPER ? 2
           : role == IPC_ROLE_WORKER ? 1
                                     : 0;
}

void child_lost_note(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation)
{
    if (rank_of(c->role) < rank_of(role))
        c->lost[role][number] = (struct child_lost){generation, CHILD_LOST_BEATS};
}

void child_lost_news(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation)
{
    if (c->lost[role][number].generation == generation)
        c->lost[role][number].beats = 0;
}

void child_lost_found(struct child *c, enum ipc_role role, uint32_t number)
{
    c->lost[role][number].beats = 0;
}

void child_lost_beat(struct child *c)
{
    for (int role = 0; role < IPC_ROLE_COUNT; role++) {
        for (uint32_t i = 0; i < CHILD_PEERS; i++) {
            struct child_lost *l = &c->lost[role][i];
            if (l->beats == 0 || --l->beats != 0)
                continue;
            log_write(LOG_FAILURES, "CHILD", 0, NULL, "%s %u: no way to speak to %s %u: ending",
                      ipc_role_name(c->role), c->number + 1, ipc_role_name((enum ipc_role)role),
                      i + 1);
            child_leave(c, 1);
        }
    }
}
