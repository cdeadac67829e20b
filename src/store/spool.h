// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * spool: one unlinked file in which a process keeps what clients upload (protocol 2, 9.2), opened once, before the process gives
 * up the right to open any. It is divided into blocks; a piece has as many of them as it needs, in runs. What is given back is
 * punched out of the file and used again.
 *
 * Nothing in it survives the process. No byte of it is kept in memory; writing and reading go through the system's cache.
 */
#include "base/buf.h"

#define SPOOL_BLOCK ((size_t)64 << 10)

struct spool {
    int fd;          /* -1: none */
    uint64_t max;    /* bytes of all pieces, in blocks; a smaller one later takes nothing away */
    uint64_t used;   /* the same, now */
    uint32_t blocks; /* that the file has, used or not */
    uint32_t next;   /* where the search for a free one begins */
    uint64_t *taken; /* a bit each */
    uint32_t words;  /* of `taken` */
};

struct spool_run {
    uint32_t first, n; /* blocks */
};

struct spool_piece {
    uint64_t size;
    struct spool_run *runs;
    uint32_t run_n, run_room;
};

/* In the current folder. ERR_DB: there can be none; errno says why. */
enum err spool_open(struct spool *s) CHECKED;
void spool_close(struct spool *s);

/* Appends to a piece, all zero at first. ERR_QUOTA: `max`; ERR_DB: the disk is full, or broken; ERR_NOMEM. The piece is as before then. */
enum err spool_add(struct spool *s, struct spool_piece *p, struct str bytes) CHECKED;
/* Appends bytes [from, from + n) to `out`, clamped to the end. ERR_DB, ERR_NOMEM. */
enum err spool_read(const struct spool *s, const struct spool_piece *p, uint64_t from, size_t n,
                    struct buf *out) CHECKED;
void spool_free(struct spool *s, struct spool_piece *p);
