// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/ctl.h"
#include "proc/logs.h"
#include "shm/shm_master.h"

#define CHILDREN_MAX 512
#define BEAT         CLOCK_SEC
#define WORKER_STALL (5 * CLOCK_SEC)
#define KEEPER_STALL (30 * CLOCK_SEC)
#define START_STALL  (30 * CLOCK_SEC)

/* --- children: who is to run, in the order of starting */

static void add_children(struct master *m, enum ipc_role role, uint32_t count, uint32_t *at)
{
    for (uint32_t i = 0; i < count; i++)
        m->children[(*at)++] =
            (struct master_child){.m = m, .role = role, .number = i, .bus.fd = -1};
}

enum err master_children(struct master *m)
{
    uint32_t at = 0;
    m->nchildren = 2 + m->hashers + m->keepers + m->helpers + 2 * m->workers;
    m->children = calloc(m->nchildren, sizeof *m->children);
    if (m->children == NULL)
        return ERR_NOMEM;
    add_children(m, IPC_ROLE_HASHER, m->hashers, &at);
    add_children(m, IPC_ROLE_AUTH, 1, &at);
    add_children(m, IPC_ROLE_HELPER, m->helpers, &at);
    add_children(m, IPC_ROLE_KEEPER, m->keepers, &at);
    add_children(m, IPC_ROLE_WORKER, 2 * m->workers, &at); /* two banks (proc/upgrade.h) */
    add_children(m, IPC_ROLE_CHECK, 1, &at);               /* runs when a reload wants it */
    return ERR_OK;
}

/* Workers accept clients, so they start when all the others say that they serve. */
static bool may_start(const struct master *m, const struct master_child *c)
{
    if (c->pid != 0 || m->stopping || reload_running(m) || c->role == IPC_ROLE_CHECK ||
        (m->draining && c->role == IPC_ROLE_WORKER) || !upgrade_may_start(m, c))
        return false;
    if (c->role != IPC_ROLE_WORKER || c->generation != 0 || m->resumed)
        return true;
    for (uint32_t i = 0; i < m->nchildren; i++) {
        const struct master_child *o = &m->children[i];
        if (o->role != IPC_ROLE_WORKER && o->role != IPC_ROLE_CHECK && !o->ready)
            return false;
    }
    return true;
}

static void start_due(struct master *m, int64_t now)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (may_start(m, c) && c->respawn_at <= now && master_child_start(c) != ERR_OK)
            c->respawn_at = now + CLOCK_SEC;
    }
}

static int64_t patience_with(const struct master_child *c)
{
    if (!c->ready)
        return START_STALL;
    return c->role == IPC_ROLE_KEEPER ? KEEPER_STALL : WORKER_STALL;
}

bool master_child_silent(const struct master_child *c, int64_t now)
{
    /* A helper's and a hasher's budget is watched by who gave the job, the check's by the reload. */
    return c->pid != 0 && c->role != IPC_ROLE_HELPER && c->role != IPC_ROLE_HASHER &&
           c->role != IPC_ROLE_CHECK && now - c->beat > patience_with(c);
}

static void kill_stalled(struct master *m, int64_t now)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (!c->overdue && master_child_silent(c, now)) {
            log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s %u is silent: killed",
                      ipc_role_name(c->role), c->number + 1);
            kill(c->pid, SIGKILL);
            c->overdue = true;
        }
    }
}

/* It is the master who was away (stopped, paused with its machine): what the others said meanwhile is still unread. */
static void forgive_silence(struct master *m, int64_t now)
{
    for (uint32_t i = 0; i < m->nchildren; i++)
        m->children[i].beat = now;
}

/* --- the end: workers first, then those they speak to */

static bool role_runs(const struct master *m, enum ipc_role role)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0 && (role == IPC_ROLE_ANY || m->children[i].role == role))
            return true;
    }
    return false;
}

static void stop_workers(struct master *m, int64_t until)
{
    for (uint32_t i = 0; i < m->nlisteners; i++)
        master_listener_close(&m->listeners[i]);
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0 && m->children[i].role == IPC_ROLE_WORKER)
            master_child_stop(&m->children[i], IPC_STOP_CLOSE, until);
    }
}

static void begin_stop(struct master *m, int64_t grace)
{
    int64_t now = clock_mono();
    if (m->stopping)
        return;
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "stopping");
    if (!m->draining || m->stop_at > now + grace)
        m->alert_at = now;
    m->stopping = true;
    m->stop_at = now + grace;
    m->stop_deadline = m->stop_at + 10 * CLOCK_SEC;
    stop_workers(m, m->stop_at);
    master_tell_stopping(m);
}

void master_drain(struct master *m, int64_t within)
{
    int64_t now = clock_mono(), grace = m->conf->server.shutdown_grace;
    if (m->stopping)
        return;
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "draining: no new connections; the end in %llds",
              (long long)(within / CLOCK_SEC));
    m->draining = true;
    m->stop_at = now + within;
    m->alert_at = within > grace ? m->stop_at - grace : now;
    stop_workers(m, m->stop_at);
}

static void stop_step(struct master *m)
{
    int64_t now = clock_mono();
    bool workers = role_runs(m, IPC_ROLE_WORKER);
    if (m->alert_at != 0 && now >= m->alert_at) {
        m->alert_at = 0;
        if (m->stop_at > now && workers)
            master_say_all(m, STR("The server is shutting down."));
    }
    if (m->draining && !m->stopping && !workers)
        begin_stop(m, 0);
    for (uint32_t i = 0; i < m->nchildren && m->stopping; i++) {
        struct master_child *c = &m->children[i];
        if (c->pid != 0 && now > m->stop_deadline)
            kill(c->pid, SIGKILL);
        else if (c->pid != 0 && !c->stopping && !workers)
            master_child_stop(c, IPC_STOP_CLOSE, now);
    }
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        master_child_gone(m, pid, status);
}

/* New files take effect for new connections. A pair that is not usable changes nothing (the log says why). */
static void renew_certificate(struct master *m)
{
    struct certificate_stamp now = certificate_stamp(m->conf);
    uint64_t cert_bytes;
    int fd;
    if (m->tls_fd < 0 || reload_running(m) || certificate_same(&now, &m->cert_stamp))
        return;
    m->cert_stamp = now;
    if (certificate_load(m->conf, &fd, &cert_bytes) != ERR_OK || fd < 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "the certificate in use stays");
        return;
    }
    m->cert_stamp = certificate_stamp(m->conf); /* loading may have made the files */
    close(m->tls_fd);
    m->tls_fd = fd;
    m->cert_bytes = cert_bytes;
    master_give_certificate(m);
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "new certificate in use");
}

static void on_signals(struct master *m)
{
    struct signalfd_siginfo si;
    while (read(m->signal_fd, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGCHLD)
            reap(m);
        else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
            begin_stop(m, m->conf->server.shutdown_grace);
        else if (si.ssi_signo == SIGHUP)
            reload_begin(m, 0);
        else if (si.ssi_signo == SIGUSR1)
            logs_reopen(m->logs, m);
    }
}

/* --- the loop */

static void read_child(struct master_child *c)
{
    enum err e = bus_read(&c->bus, 64);
    /*
     * One of ours that breaks the rules has been taken over or is broken. Who ends of his own accord has closed his
     * end only when his exit code stands.
     */
    if ((e == ERR_PACKET || e == ERR_NET || e == ERR_EOF) && c->pid != 0)
        kill(c->pid, SIGKILL);
}

static nfds_t fill_polls(struct master *m, struct pollfd *p)
{
    nfds_t n = 0;
    p[n++] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        short events = POLLIN;
        enum err e = c->pid != 0 ? bus_flush(&c->bus) : ERR_OK;
        if (e == ERR_AGAIN)
            events |= POLLOUT;
        else if (e == ERR_NET && c->bus.broken)
            kill(c->pid, SIGKILL); /* it will never hear what it was to be told */
        p[n++] = (struct pollfd){.fd = c->pid != 0 ? c->bus.fd : -1, .events = events};
    }
    return n + ctl_polls(m->ctl, p + n);
}

static void serve_polls(struct master *m, const struct pollfd *p, nfds_t n)
{
    if (p[0].revents != 0)
        on_signals(m);
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (c->pid != 0 && p[1 + i].fd == c->bus.fd && (p[1 + i].revents & POLLIN) != 0)
            read_child(c);
    }
    ctl_serve(m->ctl, p + 1 + m->nchildren, n - 1 - m->nchildren);
}

/* poll() had no memory: the server goes on, and so do we, a little later. */
static void rest(void)
{
    struct timespec t = {.tv_nsec = 50 * CLOCK_MS};
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "poll: %s", strerror(errno));
    nanosleep(&t, NULL);
}

static void loop(struct master *m)
{
    struct pollfd polls[1 + CHILDREN_MAX + CTL_POLLS];
    int64_t next_beat = 0, last_turn = clock_mono();
    bool told = m->resumed;
    BUG_IF(m->nchildren > CHILDREN_MAX);
    while (!m->stopping || role_runs(m, IPC_ROLE_ANY)) {
        int64_t now = clock_mono();
        if (now - last_turn > 2 * BEAT)
            forgive_silence(m, now);
        last_turn = now;
        if (now >= next_beat) {
            shm_master_own_beat(m->shm, now);
            kill_stalled(m, now);
            renew_certificate(m);
            logs_tick(m->logs, m, now);
            next_beat = now + BEAT;
        }
        reload_tick(m, now);
        upgrade_tick(m, now);
        start_due(m, now);
        if (m->stopping || m->draining)
            stop_step(m);
        master_tell_turn(m, now);
        nfds_t n = fill_polls(m, polls);
        log_flush();
        if (poll(polls, n, m->stopping ? 50 : 200) < 0 && errno != EINTR)
            rest();
        serve_polls(m, polls, n);
        bool all = true;
        for (uint32_t i = 0; i < m->nchildren; i++)
            all = all && (m->children[i].ready || m->children[i].role == IPC_ROLE_CHECK ||
                          !upgrade_may_start(m, &m->children[i]));
        if (all && !told && !m->stopping) {
            told = true;
            master_tell_ready(m);
        }
    }
}

/* --- start */

/* Descriptors 0 to 2 are taken, so that nothing of ours gets their numbers and the log's bytes. */
static enum err have_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
    if (fd < 0)
        return ERR_SYS;
    close(fd);
    return ERR_OK;
}

static enum err take_signals(struct master *m)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, &m->old_mask) != 0)
        return ERR_SYS;
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signal_fd >= 0 ? ERR_OK : ERR_SYS;
}

/* Of steps that do not say themselves what is missing. */
static enum err say_why(const char *what, enum err e)
{
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s: %s", what, strerror(errno));
    return e;
}

int master_run(const struct master_options *opt)
{
    struct master m = {.conf_path = opt->conf_path,
                       .conf_fd = -1,
                       .gate_fd = -1,
                       .faillog_fd = -1,
                       .tls_fd = -1,
                       .zones_fd = -1,
                       .signal_fd = -1,
                       .run_dir_fd = -1,
                       .ready_fd = -1,
                       .ready_pipe = -1,
                       .notify.fd = -1,
                       .pidfile.fd = -1};
    clock_init();
    arena_init(&m.conf_arena, 64u << 20);
    reload_init(&m.reload);
    upgrade_init(&m.upgrade);
    inherit_take(&m.inherit);
    enum err e = say_why("standard files", have_standard_files());
    if (e == ERR_OK)
        e = master_tell_open(&m, opt);
    if (e == ERR_OK) /* first of all: a SIGTERM during the start is not lost */
        e = say_why("signals", take_signals(&m));
    if (e == ERR_OK)
        e = master_prepare(&m);
    if (e == ERR_OK)
        e = say_why("list of processes", master_children(&m));
    if (e == ERR_OK)
        loop(&m);
    log_write(LOG_MAJOR, "MASTER", 0, NULL, e == ERR_OK ? "stopped" : "cannot start");
    log_flush();
    master_tell_close(&m);
    master_unprepare(&m);
    return e == ERR_OK ? 0 : 1;
}

int master_resume(int fd)
{
    struct master m = {.signal_fd = -1,
                       .conf_fd = -1,
                       .gate_fd = -1,
                       .faillog_fd = -1,
                       .tls_fd = -1,
                       .zones_fd = -1,
                       .run_dir_fd = -1,
                       .ready_fd = -1,
                       .ready_pipe = -1,
                       .notify.fd = -1,
                       .pidfile.fd = -1,
                       .resumed = true};
    clock_init();
    arena_init(&m.conf_arena, 64u << 20);
    reload_init(&m.reload);
    enum err e = upgrade_resume(&m, fd);
    sigset_t mask = m.old_mask;
    if (e == ERR_OK)
        e = take_signals(&m);
    m.old_mask = mask; /* what the first program was started with */
    if (e == ERR_OK) {
        notify_resume(&m.notify);
        loop(&m);
    }
    log_write(e == ERR_OK ? LOG_MAJOR : LOG_FAILURES, "MASTER", 0, NULL,
              e == ERR_OK ? "stopped" : "the state of the program before cannot be used: %s",
              err_name(e));
    log_flush();
    master_tell_close(&m);
    master_unprepare(&m);
    return e == ERR_OK ? 0 : 1;
}
