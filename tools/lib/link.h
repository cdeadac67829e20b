// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * link: a client's end of a XIMSS connection over TCP or a Unix socket, in clear or over TLS.
 *
 * Nothing here waits longer than the time-out given at link_open(). Messages are cut at the zero byte and looked at no
 * further: what a server sends is shown, right or wrong.
 */
#include "base/buf.h"
#include "base/str.h"

#define LINK_MESSAGE_MAX ((size_t)256 << 20)
#define LINK_PROBLEM     256
#define LINK_PORT        "11024"

struct link_tls; /* what all TLS connections share */

struct link_options {
    bool insecure;   /* any certificate will do */
    int64_t timeout; /* ns */
    const char *
        name; /* to ask for by SNI and to look for in the certificate; NULL: the host of the address */
    bool no_alpn; /* it is not XIMSS */
};

enum link_state { LINK_OK, LINK_CLOSED, LINK_TIMEOUT, LINK_FAILED };

struct link {
    int fd; /* -1: not open */
    struct ssl_st *ssl;
    struct buf in; /* bytes that came and were not taken */
    size_t taken;  /* of them, by the message given out last */
    size_t looked; /* of them, without a zero byte */
    struct link_options opt;
    char host[256];             /* for SNI and the certificate; "" for Unix sockets */
    char problem[LINK_PROBLEM]; /* after LINK_FAILED and LINK_TIMEOUT */
};

/* An empty link; link_close() may be called from here on. */
void link_init(struct link *l);
/* "host", "host:port", "[v6]:port", "unix:/path". LINK_FAILED, LINK_TIMEOUT. */
enum link_state link_open(struct link *l, const char *address,
                          const struct link_options *opt) CHECKED;
/* The handshake. What came in clear before it is an error. */
enum link_state link_start_tls(struct link *l) CHECKED;
void link_close(struct link *l);

enum link_state link_send(struct link *l, struct str bytes) CHECKED;
/* No more will be sent: FIN, over TLS close_notify. */
void link_half_close(struct link *l);
/*
 * The next message, without its zero byte: good until the next call. wait false: LINK_TIMEOUT at once when there is no
 * whole one. LINK_CLOSED: the server closed between two messages; within one it is LINK_FAILED.
 */
enum link_state link_next(struct link *l, bool wait, struct str *msg) CHECKED;
/* The same for a line, without its line feed; for protocols that have lines. Waits. */
enum link_state link_line(struct link *l, struct str *line) CHECKED;
/* The same for so many bytes. */
enum link_state link_bytes(struct link *l, size_t n, struct str *bytes) CHECKED;
/* Bytes that came and were not taken as messages. */
struct str link_rest(const struct link *l);
