// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * log_rules: levels that hold for some records only, set while the server runs (`ximssctl log`).
 *
 *   neither id nor account   the level of that module, or of all (LOG_MODULE_ANY), in the place of log_level; the
 *                            module's own goes first
 *   id or account            raises the level for records of that session, or of that account's sessions from their
 *                            login on, in that module or in all; it never lowers one
 *
 * The master keeps the list, hands it out, and takes out what is over; each process holds a copy, and what is over by
 * then counts no more even if the master should be late.
 */
#include "base/log.h"

#define LOG_RULES_MAX   64
#define LOG_ACCOUNT_MAX 320 /* bytes of a canonical name */

struct log_rule {
    int64_t until; /* clock_mono(); 0: no end */
    uint32_t id;   /* of connection and session; 0: all */
    uint8_t level; /* enum log_level */
    uint8_t module;
    char account[LOG_ACCOUNT_MAX + 1]; /* canonical; "": all */
};

/* All that hold from now on, n <= LOG_RULES_MAX; copied. */
void log_rules_set(const struct log_rule *rules, size_t n);
/* Takes out what is over; returns when the next one will be (clock_mono()), or 0. */
int64_t log_rules_expire(int64_t now);

/* --- for log.c */
enum log_level log_rules_level(enum log_level base, enum log_module m, uint32_t id,
                               const char *who);
enum log_level log_rules_highest(enum log_level base);
bool log_rules_none(void);
