// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * spool: one unlinked file in which a process keeps what clients upload (protocol 2, 9.2), opened once, before the process gives
 * up the right to open any. It is divided into blocks; a piece has as many of them as it needs, in runs. What is given back is
 * punched out of the file and used again.
 *
 * Nothing in it survives the process, but for one that takes its place: that one is given the descriptor, adopts the file, and claims,
 * piece by piece, what it is told stood there. No byte of it is kept in memory; writing and reading go through the system's cache.
 */
#include "base/buf.h"

#define SPOOL_BLOCK ((size_t)64 << 10)

struct spool {
    int fd;          /* -1: none */
    uint64_t max;    /* bytes of all pieces, in blocks; a smaller one later takes nothing away */
    uint64_t used;   /* the same, now */
    uint32_t blocks; /* that the file has, used or not */
    uint64_t end;    /* bytes of it when it was adopted */
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

/* --- from one process to the next */

/* Somebody else has the file from now on: this process neither reads it nor changes it any more. */
void spool_leave(struct spool *s);
/*
 * The file of the process before, of which nothing belongs to anybody yet; takes the descriptor. ERR_PACKET: it is none that
 * spool_open() makes; ERR_NOMEM: the descriptor is the caller's still, and there is no spool.
 */
enum err spool_adopt(struct spool *s, int fd) CHECKED;
/*
 * The next run of a piece, all zero at first, which has its size from spool_claim_end(). ERR_PACKET: the file has no such blocks, or
 * another piece has them, or in them there is no room for that size, or too much; ERR_NOMEM. Then only spool_free() is left for it.
 */
enum err spool_claim(struct spool *s, struct spool_piece *p, struct spool_run run) CHECKED;
enum err spool_claim_end(struct spool *s, struct spool_piece *p, uint64_t size) CHECKED;
/* Behind the last claim: the room of what nobody has claimed is given back. */
void spool_sweep(struct spool *s);
