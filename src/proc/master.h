// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * master: binds, forks, watches (design 2). It reads no client byte, speaks no TLS, XML or SQL, and believes no number
 * that a child wrote. Plain poll(), no loop library, so that nothing of it is carried across fork().
 *
 * Each child is this binary executed again with a role word; it finds the master's packets at descriptor
 * CHILD_BUS_FD and is handed everything else over it (proc/child.h).
 */
#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "net/bus.h"
#include "proc/certificate.h"
#include "proc/inherit.h"
#include "proc/notify.h"
#include "proc/pidfile.h"
#include "proc/priv.h"
#include "proc/reload.h"
#include "proc/upgrade.h"

#define CHILD_BUS_FD 3

struct shm_master;
struct shm_saved;
struct ctl;
struct logs;

/* One configured process and who fills its place now. */
struct master_child {
    struct master *m;
    enum ipc_role role;
    uint32_t number;
    uint32_t generation; /* 0: never started */
    pid_t pid;           /* 0: not running */
    bool ready;
    bool stopping;
    bool old;              /* of the program before this one (proc/upgrade.h) */
    bool preparing;        /* a reload waits for its answer */
    bool overdue;          /* was silent for too long, and killed */
    int64_t started, beat; /* clock_mono() */
    int64_t respawn_at;    /* when pid == 0 */
    uint32_t failures;     /* deaths soon after a start, in a row */
    uint32_t shm_slot;
    bool has_shm;
    struct bus_peer bus;
};

/* One [listener]: bound once for each worker (spread) or once (shared, design 2.5). */
struct master_listener {
    const struct conf_listener *conf;
    int *fds;
    uint32_t count; /* of fds: workers or 1; 0: not open */
    bool fresh;     /* a reload has opened it; workers have not got it yet */
    bool inherited; /* the socket's file, if it has one, is not ours to remove */
};

struct master {
    struct arena conf_arena;
    const char *conf_path; /* as for conf_load() */
    struct conf *conf;
    struct reload reload;
    struct upgrade upgrade;
    char path_text[4096];   /* conf_path, when it came with an upgrade */
    int run_dir_fd;         /* locked as long as the server runs */
    uint32_t channels_room; /* connections that the shared memory has room for */
    uint32_t workers, keepers, helpers, hashers, banks;
    struct priv_users users;
    struct master_child *children;
    uint32_t nchildren;
    struct master_listener *listeners;
    uint32_t nlisteners;
    int conf_fd, gate_fd, faillog_fd, tls_fd;
    int zones_fd; /* of zones_load() */
    size_t gate_bytes, faillog_bytes;
    uint64_t cert_bytes;  /* where in tls_fd the key begins */
    char ticket_keys[80]; /* TLS_TICKET_KEY of net/tls.h: the master knows no TLS */
    struct shm_master *shm;
    struct ctl *ctl;
    int signal_fd;
    struct logs *logs;
    sigset_t old_mask;
    int64_t started; /* clock_mono() */
    bool resumed;    /* goes on where another program was (proc/upgrade.h) */
    bool draining;   /* no new connections; stops when the last one has gone, or at stop_at */
    bool stopping;
    int64_t stop_at;                     /* clock_mono(): sessions end */
    int64_t alert_at;                    /* users are told; 0: they have been */
    int64_t stop_deadline;               /* who is left is killed */
    struct certificate_stamp cert_stamp; /* of the files in use */
    struct inherit inherit;
    struct notify notify;
    struct pidfile pidfile;
    int ready_fd;   /* --ready-fd, until the server serves; -1: none */
    int ready_pipe; /* a background start: to the first process, until the server serves; else -1 */
};

struct master_options {
    const char *conf_path;
    bool foreground;
    int ready_fd; /* gets a line feed when the server serves, and is closed; -1: none */
};

/* No new connections from now on; the server stops when the last one has gone, `within` ns at the latest. */
void master_drain(struct master *m, int64_t within);

/* The program after an upgrade: goes on with the state at fd. */
int master_resume(int fd);
/* Runs the server; returns the exit code of the program. */
int master_run(const struct master_options *opt);
/* Has it been silent for longer than its role may be? */
bool master_child_silent(const struct master_child *c, int64_t now);

/* --- master_start.c: everything that is made before the first child */
enum err master_prepare(struct master *m) CHECKED;
void master_unprepare(struct master *m);

/* The index of the shared table; `saved`: that of the program before goes on. */
enum err master_table(struct master *m, const struct shm_saved *saved) CHECKED;
/* Whom there is to start, from the numbers in *m. */
enum err master_children(struct master *m) CHECKED;
/* What children are given: the configuration that holds, as text. */
enum err master_conf_memfd(const struct conf *c, int *fd) CHECKED;
/* Binds what `l->conf` says; the fds are the listener's. */
enum err master_listener_bind(struct master *m, const struct conf *c,
                              struct master_listener *l) CHECKED;
/* Closes its sockets, if there are any; a Unix socket's name goes too. */
void master_listener_close(struct master_listener *l);
/* The open listener at that address, or NULL. */
struct master_listener *master_listener_at(const struct master *m, const struct conf_address *at);
/* --- master_tell.c: those outside who started the server, wait for it, watch over it */

/* Before anything is opened: reads the environment, looks at --ready-fd, and goes to the background if asked to. */
enum err master_tell_open(struct master *m, const struct master_options *opt) CHECKED;
void master_tell_ready(struct master *m);
void master_tell_stopping(struct master *m);
/* Once a turn of the loop. */
void master_tell_turn(struct master *m, int64_t now);
void master_tell_close(struct master *m);

/* --- master_child.c */
enum err master_child_start(struct master_child *c) CHECKED;
/* One that the program before has started; fd: our end of its packets. */
void master_child_adopt(struct master_child *c, int fd);
void master_child_stop(struct master_child *c, enum ipc_stop how, int64_t until);
/* The child at `pid` has ended: retires its rows, tells the others, plans the next start. */
void master_child_gone(struct master *m, pid_t pid, int status);
/* An alert to the users of all sessions (protocol 1, 6). */
void master_say_all(struct master *m, struct str text);
struct master_child *master_child_find(struct master *m, enum ipc_role role, uint32_t number);
/* Listeners that a reload has opened: every worker that runs gets them. */
void master_give_listeners(struct master *m);
/* A new certificate: every worker that runs gets it. */
void master_give_certificate(struct master *m);
/* Do these two talk to each other? */
bool master_pairs(const struct master *m, const struct master_child *a,
                  const struct master_child *b);
