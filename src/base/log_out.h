// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * log_out: where records go: a file, a stream (pipe, terminal, socket), or the journal. log.c's and the master's alone.
 *
 * Nothing waits for a reader and nothing dies of one: a disk that is full, a pipe that nobody reads or has closed, a
 * journal that is behind. What cannot be written now stays in memory, LOG_PENDING bytes at most; what comes on top is
 * dropped and counted, and when records go out again a line says how many are missing.
 *
 * Whole records only: several processes write to one stream, and what is longer than PIPE_BUF can be torn there, so
 * lines end at LOG_STREAM_LINE bytes in streams. What a full disk has cut is taken back out of a file that may also be
 * read; where that cannot be, a line break ends it.
 *
 * A stream is shared with whoever started the server, so its O_NONBLOCK is not ours to change:
 * log_out_unblock() opens it a second time where that is possible, and else writes only when poll() allows.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LOG_PENDING     65536
#define LOG_LINE        8192 /* bytes of a record's line (protocol 1, section 8) */
#define LOG_STREAM_LINE 4096 /* PIPE_BUF; with the line break */

enum log_out_kind {
    LOG_OUT_FILE,
    LOG_OUT_STREAM, /* pipe, terminal */
    LOG_OUT_SOCKET, /* stream socket (systemd gives one as standard error) */
    LOG_OUT_JOURNAL,
};

/* What waits for the former place is tried there once more, then goes to the new one if it fits its form. */
void log_out_open(int fd, bool journal);
enum log_out_kind log_out_kind(void);

/*
 * Makes `fd` (standard error) a descriptor that does not block, without a change for others who use the same stream.
 * Once, by the process that starts the others. The number stays.
 */
void log_out_unblock(int fd);

/* One record, whole: a line with its line break, or a datagram. */
void log_out_put(const char *bytes, size_t n);
/* Writes what can be written; true: nothing is left. */
bool log_out_flush(void);
/* Waits up to `ms` for that. */
void log_out_drain(int ms);
