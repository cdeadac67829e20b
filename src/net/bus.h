// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * bus: packets between our processes over Unix SOCK_SEQPACKET sockets (design 2.2).
 *
 * Both ends are non-blocking, and nobody ever stops reading a peer because he cannot write to him: what does not
 * go out now waits here, in order. Items given to bus_send() in one loop round leave together in bus_flush().
 * The bus knows no loop: a process with a loop uses net/busloop.h, the master polls bus_fd() itself.
 *
 * A peer that sends a malformed packet, or whose queue cannot be kept in memory or outgrows `queue_max`, is `broken`: the owner
 * treats it like one that has gone.
 *
 * What held a secret (ipc_item_secret) is wiped when it was sent, and when it was received and handed on.
 */
#include "codec/ipcmsg.h"

struct bus_packet;
struct bus_peer;

/*
 * One item has come. The body is good until the function returns; a descriptor (it->fd >= 0) of an FD type is
 * the function's to keep or close. Large MEMFD bodies are mapped already and look like any other body.
 */
typedef void bus_item_fn(struct bus_peer *p, const struct ipc_item *it);

struct bus_peer {
    int fd; /* -1: not connected */
    enum ipc_role self, role;
    uint32_t number;     /* of the process at the other end, from 0 */
    uint32_t generation; /* of that process */
    bus_item_fn *on_item;
    void *arg;       /* the owner's */
    struct buf open; /* packet being filled */
    int open_fds[IPC_PACKET_FDS];
    uint32_t open_nfds;
    struct bus_packet *first, *last; /* full packets that wait */
    size_t queued;                   /* bytes in them */
    size_t queue_max;                /* most bytes that bus_unsent() may say; 0: no bound */
    bool broken;
    bool secret; /* the packet being filled holds one */
};

/* Takes over fd and makes it non-blocking. */
void bus_init(struct bus_peer *p, int fd, enum ipc_role self, enum ipc_role role,
              bus_item_fn *on_item, void *arg);
/* Closes the socket and drops what waits; the peer can be initialised again. */
void bus_free(struct bus_peer *p);

/* A connected pair of sockets for two processes. */
enum err bus_pair(int fds[2]) CHECKED;

/*
 * Queues an item. it->fd, when not -1, is dup'ed, so the caller keeps his. Bodies over IPC_INLINE_MAX of MEMFD
 * types are put into a sealed memfd here; other bodies must be <= IPC_BODY_MAX. Does nothing on a peer that is
 * broken or not connected.
 */
void bus_send(struct bus_peer *p, const struct ipc_item *it);
/* The same for the common case. */
void bus_put(struct bus_peer *p, enum ipc_type t, uint32_t id, uint32_t seq, struct str body);
/*
 * A body of a MEMFD type in two parts, any of which may be empty; both stay the caller's. For who would otherwise copy a large
 * one to put something before it.
 */
void bus_put_joined(struct bus_peer *p, enum ipc_type t, uint32_t id, uint32_t seq, struct str head,
                    struct str tail);

/* Sends what can be sent now. ERR_OK: all gone; ERR_AGAIN: call again when writable; ERR_NET: gone or broken. */
enum err bus_flush(struct bus_peer *p) CHECKED;
/* Reads up to `packets` packets. ERR_OK: more may be there; ERR_AGAIN; ERR_EOF; ERR_PACKET. */
enum err bus_read(struct bus_peer *p, unsigned packets) CHECKED;

/* Bytes not yet given to the kernel. */
size_t bus_unsent(const struct bus_peer *p);
