// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * conn: a client's connection, clear or TLS, embedded in a door's struct.
 *
 * Input is read, at most 64 KiB per connection and round, into a buffer that all connections of the process share, and
 * handed up once; the door uses it up or copies the rest. Output gathers in a queue that exists only while it holds
 * something, and is written once, at the end of the round (TCP_NODELAY is set on listening sockets, net/listen.h).
 * An idle connection has no buffer at all.
 *
 *   conn_open --> [TLS handshake] --> open --> conn_close --> rest of output, close_notify, FIN,
 *        |              |               |                     input discarded until the peer's FIN or `linger`
 *        |              |               |                                  |
 *        +--------------+---------------+----------- conn_abort -----------+--> on_closed
 *
 * on_closed always comes, exactly once after a successful conn_open, and never from inside a call into this module:
 * callbacks may close and abort freely and need not fear for their struct. It is the place to free it.
 *
 * After the peer's FIN (on_eof) output is still possible: half-close is legal (protocol 1, 1.1).
 */
#include <sys/queue.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/loop.h"

#define CONN_READ_MAX (64 * 1024) /* bytes from one connection in one round (design 2.2) */

struct conn;
struct conn_net;
struct conn_out;
struct tls_context;
struct tls_link;

/* Why it ended. conn_end_text() for the log. */
enum conn_end {
    CONN_END_DONE,      /* conn_close(), everything written */
    CONN_END_ABORT,     /* conn_abort() */
    CONN_END_RESET,     /* the peer reset it, or the network failed */
    CONN_END_OVERFLOW,  /* more than out_limit waited for a client that does not read */
    CONN_END_STALLED,   /* out_stall without progress of output */
    CONN_END_TLS,       /* handshake failed or took too long, bad record */
    CONN_END_INJECTION, /* bytes in clear behind starttls (CVE-2011-0411) */
    CONN_END_NOMEM,
    CONN_END_COUNT
};

/* on_data and on_closed are mandatory; the others may be NULL. */
struct conn_ops {
    /* Bytes of the client in order; `in` is gone when this returns. Empty after conn_again() and conn_resume(). */
    void (*on_data)(struct conn *c, struct str in);
    /* The peer sends no more. Once, after all data. */
    void (*on_eof)(struct conn *c);
    /* So many bytes of output (before encryption) have been passed to the kernel: credit for the writer. */
    void (*on_sent)(struct conn *c, size_t n);
    /* The handshake is over. problem: NULL when it succeeded, else why not, for the log; on_closed follows then. */
    void (*on_tls)(struct conn *c, const char *problem);
    /* Gone; the memory of *c is the door's again. */
    void (*on_closed)(struct conn *c, enum conn_end why);
};

/* 296 bytes. The fields are those of conn*.c. */
struct conn {
    struct loop_io io;
    struct conn_net *net;
    const struct conn_ops *ops;
    union {
        struct tls_context *wanted; /* before the first byte of the handshake, or NULL */
        struct tls_link *link;      /* from then on */
    } tls;
    struct conn_out *out; /* NULL: nothing waits */
    struct timer timer;   /* handshake, then stalled output, then linger */
    TAILQ_ENTRY(conn) write_link;
    TAILQ_ENTRY(conn) turn_link;
    int fd;
    uint16_t flags;
    uint8_t state;
    uint8_t why;
};

/* --- one per process */

struct conn_options {
    size_t out_limit;          /* bytes that may wait in one connection */
    int64_t out_stall;         /* ns */
    int64_t linger;            /* ns to wait for the peer's FIN after ours */
    int64_t handshake_timeout; /* ns, from conn_open or conn_start_tls on */
    uint32_t handshakes;       /* most unfinished ones that have sent something; others wait */
};
#define CONN_OPTIONS_DEFAULT \
    ((struct conn_options){8 * 1024 * 1024, 60 * CLOCK_SEC, 2 * CLOCK_SEC, 10 * CLOCK_SEC, 256})

/*
 * Registers its round-end function: call it before registering those that send what the callbacks of connections
 * produce (packets, log). It gives turns to connections, runs handshake steps (at most CONN_STEPS a round: design
 * §2.2), then writes every connection with output once.
 */
#define CONN_STEPS 4
enum err conn_net_new(struct loop *loop, const struct conn_options *opt,
                      struct conn_net **out) CHECKED;
/* All connections must have ended. */
void conn_net_free(struct conn_net **net);
/* New limits; for connections, output and handshakes that begin from now on. */
void conn_net_set_options(struct conn_net *net, const struct conn_options *opt);
struct loop *conn_net_loop(struct conn_net *net);
/* Handshakes that have begun and are not finished. */
uint32_t conn_net_handshakes(const struct conn_net *net);

/* --- a connection */

/*
 * Takes over fd (a connected stream socket), unless it fails. tls NULL: in clear; else the handshake is
 * awaited at once. The context is kept for as long as the connection needs it (net/tls.h counts).
 */
enum err conn_open(struct conn *c, struct conn_net *net, int fd, const struct conn_ops *ops,
                   struct tls_context *tls) CHECKED;

/*
 * Queues output; a no-op once the connection is closing. When more than out_limit would wait, nothing is added, the
 * connection is aborted and on_closed(CONN_END_OVERFLOW) follows: the caller need not look.
 */
void conn_write(struct conn *c, struct str bytes);
/* Bytes written and not yet passed to the kernel. */
size_t conn_unsent(const struct conn *c);

/* Stops reading, so that TCP slows the client down. What has been read before still comes. Not nested. */
void conn_pause(struct conn *c);
/* Reads again; on_data is called in this round or the next even if nothing comes, for what the door kept. */
void conn_resume(struct conn *c);
/* The door kept input that this round allowed no more time for: on_data with an empty slice, before more is read. */
void conn_again(struct conn *c);

/*
 * starttls (protocol 1, 2.3). Everything written so far (the response) leaves in clear; what is written later waits
 * for the end of the handshake. `behind`: what the door holds of the client's bytes behind the starttls message. If
 * that is not empty, or anything more has arrived when the response is about to leave, the connection is aborted with
 * CONN_END_INJECTION before the response is sent. on_tls tells the outcome. Not on a connection that is TLS already.
 */
void conn_start_tls(struct conn *c, struct tls_context *tls, struct str behind);

/*
 * Orderly end: queued output, close_notify, FIN; then input is discarded until the peer closes or `linger` is over,
 * so that unread input cannot destroy the last output (a close with unread input resets the connection). No on_data,
 * on_eof, on_tls after this call. No-op when it is closing already.
 */
void conn_close(struct conn *c);
/* Immediate end. No callbacks but on_closed after this call. No-op when it has ended. */
void conn_abort(struct conn *c);

/* False from conn_close(), conn_abort() or a failure on. */
bool conn_is_open(const struct conn *c);
/* The handshake has succeeded. */
bool conn_is_tls(const struct conn *c);
/* Between conn_open or conn_start_tls and on_tls. */
bool conn_in_handshake(const struct conn *c);
/* Of a TLS connection, else "": "TLSv1.3", "TLS_AES_256_GCM_SHA384"; the name that the client asked for (SNI), or "". */
const char *conn_tls_version(const struct conn *c);
const char *conn_tls_cipher(const struct conn *c);
const char *conn_tls_name(const struct conn *c);
/* The session was resumed by a ticket. */
bool conn_tls_resumed(const struct conn *c);

/* "closed", "aborted", "connection reset" ... constant. */
const char *conn_end_text(enum conn_end why);
