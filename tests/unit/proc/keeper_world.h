// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * keeper_world: a keeper as proc/child.c sees it, one for the process, with a real bank in a folder of its own. The test plays
 * its workers and auth, over real sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec/ipcbody.h"
#include "proc/keeper.h"

#define WORKERS  3
#define HEARD    8
#define HEARD_IN 4096
#define DORA     7
#define OTTO     8

/* What a worker, auth or the master has been told; those that come behind HEARD of them are counted only. */
struct far_end {
    struct bus_peer bus;
    bool deaf; /* reads nothing */
    uint32_t n;
    struct heard {
        enum ipc_type type;
        uint32_t id, seq;
        char body[HEARD_IN];
        size_t bytes;
        int fd; /* -1: none */
    } heard[HEARD];
};

struct keeper_world {
    struct child c;
    struct keeper *k;
    struct child_peer near[WORKERS], near_auth; /* the keeper's ends */
    struct far_end worker[WORKERS], auth, master;
};

/* Workers 0...WORKERS-1 of generation 1, and auth, are there. */
struct keeper_world *keeper_world_new(void);
void keeper_world_free(struct keeper_world *w);

/* The worker of that number is gone, and another one is there. */
void keeper_world_replace(struct keeper_world *w, uint32_t worker);
/* What everybody said is read, there is a round, and everybody hears what came of it. */
void keeper_world_round(struct keeper_world *w);
/* The same, after a worker has said something. */
void worker_says(struct keeper_world *w, uint32_t worker, enum ipc_type t, uint32_t id,
                 uint32_t seq, struct str body);
/* auth lets a login in: connection `id` of a worker, its `seq`-th attempt. */
void auth_attaches(struct keeper_world *w, uint32_t worker, uint32_t id, uint32_t seq,
                   uint64_t account, uint32_t flags);
/* The worker has been told this and nothing else since it was asked last; NULL: nothing at all. */
const struct heard *only_heard(struct far_end *far);
/* Of a session; NULL: there is none. */
const struct kept *kept_of(const struct keeper_world *w, uint32_t id);
