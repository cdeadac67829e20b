// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * pidfile: the master's process id in a file, for an init that wants one ([server] pidfile).
 *
 * The file appears, whole, when the server serves, and goes at its end. As long as the server lives it holds a lock on it
 * (flock()), so a file that nobody holds is left over from a server that was killed, and is replaced. A file that does
 * not look like a pidfile is somebody's, and never touched.
 */
#include "base/str.h"

#define PIDFILE_PATH 1025 /* bytes, with the zero byte */

struct pidfile {
    char path[PIDFILE_PATH]; /* empty: none is wanted */
    int fd;                  /* the lock; -1: not written */
};

/*
 * At the start of the server: is the place free, or to be had? A stale file is removed. Failures are logged:
 * ERR_EXISTS (a server that lives has it, or it is no pidfile), ERR_SYS. `path` has less than PIDFILE_PATH bytes.
 */
enum err pidfile_open(struct pidfile *p, struct str path) CHECKED;
/* A failure is logged and means nothing else: the server serves. */
void pidfile_write(struct pidfile *p);
/* The file that this process has written before it executed another program; `fd` as it was, -1 included. */
void pidfile_adopt(struct pidfile *p, struct str path, int fd);
/* Removes the file, if it still is ours. */
void pidfile_close(struct pidfile *p);
