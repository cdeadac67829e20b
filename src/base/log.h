// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * log: the one log writer (protocol 1, section 8).
 *
 * Record: HH:MM:SS.mmm L TAG-NNNNNN(who) text. Whatever data holds, a record is one line of visible UTF-8: CR, LF, NUL
 * and other control characters come out as \r, \n, \0, \xHH; bytes that are no UTF-8 as \xHH; C1 controls, line
 * separators and marks that turn the writing direction as \uHHHH. A line ends at 8 KiB (4 KiB where longer ones could be
 * torn, see log_out.h) with "…+n bytes".
 *
 * Which records are written: log_level, and rules for modules, sessions and accounts (log_rules.h). While nothing special
 * is set, a record that is not wanted costs one comparison, and its arguments are not even evaluated.
 *
 * Records gather in memory and leave with log_flush(), which a process calls once a loop round; records of level 0 and 1
 * leave at once. Nothing here ever waits for whoever reads the log (log_out.h). The process's log state is module state.
 *
 * Secrets never come here: callers mask them first (design §9.4).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level {
    LOG_CRASH = 0,
    LOG_FAILURES,
    LOG_MAJOR,
    LOG_PROBLEMS,
    LOG_LOW,
    LOG_ALL,
    LOG_LEVELS,
};

enum log_module {
    LOG_MODULE_ANY = 0, /* in rules: every module; of a tag: none of the table */
#define LOG_MODULE(tag, doc) LOG_MODULE_##tag,
#include "base/log_modules.tbl"
#undef LOG_MODULE
    LOG_MODULE_COUNT,
};

/* fd: where records go; owned by the caller. Before this call records go to standard error. */
void log_open(int fd, enum log_level level);
/* Records go to the journal: a datagram socket that is connected to it. */
void log_open_journal(int fd);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "major"; the words of the setting log_level. */
const char *log_level_name(enum log_level level);
/* "XIMSSI"; "" for LOG_MODULE_ANY. */
const char *log_module_tag(enum log_module m);
const char *log_module_doc(enum log_module m);
/* Without regard to case; LOG_MODULE_ANY: there is none. */
enum log_module log_module_find(const char *tag);
/* Without regard to case: a word or a digit. ERR_NOT_FOUND. */
enum err log_level_find(const char *word, enum log_level *out) CHECKED;

/* Above it nobody wants anything. Only log.c writes it; it is here for the one comparison. */
extern enum log_level log_ceiling;

/* Might a record of this level be wanted by anybody? */
static inline bool log_enabled(enum log_level level)
{
    return level <= log_ceiling;
}

/* Is this one? For callers to whom its text is dear. */
bool log_wanted(enum log_level level, const char *tag, uint32_t id, const char *who);

/* tag: of log_modules.tbl. id 0: tag alone. who NULL: no parentheses. */
#define log_write(level, ...)                        \
    do {                                             \
        if (__builtin_expect(log_enabled(level), 0)) \
            log_write_now(level, __VA_ARGS__);       \
    } while (0)
void log_write_now(enum log_level level, const char *tag, uint32_t id, const char *who,
                   const char *fmt, ...) PRINTF_LIKE(5, 6);
void log_flush(void);
/* The same before the process dies: gives a slow reader a quarter of a second. */
void log_last_flush(void);

/*
 * Appends text to `to` in the visible form of records; returns the new length. Stops before `max` and says how much it
 * left out, so there must be LOG_CUT_ROOM bytes behind max. more: bytes of the text that are not even here.
 */
#define LOG_CUT_ROOM 32
size_t log_escape(char *to, size_t at, size_t max, const char *text, size_t n, size_t more);
