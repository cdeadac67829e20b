// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/logs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log_out.h"
#include "codec/ipclog.h"
#include "proc/master.h"

#define JOURNAL "/run/systemd/journal/socket"

/* --- opening */

static int open_file(const char *path)
{
    int how = O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, O_RDWR | how, 0640); /* read: see log_out.h on full disks */
    return fd >= 0 || errno != EACCES ? fd : open(path, O_WRONLY | how, 0640);
}

static int open_journal(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if ((size_t)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path) >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

/* What stands at the path is what will be opened: noted first, so that an exchange in between is noticed later. */
static bool open_target(struct logs *l)
{
    struct stat st = {0};
    int old = l->fd;
    bool there = stat(l->path, &st) == 0;
    int fd = l->journal ? open_journal(l->path) : open_file(l->path);
    if (fd < 0)
        return false;
    if (!l->journal && fstat(fd, &st) == 0)
        there = true;
    l->dev = there ? st.st_dev : 0;
    l->ino = there ? st.st_ino : 0;
    l->ctim = st.st_ctim;
    log_flush();
    l->fd = fd;
    if (l->journal)
        log_open_journal(fd);
    else if (dup2(fd, STDERR_FILENO) >= 0)
        log_open(STDERR_FILENO, log_get_level());
    if (old >= 0)
        close(old);
    l->complained = false;
    return true;
}

static void complain(struct logs *l)
{
    if (!l->complained)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot %s %s: %s; the log goes on as before",
                  l->journal ? "reach the journal's socket" : "open the log", l->path,
                  strerror(errno));
    l->complained = true;
}

/* What the configuration says; standard error so far. */
static struct logs *begin(const struct conf *c)
{
    struct str to = c->server.log;
    struct logs *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->fd = -1;
    l->journal = str_starts(to, STR("journal"));
    size_t head = str_find(to, ':') + 1;
    if (head <= to.n)
        snprintf(l->path, sizeof l->path, "%.*s", STR_FMT(str_sub(to, head, to.n)));
    else if (l->journal)
        snprintf(l->path, sizeof l->path, JOURNAL);
    log_open(STDERR_FILENO, (enum log_level)c->server.log_level);
    return l;
}

enum err logs_new(struct logs **out, const struct conf *c)
{
    log_out_unblock(STDERR_FILENO);
    struct logs *l = *out = begin(c);
    if (l == NULL)
        return ERR_NOMEM;
    if (l->path[0] == 0 || open_target(l))
        return ERR_OK;
    if (l->journal) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL,
                  "warning: the journal's socket %s cannot be reached (%s): records go to standard "
                  "error until it can",
                  l->path, strerror(errno));
        l->complained = true;
        return ERR_OK;
    }
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot open the log %s: %s", l->path,
              strerror(errno));
    return ERR_SYS;
}

void logs_free(struct logs **lp)
{
    struct logs *l = *lp;
    if (l == NULL)
        return;
    log_flush();
    log_open(STDERR_FILENO, log_get_level());
    if (l->fd >= 0)
        close(l->fd);
    free(l);
    *lp = NULL;
}

/* --- another program in our place */

int logs_fd(const struct logs *l)
{
    return l->fd;
}

enum err logs_save(const struct logs *l, struct buf *b)
{
    struct buf rules;
    buf_init(&rules, IPC_BODY_MAX);
    ipc_log_put(&rules, l->rule, l->n);
    enum err e = buf_err(&rules);
    ipc_put_u32(b, (uint32_t)l->fd);
    ipc_put_str(b, buf_slice(&rules));
    buf_free(&rules);
    return e;
}

enum err logs_resume(struct logs **out, const struct conf *c, struct ipc_in *in)
{
    struct stat st;
    struct logs *l = *out = begin(c);
    if (l == NULL)
        return ERR_NOMEM;
    l->fd = (int)ipc_get_u32(in);
    if (in->bad || ipc_log_get(ipc_get_str(in), l->rule, &l->n) != ERR_OK)
        return ERR_PACKET;
    log_rules_set(l->rule, l->n);
    if (l->fd < 0)
        return ERR_OK;
    (void)fcntl(l->fd, F_SETFD, FD_CLOEXEC);
    if (l->journal)
        log_open_journal(l->fd);
    if ((l->journal ? stat(l->path, &st) : fstat(l->fd, &st)) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
        l->ctim = st.st_ctim;
    }
    return ERR_OK;
}

/* --- children */

static void give_target(const struct logs *l, struct master_child *c)
{
    if (l->fd >= 0)
        bus_send(&c->bus, &(struct ipc_item){.type = IPC_LOG_TO, .id = l->journal, .fd = l->fd});
}

static void give_rules(const struct logs *l, struct master_child *c)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_log_put(&b, l->rule, l->n);
    if (buf_err(&b) == ERR_OK)
        bus_put(&c->bus, IPC_LOG_RULES, 0, 0, buf_slice(&b));
    else
        log_write(LOG_PROBLEMS, "MASTER", 0, NULL, "no memory: %s %u logs by its old rules",
                  ipc_role_name(c->role), c->number + 1);
    buf_free(&b);
}

void logs_give(struct logs *l, struct master_child *c)
{
    give_target(l, c);
    if (l->n != 0)
        give_rules(l, c);
}

void logs_give_rules(struct logs *l, struct master *m)
{
    log_rules_set(l->rule, l->n);
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0)
            give_rules(l, &m->children[i]);
    }
}

/* --- exchange */

void logs_reopen(struct logs *l, struct master *m)
{
    if (l->path[0] == 0)
        return;
    bool again = l->fd < 0;
    if (!open_target(l)) {
        complain(l);
        return;
    }
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0)
            give_target(l, &m->children[i]);
    }
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "the log was opened %s: %s", again ? "at last" : "anew",
              l->path);
}

/* Is there something else at the path than what we have open? A journal that is not there yet is waited for. */
static bool was_exchanged(const struct logs *l)
{
    struct stat st;
    if (stat(l->path, &st) != 0)
        return !l->journal && errno == ENOENT;
    if (l->fd < 0 || st.st_dev != l->dev || st.st_ino != l->ino)
        return true;
    return l->journal &&
           (st.st_ctim.tv_sec != l->ctim.tv_sec || st.st_ctim.tv_nsec != l->ctim.tv_nsec);
}

void logs_tick(struct logs *l, struct master *m, int64_t now)
{
    logs_expire(l, now);
    if (l->path[0] != 0 && was_exchanged(l))
        logs_reopen(l, m);
}
