// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * reload: a new configuration for a running server, in place (design 2.5). All or nothing: one refusal, or five seconds
 * of silence, and everybody goes on with the old one.
 *
 *   IDLE --begin--> CHECKING ----------> PREPARING ---------------------> IDLE
 *                   a process of its     sockets of new listeners are      everybody applies; sockets of listeners
 *                   own reads the file   bound, the certificate is read,   that are gone are closed; the report says
 *                                        every child prepares              what changed and what needs a restart
 *
 * No process is replaced and no connection is touched. While a reload is under way no child is started, so that none
 * begins with the old configuration and misses the new one. A request that comes meanwhile is carried out afterwards;
 * however many they are, once.
 *
 * What takes effect only at the next start keeps its value (conf_load_again()). `channels` can be raised up to the
 * room that shared memory was made for, see RELOAD_ROOM.
 */
#include "base/buf.h"
#include "conf/conf.h"

struct master;
struct master_child;
struct master_listener;
struct ipc_item;

/* Connections that the shared memory has room for at least, so that `channels` can be raised without a restart. */
#define RELOAD_ROOM 4000u

#define RELOAD_WAITERS 16 /* as many as the control socket has clients */

enum reload_state { RELOAD_IDLE, RELOAD_CHECKING, RELOAD_PREPARING };

struct reload {
    enum reload_state state;
    uint32_t number;        /* of the newest one */
    int64_t deadline;       /* of the state; clock_mono() */
    bool again;             /* one more, afterwards */
    struct arena arena;     /* of the two below */
    struct str label, text; /* what is being taken into use */
    struct conf *conf;
    int fd; /* memfd: of text while it is checked, then of what children get; -1: none */
    struct master_listener *listeners; /* of conf; sockets of old ones are not theirs yet */
    uint32_t nlisteners;
    int tls_fd; /* certificate and key; -1: none */
    uint64_t cert_bytes;
    struct reload_waiters {
        uint32_t seq[RELOAD_WAITERS], n;
    } now, next; /* who waits for the report of this one, and of the next */
};

void reload_init(struct reload *r);
void reload_free(struct reload *r);
/* Somebody wants one: SIGHUP, or a client of the control socket (its seq; 0: nobody waits for the report). */
void reload_begin(struct master *m, uint32_t seq);
bool reload_running(const struct master *m);
/* An item of a child (CHECKED, PREPARED). */
void reload_item(struct master *m, struct master_child *c, const struct ipc_item *it);
/* A child has died. */
void reload_child_gone(struct master *m, struct master_child *c);
/* Once a round: whose time is over? */
void reload_tick(struct master *m, int64_t now);
