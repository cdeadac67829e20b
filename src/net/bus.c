// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "net/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/memfd.h"

struct bus_packet {
    struct bus_packet *next;
    size_t n;
    uint32_t nfds;
    bool secret;
    int fds[IPC_PACKET_FDS];
    char bytes[];
};

union fd_space {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int) * IPC_PACKET_FDS)];
};

void bus_init(struct bus_peer *p, int fd, enum ipc_role self, enum ipc_role role,
              bus_item_fn *on_item, void *arg)
{
    *p = (struct bus_peer){.fd = fd, .self = self, .role = role, .on_item = on_item, .arg = arg};
    buf_init(&p->open, IPC_PACKET_MAX);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        p->broken = true;
}

static void close_fds(const int *fds, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        close(fds[i]);
}

static void packet_free(struct bus_packet *k)
{
    close_fds(k->fds, k->nfds);
    if (k->secret)
        explicit_bzero(k->bytes, k->n);
    free(k);
}

/* The packet being filled is empty again. */
static void clear_open(struct bus_peer *p)
{
    if (p->secret)
        explicit_bzero(p->open.p, p->open.n);
    p->secret = false;
    p->open_nfds = 0;
    buf_clear(&p->open);
}

void bus_free(struct bus_peer *p)
{
    while (p->first != NULL) {
        struct bus_packet *k = p->first;
        p->first = k->next;
        packet_free(k);
    }
    close_fds(p->open_fds, p->open_nfds);
    clear_open(p);
    buf_free(&p->open);
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->last = NULL;
    p->queued = 0;
    p->broken = false;
}

enum err bus_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        log_write(LOG_FAILURES, "BUS", 0, NULL, "socketpair: %s", strerror(errno));
        return ERR_SYS;
    }
    return ERR_OK;
}

static void break_peer(struct bus_peer *p, const char *why)
{
    if (!p->broken)
        log_write(LOG_FAILURES, "BUS", 0, NULL, "%s %u: %s", ipc_role_name(p->role), p->number,
                  why);
    p->broken = true;
}

/* Moves the packet being filled to the queue. */
static void seal_open(struct bus_peer *p)
{
    if (p->open.n == 0)
        return;
    struct bus_packet *k = malloc(sizeof *k + p->open.n);
    if (k == NULL) {
        break_peer(p, "no memory for a packet");
        return;
    }
    *k = (struct bus_packet){.n = p->open.n, .nfds = p->open_nfds, .secret = p->secret};
    memcpy(k->bytes, p->open.p, p->open.n);
    memcpy(k->fds, p->open_fds, sizeof k->fds);
    if (p->last != NULL)
        p->last->next = k;
    else
        p->first = k;
    p->last = k;
    p->queued += k->n;
    clear_open(p);
}

/* Room for an item in the packet being filled, which is another one when this one is full. */
static bool put_item(struct bus_peer *p, const struct ipc_item *it)
{
    if (p->open.n == 0)
        ipc_packet_begin(&p->open);
    /* Growing later would leave copies of a secret in freed memory. */
    if (ipc_item_secret(it) && p->open.cap < IPC_PACKET_MAX)
        (void)buf_room(&p->open, IPC_PACKET_MAX - p->open.n);
    if (p->open.n != 0 && ipc_packet_add(&p->open, it))
        return true;
    seal_open(p);
    if (p->broken)
        return false;
    ipc_packet_begin(&p->open);
    return p->open.n != 0 && ipc_packet_add(&p->open, it);
}

static void add_item(struct bus_peer *p, const struct ipc_item *it, int fd)
{
    if (fd >= 0 && p->open_nfds == IPC_PACKET_FDS)
        seal_open(p);
    if (p->broken || !put_item(p, it)) {
        break_peer(p, "no memory for a packet");
        if (fd >= 0)
            close(fd);
        return;
    }
    p->secret = p->secret || ipc_item_secret(it);
    if (fd >= 0)
        p->open_fds[p->open_nfds++] = fd;
    if (p->queue_max != 0 && bus_unsent(p) > p->queue_max)
        break_peer(p, "it does not read what it makes us say");
}

static void add_with_fd(struct bus_peer *p, const struct ipc_item *it, int fd)
{
    if (fd < 0)
        break_peer(p, "no descriptor for a packet");
    else
        add_item(p, it, fd);
}

/* `tail` stands behind the item's own body. */
static void add_with_memfd(struct bus_peer *p, const struct ipc_item *it, struct str tail)
{
    struct ipc_item copy = *it;
    copy.body = STR_NONE;
    copy.flags |= IPC_FLAG_MEMFD;
    add_with_fd(p, &copy, memfd_make_joined("ximssd-packet", it->body, tail));
}

void bus_send(struct bus_peer *p, const struct ipc_item *it)
{
    if (p->fd < 0 || p->broken)
        return;
    BUG_IF(it->fd >= 0 && ipc_type_fd(it->type) != IPC_FD);
    if (it->fd >= 0)
        add_with_fd(p, it, fcntl(it->fd, F_DUPFD_CLOEXEC, 0));
    else if (it->body.n > IPC_INLINE_MAX && ipc_type_fd(it->type) == IPC_MEMFD)
        add_with_memfd(p, it, STR_NONE);
    else
        add_item(p, it, -1);
}

void bus_put(struct bus_peer *p, enum ipc_type t, uint32_t id, uint32_t seq, struct str body)
{
    bus_send(p, &(struct ipc_item){.type = t, .id = id, .seq = seq, .body = body, .fd = -1});
}

void bus_put_joined(struct bus_peer *p, enum ipc_type t, uint32_t id, uint32_t seq, struct str head,
                    struct str tail)
{
    struct ipc_item it = {.type = t, .id = id, .seq = seq, .body = head, .fd = -1};
    char joined[IPC_INLINE_MAX];
    if (head.n + tail.n > sizeof joined) {
        if (p->fd >= 0 && !p->broken)
            add_with_memfd(p, &it, tail);
        return;
    }
    if (head.n != 0)
        memcpy(joined, head.p, head.n);
    if (tail.n != 0)
        memcpy(joined + head.n, tail.p, tail.n);
    it.body = (struct str){joined, head.n + tail.n};
    bus_send(p, &it);
}

static ssize_t send_packet(int fd, const char *bytes, size_t n, const int *fds, uint32_t nfds)
{
    union fd_space space;
    struct iovec io = {.iov_len = n};
    memcpy(&io.iov_base, &bytes, sizeof bytes); /* sendmsg() does not write there */
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (nfds != 0) {
        memset(&space, 0, sizeof space);
        m.msg_control = &space;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    ssize_t got;
    do
        got = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got;
}

/* ETOOMANYREFS: too many descriptors are on their way to peers that have not read them yet. */
static bool may_go_later(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK || e == ENOBUFS || e == ENOMEM || e == ETOOMANYREFS;
}

static enum err send_error(struct bus_peer *p)
{
    if (may_go_later(errno))
        return ERR_AGAIN;
    p->broken = true;
    return ERR_NET;
}

static enum err flush_queue(struct bus_peer *p)
{
    while (p->first != NULL) {
        struct bus_packet *k = p->first;
        if (send_packet(p->fd, k->bytes, k->n, k->fds, k->nfds) < 0)
            return send_error(p);
        p->first = k->next;
        if (p->first == NULL)
            p->last = NULL;
        p->queued -= k->n;
        packet_free(k);
    }
    return ERR_OK;
}

enum err bus_flush(struct bus_peer *p)
{
    if (p->fd < 0 || p->broken)
        return ERR_NET;
    enum err e = flush_queue(p);
    if (e != ERR_OK || p->open.n == 0)
        return e;
    /* The usual case: the packet of this round goes out without a copy. */
    if (send_packet(p->fd, p->open.p, p->open.n, p->open_fds, p->open_nfds) >= 0) {
        close_fds(p->open_fds, p->open_nfds);
        clear_open(p);
        return ERR_OK;
    }
    e = send_error(p);
    if (e == ERR_AGAIN)
        seal_open(p);
    return e;
}

size_t bus_unsent(const struct bus_peer *p)
{
    return p->queued + p->open.n;
}

/* The descriptors that came with a packet; each is taken by one item. */
struct fd_list {
    int fds[IPC_PACKET_FDS];
    uint32_t n, taken;
    bool secret; /* the packet held one */
};

static void collect_fds(struct msghdr *m, struct fd_list *l)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (l->n < IPC_PACKET_FDS)
                l->fds[l->n++] = fd;
            else
                close(fd);
        }
    }
}

static enum err give_item(struct bus_peer *p, struct ipc_item *it, struct fd_list *l)
{
    bool mapped = (it->flags & IPC_FLAG_MEMFD) != 0;
    if (!mapped && ipc_type_fd(it->type) != IPC_FD) {
        p->on_item(p, it);
        return ERR_OK;
    }
    if (l->taken == l->n)
        return ERR_PACKET;
    int fd = l->fds[l->taken++];
    if (!mapped) {
        it->fd = fd;
        p->on_item(p, it);
        return ERR_OK;
    }
    it->body = memfd_map(fd, IPC_LARGE_MAX);
    close(fd);
    if (it->body.p == NULL)
        return ERR_PACKET;
    p->on_item(p, it);
    memfd_unmap(it->body);
    return ERR_OK;
}

static enum err give_packet(struct bus_peer *p, struct str packet, struct fd_list *l)
{
    struct ipc_reader r;
    struct ipc_item it;
    enum err e = ipc_reader_init(&r, packet, p->role, p->self);
    while (e == ERR_OK) {
        e = ipc_reader_next(&r, &it);
        if (e == ERR_OK) {
            l->secret = l->secret || ipc_item_secret(&it);
            e = give_item(p, &it, l);
        }
        if (p->fd < 0)
            return ERR_EOF; /* the item's function closed this peer */
    }
    return e == ERR_EOF && l->taken == l->n ? ERR_OK : ERR_PACKET;
}

enum err bus_read(struct bus_peer *p, unsigned packets)
{
    char bytes[IPC_PACKET_MAX] __attribute__((aligned(8)));
    while (packets-- != 0 && p->fd >= 0) {
        union fd_space space;
        struct iovec io = {bytes, sizeof bytes};
        struct msghdr m = {
            .msg_iov = &io, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
        ssize_t n = recvmsg(p->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return may_go_later(errno) ? ERR_AGAIN : ERR_EOF;
        if (n == 0)
            return ERR_EOF;
        struct fd_list l = {.n = 0};
        collect_fds(&m, &l);
        enum err e = (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0
                         ? ERR_PACKET
                         : give_packet(p, (struct str){bytes, (size_t)n}, &l);
        close_fds(l.fds + l.taken, l.n - l.taken);
        if (l.secret)
            explicit_bzero(bytes, (size_t)n);
        if (e == ERR_PACKET)
            break_peer(p, "malformed packet");
        if (e != ERR_OK)
            return e;
    }
    return p->fd >= 0 ? ERR_OK : ERR_EOF;
}
