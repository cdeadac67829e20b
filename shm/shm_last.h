// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_last: the last words of a process: what its segment says that it was at when it died.
 *
 * The owner is gone, so nothing changes any more; but it may have died inside a change, and it may have been taken over
 * before. So the file is read, never mapped (no SIGBUS), with offsets that the reader knows by himself; a row that was
 * being written gives its numbers, not its name; numbers are as found and are only to be shown; texts are clean.
 */
#include "shm/shm_layout.h"
#include "shm/shm_names.h"

#define SHM_LAST_OPS 5

struct shm_last {
    enum shm_state state; /* SHM_STATE_NONE: it waited, or said nothing */
    uint32_t session;     /* of the request that it ran; 0: none */
    uint16_t op;          /* 0: none, or not known yet */
    int64_t since;        /* monotonic */
    uint32_t running;     /* rows with a running operation */
    uint32_t n;           /* of them here: those that ran longest, the oldest first */
    struct shm_last_op {
        uint32_t session;
        uint16_t op;
        int64_t started;
        char account[SHM_TEXT_MAX(SHM_ACCOUNT_LEN)]; /* "": none, or not whole */
    } ops[SHM_LAST_OPS];
};

/* rows: how many the segment was made with. What cannot be read was nothing. */
void shm_last_read(int fd, uint64_t rows, struct shm_last *out);
