// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * priv: the rights of a process (design 7, security 2.3 S5).
 *
 * Every role goes the same way, between START of the master and the first byte of a peer:
 *
 *   map, open      what was handed out is mapped; hooks->prepare() loads what libraries read from files later on
 *   priv_enter()   no core, user and group, no capability, another root folder
 *   hooks->start() what is opened as that user: the databases
 *   priv_lock()    no_new_privs, Landlock without any rule, seccomp: priv.tbl lists the calls that are left
 *
 * After that no role can open a file, not even in its own root folder; all it has are descriptors.
 *
 *   role                    user           root folder
 *   keeper, auth            `user`         state_dir
 *   worker, helper, hasher  `worker_user`  run_dir/empty, which is
 *
 * Not started by root, all have the starter's user, there is no other root folder, and the rest is the same: Landlock
 * and seccomp ask for no privilege. The master stays root, because it starts and ends processes of both users; it reads
 * no byte of a client, and keeps the few capabilities that it needs for that (priv.c).
 *
 * `check` (proc/check.c) opens nothing and becomes nobody: it takes the last step alone, before it reads its one text.
 *
 * What the kernel does not have, Landlock or seccomp, is left out, and priv_warnings() says so. Programs built with a
 * sanitizer give up nothing at all, which it says too: the sanitizers read /proc, start a symbolizer, and trace their
 * process when it ends.
 */
#include <sys/types.h>

#include "codec/ipcmsg.h"
#include "conf/conf.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PRIV_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define PRIV_SANITIZED true
#endif
#endif
#ifndef PRIV_SANITIZED
#define PRIV_SANITIZED false
#endif

struct sock_filter; /* linux/filter.h */

struct priv_id {
    uint32_t uid, gid; /* PRIV_STAY: as it is; not started by root, or built with a sanitizer */
};
#define PRIV_STAY UINT32_MAX

struct priv_users {
    struct priv_id data; /* `user` */
    struct priv_id io;   /* `worker_user` */
};

/* --- for the master, `ximssd -t` and offline-auth */

/*
 * The users of the configuration; without root, PRIV_STAY. ERR_NOT_FOUND: there is no such user, or it is root;
 * `problem` is a sentence that says what to do.
 */
#define PRIV_PROBLEM 320
enum err priv_users_find(const struct conf *c, struct priv_users *out,
                         char problem[PRIV_PROBLEM]) CHECKED;

/* Who the role becomes. */
struct priv_id priv_id_of(const struct priv_users *u, enum ipc_role role);

/*
 * Makes run_dir, the empty folder in it, and state_dir, where they are missing. A state_dir that belongs to root (a new
 * one, or one of a version that ran as root) is given to `user` with the databases in it, and to the group root, so that
 * the master can also use it where it has no CAP_DAC_OVERRIDE (conf/ximssd.service). One that belongs to somebody else, or
 * a database in it that does, is an error with a sentence in the log.
 */
enum err priv_make_dirs(const struct conf *c, const struct priv_users *u) CHECKED;

/* The master drops every capability that it will not need again, for its children too. */
enum err priv_limit_master(void) CHECKED;

/* What is weaker than it could be, as constant sentences, like conf_warnings(). */
size_t priv_warnings(const char **list, size_t max);

/* --- for a child */

/* The role's folder; also the working directory. Failures are logged. */
enum err priv_enter(enum ipc_role role, const struct conf *c, struct priv_id id) CHECKED;
enum err priv_lock(enum ipc_role role) CHECKED;

/* --- the parts of priv_lock(), behind no_new_privs; the second is made from priv.tbl. They allocate nothing. */

/* The version of the kernel's Landlock; 0: it has none, or it is switched off. */
int priv_landlock_abi(void);
bool priv_has_seccomp(void);
enum err priv_landlock(void) CHECKED;
enum err priv_seccomp(enum ipc_role role) CHECKED;
/* The filter that it loads, for a process whose id is `self`; returns how many instructions there are. */
#define PRIV_FILTER_MAX 512
size_t priv_filter(enum ipc_role role, pid_t self, struct sock_filter *to, size_t max);
/* Names of the calls that a role keeps, in the order of the table; returns how many there are. */
size_t priv_calls(enum ipc_role role, const char **names, size_t max);
