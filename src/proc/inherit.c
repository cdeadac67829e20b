// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listen.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* --- the environment */

static void take_names(struct inherit *in)
{
    const char *names = getenv("LISTEN_FDNAMES");
    if (names == NULL || strlen(names) >= sizeof in->text)
        return;
    memcpy(in->text, names, strlen(names));
    struct str rest = str_of(in->text);
    for (uint32_t i = 0; i < in->count && str_split(&rest, ':', &in->names[i]); i++)
        ;
}

static void take_fds(struct inherit *in)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t number;
    if (pid == NULL || fds == NULL || str_u64(str_of(pid), INT32_MAX, &number) != ERR_OK ||
        (pid_t)number != getpid())
        return; /* somebody else's, who forgot to remove them */
    if (str_u64(str_of(fds), INHERIT_MAX, &number) != ERR_OK) {
        snprintf(in->wrong, sizeof in->wrong, "%s", fds[0] != 0 ? fds : "nothing");
        return;
    }
    in->count = (uint32_t)number;
    for (uint32_t i = 0; i < in->count; i++) {
        int fd = FIRST_FD + (int)i;
        in->fds[i] = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
        if (in->fds[i] < 0 && in->missing == 0)
            in->missing = fd;
    }
    take_names(in);
}

void inherit_take(struct inherit *in)
{
    *in = (struct inherit){0};
    take_fds(in);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* --- what a sentence calls a socket: `descriptor 3 ("web", [127.0.0.1]:11024)` */

#define WHERE_TEXT 160

static const char *where(int fd, char to[WHERE_TEXT])
{
    struct sockaddr_un sa = {0};
    struct listen_addr a;
    socklen_t len = sizeof sa;
    snprintf(to, WHERE_TEXT, "no address");
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return to;
    size_t n = len > offsetof(struct sockaddr_un, sun_path)
                   ? len - offsetof(struct sockaddr_un, sun_path)
                   : 0;
    if (sa.sun_family == AF_UNIX && n != 0 && sa.sun_path[0] == 0)
        snprintf(to, WHERE_TEXT, "unix:@%.*s", (int)n - 1, sa.sun_path + 1);
    else if (sa.sun_family == AF_UNIX && n != 0)
        snprintf(to, WHERE_TEXT, "unix:%.*s", (int)n, sa.sun_path);
    else if ((sa.sun_family == AF_INET || sa.sun_family == AF_INET6) &&
             listen_addr_local(fd, &a) == ERR_OK)
        listen_addr_port_text(&a, to);
    return to;
}

#define NAME_TEXT (WHERE_TEXT + 128)

static const char *name_of(const struct inherit *in, uint32_t i, char to[NAME_TEXT])
{
    char place[WHERE_TEXT];
    struct str name = str_sub(in->names[i], 0, 64);
    if (name.n != 0)
        snprintf(to, NAME_TEXT, "descriptor %d (\"%.*s\", %s)", in->fds[i], STR_FMT(name),
                 where(in->fds[i], place));
    else
        snprintf(to, NAME_TEXT, "descriptor %d (%s)", in->fds[i], where(in->fds[i], place));
    return to;
}

/* --- check */

static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* NULL: nothing. */
static const char *what_is_wrong(int fd)
{
    int family = option(fd, SO_DOMAIN);
    if (family < 0)
        return "is no socket";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "is a socket of a family that this server does not know";
    if (option(fd, SO_TYPE) != SOCK_STREAM)
        return "is no stream socket";
    if (option(fd, SO_ACCEPTCONN) != 1)
        return "does not listen";
    return NULL;
}

enum err inherit_check(const struct inherit *in)
{
    enum err e = ERR_OK;
    char name[NAME_TEXT];
    if (in->wrong[0] != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "LISTEN_FDS is %s; allowed is 0 to %d",
                  in->wrong, INHERIT_MAX);
        return ERR_SYNTAX;
    }
    if (in->missing != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL,
                  "LISTEN_FDS says that %u sockets were handed in, but descriptor %d is not open",
                  in->count, in->missing);
        return ERR_NET;
    }
    for (uint32_t i = 0; i < in->count; i++) {
        const char *wrong = what_is_wrong(in->fds[i]);
        if (wrong == NULL)
            continue;
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s was handed in, but %s", name_of(in, i, name),
                  wrong);
        e = ERR_NET;
    }
    return e;
}

/* --- match */

/* The same address can still be another family than the section means. */
static const char *other_clients(int fd, struct str host)
{
    int v6only = 0;
    socklen_t len = sizeof v6only;
    if (option(fd, SO_DOMAIN) == AF_INET)
        return str_eq(host, STR("*")) ? "it takes IPv4 alone" : NULL;
    if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) != 0)
        return NULL;
    if (str_eq(host, STR("*")))
        return v6only != 0 ? "it takes IPv6 alone" : NULL;
    return str_eq(host, STR("::")) && v6only == 0 ? "it takes IPv4 too" : NULL;
}

static bool matches(int fd, const struct conf_address *at)
{
    if (at->kind == CONF_UNIX)
        return listen_is_bound_unix(fd, at->path);
    return at->kind == CONF_TCP && listen_is_bound(fd, at->host, at->port);
}

int inherit_match(struct inherit *in, const struct conf_listener *l)
{
    char name[NAME_TEXT];
    for (uint32_t i = 0; i < in->count; i++) {
        int fd = in->fds[i];
        if (fd < 0 || !matches(fd, &l->at))
            continue;
        const char *odd = l->at.kind == CONF_TCP ? other_clients(fd, l->at.host) : NULL;
        log_write(odd != NULL ? LOG_FAILURES : LOG_MAJOR, "MASTER", 0, NULL,
                  "[listener %.*s]: uses %s%s%s", STR_FMT(l->name), name_of(in, i, name),
                  odd != NULL ? "; " : "", odd != NULL ? odd : "");
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        in->fds[i] = -1;
        return fd;
    }
    return -1;
}

enum err inherit_finish(const struct inherit *in)
{
    enum err e = ERR_OK;
    char name[NAME_TEXT];
    for (uint32_t i = 0; i < in->count; i++) {
        if (in->fds[i] < 0)
            continue;
        log_write(LOG_FAILURES, "MASTER", 0, NULL,
                  "%s was handed in, but no [listener] without a socket has this address",
                  name_of(in, i, name));
        e = ERR_NOT_FOUND;
    }
    return e;
}

void inherit_close(struct inherit *in)
{
    for (uint32_t i = 0; i < in->count; i++) {
        if (in->fds[i] >= 0)
            close(in->fds[i]);
        in->fds[i] = -1;
    }
}
