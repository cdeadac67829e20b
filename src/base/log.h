// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * log: the one log writer (protocol 1, section 8).
 *
 * Record: HH:MM:SS.mmm L TAG-NNNNNN(who) text. Control characters in the text come out as \r, \n, \0, \xHH; a
 * line ends at 8 KiB with "…+n bytes". Records gather in memory and leave with log_flush(), which a process calls
 * once a loop round; records of level 0 and 1 leave at once. The process's log state is module state, set up once.
 *
 * Secrets never come here: callers mask them first (design §9.4).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level {
    LOG_CRASH = 0,
    LOG_FAILURES,
    LOG_MAJOR,
    LOG_PROBLEMS,
    LOG_LOW,
    LOG_ALL,
};

/* fd: where records go; owned by the caller. Before this call records go to standard error. */
void log_open(int fd, enum log_level level);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* id 0: tag alone. who NULL: no parentheses. */
void log_write(enum log_level level, const char *tag, uint32_t id, const char *who, const char *fmt,
               ...) PRINTF_LIKE(5, 6);
void log_flush(void);
