// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/settings.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listen.h"

struct faillog_options settings_faillog(const struct conf *c)
{
    struct faillog_options o = FAILLOG_DEFAULTS;
    o.account_limit = c->login.fail_account;
    o.address_limit = c->login.fail_address;
    o.window = c->login.fail_window;
    o.delay = c->login.fail_delay;
    o.delay_max = c->login.fail_delay_max;
    return o;
}

struct verifier_options settings_verifier(const struct conf *c)
{
    struct verifier_options o = VERIFIER_DEFAULTS;
    o.cost = c->login.hash_cost;
    o.min_length = c->login.min_password;
    o.cram = c->login.cram;
    return o;
}

struct gate_limits settings_gate(const struct conf *c)
{
    uint32_t share = c->server.channels_share_before_login;
    uint32_t some = (uint32_t)((uint64_t)c->server.channels * share / 100);
    return (struct gate_limits){.before_login = share == 100 ? 0
                                                : some != 0  ? some
                                                             : 1,
                                .channels = c->server.channels,
                                .per_address = c->server.channels_per_address,
                                .per_client_address = c->server.channels_per_client_address,
                                .reserve = c->server.reserve_for_clients};
}

struct gate_limits settings_gate_http(const struct conf *c)
{
    return (struct gate_limits){.channels = c->http.connections,
                                .per_address = c->http.connections_per_address};
}

struct frame_limits settings_frame(const struct conf *c)
{
    return (struct frame_limits){.tag = (size_t)c->limits.tag,
                                 .attrs = (uint32_t)c->limits.attributes,
                                 .depth = (uint32_t)c->limits.depth};
}

uint32_t settings_keepers(const struct conf *c, uint32_t banks)
{
    uint32_t n = conf_auto(c->server.keepers, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), 16);
    return n < banks ? n : banks;
}

bool settings_listener_on(const struct conf *c, const struct conf_listener *l)
{
    return l->at.kind != CONF_OFF && !(l->protocol == CONF_XIMSS && c->server.channels == 0);
}

bool settings_same_address(const struct conf_address *a, const struct conf_address *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == CONF_UNIX ? str_eq(a->path, b->path)
                                : a->port == b->port && str_eq(a->host, b->host);
}

size_t settings_listener_find(const struct conf *c, const struct conf_address *at)
{
    size_t i = 0;
    while (i < c->nlisteners && !(settings_listener_on(c, &c->listeners[i]) &&
                                  settings_same_address(&c->listeners[i].at, at)))
        i++;
    return i;
}

enum err settings_bind(const struct conf *c, const struct conf_listener *l, bool spread, int *fd)
{
    enum err e = l->at.kind == CONF_UNIX
                     ? listen_bind_unix(l->at.path, 0660, (int)c->server.backlog, fd)
                     : listen_bind(l->at.host, l->at.port, (int)c->server.backlog, spread, fd);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "[listener %.*s]: cannot listen on %.*s: %s",
                  STR_FMT(l->name), STR_FMT(l->address), strerror(errno));
    return e;
}

enum err settings_make_dir(const char *path, mode_t mode)
{
    char part[1100];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return ERR_TOO_LONG;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, i == n ? mode : 0755) != 0 && errno != EEXIST) {
            log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot make the folder %s: %s", part,
                      strerror(errno));
            return ERR_SYS;
        }
    }
    return ERR_OK;
}
