// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * proxyline: the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2.1 and 2.2): what a proxy says at the very
 * beginning of a connection about who is behind it. Pure.
 *
 * To be read only where it is expected, from peers that are trusted, and before anything else: nothing here guesses. Strict:
 * another protocol is noticed at its first byte; numbers of version 1 have no leading zeros. Of the additions of version 2
 * (TLV, 2.2), which have to fill what is left exactly, one is read: that of TLS (2.2.6). A checksum (CRC32C) is skipped like the
 * others: the kernel's TCP has one, and nobody is believed more for ours.
 */
#include "codec/addrlist.h"

#define PROXYLINE_V1_MAX 107  /* bytes with CR LF */
#define PROXYLINE_V2_MAX 4096 /* bytes with the first 16; ours, the protocol allows 65,551 */

struct proxyline {
    bool
        given; /* false: LOCAL, UNKNOWN or unspecified: the peer speaks for itself, its own address holds */
    struct ip ip; /* of the client */
    uint16_t port;
    bool tls; /* the client speaks TLS with the proxy (PP2_CLIENT_SSL); version 1 cannot say so */
};

/*
 * `in` is everything that came on the connection so far. ERR_OK: *used bytes of it are the header; ERR_AGAIN: well so far, more
 * is needed (never with PROXYLINE_V2_MAX bytes); ERR_SYNTAX: no such header, or additions that do not fit into it; ERR_TOO_LONG: over one of the limits;
 * ERR_UNSUPPORTED: a legal header of version 2 for UDP or Unix sockets. After the last three the connection is to be closed.
 */
enum err proxyline_read(struct str in, size_t *used, struct proxyline *out) CHECKED;
