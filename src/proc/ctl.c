// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The control socket, its clients and their questions. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/ctl_master.h"
#include "proc/ctl_priv.h"
#include "proc/master.h"

enum err ctl_new(struct ctl **out, struct master *m, const char *run_dir)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct ctl *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->m = m;
    for (size_t i = 0; i < CTL_CLIENTS; i++)
        c->clients[i].fd = -1;
    if ((size_t)snprintf(c->path, sizeof c->path, "%s/" CTL_SOCKET, run_dir) >= sizeof c->path) {
        log_write(LOG_FAILURES, "CTL", 0, NULL, "run_dir is too long for a socket: %s", run_dir);
        free(c);
        return ERR_TOO_LONG;
    }
    memcpy(sa.sun_path, c->path, sizeof sa.sun_path);
    unlink(c->path); /* run_dir's lock is ours: what stands there is a leftover */
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    bool ok =
        c->fd >= 0 && bind(c->fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(c->fd, 16) == 0;
    umask(old);
    if (!ok) {
        log_write(LOG_FAILURES, "CTL", 0, NULL, "cannot open %s: %s", c->path, strerror(errno));
        if (c->fd >= 0)
            close(c->fd);
        free(c);
        return ERR_SYS;
    }
    *out = c;
    return ERR_OK;
}

void ctl_drop(struct ctl_client *cl)
{
    close(cl->fd);
    buf_free(&cl->queue);
    buf_free(&cl->silent);
    *cl = (struct ctl_client){.fd = -1};
}

void ctl_free(struct ctl **cp)
{
    struct ctl *c = *cp;
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0)
            ctl_drop(&c->clients[i]);
    }
    close(c->fd);
    unlink(c->path);
    free(c);
    *cp = NULL;
}

/* The next question is read when the one before is answered and the answer taken. */
static short wanted(const struct ctl_client *cl)
{
    if (cl->queue.n != 0)
        return POLLOUT;
    return cl->seq == 0 && !cl->eof ? POLLIN : 0;
}

nfds_t ctl_polls(struct ctl *c, struct pollfd *p)
{
    p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    for (size_t i = 0; i < CTL_CLIENTS; i++)
        p[1 + i] = (struct pollfd){.fd = c->clients[i].fd, .events = wanted(&c->clients[i])};
    return CTL_POLLS;
}

/* --- requests */

static bool serves(const struct master_child *c, enum ipc_role role, uint32_t target)
{
    bool has =
        role == CTL_ROLE_SESSIONS && (c->role == IPC_ROLE_WORKER || c->role == IPC_ROLE_KEEPER);
    return (role == IPC_ROLE_ANY || c->role == role || has) && c->pid != 0 && c->ready &&
           !c->stopping && (target == CTL_TARGET_ALL || c->number == target);
}

static void ask_children(struct ctl *c, struct ctl_client *cl, const struct ctl_head *head,
                         struct str body)
{
    const struct ctl_row *row = ctl_row(cl->verb);
    struct master *m = c->m;
    for (size_t i = 0; i < m->nchildren && i < CTL_CHILDREN; i++) {
        if (!serves(&m->children[i], row->role, head->target))
            continue;
        cl->asked[i / 64] |= UINT64_C(1) << i % 64;
        bus_put(&m->children[i].bus, IPC_CTL, head->verb, cl->seq, body);
    }
}

static void pass_on(struct ctl *c, struct ctl_client *cl, const struct ctl_head *head,
                    struct str body)
{
    const struct ctl_row *row = ctl_row((enum ctl_verb)head->verb);
    cl->seq = ++c->next_seq == 0 ? ++c->next_seq : c->next_seq;
    cl->verb = (enum ctl_verb)head->verb;
    cl->since = clock_mono();
    cl->found = false;
    cl->verdict = ERR_OK;
    cl->own = row->role == IPC_ROLE_MASTER || row->role == IPC_ROLE_ANY;
    buf_init(&cl->silent, CTL_CHILDREN * (size_t)CTL_WHO);
    if (row->role != IPC_ROLE_MASTER)
        ask_children(c, cl, head, body);
    if (!ctl_waits(cl)) {
        char text[80];
        snprintf(text, sizeof text, "{\"error\":\"no %s serves now\"}",
                 row->role == CTL_ROLE_SESSIONS ? "worker" : ipc_role_name(row->role));
        ctl_end(cl, ERR_TIMEOUT, str_of(text));
    } else if (cl->own) {
        uint32_t seq = cl->seq;
        enum err e = ctl_master_run(c->m, cl->verb, seq, body);
        if (e != ERR_WAIT)
            ctl_done(c, seq, e);
    }
}

static void refuse(struct ctl_client *cl, enum err e)
{
    ctl_end(cl, e,
            e == ERR_PACKET      ? STR("{\"error\":\"the server is of another version\"}")
            : e == ERR_NOT_FOUND ? STR("{\"error\":\"unknown verb\"}")
                                 : STR("{\"error\":\"that is not a request\"}"));
}

static void take_request(struct ctl *c, struct ctl_client *cl)
{
    char bytes[CTL_MAX];
    struct ctl_head head;
    struct str body;
    /* MSG_TRUNC: the length that it had */
    ssize_t n = recv(cl->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            ctl_drop(cl);
        return;
    }
    size_t have = (size_t)n < sizeof bytes ? (size_t)n : sizeof bytes;
    enum err e = (size_t)n <= sizeof bytes
                     ? ctl_request_parse((struct str){bytes, have}, &head, &body)
                     : ERR_TOO_LONG;
    cl->since = clock_mono();
    if (e != ERR_OK)
        refuse(cl, e);
    else
        pass_on(c, cl, &head, body);
    explicit_bzero(bytes, have); /* it may hold a password */
}

/* --- clients */

static bool may_command(int fd, struct ucred *who)
{
    socklen_t n = sizeof *who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &n) == 0 &&
           (who->uid == 0 || who->uid == geteuid());
}

/* A free place; when there is none, that of who has asked nothing for the longest time. */
static struct ctl_client *place_for_one(struct ctl *c)
{
    struct ctl_client *oldest = NULL;
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct ctl_client *cl = &c->clients[i];
        if (cl->fd < 0)
            return cl;
        if (cl->seq == 0 && (oldest == NULL || cl->since < oldest->since))
            oldest = cl;
    }
    if (oldest != NULL)
        ctl_drop(oldest);
    return oldest;
}

static void take_client(struct ctl *c, int fd)
{
    struct ucred who;
    struct ctl_client *cl = may_command(fd, &who) ? place_for_one(c) : NULL;
    if (cl == NULL) {
        close(fd);
        return;
    }
    *cl = (struct ctl_client){.fd = fd, .pid = who.pid, .uid = who.uid, .since = clock_mono()};
    buf_init(&cl->queue, CTL_QUEUE);
}

void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n)
{
    BUG_IF(n != CTL_POLLS);
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct ctl_client *cl = &c->clients[i];
        if (cl->fd < 0 || p[1 + i].fd != cl->fd || p[1 + i].revents == 0)
            continue;
        if ((p[1 + i].revents & (POLLHUP | POLLERR)) != 0)
            ctl_drop(cl); /* nobody is there to read */
        else if ((p[1 + i].revents & POLLOUT) != 0)
            ctl_send_queue(cl);
        else if ((p[1 + i].revents & POLLIN) != 0)
            take_request(c, cl);
    }
    int fd;
    for (int i = 0; p[0].revents != 0 && i < CTL_CLIENTS; i++) {
        if ((fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
            break;
        take_client(c, fd);
    }
    ctl_look_at_time(c);
}
