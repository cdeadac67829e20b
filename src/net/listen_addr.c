// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * listen_addr.c: addresses and their text.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "net/listen_priv.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool listen_sockaddr_make(union listen_sockaddr *sa, struct str host, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    *sa = (union listen_sockaddr){0};
    if (host.n == 0 || host.n >= sizeof text || memchr(host.p, '\0', host.n) != NULL)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    sa->both = str_eq(host, STR("*"));
    if (!sa->both && inet_pton(AF_INET, text, &sa->in.sin_addr) == 1) {
        sa->in.sin_family = AF_INET;
        sa->in.sin_port = htons(port);
        return true;
    }
    if (!sa->both && inet_pton(AF_INET6, text, &sa->in6.sin6_addr) != 1)
        return false;
    sa->in6.sin6_family = AF_INET6;
    sa->in6.sin6_port = htons(port);
    return true;
}

void listen_addr_from(struct listen_addr *a, const struct sockaddr *sa)
{
    const union listen_sockaddr *u = (const union listen_sockaddr *)(const void *)sa;
    *a = (struct listen_addr){.family = LISTEN_LOCAL};
    if (sa->sa_family == AF_INET) {
        memcpy(a->ip, v4_prefix, sizeof v4_prefix);
        memcpy(a->ip + sizeof v4_prefix, &u->in.sin_addr, 4);
        a->port = ntohs(u->in.sin_port);
        a->family = LISTEN_IP;
    } else if (sa->sa_family == AF_INET6) {
        memcpy(a->ip, &u->in6.sin6_addr, 16);
        a->port = ntohs(u->in6.sin6_port);
        a->family = LISTEN_IP;
    }
}

static bool is_v4(const struct listen_addr *a)
{
    return memcmp(a->ip, v4_prefix, sizeof v4_prefix) == 0;
}

const char *listen_addr_text(const struct listen_addr *a, char to[LISTEN_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "local";
    if (a->family == LISTEN_IP && is_v4(a))
        inet_ntop(AF_INET, a->ip + sizeof v4_prefix, ip, sizeof ip);
    else if (a->family == LISTEN_IP)
        inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
    snprintf(to, LISTEN_TEXT, "[%s]", ip);
    return to;
}

const char *listen_addr_port_text(const struct listen_addr *a, char to[LISTEN_TEXT])
{
    listen_addr_text(a, to);
    size_t n = strlen(to);
    if (a->family == LISTEN_IP)
        snprintf(to + n, LISTEN_TEXT - n, ":%u", a->port);
    return to;
}

bool listen_addr_is_loopback(const struct listen_addr *a)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    return a->family == LISTEN_LOCAL || (is_v4(a) && a->ip[12] == 127) ||
           memcmp(a->ip, v6_loopback, 16) == 0;
}

enum err listen_addr_local(int fd, struct listen_addr *a)
{
    union listen_sockaddr sa = {0};
    socklen_t len = sizeof sa.room;
    if (getsockname(fd, &sa.any, &len) != 0)
        return ERR_SYS;
    listen_addr_from(a, &sa.any);
    return ERR_OK;
}

enum err listen_addr_peer(int fd, struct listen_addr *a)
{
    union listen_sockaddr sa = {0};
    socklen_t len = sizeof sa.room;
    if (getpeername(fd, &sa.any, &len) != 0)
        return ERR_SYS;
    listen_addr_from(a, &sa.any);
    return ERR_OK;
}
