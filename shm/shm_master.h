// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_master: the index and the life of segments. For the master process alone; one thread.
 *
 * The caller holds run_dir's lock (one server per run_dir) and keeps it while it uses this module.
 * The index is made under a temporary name and renamed into place when it is whole, so that readers
 * never meet a half-made one; what a former start left behind in run_dir/shm is removed then. Files
 * are 0640, the directory 0750, whatever the umask.
 *
 * The master never steers by what stands in a segment. What it reads is a dead process's: its
 * counters, clamped to SHM_MAX_COUNT, and its last words for the log (shm_last.h), at the places
 * where it made them itself. Its own array of children is the truth.
 *
 * Space is reserved when a file is made (posix_fallocate), so that a full run_dir is an error at
 * start and never a SIGBUS in a worker.
 *
 * Functions that can fail return 0 or an errno value.
 */
#include <sys/types.h>

#include "shm/shm_layout.h"
#include "shm/shm_last.h"
#include "shm/shm_writer.h"

struct shm_master;

struct shm_op_name {
    uint16_t id;         /* not 0 */
    const char *name;    /* element */
    const char *monitor; /* text of the column Status */
};

/*
 * What a master hands over to the program that takes its place in the same process: flat, so that its bytes can travel.
 * The descriptors stay open over exec() when their close-on-exec flags are cleared.
 */
struct shm_saved {
    uint64_t size; /* of all of it */
    uint64_t start_id;
    int64_t start_wall, start_mono;
    uint64_t retired[64];
    uint32_t nretired;
    uint32_t nsegments;
    struct shm_saved_segment {
        uint32_t slot;
        int32_t fd;
        uint64_t counters;
        struct shm_line line;
    } segment[];
};

struct shm_setup {
    const char *version; /* of the server */
    int64_t wall;        /* clock_wall() and clock_mono(), taken together */
    int64_t mono;
    pid_t pid;
    gid_t group;       /* owner group of directory and files; (gid_t)-1: leave as made */
    uint32_t channels; /* configured */
    uint32_t workers;
    uint32_t keepers;
    uint32_t max_segments; /* that live at one time, 1...SHM_MAX_SEGMENTS: twice the configured
                              processes is plenty */
    const struct shm_op_name *ops;
    uint32_t nops; /* at most SHM_MAX_NAMES */
    const struct shm_saved
        *saved; /* NULL: a fresh start. Else the segments go on, in a new index */
};

/*
 * Makes run_dir/shm (if missing) and a fresh index. run_dir: an open directory, needed only during
 * the call. EINVAL: a number out of range.
 */
int shm_master_new(struct shm_master **m, int run_dir, const struct shm_setup *setup) SHM_CHECKED;
/* For setup.saved of the next program; free() it. NULL: no memory. */
struct shm_saved *shm_master_save(struct shm_master *m);
/*
 * Closes. With `stop`, first an orderly end: heartbeat 0, segments unlinked; the index stays, and
 * ximss-top says "server is not running" and when that began. Without: only gives back memory (a
 * forked child).
 */
void shm_master_free(struct shm_master **m, bool stop);

/*
 * Makes run_dir/shm/<role>-<number>.<generation>, `rows` rows of zeros, and lists it as live. *slot
 * names it from now on; *fd (close-on-exec, read-write) and *size are for the child: the master
 * keeps a descriptor of its own, the caller closes *fd once the child has it. role: 1-15 letters
 * a-z. ENOSPC: max_segments are live, or the file system is full; EEXIST: that number and
 * generation are already there.
 */
int shm_master_segment(struct shm_master *m, const char *role, uint32_t number, uint32_t generation,
                       uint32_t rows, uint32_t *slot, int *fd, size_t *size) SHM_CHECKED;
/* The process behind it runs. Counts as a heartbeat. */
void shm_master_pid(struct shm_master *m, uint32_t slot, pid_t pid, int64_t now);
/* A heartbeat of that process arrived; of the master itself: once a second. */
void shm_master_beat(struct shm_master *m, uint32_t slot, int64_t now);
void shm_master_own_beat(struct shm_master *m, int64_t now);
/* What a process that is gone was at; before shm_master_retire(). */
void shm_master_last(const struct shm_master *m, uint32_t slot, struct shm_last *out);
/*
 * The process is gone (waitpid said so): its rows vanish, its COUNTERs go into the retired sums,
 * its gauges end, the file is unlinked, the slot is free.
 */
void shm_master_retire(struct shm_master *m, uint32_t slot);
