// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ctlmsg.h"
#include "proc/child.h"
#include "proc/ctl.h"
#include "proc/handover.h"
#include "proc/lastwords.h"
#include "proc/logs.h"
#include "proc/zones.h"
#include "shm/shm_master.h"

#define SHORT_LIFE    (2 * CLOCK_SEC) /* dying sooner counts as a failure to start */
#define BACKOFF_FIRST (250 * CLOCK_MS)
#define BACKOFF_LAST  (60 * CLOCK_SEC)

struct master_child *master_child_find(struct master *m, enum ipc_role role, uint32_t number)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].role == role && m->children[i].number == number)
            return &m->children[i];
    }
    return NULL;
}

static bool pairs_in_order(const struct master *m, const struct master_child *a,
                           const struct master_child *b)
{
    switch (a->role) {
    case IPC_ROLE_WORKER:
        return b->role == IPC_ROLE_KEEPER || b->role == IPC_ROLE_AUTH;
    case IPC_ROLE_AUTH:
        return b->role == IPC_ROLE_KEEPER || b->role == IPC_ROLE_HASHER;
    case IPC_ROLE_KEEPER:
        return b->role == IPC_ROLE_HELPER && b->number % m->keepers == a->number;
    default:
        return false;
    }
}

bool master_pairs(const struct master *m, const struct master_child *a,
                  const struct master_child *b)
{
    return pairs_in_order(m, a, b) || pairs_in_order(m, b, a);
}

/* --- what a child says */

/* A helper or hasher is over its time; only who gives it jobs may say so. */
static void kill_stuck(struct master_child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    enum ipc_role role = (enum ipc_role)ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK || (role != IPC_ROLE_HELPER && role != IPC_ROLE_HASHER))
        return;
    struct master_child *h = master_child_find(c->m, role, it->id);
    if (h == NULL || h->pid == 0 || h->generation != it->seq || !pairs_in_order(c->m, c, h))
        return;
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s %u is over its time: killed",
              ipc_role_name(role), h->number + 1);
    kill(h->pid, SIGKILL);
}

static void on_item(struct bus_peer *p, const struct ipc_item *it)
{
    struct master_child *c = p->arg;
    c->beat = clock_mono();
    switch (it->type) {
    case IPC_READY:
        c->ready = true;
        log_write(LOG_LOW, "MASTER", 0, NULL, "%s %u is ready", ipc_role_name(c->role),
                  c->number + 1);
        break;
    case IPC_HEARTBEAT:
        if (c->has_shm)
            shm_master_beat(c->m->shm, c->shm_slot, c->beat);
        break;
    case IPC_STUCK:
        kill_stuck(c, it);
        break;
    case IPC_CHECKED:
    case IPC_PREPARED:
        reload_item(c->m, c, it);
        break;
    case IPC_HANDED_PEER:
    case IPC_HANDED_SPOOL:
    case IPC_HANDED:
        handover_item(c->m, c, it);
        break;
    case IPC_CTL_ANSWER:
        ctl_answer(c->m->ctl, c, it);
        break;
    default:
        if (it->fd >= 0)
            close(it->fd);
        break;
    }
}

/* --- what a child is given */

static void give(struct master_child *c, enum ipc_type t, uint32_t id, int fd, struct str body)
{
    bus_send(&c->bus, &(struct ipc_item){.type = t, .id = id, .fd = fd, .body = body});
}

static struct str u64_body(const uint64_t *v)
{
    return (struct str){(const char *)v, sizeof *v};
}

static void give_peer(struct master_child *to, const struct master_child *other, int fd)
{
    uint32_t body[3] = {other->role, other->number, other->generation};
    give(to, IPC_PEER, 0, fd, (struct str){(const char *)body, sizeof body});
}

static enum err give_peers(struct master_child *c)
{
    struct master *m = c->m;
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *o = &m->children[i];
        int fds[2];
        if (o == c || o->pid == 0 || !master_pairs(m, c, o))
            continue;
        int old = handover_socket(m, c, o);
        if (old >= 0) { /* the other end knows nothing else */
            give_peer(c, o, old);
            continue;
        }
        enum err e = bus_pair(fds);
        if (e != ERR_OK)
            return e;
        give_peer(c, o, fds[0]);
        give_peer(o, c, fds[1]);
        close(fds[0]);
        close(fds[1]);
    }
    return ERR_OK;
}

static void give_certificate(struct master_child *c)
{
    struct master *m = c->m;
    char body[sizeof m->cert_bytes + sizeof m->ticket_keys];
    if (m->tls_fd < 0)
        return;
    memcpy(body, &m->cert_bytes, sizeof m->cert_bytes);
    memcpy(body + sizeof m->cert_bytes, m->ticket_keys, sizeof m->ticket_keys);
    give(c, IPC_TLS, 0, m->tls_fd, (struct str){body, sizeof body});
    explicit_bzero(body, sizeof body);
}

void master_give_certificate(struct master *m)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].role == IPC_ROLE_WORKER && m->children[i].pid != 0)
            give_certificate(&m->children[i]);
    }
}

static void give_listener(struct master_child *c, uint32_t i)
{
    const struct master_listener *l = &c->m->listeners[i];
    uint32_t shared = l->count == 1;
    if (l->count != 0)
        give(c, IPC_LISTENER, i, l->fds[shared ? 0 : c->number % c->m->workers],
             (struct str){(const char *)&shared, sizeof shared});
}

void master_give_listeners(struct master *m)
{
    for (uint32_t i = 0; i < m->nlisteners; i++) {
        for (uint32_t k = 0; k < m->nchildren && m->listeners[i].fresh; k++) {
            if (m->children[k].role == IPC_ROLE_WORKER && m->children[k].pid != 0)
                give_listener(&m->children[k], i);
        }
        m->listeners[i].fresh = false;
    }
}

static void give_worker_things(struct master_child *c)
{
    for (uint32_t i = 0; i < c->m->nlisteners; i++)
        give_listener(c, i);
    give_certificate(c);
}

static enum err give_segment(struct master_child *c, uint32_t rows)
{
    size_t size;
    int fd;
    int rc = shm_master_segment(c->m->shm, ipc_role_name(c->role), c->number, c->generation, rows,
                                &c->shm_slot, &fd, &size);
    if (rc != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "shared table: %s", strerror(rc));
        return ERR_SYS;
    }
    uint64_t bytes = size;
    c->has_shm = true;
    shm_master_pid(c->m->shm, c->shm_slot, c->pid, clock_mono());
    give(c, IPC_SHM, 0, fd, u64_body(&bytes));
    close(fd);
    return ERR_OK;
}

static void give_gone(struct master_child *to, const struct master_child *gone)
{
    uint32_t body[3] = {gone->role, gone->number, gone->generation};
    give(to, IPC_GONE, 0, -1, (struct str){(const char *)body, sizeof body});
}

/* What they held in the gate may still stand there: nobody told the auth before. */
static void give_dead(struct master_child *auth)
{
    struct master *m = auth->m;
    for (uint32_t i = 0; i < m->nchildren; i++) {
        const struct master_child *o = &m->children[i];
        bool has_places = o->role == IPC_ROLE_WORKER || o->role == IPC_ROLE_KEEPER;
        if (has_places && o->pid == 0 && o->generation != 0)
            give_gone(auth, o);
    }
}

static enum err give_everything(struct master_child *c)
{
    struct master *m = c->m;
    struct buf b;
    uint64_t bytes;
    enum err e = ERR_OK;
    if (c->role == IPC_ROLE_CHECK)
        return ERR_OK; /* the reload gives it what it needs */
    buf_init(&b, IPC_INLINE_MAX);
    ipc_put_str(&b, str_of(m->conf_path != NULL ? m->conf_path : ""));
    give(c, IPC_CONFIG, 0, m->conf_fd, buf_slice(&b));
    buf_free(&b);
    logs_give(m->logs, c);
    if (c->role == IPC_ROLE_WORKER || c->role == IPC_ROLE_KEEPER || c->role == IPC_ROLE_AUTH) {
        bytes = m->gate_bytes;
        give(c, IPC_GATE, 0, m->gate_fd, u64_body(&bytes));
    }
    if (c->role == IPC_ROLE_KEEPER && zones_load(&m->zones_fd))
        give(c, IPC_ZONES, 0, m->zones_fd, STR_NONE);
    if (c->role == IPC_ROLE_AUTH) {
        bytes = m->faillog_bytes;
        give(c, IPC_FAILLOG, 0, m->faillog_fd, u64_body(&bytes));
    }
    if (c->role == IPC_ROLE_WORKER || c->role == IPC_ROLE_KEEPER || c->role == IPC_ROLE_AUTH)
        e = give_segment(c, c->role == IPC_ROLE_WORKER   ? m->channels_room
                            : c->role == IPC_ROLE_KEEPER ? m->conf->http.sessions
                                                         : 1);
    if (c->role == IPC_ROLE_WORKER)
        give_worker_things(c);
    if (e == ERR_OK)
        e = give_peers(c);
    handover_give(m, c);
    struct priv_id id = priv_id_of(&m->users, c->role);
    uint32_t start[4] = {m->banks, m->keepers, id.uid, id.gid};
    give(c, IPC_START, 0, -1, (struct str){(const char *)start, sizeof start});
    if (c->role == IPC_ROLE_AUTH)
        give_dead(c);
    return e;
}

void master_say_all(struct master *m, struct str text)
{
    struct buf b;
    buf_init(&b, IPC_INLINE_MAX);
    ipc_put_str(&b, text);
    for (uint32_t i = 0; i < m->nchildren && buf_err(&b) == ERR_OK; i++) {
        if (m->children[i].role == IPC_ROLE_KEEPER && m->children[i].ready)
            bus_put(&m->children[i].bus, IPC_CTL, CTL_SESSION_SAY_ALL, 0, buf_slice(&b));
    }
    buf_free(&b);
}

/* --- birth */

_Noreturn static void become_child(const struct master_child *c, int bus_fd)
{
    char number[16], generation[16], role[16];
    snprintf(role, sizeof role, "%s", ipc_role_name(c->role));
    snprintf(number, sizeof number, "%u", c->number);
    snprintf(generation, sizeof generation, "%u", c->generation);
    char *argv[] = {(char[]){"ximssd"}, (char[]){"--role"}, role, number, generation, NULL};
    child_ignore_signals(); /* no moment without, once the mask is lifted */
    sigprocmask(SIG_SETMASK, &c->m->old_mask, NULL);
    if (dup2(bus_fd, CHILD_BUS_FD) < 0)
        _exit(127);
    execv("/proc/self/exe", argv);
    _exit(127);
}

void master_child_adopt(struct master_child *c, int fd)
{
    bus_init(&c->bus, fd, IPC_ROLE_MASTER, c->role, on_item, c);
    c->bus.number = c->number;
    c->bus.generation = c->generation;
}

void master_child_stop(struct master_child *c, enum ipc_stop how, int64_t until)
{
    int64_t left = until - clock_mono();
    uint64_t within = left > 0 ? (uint64_t)left : 0;
    bus_put(&c->bus, IPC_STOP, how, 0, u64_body(&within));
    c->stopping = true;
}

enum err master_child_start(struct master_child *c)
{
    int fds[2];
    enum err e = bus_pair(fds);
    if (e != ERR_OK)
        return e;
    if (!handover_waits(c->m, c))
        c->generation++;
    log_flush();
    pid_t pid = fork();
    if (pid == 0)
        become_child(c, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "fork: %s", strerror(errno));
        close(fds[0]);
        return ERR_SYS;
    }
    c->pid = pid;
    c->ready = false;
    c->old = false;
    c->stopping = false;
    c->overdue = false;
    c->started = c->beat = clock_mono();
    master_child_adopt(c, fds[0]);
    e = give_everything(c);
    handover_end(c->m, c);
    if (e != ERR_OK)
        kill(pid, SIGKILL); /* its end is seen like any other */
    return ERR_OK;
}

/* --- death */

static void plan_respawn(struct master_child *c, bool orderly)
{
    int64_t now = clock_mono();
    if (orderly || now - c->started >= SHORT_LIFE)
        c->failures = 0;
    int64_t wait = 0;
    if (c->failures != 0) {
        wait = BACKOFF_FIRST;
        for (uint32_t i = 1; i < c->failures && wait < BACKOFF_LAST; i++)
            wait *= 2;
    }
    c->failures++;
    c->respawn_at = now + (wait < BACKOFF_LAST ? wait : BACKOFF_LAST);
}

static void tell_others(struct master_child *gone)
{
    struct master *m = gone->m;
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *o = &m->children[i];
        if (o != gone && o->pid != 0 && master_pairs(m, gone, o))
            give_gone(o, gone);
    }
}

/* Who, of what, and what it was at. */
static void log_death(const struct master_child *c, int status, int64_t now)
{
    char words[LASTWORDS_MAX] = "", silent[48] = "";
    struct shm_last last;
    if (c->has_shm) {
        shm_master_last(c->m->shm, c->shm_slot, &last);
        lastwords_text(words, c->role, &last, now);
    }
    if (c->overdue)
        snprintf(silent, sizeof silent, " after %llds of silence",
                 (long long)((now - c->beat) / CLOCK_SEC));
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s %u (pid %d) ended %s %d%s%s%s",
              ipc_role_name(c->role), c->number + 1, (int)c->pid,
              WIFSIGNALED(status) ? "by signal" : "with code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), silent,
              words[0] != 0 ? ": " : "", words);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_write(LOG_CRASH, "MASTER", 0, NULL,
                  "%s %u (pid %d) was ended by the kernel (SIGSYS): it made a system call that its "
                  "role is not allowed; the kernel's log has its number. A fault of ours, or "
                  "somebody has taken the process over",
                  ipc_role_name(c->role), c->number + 1, (int)c->pid);
}

void master_child_gone(struct master *m, pid_t pid, int status)
{
    struct master_child *c = NULL;
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid == pid)
            c = &m->children[i];
    }
    if (c == NULL)
        return;
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!orderly)
        log_death(c, status, clock_mono());
    /* What it said before it died still counts. */
    while (bus_read(&c->bus, 64) == ERR_OK)
        ;
    c->pid = 0;
    c->ready = false;
    if (c->has_shm)
        shm_master_retire(m->shm, c->shm_slot);
    c->has_shm = false;
    bus_free(&c->bus);
    ctl_child_gone(m->ctl, c);
    reload_child_gone(m, c);
    if (!handover_child_gone(m, c))
        tell_others(c);
    plan_respawn(c, orderly);
}
