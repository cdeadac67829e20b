// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * inject_int: what the files of inject.so share. A replaced function asks for the verdict first:
 *
 *     int fsync(int fd)
 *     {
 *         FAULT(fsync, fault_fd_below(fd));         the call fails here, or the process dies
 *         DONE((int)syscall(SYS_fsync, fd));        the call itself; the process dies behind it
 *     }
 *
 * Calls go to the kernel themselves, so that nothing here allocates, looks anything up, or needs more than the program would.
 */
#include <stdbool.h>
#include <stddef.h>

#include "inject.h"

#define FAULT_FILES 65536
#pragma GCC visibility push(hidden)

extern bool fault_below[FAULT_FILES]; /* by descriptor: it is of a file below XIMSSD_FAULT_STATE */

/* Takes a program's or a role's name from its path or word. */
void fault_role(const char *word);
/* What happens to this call. FAULT_FAIL: errno is set. Does not return from FAULT_KILL. `here`: fits FAULT_BELOW. */
enum fault_action fault_judge(enum fault_call call, bool here);
/* Behind a call that was done. */
void fault_after(enum fault_action a);
/* How many of n bytes are to be asked for. */
size_t fault_size(enum fault_action a, size_t n);
/* Seconds that the wall clock is ahead. */
int64_t fault_wall_shift(void);
bool fault_fd_below(int fd);
bool fault_path_below(const char *path);
/* The working directory has become the root folder: of keeper and auth it is the folder of state. */
void fault_new_root(void);

#pragma GCC visibility pop

#define FAULT(call, here)                                         \
    enum fault_action act = fault_judge(FAULT_CALL_##call, here); \
    if (act == FAULT_FAIL)                                        \
    return -1

#define DONE(expr)                       \
    do {                                 \
        __typeof__(expr) done_ = (expr); \
        fault_after(act);                \
        return done_;                    \
    } while (0)
