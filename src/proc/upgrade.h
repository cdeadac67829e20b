// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * upgrade: another program in the place of a running one, without a connection refused or dropped (design 2.5).
 *
 * upgrade_begin() asks the program file what versions it speaks (`-x versions`) and refuses when packets, schemas, the
 * state or the form of sessions differ. Then the master writes what it knows into a memfd and executes the file in its own place: its pid, its
 * children, its sockets stay. The new program reads the state (upgrade_resume()) and exchanges the children:
 *
 *   WORKERS   new workers start beside the old ones, on the same sockets. When all of them serve, the old ones stop
 *             accepting and have UPGRADE_DRAIN until their clients get <bye/>. When one does not start in time, the new ones
 *             are sent away and the old ones go on.
 *   OTHERS    hashers, helpers, auth, one after the other
 *   KEEPERS   one after the other; their sessions go over to their successors (proc/handover.h)
 *   DRAIN     until the last of the old workers has gone
 *
 * Workers have two banks of numbers, so that the old and the new ones can be told apart: 0...n-1 and n...2n-1.
 */
#include "base/err.h"
#include "base/str.h"
#include "proc/handover.h"

struct master;
struct master_child;

#define UPGRADE_DRAIN    (600 * CLOCK_SEC)
#define UPGRADE_PATIENCE (30 * CLOCK_SEC) /* with the new workers */

enum upgrade_state {
    UPGRADE_NONE,
    UPGRADE_WORKERS,
    UPGRADE_OTHERS,
    UPGRADE_KEEPERS,
    UPGRADE_DRAINING,
};

struct upgrade {
    enum upgrade_state state;
    int64_t deadline;   /* of WORKERS */
    uint32_t bank;      /* 0 or 1: where workers are started */
    char program[4096]; /* the file that was started; "" when its name could not be found out */
    struct handover handover; /* of KEEPERS */
    bool due;                 /* go on as soon as nothing waits to be sent to a child */
};

/* Finds the program's name; before anything can have replaced the file. */
void upgrade_init(struct upgrade *u);
/*
 * ERR_OK: it is under way (the caller's answer leaves first). Else *why, a sentence: not now, the file is missing or of
 * another version.
 */
enum err upgrade_begin(struct master *m, const char **why) CHECKED;
/* Once a round. May not return: then the new program runs. */
void upgrade_tick(struct master *m, int64_t now);
/* May the child be started now? Workers of the bank that is going may not. */
bool upgrade_may_start(const struct master *m, const struct master_child *c);
/* The new program: the state that the old one left at fd. An error is the end of the server. */
enum err upgrade_resume(struct master *m, int fd) CHECKED;
/* For `ximssd -x versions`. */
void upgrade_print_versions(void);

/* --- upgrade_state.c */
/* A memfd with everything; the descriptors in it stay open over exec(). -1. */
int upgrade_save(struct master *m);
/* Undoes what upgrade_save() did to descriptors: the program could not be executed. */
void upgrade_unsave(struct master *m);
enum err upgrade_load(struct master *m, struct str state) CHECKED;
