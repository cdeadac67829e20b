// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_writer: a segment as its owner sees it (worker, keeper, auth ...).
 *
 * The master makes the segment (shm_master.h) and hands over a descriptor and its size; the owner
 * attaches before it gives up its rights, closes the descriptor, and is from then on the only one
 * who writes. Nobody answers, nothing waits: a change of a row is a handful of stores (S3: at most
 * 50 ns). One thread.
 *
 * Rows are named by their number. Numbers come from a free list in private memory, so nothing that
 * stands in the shared file is ever believed by its owner. A wrong number is a bug and aborts.
 *
 * Functions that can fail return 0 or an errno value.
 */
#include <sys/socket.h>

#include "shm/shm_layout.h"
#include "shm/shm_word.h"

#define SHM_NO_ROW  UINT32_MAX
#define SHM_CHECKED __attribute__((warn_unused_result))

/* Private to this module, but for `rows`: how many there are. */
struct shm_writer {
    char *map;
    size_t size;
    shm_word *row;          /* rows * SHM_ROW_WORDS */
    shm_word *count;        /* SHM_COUNTERS */
    _Atomic uint32_t *used; /* rows_used in the header */
    shm_word *doing;        /* session, state and op in the header; then `since` */
    uint32_t rows;
    uint32_t nfree;
    uint32_t high;  /* rows used so far */
    uint32_t *free; /* row numbers; the last is given out next */
};

#define SHM_ROW_WORDS (sizeof(struct shm_row) / 8)

/*
 * Maps the segment. The descriptor may be closed afterwards. EPROTO: not a segment of this version
 * and this size; EINVAL, ENOMEM and what mmap says.
 */
int shm_attach(struct shm_writer *w, int fd, size_t size) SHM_CHECKED;
/* Unmaps. Rows and counters stay as they are in the file: the master clears up. */
void shm_detach(struct shm_writer *w);

/* A free row, or SHM_NO_ROW when all are taken. Readers see nothing of it before shm_row_publish().
 */
uint32_t shm_row_alloc(struct shm_writer *w) SHM_CHECKED;
/* Gone for readers at once. */
void shm_row_free(struct shm_writer *w, uint32_t row);

/* Everything at once, from a struct that the caller filled (seq is ignored; zero the struct first).
 */
void shm_row_publish(struct shm_writer *w, uint32_t row, const struct shm_row *local);

/* Fills address, port and family of a local struct: IPv4, IPv6 (IPv4 when mapped) or Unix. */
void shm_row_set_peer(struct shm_row *local, const struct sockaddr *peer);
/* Fills account of a local struct; what does not fit is cut (the reader cuts back to a character).
 */
void shm_row_set_account(struct shm_row *local, const char *name, size_t n);

/* What the owner has written: a copy of a row, and the number behind the highest row that was ever used. */
void shm_row_copy(struct shm_writer *w, uint32_t row, struct shm_row *local);
uint32_t shm_row_end(const struct shm_writer *w);

/* The cheap changes, each a round of its own. `now` = clock_mono(), ns. */
void shm_row_op_begin(struct shm_writer *w, uint32_t row, uint16_t op, int64_t now);
void shm_row_op_end(struct shm_writer *w, uint32_t row);
/* New state; no operation runs afterwards. `started`: 0, or the start of a poll. */
void shm_row_state(struct shm_writer *w, uint32_t row, enum shm_state state, int64_t started);
/* Adds to the row's bytes and requests (not to the statistic elements). */
void shm_row_add(struct shm_writer *w, uint32_t row, uint64_t in, uint64_t out, uint64_t requests);
/* Login: account (cut if need be) and state in one round. */
void shm_row_login(struct shm_writer *w, uint32_t row, const char *name, size_t n,
                   enum shm_state state);
/* After the handshake: version number on the wire, 0x0303 or 0x0304. */
void shm_row_tls(struct shm_writer *w, uint32_t row, uint16_t version);

/* What this process as a whole is at (struct shm_segment): two stores. */
void shm_doing(struct shm_writer *w, enum shm_state state, uint32_t session, uint16_t op,
               int64_t since);

/* Statistic elements of this process; readers add up. A gauge that would fall below 0 stays at 0.
 */
void shm_count_add(struct shm_writer *w, enum shm_count c, uint64_t n);
void shm_count_sub(struct shm_writer *w, enum shm_count c, uint64_t n);
