// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Who is told how the server is: the service manager (proc/notify.h), the pidfile, --ready-fd, and the process that a
 * background start was typed into.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/master.h"

#define START_STEP (30 * CLOCK_SEC) /* what the start of one process may take */
#define STOP_SLACK (5 * CLOCK_SEC)  /* between the last kill and the end of the master */

/* --- who waits for the start */

/*
 * s6 and others. A copy is kept and the number freed at once, so that no child inherits it; only standard output has to
 * stay something.
 */
static enum err take_ready_fd(struct master *m, int fd)
{
    if (fd < 0)
        return ERR_OK;
    for (uint32_t i = 0; i < m->inherit.count; i++) {
        if (m->inherit.fds[i] == fd) {
            log_write(LOG_FAILURES, "MASTER", 0, NULL,
                      "--ready-fd %d is one of the sockets that were handed in", fd);
            return ERR_EXISTS;
        }
    }
    m->ready_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (m->ready_fd < 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "--ready-fd %d: %s", fd, strerror(errno));
        return ERR_SYS;
    }
    close(fd);
    return fd > STDERR_FILENO || open("/dev/null", O_RDWR) == fd ? ERR_OK : ERR_SYS;
}

/* Who has started the server may wait for the end of what it says; only the log goes on saying things. */
static enum err let_go(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        return ERR_SYS;
    close(fd);
    return ERR_OK;
}

/* The first process ends when the server serves, or with its failure. */
static enum err go_background(struct master *m)
{
    int fds[2];
    char byte;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return ERR_SYS;
    pid_t pid = fork();
    if (pid < 0)
        return ERR_SYS;
    if (pid > 0) {
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(fds[0]);
    setsid();
    m->ready_pipe = fds[1];
    return let_go();
}

enum err master_tell_open(struct master *m, const struct master_options *opt)
{
    notify_open(&m->notify);
    enum err e = take_ready_fd(m, opt->ready_fd);
    if (e == ERR_OK && !opt->foreground)
        e = go_background(m);
    return e;
}

static void say_to(int *fd, const char *byte)
{
    if (*fd >= 0 && write(*fd, byte, 1) != 1)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "nobody waits for the start");
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void master_tell_ready(struct master *m)
{
    pidfile_write(&m->pidfile);
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "serving: %u workers, %u keepers, pid %d", m->workers,
              m->keepers, (int)getpid());
    notify_ready(&m->notify);
    say_to(&m->ready_fd, "\n");
    say_to(&m->ready_pipe, "R");
}

/* --- the service manager */

void master_tell_stopping(struct master *m)
{
    notify_stopping(&m->notify);
}

/* Those that have to be there: not the process that checks a file, nor workers on their way out of an upgrade. */
static bool is_wanted(const struct master_child *c)
{
    return c->role != IPC_ROLE_CHECK && upgrade_may_start(c->m, c);
}

struct tally {
    uint32_t wanted, ready, running;
    bool as_planned; /* nobody has died yet */
    bool alive;      /* nobody is silent who has to speak */
};

static struct tally count(const struct master *m, int64_t now)
{
    struct tally t = {.as_planned = true, .alive = true};
    for (uint32_t i = 0; i < m->nchildren; i++) {
        const struct master_child *c = &m->children[i];
        t.wanted += is_wanted(c);
        t.ready += is_wanted(c) && c->ready;
        t.running += c->pid != 0;
        t.as_planned = t.as_planned && c->failures == 0;
        t.alive = t.alive && !(c->ready && master_child_silent(c, now));
    }
    return t;
}

static void say_status(struct master *m, int64_t now, const struct tally *t)
{
    struct notify *n = &m->notify;
    if (n->state == NOTIFY_STARTING)
        notify_status(n, now, "Starting: %u of %u processes are ready.", t->ready, t->wanted);
    else if (n->state == NOTIFY_STOPPING)
        notify_status(n, now, "Stopping: %u processes still run.", t->running);
    else if (m->draining)
        notify_status(n, now, "Draining: no new connections; %u processes still run.", t->running);
    else if (m->upgrade.state != UPGRADE_NONE)
        notify_status(n, now, "Serving with %u processes; an upgrade is under way.", t->running);
    else if (t->ready == t->wanted)
        notify_status(n, now, "Serving with %u processes.", t->ready);
    else
        notify_status(n, now, "Serving with %u of %u processes; the others are being replaced.",
                      t->ready, t->wanted);
}

void master_tell_turn(struct master *m, int64_t now)
{
    struct tally t = count(m, now);
    say_status(m, now, &t);
    /* A start that does not get on has no right to more time. */
    if (m->notify.state == NOTIFY_STARTING && t.as_planned)
        notify_extend(&m->notify, now, now + START_STEP);
    else if (m->notify.state == NOTIFY_STOPPING)
        notify_extend(&m->notify, now, m->stop_deadline + STOP_SLACK);
    notify_turn(&m->notify, now, t.alive);
}

/* --- the end */

void master_tell_close(struct master *m)
{
    pidfile_close(&m->pidfile);
    notify_close(&m->notify);
    if (m->ready_fd >= 0)
        close(m->ready_fd);
    if (m->ready_pipe >= 0)
        close(m->ready_pipe);
    m->ready_fd = m->ready_pipe = -1;
}
