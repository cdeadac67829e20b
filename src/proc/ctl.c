// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/ctlmsg.h"
#include "proc/master.h"

struct client {
    int fd;                             /* -1: free */
    uint32_t seq;                       /* of the request that is out; 0: none */
    const struct master_child *answers; /* who works on it */
    struct buf queue;                   /* packets that wait: length u32, bytes */
};

struct ctl {
    struct master *m;
    int fd;
    char path[108];
    uint32_t next_seq;
    struct client clients[CTL_CLIENTS];
};

enum err ctl_new(struct ctl **out, struct master *m, int run_dir_fd, const char *run_dir)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct ctl *c = calloc(1, sizeof *c);
    (void)run_dir_fd;
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

static void drop(struct client *cl)
{
    close(cl->fd);
    buf_free(&cl->queue);
    *cl = (struct client){.fd = -1};
}

void ctl_free(struct ctl **cp)
{
    struct ctl *c = *cp;
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0)
            drop(&c->clients[i]);
    }
    close(c->fd);
    unlink(c->path);
    free(c);
    *cp = NULL;
}

nfds_t ctl_polls(struct ctl *c, struct pollfd *p)
{
    p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    for (size_t i = 0; i < CTL_CLIENTS; i++)
        p[1 + i] =
            (struct pollfd){.fd = c->clients[i].fd,
                            .events = c->clients[i].queue.n != 0 ? POLLIN | POLLOUT : POLLIN};
    return CTL_POLLS;
}

/* Sends what the client takes now. */
static void send_queue(struct client *cl)
{
    size_t at = 0;
    while (at < cl->queue.n) {
        uint32_t n;
        memcpy(&n, cl->queue.p + at, sizeof n);
        if (send(cl->fd, cl->queue.p + at + sizeof n, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        at += sizeof n + n;
    }
    bool failed = at < cl->queue.n && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS;
    if (failed || buf_err(&cl->queue) != ERR_OK)
        drop(cl);
    else if (at == cl->queue.n)
        buf_free(&cl->queue);
    else
        buf_consume(&cl->queue, at);
}

static void reply(struct client *cl, enum err e, bool last, struct str text)
{
    struct ctl_reply head = {CTL_VERSION, (uint32_t)e, last};
    if (last) {
        cl->seq = 0;
        cl->answers = NULL;
    }
    ipc_put_u32(&cl->queue, (uint32_t)(sizeof head + text.n));
    buf_add(&cl->queue, &head, sizeof head);
    buf_str(&cl->queue, text);
    send_queue(cl);
}

static bool may_command(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static void take_client(struct ctl *c)
{
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CTL_CLIENTS && may_command(fd); i++) {
        if (c->clients[i].fd < 0) {
            c->clients[i].fd = fd;
            buf_init(&c->clients[i].queue, CTL_QUEUE);
            return;
        }
    }
    close(fd);
}

static void pass_on(struct ctl *c, struct client *cl, const struct ctl_head *head, struct str body)
{
    struct master_child *to =
        master_child_find(c->m, ctl_verb_role((enum ctl_verb)head->verb), head->target);
    if (to == NULL || to->pid == 0 || !to->ready || body.n > IPC_BODY_MAX) {
        reply(cl, ERR_TIMEOUT, true, STR("{\"error\":\"that process does not serve now\"}"));
        return;
    }
    cl->seq = ++c->next_seq == 0 ? ++c->next_seq : c->next_seq;
    cl->answers = to;
    bus_put(&to->bus, IPC_CTL, head->verb, cl->seq, body);
}

static void take_request(struct ctl *c, struct client *cl)
{
    char bytes[CTL_MAX];
    struct ctl_head head;
    struct str body;
    ssize_t n = recv(cl->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            drop(cl);
        return;
    }
    enum err e = ctl_request_parse((struct str){bytes, (size_t)n}, &head, &body);
    if (e != ERR_OK)
        reply(cl, e, true,
              e == ERR_PACKET ? STR("{\"error\":\"the server is of another version\"}")
                              : STR("{\"error\":\"unknown verb\"}"));
    else if (cl->seq != 0)
        drop(cl); /* one question at a time */
    else
        pass_on(c, cl, &head, body);
    explicit_bzero(bytes, (size_t)n); /* it may hold a password */
}

void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n)
{
    BUG_IF(n != CTL_POLLS);
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct client *cl = &c->clients[i];
        if (cl->fd < 0 || p[1 + i].fd != cl->fd || p[1 + i].revents == 0)
            continue;
        if ((p[1 + i].revents & POLLOUT) != 0)
            send_queue(cl);
        if (cl->fd >= 0 && (p[1 + i].revents & ~POLLOUT) != 0)
            take_request(c, cl);
    }
    if (p[0].revents != 0)
        take_client(c);
}

void ctl_answer(struct ctl *c, const struct master_child *from, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t e = ipc_get_u32(&in);
    struct str text = ipc_get_rest(&in);
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0 && c->clients[i].seq == it->seq &&
            c->clients[i].answers == from && it->seq != 0)
            reply(&c->clients[i], e < ERR_COUNT ? (enum err)e : ERR_INTERNAL, it->id != 0, text);
    }
}

void ctl_child_gone(struct ctl *c, const struct master_child *child)
{
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0 && c->clients[i].answers == child)
            reply(&c->clients[i], ERR_TIMEOUT, true, STR("{\"error\":\"that process has died\"}"));
    }
}
