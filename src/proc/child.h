// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * child: what every process but the master has in common (design 2): the packets of the master, the loop, the sockets to
 * other processes, heartbeats, and the end when the master is gone.
 *
 * A role's main function fills `hooks` and calls child_run(). Until START comes only the master is heard; then
 * hooks->load(), priv_enter(), hooks->start(), priv_lock() and hooks->begin() run in this order (proc/priv.h), READY is sent, and packets
 * of peers are delivered. What start() opens lies in the working directory, which for keeper and auth is state_dir; behind
 * it nothing can be opened any more: what a process needs later comes from the master, as text or as a descriptor.
 *
 * Each loop round ends with hooks->round() and then one packet per peer that has something to get.
 *
 * A peer that breaks the rules, or cannot be written to, is dropped. If it does not die of that, one of the two must be
 * replaced, or they would never speak again: the one that is trusted less (hasher and helper, then worker, then keeper,
 * then auth) ends when the master has not spoken of it for CHILD_LOST_BEATS. So nobody is ended by one below.
 */
#include "base/arena.h"
#include "conf/conf.h"
#include "net/bus.h"
#include "net/loop.h"
#include "proc/child_log.h"
#include "shm/shm_writer.h"

#define CHILD_PEERS      128 /* processes of one role; of workers two banks (proc/upgrade.h) */
#define CHILD_LOST_BEATS 6   /* heartbeats, one a second: five seconds at least */

struct child;

struct child_peer {
    struct child *c;
    struct bus_peer bus;
    struct loop_io io;
    bool wants_write;
    void *data; /* the role's own */
};

struct child_hooks {
    void (*load)(void); /* or NULL: what libraries read from files outside of the role's folder */
    enum err (*start)(struct child *c);
    /* Behind priv_lock() and before any peer is heard: what starts with bytes of another process. Or NULL. */
    void (*begin)(struct child *c);
    /* An item of a peer, or one of the master that this module does not know. */
    void (*item)(struct child *c, struct bus_peer *from, const struct ipc_item *it);
    void (*peer_up)(struct child *c, struct child_peer *p);
    /* It is gone; *p is freed afterwards. A successor comes with peer_up(). */
    void (*peer_gone)(struct child *c, struct child_peer *p);
    /* A process died with whom there was no link: the one before us may have had one. Or NULL. */
    void (*gone_before)(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation);
    /* A question of ximssctl, or NULL (child_ctl.h). */
    void (*ctl)(struct child *c, const struct ipc_item *it);
    /* Finish, and call child_leave(), `within` ns; may come again with another time. NULL: leave at once */
    void (*stop)(struct child *c, enum ipc_stop how, int64_t within);
    /*
     * A reload (design 2.5), each may be NULL: makes what `next` needs and can fail; then either c->conf is the new
     * one (`old` goes when apply() returns, so nothing may point into it any more), or nothing comes of it.
     */
    enum err (*prepare)(struct child *c, const struct conf *next);
    void (*apply)(struct child *c, const struct conf *old);
    void (*forget)(struct child *c);
    void (*round)(struct child *c); /* or NULL */
    /* What waits for a worker (net/bus.h): more than for any that keeps the rules. It is dropped then. 0: no bound */
    size_t queue_max;
};

struct child {
    enum ipc_role role;
    uint32_t number;
    uint32_t generation;
    const struct child_hooks *hooks;
    void *data; /* the role's own */

    struct arena arena; /* what lives as long as the process */
    struct child_conf {
        struct arena arena;
        struct conf *conf;
        uint32_t number;     /* of the reload that brought it; 0: at the start */
    } now, next;             /* next.conf != NULL: prepared, not applied */
    struct conf *conf;       /* now.conf */
    uint32_t banks, keepers; /* how many there are; the master's word, so that all agree */
    struct loop *loop;
    struct bus_peer master;
    struct loop_io master_io;
    bool master_wants_write;
    struct child_peer *peers[IPC_ROLE_COUNT][CHILD_PEERS];
    uint32_t npeers[IPC_ROLE_COUNT]; /* behind the highest number that was ever used */
    struct shm_writer shm;           /* .map == NULL: none */
    void *gate_mem, *faillog_mem;
    size_t gate_bytes, faillog_bytes;
    struct timer beat;
    size_t unused; /* bytes on the heap, when the last of them were given back to the system */
    /* Peers that broke off without the master having told of their death (child_lost.c). */
    struct child_lost {
        uint32_t generation;
        uint32_t beats; /* that it is still waited for; 0: nobody is */
    } lost[IPC_ROLE_COUNT][CHILD_PEERS];
    struct child_log log;
    bool started;
    int exit_code;
};

/* The program's main for a role: arguments after --role. Returns the exit code. */
int child_main(int argc, char **argv);

/*
 * Signals that mean the master alone, whoever sends them to all (a terminal its ^C to the group, an init TERM, HUP and USR1
 * to all processes of a service), and those that come from writing. It stays so across exec.
 */
void child_ignore_signals(void);
/* Runs until stopped. */
int child_run(struct child *c);
void child_leave(struct child *c, int exit_code);
/* Says so in the log, and ends: something is missing that there has to be, and nobody speaks to us yet. */
_Noreturn void child_cannot_start(const struct child *c, const char *what, const char *why);

/* --- child_conf.c: what the master says about the configuration */
void child_conf_take(struct child *c, const struct ipc_item *it);
void child_conf_prepare(struct child *c, const struct ipc_item *it);
void child_conf_apply(struct child *c, const struct ipc_item *it);

/* --- child_lost.c */
/* There is no way to it. Has it died? */
void child_lost_note(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation);
/* The master says that this one has died. */
void child_lost_news(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation);
/* There is a way to who has that number now. */
void child_lost_found(struct child *c, enum ipc_role role, uint32_t number);
/* Once a heartbeat; may child_leave(). */
void child_lost_beat(struct child *c);

/* Closes our ends of the sockets to all others, without a word to the role; their own ends may live on in a successor. */
void child_drop_peers(struct child *c);

/* Closes our end of this one, which is gone for the role too: the process at its other end hears as of our death. */
void child_drop_peer(struct child_peer *p);

/* NULL: not there now. */
struct child_peer *child_peer(struct child *c, enum ipc_role role, uint32_t number);

/* The roles; each fills c->hooks and c->data. */
void worker_setup(struct child *c);
void keeper_setup(struct child *c);
void auth_setup(struct child *c);
void hasher_setup(struct child *c);
void helper_setup(struct child *c);
void check_setup(struct child *c);
