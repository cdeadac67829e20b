// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * lmtp: a link that delivers messages, one transaction at a time, its commands pipelined (RFC 2920).
 */
#include "tools/ximss-bench/link.h"

struct lmtp;
typedef void lmtp_fn(struct lmtp *m);

struct lmtp {
    struct link l;
    const struct options *o;
    lmtp_fn *ready;          /* may deliver: greeted, or the message is stored */
    int64_t sent;            /* when the last message's bytes were given to the kernel */
    uint32_t account;        /* of the message that is on its way */
    uint32_t line, expected; /* answers of this step: seen, wanted */
    struct buf held;
    uint8_t step;
};

/* o, ready are set before. */
void lmtp_open(struct lmtp *m);
/* One message of o->size bytes. */
void lmtp_deliver(struct lmtp *m, uint32_t account);
void lmtp_close(struct lmtp *m);
