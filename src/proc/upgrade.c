// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/directory.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/memfd.h"
#include "proc/ctl.h"
#include "proc/master.h"
#include "shm/shm_layout.h"
#include "store/store.h"
#include "ximss/snapshot.h"

#define STATE_VERSION 4u    /* of upgrade_state.c, and of the memory that it hands over */
#define ASK_PATIENCE  10000 /* ms for `-x versions` on a machine that has much else to do */
#define VERSIONS_MAX  512

void upgrade_init(struct upgrade *u)
{
    handover_init(&u->handover);
    ssize_t n = readlink("/proc/self/exe", u->program, sizeof u->program - 1);
    u->program[n > 0 ? n : 0] = 0;
}

/* --- versions */

static void versions(char *to, size_t size)
{
    snprintf(to, size, "state %u\npackets %016llx\naccounts %u\nbanks %u\ntable %u\nsessions %u\n",
             STATE_VERSION, (unsigned long long)ipc_fingerprint(), directory_schema(),
             store_schema(), SHM_MAJOR, SNAPSHOT_VERSION);
}

void upgrade_print_versions(void)
{
    char text[VERSIONS_MAX];
    versions(text, sizeof text);
    fputs(text, stdout);
}

#define IN_TIME "the new program does not say its versions within ten seconds"
#define AT_ALL  "the program file cannot be executed, or does not say its versions"

/* What comes through the pipe until its end, in time. NULL, or why not. */
static const char *read_all(int fd, char *to, size_t size)
{
    size_t n = 0;
    int64_t deadline = clock_mono() + ASK_PATIENCE * CLOCK_MS;
    while (n + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = (deadline - clock_mono()) / CLOCK_MS;
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return IN_TIME;
        ssize_t got = read(fd, to + n, size - 1 - n);
        if (got <= 0) {
            to[n] = 0;
            return got == 0 && n != 0 ? NULL : AT_ALL;
        }
        n += (size_t)got;
    }
    return AT_ALL;
}

_Noreturn static void become_asker(const struct master *m, int fd)
{
    char *argv[] = {(char[]){"ximssd"}, (char[]){"-x"}, (char[]){"versions"}, NULL};
    sigprocmask(SIG_SETMASK, &m->old_mask, NULL);
    if (dup2(fd, STDOUT_FILENO) >= 0)
        execv(m->upgrade.program, argv);
    _exit(127);
}

/* The master waits for it, so not for long. NULL, or why there is no answer. */
static const char *ask_versions(const struct master *m, char *to, size_t size)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return AT_ALL;
    log_flush();
    pid_t pid = fork();
    if (pid == 0)
        become_asker(m, fds[1]);
    close(fds[1]);
    const char *why = pid > 0 ? read_all(fds[0], to, size) : AT_ALL;
    close(fds[0]);
    if (pid > 0) {
        kill(pid,
             SIGKILL); /* whatever it still does: it has said what it had to say, or will not */
        (void)waitpid(pid, NULL, 0);
    }
    return why;
}

enum err upgrade_begin(struct master *m, const char **why)
{
    char mine[VERSIONS_MAX], theirs[VERSIONS_MAX];
    struct upgrade *u = &m->upgrade;
    *why = NULL;
    if (m->stopping || m->draining)
        *why = "the server is about to end";
    else if (reload_running(m))
        *why = "a reload is under way";
    else if (u->state != UPGRADE_NONE || u->due)
        *why = "the upgrade before is not finished: see `ximssctl status`";
    if (*why != NULL)
        return ERR_EXISTS;
    versions(mine, sizeof mine);
    *why = ask_versions(m, theirs, sizeof theirs);
    if (*why == NULL && strcmp(mine, theirs) != 0)
        *why = "the new program speaks other packets or schemas: a restart is needed";
    if (*why != NULL)
        return ERR_UNSUPPORTED;
    u->due = true;
    return ERR_OK;
}

/* --- out of the old program */

static bool nothing_waits(const struct master *m)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        const struct master_child *c = &m->children[i];
        if (c->pid != 0 && (bus_unsent(&c->bus) != 0 || !c->ready))
            return false;
    }
    return true;
}

static void execute(struct master *m)
{
    char number[16];
    int fd = upgrade_save(m);
    m->upgrade.due = false;
    if (fd >= 0) {
        log_write(LOG_MAJOR, "MASTER", 0, NULL, "upgrade: executing %s", m->upgrade.program);
        log_flush();
        snprintf(number, sizeof number, "%d", fd);
        char *argv[] = {(char[]){"ximssd"}, (char[]){"--upgrade"}, number, NULL};
        notify_export(&m->notify);
        execv(m->upgrade.program, argv);
    }
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "upgrade: cannot execute %s: %s", m->upgrade.program,
              strerror(errno));
    notify_hide();
    upgrade_unsave(m);
    if (fd >= 0)
        close(fd);
}

/* --- in the new one */

static bool in_bank(const struct master *m, const struct master_child *c, uint32_t bank)
{
    return c->role == IPC_ROLE_WORKER && c->number / m->workers == bank;
}

bool upgrade_may_start(const struct master *m, const struct master_child *c)
{
    return c->role != IPC_ROLE_WORKER || in_bank(m, c, m->upgrade.bank);
}

static void enter(struct master *m, enum upgrade_state state, const char *text)
{
    m->upgrade.state = state;
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "upgrade: %s", text);
}

static bool bank_serves(const struct master *m, uint32_t bank)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (in_bank(m, &m->children[i], bank) && !m->children[i].ready)
            return false;
    }
    return true;
}

static bool bank_runs(const struct master *m, uint32_t bank)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (in_bank(m, &m->children[i], bank) && m->children[i].pid != 0)
            return true;
    }
    return false;
}

static void send_bank_away(struct master *m, uint32_t bank, enum ipc_stop how, int64_t until)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (in_bank(m, &m->children[i], bank) && m->children[i].pid != 0)
            master_child_stop(&m->children[i], how, until);
    }
}

static void workers_step(struct master *m, int64_t now)
{
    struct upgrade *u = &m->upgrade;
    if (bank_serves(m, u->bank)) {
        send_bank_away(m, 1 - u->bank, IPC_STOP_LEAVE, now + UPGRADE_DRAIN);
        enter(m, UPGRADE_OTHERS, "the new workers serve");
    } else if (now >= u->deadline) {
        send_bank_away(m, u->bank, IPC_STOP_NOW, now);
        u->bank = 1 - u->bank;
        enter(m, UPGRADE_NONE, "the new workers did not start: the old ones go on");
    }
}

/* true: all of this role are of the new program. One is exchanged at a time. */
static bool exchange(struct master *m, enum ipc_role role)
{
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (c->role != role)
            continue;
        if (c->old && c->pid != 0) {
            if (!c->stopping && role == IPC_ROLE_KEEPER)
                handover_begin(m, c);
            else if (!c->stopping)
                master_child_stop(c, IPC_STOP_LEAVE, clock_mono());
            return false;
        }
        if (!c->ready)
            return false;
    }
    return true;
}

void upgrade_tick(struct master *m, int64_t now)
{
    struct upgrade *u = &m->upgrade;
    if (m->stopping || m->draining)
        return; /* it ends anyway */
    if (u->due && nothing_waits(m))
        execute(m);
    switch (u->state) {
    case UPGRADE_NONE:
        break;
    case UPGRADE_WORKERS:
        workers_step(m, now);
        break;
    case UPGRADE_OTHERS:
        if (exchange(m, IPC_ROLE_HASHER) && exchange(m, IPC_ROLE_HELPER) &&
            exchange(m, IPC_ROLE_AUTH))
            enter(m, UPGRADE_KEEPERS, "keepers are exchanged");
        break;
    case UPGRADE_KEEPERS:
        handover_tick(m, now);
        if (exchange(m, IPC_ROLE_KEEPER))
            enter(m, UPGRADE_DRAINING, "old workers are drained");
        break;
    case UPGRADE_DRAINING:
        if (!bank_runs(m, 1 - u->bank))
            enter(m, UPGRADE_NONE, "done, version " XIMSSD_VERSION);
        break;
    }
}

enum err upgrade_resume(struct master *m, int fd)
{
    struct upgrade *u = &m->upgrade;
    struct str state = memfd_map(fd, (uint64_t)4 << 20);
    enum err e = state.p != NULL ? upgrade_load(m, state) : ERR_SYS;
    memfd_unmap(state);
    close(fd);
    if (e == ERR_OK)
        e = ctl_new(&m->ctl, m, m->conf->server.run_dir.p);
    if (e != ERR_OK)
        return e;
    handover_init(&u->handover);
    u->bank = 1 - (u->bank & 1);
    u->deadline = clock_mono() + UPGRADE_PATIENCE;
    enter(m, UPGRADE_WORKERS, "version " XIMSSD_VERSION " has taken over; workers are started");
    return ERR_OK;
}
