// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/lib/ctlask.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(const char *run_dir, int flags)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if ((size_t)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/" CTL_SOCKET, run_dir) >=
        sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return -1;
}

int ctlask_connect(const char *run_dir)
{
    return open_socket(run_dir, 0);
}

int ctlask_connect_now(const char *run_dir)
{
    return open_socket(run_dir, SOCK_NONBLOCK);
}

enum err ctlask_put(int fd, const struct ctlask *q)
{
    struct ctl_head head = {CTL_VERSION, (uint32_t)q->verb, q->target};
    struct buf b;
    buf_init(&b, CTL_MAX);
    (void)buf_room(&b, sizeof head + q->body.n); /* growing would leave copies of a password */
    buf_add(&b, &head, sizeof head);
    buf_str(&b, q->body);
    enum err e = buf_err(&b) == ERR_OK ? ERR_OK : ERR_TOO_LONG;
    if (e == ERR_OK && send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
        e = ERR_NET;
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    return e;
}

enum err ctlask_take(int fd, const struct ctlask *q, bool *last, enum err *verdict)
{
    char bytes[CTL_MAX + sizeof(struct ctl_reply)];
    struct ctl_reply r;
    struct str text;
    ssize_t n;
    do
        n = recv(fd, bytes, sizeof bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? ERR_TIMEOUT : ERR_NET;
    if (ctl_reply_parse((struct str){bytes, (size_t)n}, &r, &text) != ERR_OK)
        return ERR_PACKET;
    if (text.n != 0)
        q->on_piece(q->ctx, &r, text);
    *verdict = (enum err)r.err;
    *last = r.last != 0;
    return ERR_OK;
}

enum err ctlask(int fd, const struct ctlask *q, enum err *verdict)
{
    static const struct timeval patience = {.tv_sec = CTLASK_PATIENCE};
    bool last = false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    enum err e = ctlask_put(fd, q);
    while (e == ERR_OK && !last)
        e = ctlask_take(fd, q, &last, verdict);
    return e;
}
