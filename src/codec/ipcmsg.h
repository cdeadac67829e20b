// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ipcmsg: the form of the packets between our processes (design 2.2). Pure: bytes in, items out.
 *
 * A packet is a header and `count` items, 64 KiB at most; all of one sender's items of one loop
 * round travel together. Numbers are in the machine's own byte order: both ends are one binary (the
 * version says so).
 *
 *   packet  version u16, count u16, length u32 (of all), then the items
 *   item    type u16, flags u16, length u32 (of the body), id u32, seq u32, then the body, padded
 * to 8
 *
 * Both ends validate: a packet of a wrong version, length, type or direction is ERR_PACKET as a
 * whole and its sender is not believed any more. Bodies are read with struct ipc_in, which
 * remembers the first failure.
 */
#include <stdint.h>

#include "base/buf.h"

#define IPC_VERSION     1
#define IPC_PACKET_MAX  65536
#define IPC_HEAD        8
#define IPC_ITEM_HEAD   16
#define IPC_BODY_MAX    (IPC_PACKET_MAX - IPC_HEAD - IPC_ITEM_HEAD - 8)
#define IPC_INLINE_MAX  32768 /* larger bodies of MEMFD types travel as a sealed memfd */
#define IPC_PACKET_FDS  8
#define IPC_DELIVER_MAX 1000                  /* recipients of one DELIVER */
#define IPC_LARGE_MAX   (UINT64_C(256) << 20) /* no memfd larger than this is mapped */

enum ipc_role {
    IPC_ROLE_ANY = 0, /* in ipc.tbl only */
    IPC_ROLE_MASTER,
    IPC_ROLE_WORKER,
    IPC_ROLE_AUTH,
    IPC_ROLE_HASHER,
    IPC_ROLE_KEEPER,
    IPC_ROLE_HELPER,
    IPC_ROLE_CHECK,
    IPC_ROLE_COUNT,
};

enum ipc_type {
    IPC_NONE = 0,
#define IPC(name, from, to, fd, doc) IPC_##name,
#include "codec/ipc.tbl"
#undef IPC
    IPC_TYPE_COUNT,
};

/* How a process is to finish. */
enum ipc_stop {
    IPC_STOP_NOW,
    IPC_STOP_CLOSE, /* nobody takes its place: workers close their listening sockets and refuse logins */
    IPC_STOP_LEAVE, /* a successor is there: workers only stop accepting */
    IPC_STOP_HAND,  /* a keeper: a successor comes; it gets the sessions (proc/keeper_handover.h) */
};

enum ipc_fd { IPC_NOFD, IPC_FD, IPC_MEMFD };

/* Item flag: the body is in a memfd that travels with the packet. */
#define IPC_FLAG_MEMFD 1u
/* Item flag: the body may hold a password, though that of most items of its type does not. */
#define IPC_FLAG_SECRET 2u

struct ipc_item {
    enum ipc_type type;
    uint16_t flags;
    uint32_t id;
    uint32_t seq;
    struct str body;
    int fd; /* the receiver's to close; -1 if none. Set by net/bus, not by this module */
};

const char *ipc_role_name(enum ipc_role r);
const char *ipc_type_name(enum ipc_type t);
enum ipc_fd ipc_type_fd(enum ipc_type t);
/* Of the table of types: programs whose packets differ have different ones. */
uint64_t ipc_fingerprint(void);
/* Its body may hold a password or what opens one: wiped from memory once it is passed on. */
bool ipc_item_secret(const struct ipc_item *it);

/* --- writing: a buffer that holds one packet */
void ipc_packet_begin(struct buf *b);
/* false: no room left in this packet (nothing was added); the body must be <= IPC_BODY_MAX. */
bool ipc_packet_add(struct buf *b, const struct ipc_item *it) CHECKED;

/* --- reading */
struct ipc_reader {
    struct str rest;
    uint32_t left; /* items */
    enum ipc_role from, to;
};

/* ERR_PACKET when the header is wrong. */
enum err ipc_reader_init(struct ipc_reader *r, struct str packet, enum ipc_role from,
                         enum ipc_role to) CHECKED;
/* ERR_OK, ERR_EOF after the last item, ERR_PACKET. it->body points into the packet. */
enum err ipc_reader_next(struct ipc_reader *r, struct ipc_item *it) CHECKED;

/* --- bodies */
void ipc_put_u32(struct buf *b, uint32_t v);
void ipc_put_u64(struct buf *b, uint64_t v);
void ipc_put_str(struct buf *b, struct str s);
/* The same for a string that may be absent (.p == NULL), which is not the empty one. */
void ipc_put_opt(struct buf *b, struct str s);

struct ipc_in {
    struct str rest;
    bool bad;
};

uint32_t ipc_get_u32(struct ipc_in *in);
uint64_t ipc_get_u64(struct ipc_in *in);
/* Points into the body; STR_NONE after a failure. */
struct str ipc_get_str(struct ipc_in *in);
struct str ipc_get_opt(struct ipc_in *in);
/* What is left, as it is (a message at a body's end). */
struct str ipc_get_rest(struct ipc_in *in);
/* ERR_PACKET if a get failed or bytes are left over. */
enum err ipc_in_end(const struct ipc_in *in) CHECKED;
