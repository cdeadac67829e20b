// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * proxyline: the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2.1 and 2.2): what a proxy says at the very
 * beginning of a connection about who is behind it. Pure.
 *
 * To be read only where it is expected, from peers that are trusted, and before anything else: nothing here guesses. Strict:
 * another protocol is noticed at its first byte; numbers of version 1 have no leading zeros. Additions of version 2 (TLV), a
 * checksum among them, are skipped unread.
 */
#include "codec/addrlist.h"

#define PROXYLINE_V1_MAX 107  /* bytes with CR LF */
#define PROXYLINE_V2_MAX 4096 /* bytes with the first 16; ours, the protocol allows 65,551 */

struct proxyline {
    bool
        given; /* false: LOCAL, UNKNOWN or unspecified: the peer speaks for itself, its own address holds */
    struct ip ip; /* of the client */
    uint16_t port;
};

/*
 * `in` is everything that came on the connection so far. ERR_OK: *used bytes of it are the header; ERR_AGAIN: well so far, more
 * is needed (never with PROXYLINE_V2_MAX bytes); ERR_SYNTAX: no such header; ERR_TOO_LONG: over one of the limits;
 * ERR_UNSUPPORTED: a legal header of version 2 for UDP or Unix sockets. After the last three the connection is to be closed.
 */
enum err proxyline_read(struct str in, size_t *used, struct proxyline *out) CHECKED;
