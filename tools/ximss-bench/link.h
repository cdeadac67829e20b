// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * link: the generator's end of a connection, clear or TLS, without blocking.
 *
 * One epoll instance for all. Everything that happens to a link is told to its function: it may send and close.
 */
#include <openssl/ssl.h>

#include "tools/ximss-bench/bench.h"

enum link_event {
    LINK_UP,   /* connected, and its handshake done */
    LINK_DATA, /* bytes came */
    LINK_DOWN, /* the server has closed it, or reset it; link_close() is still to be called */
};

struct link;
typedef void link_fn(struct link *l, enum link_event what, struct str data);

struct link {
    link_fn *fn;
    SSL *ssl;
    SSL_SESSION *resume; /* the caller's; NULL: a full handshake */
    struct buf out;
    int fd; /* -1: closed */
    bool connecting, shaking, writing;
};

/* Starts to connect; l is the caller's. ctx NULL: clear. */
void link_open(struct link *l, const struct address *to, SSL_CTX *ctx, link_fn *fn);
/* Queues bytes; they leave when the link's function returns, or at link_flush(). */
void link_send(struct link *l, struct str bytes);
void link_flush(struct link *l);
void link_close(struct link *l);
/* Waits for events until `deadline` (clock_mono) or until *done; handles one batch of them at least. */
void link_run(int64_t deadline, const bool *done);

/* What was asked for and has to happen within PATIENCE, else the program fails with `what`. */
#define PATIENCE_SEC 60
void link_wait(const bool *done, const char *what);
