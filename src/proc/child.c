// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/child.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/child_ctl.h"
#include "proc/master.h"
#include "proc/priv.h"

#define BEAT           CLOCK_SEC
#define GIVE_BACK      ((size_t)1 << 20) /* unused memory that the system gets back */
#define READ_PACKETS   16                /* of one peer and round */
#define ARENA_OF_CHILD ((size_t)64 << 20)

struct child_peer *child_peer(struct child *c, enum ipc_role role, uint32_t number)
{
    return number < CHILD_PEERS ? c->peers[role][number] : NULL;
}

void child_leave(struct child *c, int exit_code)
{
    c->exit_code = exit_code;
    loop_stop(c->loop);
}

void child_cannot_start(const struct child *c, const char *what, const char *why)
{
    log_write(LOG_FAILURES, "CHILD", 0, NULL, "%s %u: cannot start: %s: %s", ipc_role_name(c->role),
              c->number + 1, what, why);
    log_flush();
    _exit(1);
}

/* --- peers */

static void peer_closed(void *p)
{
    free(p);
}

static void peer_lost(struct child_peer *p)
{
    struct child *c = p->c;
    if (c->peers[p->bus.role][p->bus.number] != p)
        return; /* known already */
    c->peers[p->bus.role][p->bus.number] = NULL;
    if (c->started)
        c->hooks->peer_gone(c, p);
    loop_io_close(&p->io, peer_closed);
    bus_free(&p->bus);
}

/* It broke off, or was dropped for what it did. */
static void peer_broken(struct child_peer *p)
{
    child_lost_note(p->c, p->bus.role, p->bus.number, p->bus.generation);
    peer_lost(p);
}

void child_drop_peer(struct child_peer *p)
{
    peer_lost(p);
}

void child_drop_peers(struct child *c)
{
    for (int role = 0; role < IPC_ROLE_COUNT; role++) {
        for (uint32_t i = 0; i < c->npeers[role]; i++) {
            struct child_peer *p = c->peers[role][i];
            c->peers[role][i] = NULL;
            if (p == NULL)
                continue;
            loop_io_close(&p->io, peer_closed);
            bus_free(&p->bus);
        }
    }
}

static void peer_ready(void *arg, unsigned events)
{
    struct child_peer *p = arg;
    if ((events & LOOP_READ) == 0 || !p->c->started)
        return; /* writing happens at the end of the round */
    enum err e = bus_read(&p->bus, loop_was_long(p->c->loop) ? READ_PACKETS : 1);
    if (e == ERR_EOF || e == ERR_PACKET || e == ERR_NET)
        peer_broken(p);
}

static void peer_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct child_peer *p = b->arg;
    p->c->hooks->item(p->c, b, it);
}

static void add_peer(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    enum ipc_role role = (enum ipc_role)ipc_get_u32(&in);
    uint32_t number = ipc_get_u32(&in), generation = ipc_get_u32(&in);
    BUG_IF(ipc_in_end(&in) != ERR_OK || role >= IPC_ROLE_COUNT || number >= CHILD_PEERS);
    if (c->peers[role][number] != NULL)
        peer_lost(c->peers[role][number]);
    child_lost_found(c, role, number);
    struct child_peer *p = calloc(1, sizeof *p);
    if (p == NULL) {
        close(it->fd);
        child_lost_note(c, role, number, generation);
        return;
    }
    p->c = c;
    bus_init(&p->bus, it->fd, c->role, role, peer_item, p);
    p->bus.number = number;
    p->bus.generation = generation;
    p->bus.queue_max = role == IPC_ROLE_WORKER ? c->hooks->queue_max : 0;
    if (loop_io_open(c->loop, &p->io, it->fd, LOOP_READ, peer_ready, p) != ERR_OK) {
        bus_free(&p->bus);
        free(p);
        child_lost_note(c, role, number, generation);
        return;
    }
    c->peers[role][number] = p;
    if (number >= c->npeers[role])
        c->npeers[role] = number + 1;
    if (c->started)
        c->hooks->peer_up(c, p);
}

static void drop_peer(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    enum ipc_role role = (enum ipc_role)ipc_get_u32(&in);
    uint32_t number = ipc_get_u32(&in), generation = ipc_get_u32(&in);
    BUG_IF(ipc_in_end(&in) != ERR_OK || role >= IPC_ROLE_COUNT || number >= CHILD_PEERS);
    struct child_peer *p = c->peers[role][number];
    child_lost_news(c, role, number, generation);
    if (p == NULL || p->bus.generation != generation) {
        if (c->started && c->hooks->gone_before != NULL)
            c->hooks->gone_before(c, role, number, generation);
        return;
    }
    /* What it said before it died still counts. */
    while (c->started && p->bus.fd >= 0 && bus_read(&p->bus, READ_PACKETS) == ERR_OK)
        ;
    peer_lost(p);
}

/* --- what the master hands out */

static void *map_shared(const struct child *c, const struct ipc_item *it, size_t *bytes)
{
    struct ipc_in in = {it->body, false};
    *bytes = (size_t)ipc_get_u64(&in);
    BUG_IF(ipc_in_end(&in) != ERR_OK);
    void *mem = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, it->fd, 0);
    close(it->fd);
    if (mem == MAP_FAILED)
        child_cannot_start(c, "shared memory", strerror(errno));
    return mem;
}

static void take_segment(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint64_t bytes = ipc_get_u64(&in);
    int rc = ipc_in_end(&in) == ERR_OK ? shm_attach(&c->shm, it->fd, (size_t)bytes) : EPROTO;
    close(it->fd);
    if (rc != 0)
        child_cannot_start(c, "its part of the shared table", strerror(rc));
}

static void end_of_round(void *arg);

/* The order is that of proc/priv.h. */
static enum err give_up_rights(struct child *c, struct priv_id id)
{
    if (c->hooks->load != NULL)
        c->hooks->load();
    enum err e = priv_enter(c->role, c->conf, id);
    if (e == ERR_OK)
        e = c->hooks->start(c);
    return e == ERR_OK ? priv_lock(c->role) : e;
}

static void begin(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    c->banks = ipc_get_u32(&in);
    c->keepers = ipc_get_u32(&in);
    struct priv_id id = {ipc_get_u32(&in), ipc_get_u32(&in)};
    BUG_IF(ipc_in_end(&in) != ERR_OK);
    enum err e = give_up_rights(c, id);
    if (e != ERR_OK)
        child_cannot_start(c, "opening what it needs", err_name(e));
    loop_check_add(c->loop, end_of_round,
                   c); /* behind those that start() has added: what they produce leaves too */
    if (c->hooks->begin != NULL)
        c->hooks->begin(c);
    c->started = true;
    for (int role = 0; role < IPC_ROLE_COUNT; role++) {
        for (uint32_t i = 0; i < CHILD_PEERS; i++) {
            if (c->peers[role][i] != NULL)
                c->hooks->peer_up(c, c->peers[role][i]);
        }
    }
    bus_put(&c->master, IPC_READY, 0, 0, STR_NONE);
}

static void stop(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint64_t within = ipc_get_u64(&in);
    BUG_IF(ipc_in_end(&in) != ERR_OK || it->id > IPC_STOP_HAND);
    if (c->started && c->hooks->stop != NULL && it->id != IPC_STOP_NOW)
        c->hooks->stop(c, (enum ipc_stop)it->id, (int64_t)within);
    else
        child_leave(c, 0);
}

static void master_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct child *c = b->arg;
    switch (it->type) {
    case IPC_CONFIG:
        child_conf_take(c, it);
        break;
    case IPC_PREPARE:
        child_conf_prepare(c, it);
        break;
    case IPC_APPLY:
        child_conf_apply(c, it);
        break;
    case IPC_SHM:
        take_segment(c, it);
        break;
    case IPC_GATE:
        c->gate_mem = map_shared(c, it, &c->gate_bytes);
        break;
    case IPC_FAILLOG:
        c->faillog_mem = map_shared(c, it, &c->faillog_bytes);
        break;
    case IPC_PEER:
        add_peer(c, it);
        break;
    case IPC_GONE:
        drop_peer(c, it);
        break;
    case IPC_START:
        begin(c, it);
        break;
    case IPC_LOG_RULES:
        child_log_rules(&c->log, c->loop, it);
        break;
    case IPC_LOG_TO:
        child_log_to(&c->log, it);
        break;
    case IPC_CTL:
        child_ctl(c, it);
        break;
    case IPC_STOP:
        stop(c, it);
        break;
    default:
        c->hooks->item(c, b, it);
        break;
    }
}

static void master_ready(void *arg, unsigned events)
{
    struct child *c = arg;
    if ((events & LOOP_READ) == 0)
        return;
    enum err e = bus_read(&c->master, READ_PACKETS);
    if (e == ERR_EOF || e == ERR_PACKET || e == ERR_NET)
        child_leave(c, 0); /* without a master nobody looks after us */
}

/* --- rounds */

/* false: it cannot be written to any more. */
static bool flush(struct bus_peer *b, struct loop_io *io, bool *wants_write)
{
    enum err e = bus_flush(b);
    bool want = e == ERR_AGAIN;
    if (want != *wants_write) {
        *wants_write = want;
        loop_io_set(io, want ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    }
    return !b->broken;
}

static void end_of_round(void *arg)
{
    struct child *c = arg;
    if (c->hooks->round != NULL)
        c->hooks->round(c);
    if (!flush(&c->master, &c->master_io, &c->master_wants_write))
        child_leave(c, 1);
    for (int role = 0; role < IPC_ROLE_COUNT; role++) {
        for (uint32_t i = 0; i < c->npeers[role]; i++) {
            struct child_peer *p = c->peers[role][i];
            if (p == NULL || (bus_unsent(&p->bus) == 0 && !p->wants_write && !p->bus.broken))
                continue;
            if (!flush(&p->bus, &p->io, &p->wants_write)) {
                peer_broken(p);
                loop_again(c->loop); /* what others are told of it leaves in the next round */
            }
        }
    }
    log_flush();
}

/* What many who have gone leave behind: the C library gives back by itself only what lies at the end of the heap. */
static void give_back(struct child *c)
{
    struct mallinfo2 all = mallinfo2();
    if (all.fordblks <= c->unused + GIVE_BACK) {
        if (all.fordblks < c->unused)
            c->unused = all.fordblks;
        return;
    }
    malloc_trim(0);
    c->unused =
        mallinfo2().fordblks; /* counts pages that are given back, too, until they are used again */
}

static void beat(struct timer *t)
{
    struct child *c = CONTAINER_OF(t, struct child, beat);
    give_back(c);
    bus_put(&c->master, IPC_HEARTBEAT, 0, 0, STR_NONE);
    child_lost_beat(c);
    loop_timer_set(c->loop, t, BEAT);
}

void child_ignore_signals(void)
{
    static const int list[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        signal(list[i], SIG_IGN);
}

int child_run(struct child *c)
{
    if (loop_new(&c->loop) != ERR_OK)
        child_cannot_start(c, "no event loop", strerror(errno));
    bus_init(&c->master, CHILD_BUS_FD, c->role, IPC_ROLE_MASTER, master_item, c);
    if (loop_io_open(c->loop, &c->master_io, CHILD_BUS_FD, LOOP_READ, master_ready, c) != ERR_OK)
        child_cannot_start(c, "no way to the master", strerror(errno));
    timer_init(&c->beat, beat);
    loop_timer_set(c->loop, &c->beat, BEAT);
    loop_run(c->loop);
    return c->exit_code;
}

static void (*const setups[IPC_ROLE_COUNT])(struct child *) = {
    [IPC_ROLE_WORKER] = worker_setup, [IPC_ROLE_KEEPER] = keeper_setup,
    [IPC_ROLE_AUTH] = auth_setup,     [IPC_ROLE_HASHER] = hasher_setup,
    [IPC_ROLE_HELPER] = helper_setup, [IPC_ROLE_CHECK] = check_setup,
};

int child_main(int argc, char **argv)
{
    static struct child c;
    uint64_t number = 0, generation = 0;
    if (argc != 3 || str_u64(str_of(argv[1]), CHILD_PEERS - 1, &number) != ERR_OK ||
        str_u64(str_of(argv[2]), UINT32_MAX, &generation) != ERR_OK)
        return 2;
    for (int role = 1; role < IPC_ROLE_COUNT; role++) {
        if (setups[role] != NULL && strcmp(argv[0], ipc_role_name((enum ipc_role)role)) == 0)
            c.role = (enum ipc_role)role;
    }
    if (c.role == IPC_ROLE_ANY)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setenv("TZ", ":/etc/localtime", 0); /* unset, every mktime() opens it anew */
    c.number = (uint32_t)number;
    c.generation = (uint32_t)generation;
    clock_init();
    tzset();
    child_log_init(&c.log);
    child_ignore_signals();
    arena_init(&c.arena, ARENA_OF_CHILD);
    setups[c.role](&c);
    const char *name = ipc_role_name(c.role);
    char comm[16]; /* what top, pgrep and the kernel's log call it: /proc/self/exe would be "exe" */
    snprintf(comm, sizeof comm, "ximssd-%s", name);
    prctl(PR_SET_NAME, comm);
    if (c.role == IPC_ROLE_AUTH)
        setproctitle("%s", name);
    else
        setproctitle("%s %u", name, c.number + 1);
    return child_run(&c);
}
