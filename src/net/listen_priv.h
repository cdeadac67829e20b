// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * listen_priv: socket addresses, for the files listen*.c only.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/listen.h"

union listen_sockaddr {
    struct sockaddr any;
    struct sockaddr_storage room;
    struct {
        union {
            struct sockaddr_in in;
            struct sockaddr_in6 in6;
        };
        bool both; /* "*": IPv6 and IPv4 */
    };
};

/* False: host is neither "*" nor an address. */
bool listen_sockaddr_make(union listen_sockaddr *sa, struct str host, uint16_t port);
void listen_addr_from(struct listen_addr *a, const struct sockaddr *sa);
