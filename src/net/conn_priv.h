// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * conn_priv: what the files conn*.c share; for them only.
 *
 * conn.c: the calls of the door and the states. conn_io.c: bytes in and out. conn_net.c: what all connections of a process
 * share, its rounds, and whose handshake goes on when.
 */
#include "base/buf.h"
#include "net/conn.h"
#include "net/tls.h"

enum conn_state {
    CONN_OPEN,     /* clear, or TLS after its handshake */
    CONN_STARTTLS, /* the response to starttls has to leave first; nothing is read */
    CONN_AWAITED,  /* the first byte of a handshake is awaited; tls.wanted */
    CONN_SHAKING,  /* handshake in progress; tls.link, NULL before its first step */
    CONN_CLOSING,  /* conn_close(): output has to leave; input is discarded */
    CONN_LINGERS,  /* our FIN is out, the peer's is awaited */
    CONN_DEAD,     /* on_closed is on its way */
};

enum conn_flags {
    CONN_F_PAUSED = 1 << 0,
    CONN_F_EOF = 1 << 1,     /* the peer's FIN has been seen */
    CONN_F_TLS = 1 << 2,     /* the handshake has succeeded */
    CONN_F_BLOCKED = 1 << 3, /* the kernel took not all output: LOOP_WRITE is awaited */
    CONN_F_SHUT = 1 << 4,    /* close_notify has been made */
    CONN_F_COUNTED = 1 << 5, /* in net->handshakes */
    CONN_F_IN_WRITES = 1 << 6,
    CONN_F_IN_TURNS = 1 << 7, /* turn_link is in net->turns ... */
    CONN_F_IN_STEPS = 1 << 8, /* ... net->steps ... */
    CONN_F_IN_QUEUE = 1 << 9, /* ... net->queue */
    CONN_F_ODD = 1 << 10,     /* put into net->turns in an odd round */
    CONN_F_WRITABLE = 1 << 11 /* the handshake wants to write */
};

/* Output that waits. */
struct conn_out {
    struct conn_out *next; /* in the pool */
    struct buf b;
    size_t head;      /* bytes of b that the kernel has */
    size_t clear_end; /* CONN_STARTTLS: what lies behind this belongs into TLS */
};

#define CONN_POOL       64          /* unused struct conn_out that are kept */
#define CONN_POOL_BYTES (16 * 1024) /* largest buffer that is kept */

TAILQ_HEAD(conn_list, conn);

struct conn_net {
    struct loop *loop;
    struct conn_options opt;
    struct conn_list writes; /* write_link: output, or something to do before or after it */
    struct conn_list turns;  /* turn_link: on_data with an empty slice */
    struct conn_list steps;  /* turn_link: ready for a step of their handshake */
    struct conn_list queue;  /* turn_link: waiting until fewer handshakes are in progress */
    uint32_t nwrites;
    uint32_t handshakes;
    uint32_t npool;
    bool odd; /* number of the round, modulo 2 */
    struct conn_out *pool;
    char in[CONN_READ_MAX];
    char plain[CONN_READ_MAX + TLS_SLACK];
};

/* --- conn.c */

/* Ends it now; on_closed follows. */
void conn_die(struct conn *c, enum conn_end why);
/* Asks the loop for the events that state and flags call for. */
void conn_watch(struct conn *c);
/* Our last byte is out: FIN, then wait for the peer's. The connection's struct may be dead afterwards. */
void conn_linger(struct conn *c, enum conn_end why);

/* --- conn_io.c */

void conn_read(struct conn *c);
/* Reads and forgets; the end of input ends the connection when it lingers. */
void conn_discard(struct conn *c);
/* Writes what can be written, and does what was to be done after that. */
void conn_flush(struct conn *c);
void conn_out_free(struct conn *c);

/* --- conn_net.c */

void conn_queue_write(struct conn *c);
void conn_queue_turn(struct conn *c);
/* The peer of an awaited handshake has sent something: a place is taken, or waited for. */
void conn_begin_handshake(struct conn *c);
void conn_queue_step(struct conn *c);
/* Out of all lists and counts. */
void conn_unqueue(struct conn *c);
