// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* inject.so: processes, sockets, waiting, descriptors that are no files, and the wall clock. */
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "inject_int.h"

/* --- processes */

pid_t fork(void)
{
    static pid_t (*next)(void);
    FAULT(fork, false);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "fork");
    pid_t pid = next();
    if (pid == 0)
        fault_role("newborn");
    return pid;
}

int execv(const char *path, char *const argv[])
{
    FAULT(exec, false);
    DONE((int)syscall(SYS_execve, path, argv, environ));
}

/* --- sockets */

int accept4(int fd, struct sockaddr *sa, socklen_t *n, int flags)
{
    FAULT(accept, false);
    DONE((int)syscall(SYS_accept4, fd, sa, n, flags));
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
    FAULT(send, false);
    DONE(syscall(SYS_sendto, fd, from, fault_size(act, n), flags, NULL, 0));
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    FAULT(recv, false);
    DONE(syscall(SYS_recvfrom, fd, to, fault_size(act, n), flags, NULL, NULL));
}

ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
    return recv(fd, to, n < room ? n : room, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    FAULT(sendmsg, false);
    DONE(syscall(SYS_sendmsg, fd, m, flags));
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    FAULT(recvmsg, false);
    DONE(syscall(SYS_recvmsg, fd, m, flags));
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    FAULT(socketpair, false);
    DONE((int)syscall(SYS_socketpair, domain, type, protocol, fds));
}

int socket(int domain, int type, int protocol)
{
    FAULT(socket, false);
    DONE((int)syscall(SYS_socket, domain, type, protocol));
}

int bind(int fd, const struct sockaddr *sa, socklen_t n)
{
    FAULT(socket, false);
    DONE((int)syscall(SYS_bind, fd, sa, n));
}

int listen(int fd, int backlog)
{
    FAULT(socket, false);
    DONE((int)syscall(SYS_listen, fd, backlog));
}

int connect(int fd, const struct sockaddr *sa, socklen_t n)
{
    FAULT(socket, false);
    DONE((int)syscall(SYS_connect, fd, sa, n));
}

/* --- waiting, and descriptors of other kinds */

int poll(struct pollfd *p, nfds_t n, int timeout)
{
    FAULT(poll, false);
    DONE((int)syscall(SYS_poll, p, n, timeout));
}

int __poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t room);
int __poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t room)
{
    (void)room;
    return poll(p, n, timeout);
}

int epoll_create1(int flags)
{
    FAULT(epoll_wait, false);
    DONE((int)syscall(SYS_epoll_create1, flags));
}

int epoll_ctl(int fd, int op, int which, struct epoll_event *e)
{
    FAULT(epoll_ctl, false);
    DONE((int)syscall(SYS_epoll_ctl, fd, op, which, e));
}

int epoll_wait(int fd, struct epoll_event *e, int n, int timeout)
{
    FAULT(epoll_wait, false);
    DONE((int)syscall(SYS_epoll_wait, fd, e, n, timeout));
}

int epoll_pwait(int fd, struct epoll_event *e, int n, int timeout, const sigset_t *set)
{
    FAULT(epoll_wait, false);
    DONE((int)syscall(SYS_epoll_pwait, fd, e, n, timeout, set, (size_t)_NSIG / 8));
}

int memfd_create(const char *name, unsigned flags)
{
    FAULT(memfd, false);
    DONE((int)syscall(SYS_memfd_create, name, flags));
}

int pipe2(int fds[2], int flags)
{
    FAULT(files, false);
    DONE((int)syscall(SYS_pipe2, fds, flags));
}

int eventfd(unsigned count, int flags)
{
    FAULT(files, false);
    DONE((int)syscall(SYS_eventfd2, count, flags));
}

int signalfd(int fd, const sigset_t *set, int flags)
{
    FAULT(files, false);
    DONE((int)syscall(SYS_signalfd4, fd, set, (size_t)_NSIG / 8, flags));
}

int dup2(int from, int to)
{
    FAULT(files, false);
    DONE((int)syscall(SYS_dup2, from, to));
}

/* No fault, but a clock that is wrong; not the one that never goes back. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);
    if (rc == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += fault_wall_shift();
    return rc;
}

time_t time(time_t *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (t != NULL)
        *t = ts.tv_sec;
    return ts.tv_sec;
}
