// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * listen: listening sockets, accepting, and the text of network addresses.
 *
 * The master binds (no loop, no libuv involved): one SO_REUSEPORT socket per worker and address, and keeps all of them;
 * a worker closes every one but its own (dependencies.md finding 9). Workers accept (struct listener).
 */
#include <sys/types.h>

#include "base/buf.h"
#include "net/loop.h"

/* --- addresses */

enum listen_family { LISTEN_IP, LISTEN_LOCAL };

struct listen_addr {
    uint8_t ip[16]; /* network order; IPv4 as ::ffff:a.b.c.d; zero for LISTEN_LOCAL */
    uint16_t port;  /* host order */
    uint8_t family; /* enum listen_family */
};

/* "[2001:db8:...]:65535" and the terminating zero. */
#define LISTEN_TEXT 56

/* "[192.0.2.7]", "[2001:db8::7]" (protocol 1, 1.9); IPv4 always in its own form; "[local]" for Unix sockets. Returns `to`. */
const char *listen_addr_text(const struct listen_addr *a, char to[LISTEN_TEXT]);
/* "[192.0.2.7]:5060". */
const char *listen_addr_port_text(const struct listen_addr *a, char to[LISTEN_TEXT]);
bool listen_addr_is_loopback(const struct listen_addr *a);
/* The address that the client connected to (protocol 1, 2.1). */
enum err listen_addr_local(int fd, struct listen_addr *a) CHECKED;
enum err listen_addr_peer(int fd, struct listen_addr *a) CHECKED;

/* --- binding; the master. errno is that of the failure on ERR_SYS and ERR_EXISTS */

/*
 * host: "*" (one IPv6 socket that takes IPv4 too; IPv4 only where the kernel has no IPv6), or an IP address without
 * brackets. port 0: the kernel chooses (tests), see listen_addr_local(). reuseport: several sockets on one address, all
 * of which must be bound with it. The socket is non-blocking, close-on-exec, listening. ERR_SYNTAX: host is no address;
 * ERR_EXISTS: somebody else has the address; ERR_SYS.
 */
enum err listen_bind(struct str host, uint16_t port, int backlog, bool reuseport, int *fd) CHECKED;
/*
 * path: absolute. A stale socket (nobody accepts there) is removed first; ERR_EXISTS when somebody does or when it is
 * not a socket. The file gets `mode` before the first connection is possible. ERR_TOO_LONG: over 107 bytes.
 */
enum err listen_bind_unix(struct str path, mode_t mode, int backlog, int *fd) CHECKED;
/* Is the bound socket fd the one that this setting means (LISTEN_FDS, design 2.5)? */
bool listen_is_bound(int fd, struct str host, uint16_t port);
bool listen_is_bound_unix(int fd, struct str path);

/* --- accepting; workers */

#define LISTEN_DRAIN 65536 /* as many as a queue can hold */
#define LISTEN_BATCH 16    /* connections accepted from one socket in one round, at most */

/* fd is the function's: non-blocking, close-on-exec. */
typedef void listen_fn(void *arg, int fd, const struct listen_addr *peer);

/* The fields are listen.c's. */
struct listener {
    struct loop_io io;
    struct loop *loop;
    listen_fn *fn;
    void *arg;
    loop_closed_fn *closed;
    struct timer rest; /* after an error that would come again at once */
    int fd;
    int reserve;      /* a descriptor to give up when the process has no more (EMFILE) */
    uint64_t dropped; /* connections closed for want of descriptors */
};

/* Takes over the listening socket fd, unless it fails. Sets TCP_NODELAY on it, which accepted sockets inherit. */
enum err listen_open(struct listener *l, struct loop *loop, int fd, listen_fn *fn,
                     void *arg) CHECKED;
/* Accepts all who wait now, at most what one queue holds. */
void listen_drain(struct listener *l);
/* Stops (false) and starts (true) accepting; waiting connections stay in the kernel's queue. */
void listen_accept(struct listener *l, bool on);
/* Closes the socket. `closed` as in loop_io_close(), with the arg of listen_open(). */
void listen_close(struct listener *l, loop_closed_fn *closed);
