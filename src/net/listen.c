// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * listen.c: binding and accepting. listen_addr.c has the addresses.
 */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/listen_priv.h"

/* --- binding */

static enum err bind_failed(int fd)
{
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return saved == EADDRINUSE ? ERR_EXISTS : ERR_SYS;
}

static enum err bind_ip(const union listen_sockaddr *sa, int backlog, bool reuseport, int *out)
{
    static const int on = 1, off = 0;
    bool v6 = sa->any.sa_family == AF_INET6;
    socklen_t len = v6 ? sizeof sa->in6 : sizeof sa->in;
    int fd = socket(sa->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return bind_failed(fd);
    if (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return bind_failed(fd);
    /* "::" written out is IPv6 alone; "*" takes IPv4 too. */
    if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, sa->both ? &off : &on, sizeof on) != 0)
        return bind_failed(fd);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, &sa->any, len) != 0 || listen(fd, backlog) != 0)
        return bind_failed(fd);
    *out = fd;
    return ERR_OK;
}

enum err listen_bind(struct str host, uint16_t port, int backlog, bool reuseport, int *fd)
{
    union listen_sockaddr sa;
    if (!listen_sockaddr_make(&sa, host, port))
        return ERR_SYNTAX;
    enum err e = bind_ip(&sa, backlog, reuseport, fd);
    if (e == ERR_SYS && sa.both && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        if (!listen_sockaddr_make(&sa, STR("0.0.0.0"), port))
            return ERR_SYNTAX;
        e = bind_ip(&sa, backlog, reuseport, fd);
    }
    return e;
}

static bool fill_path(struct sockaddr_un *un, struct str path)
{
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof un->sun_path)
        return false;
    memcpy(un->sun_path, path.p, path.n);
    return true;
}

/* A socket file where nobody accepts any more is left over from a server that was killed. */
static enum err remove_stale(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0)
        return errno == ENOENT ? ERR_OK : ERR_SYS;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return ERR_EXISTS;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_SYS;
    bool stale = connect(fd, (const struct sockaddr *)un, sizeof *un) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale) {
        errno = EADDRINUSE;
        return ERR_EXISTS;
    }
    return unlink(un->sun_path) == 0 || errno == ENOENT ? ERR_OK : ERR_SYS;
}

enum err listen_bind_unix(struct str path, mode_t mode, int backlog, int *out)
{
    struct sockaddr_un un;
    if (!fill_path(&un, path))
        return ERR_TOO_LONG;
    enum err e = remove_stale(&un);
    if (e != ERR_OK)
        return e;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof un) != 0)
        return bind_failed(fd);
    /* Nobody can connect before listen(). */
    if (chmod(un.sun_path, mode) != 0 || listen(fd, backlog) != 0) {
        e = bind_failed(fd);
        int saved = errno;
        unlink(un.sun_path);
        errno = saved;
        return e;
    }
    *out = fd;
    return ERR_OK;
}

bool listen_is_bound(int fd, struct str host, uint16_t port)
{
    union listen_sockaddr want, have = {0};
    socklen_t len = sizeof have.room;
    if (!listen_sockaddr_make(&want, host, port) || getsockname(fd, &have.any, &len) != 0)
        return false;
    if (have.any.sa_family == AF_INET && (want.both || want.any.sa_family == AF_INET))
        return have.in.sin_port == htons(port) &&
               have.in.sin_addr.s_addr == (want.both ? INADDR_ANY : want.in.sin_addr.s_addr);
    return have.any.sa_family == AF_INET6 && want.any.sa_family == AF_INET6 &&
           have.in6.sin6_port == htons(port) &&
           memcmp(&have.in6.sin6_addr, &want.in6.sin6_addr, sizeof want.in6.sin6_addr) == 0;
}

bool listen_is_bound_unix(int fd, struct str path)
{
    struct sockaddr_un want, have = {0};
    socklen_t len = sizeof have;
    return fill_path(&want, path) && getsockname(fd, (struct sockaddr *)&have, &len) == 0 &&
           have.sun_family == AF_UNIX &&
           strncmp(have.sun_path, want.sun_path, sizeof want.sun_path) == 0;
}

/* --- accepting */

#define REST (100 * CLOCK_MS)

/*
 * No descriptors: the one in reserve makes room to take the connection and close it at once. Otherwise it would stay
 * in the queue, the loop would spin on it, and the client would wait for nothing.
 */
static enum err shed(struct listener *l)
{
    close(l->reserve);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    enum err e = fd >= 0 ? ERR_OK : errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN : ERR_SYS;
    if (fd >= 0)
        close(fd);
    l->reserve = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && l->dropped++ % 1000 == 0)
        log_write(LOG_MAJOR, "LISTEN", 0, NULL,
                  "out of descriptors: %llu connections dropped so far",
                  (unsigned long long)l->dropped);
    return e;
}

static void rest(struct listener *l)
{
    loop_io_set(&l->io, 0);
    loop_timer_set(l->loop, &l->rest, REST);
}

static void on_rested(struct timer *t)
{
    struct listener *l = CONTAINER_OF(t, struct listener, rest);
    if (!loop_io_is_open(&l->io))
        return;
    if (l->reserve < 0)
        l->reserve = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    loop_io_set(&l->io, LOOP_READ);
}

/* An error of accept() that is about the connection, not about us (accept(2), "Error handling"). */
static bool is_peers_fault(int e)
{
    return e == ECONNABORTED || e == EINTR || e == EPROTO || e == ENETDOWN || e == ENOPROTOOPT ||
           e == EHOSTDOWN || e == ENONET || e == EHOSTUNREACH || e == EOPNOTSUPP ||
           e == ENETUNREACH || e == EPERM;
}

/* ERR_AGAIN: nobody waits. ERR_SYS: it makes no sense to try again at once. */
static enum err accept_one(struct listener *l)
{
    union listen_sockaddr sa = {0};
    socklen_t len = sizeof sa.room;
    int fd = accept4(l->fd, &sa.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        struct listen_addr peer;
        listen_addr_from(&peer, &sa.any);
        l->fn(l->arg, fd, &peer);
        return ERR_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ERR_AGAIN;
    if (is_peers_fault(errno))
        return ERR_OK;
    /* Without a descriptor accept() does not even look whether somebody waits. */
    if ((errno == EMFILE || errno == ENFILE) && l->reserve >= 0)
        return shed(l);
    return ERR_SYS;
}

static void on_ready(void *arg, unsigned events)
{
    struct listener *l = arg;
    enum err e = ERR_OK;
    (void)events;
    int most = loop_was_long(l->loop) ? LISTEN_BATCH : 1;
    for (int n = 0; n < most && e == ERR_OK && loop_io_is_open(&l->io); n++)
        e = accept_one(l);
    if (e == ERR_SYS)
        rest(l);
}

/* What the kernel takes of a connection's output that the client has no room for: else megabytes, for who never reads. */
#define UNSENT 65536

enum err listen_open(struct listener *l, struct loop *loop, int fd, listen_fn *fn, void *arg)
{
    static const int on = 1, unsent = UNSENT;
    *l = (struct listener){.loop = loop, .fn = fn, .arg = arg, .fd = fd};
    timer_init(&l->rest, on_rested);
    l->reserve = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    /* Connections have from it what it has. Sockets that systemd made lack both; on a Unix socket this fails, and nothing is lost. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    enum err e = l->reserve >= 0 ? loop_io_open(loop, &l->io, fd, LOOP_READ, on_ready, l) : ERR_SYS;
    if (e != ERR_OK && l->reserve >= 0)
        close(l->reserve);
    return e;
}

void listen_drain(struct listener *l)
{
    for (int n = 0; n < LISTEN_DRAIN && loop_io_is_open(&l->io) && accept_one(l) == ERR_OK; n++)
        ;
}

void listen_accept(struct listener *l, bool on)
{
    if (!loop_io_is_open(&l->io))
        return;
    loop_timer_cancel(l->loop, &l->rest);
    loop_io_set(&l->io, on ? LOOP_READ : 0);
}

static void on_closed(void *arg)
{
    struct listener *l = arg;
    if (l->closed != NULL)
        l->closed(l->arg);
}

void listen_close(struct listener *l, loop_closed_fn *closed)
{
    if (!loop_io_is_open(&l->io))
        return;
    l->closed = closed;
    loop_timer_cancel(l->loop, &l->rest);
    loop_io_close(&l->io, on_closed);
    close(l->fd);
    if (l->reserve >= 0)
        close(l->reserve);
    l->fd = l->reserve = -1;
}
