// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/handover.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/master.h"

void handover_init(struct handover *h)
{
    *h = (struct handover){.sessions = -1, .spool = -1};
}

static void forget(struct handover *h)
{
    for (uint32_t i = 0; i < h->npeers; i++)
        close(h->peers[i].fd);
    if (h->sessions >= 0)
        close(h->sessions);
    if (h->spool >= 0)
        close(h->spool);
    handover_init(h);
}

void handover_begin(struct master *m, struct master_child *keeper)
{
    struct handover *h = &m->upgrade.handover;
    int64_t now = clock_mono();
    forget(h);
    h->keeper = keeper;
    h->deadline = now + HANDOVER_OLD;
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "upgrade: keeper %u hands over", keeper->number + 1);
    master_child_stop(keeper, IPC_STOP_HAND, now + HANDOVER_DRAIN);
}

static bool take_peer(struct handover *h, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct handover_peer p = {.fd = it->fd};
    p.role = ipc_get_u32(&in);
    p.number = ipc_get_u32(&in);
    p.generation = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK || h->npeers == ARRAY_LEN(h->peers))
        return false;
    h->peers[h->npeers++] = p;
    return true;
}

void handover_item(struct master *m, const struct master_child *c, const struct ipc_item *it)
{
    struct handover *h = &m->upgrade.handover;
    bool taken = false;
    if (h->keeper == c && c->stopping && !h->handed) {
        if (it->type == IPC_HANDED_PEER) {
            taken = take_peer(h, it);
        } else if (it->type == IPC_HANDED_SPOOL) {
            taken = h->spool < 0;
            if (taken)
                h->spool = it->fd;
        } else {
            h->sessions = it->fd;
            h->handed = taken = true;
        }
    }
    if (!taken)
        close(it->fd);
}

bool handover_child_gone(struct master *m, const struct master_child *c)
{
    struct handover *h = &m->upgrade.handover;
    if (h->keeper != c)
        return false;
    h->ended = true;
    if (h->handed)
        return true;
    log_write(LOG_FAILURES, "MASTER", 0, NULL,
              "keeper %u ended without handing over: its sessions end", c->number + 1);
    forget(h);
    return false;
}

bool handover_waits(const struct master *m, const struct master_child *c)
{
    return m->upgrade.handover.keeper == c && m->upgrade.handover.ended;
}

int handover_socket(const struct master *m, const struct master_child *c,
                    const struct master_child *other)
{
    const struct handover *h = &m->upgrade.handover;
    for (uint32_t i = 0; handover_waits(m, c) && i < h->npeers; i++) {
        const struct handover_peer *p = &h->peers[i];
        if (p->role == other->role && p->number == other->number &&
            p->generation == other->generation)
            return p->fd;
    }
    return -1;
}

void handover_give(struct master *m, struct master_child *c)
{
    const struct handover *h = &m->upgrade.handover;
    if (!handover_waits(m, c))
        return;
    bus_send(&c->bus, &(struct ipc_item){.type = IPC_SESSIONS, .fd = h->sessions});
    if (h->spool >= 0)
        bus_send(&c->bus, &(struct ipc_item){.type = IPC_SPOOL, .fd = h->spool});
}

void handover_end(struct master *m, const struct master_child *c)
{
    if (handover_waits(m, c))
        forget(&m->upgrade.handover);
}

void handover_tick(struct master *m, int64_t now)
{
    struct handover *h = &m->upgrade.handover;
    if (h->keeper != NULL && !h->ended && now >= h->deadline) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "keeper %u takes too long to hand over: killed",
                  h->keeper->number + 1);
        kill(h->keeper->pid, SIGKILL);
        h->deadline = INT64_MAX;
    }
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (c->role != IPC_ROLE_KEEPER || c->pid == 0 || c->ready || c->overdue ||
            now - c->started < HANDOVER_NEW)
            continue;
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "keeper %u takes too long to start: killed",
                  c->number + 1);
        kill(c->pid, SIGKILL);
        c->overdue = true;
    }
}
