// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * problem: collecting what is wrong with a configuration.
 */
#include "conf/conf.h"

struct problem_sink {
    struct conf_problems *list;
    struct arena *arena;
    bool nomem; /* a problem could not be kept */
};

enum err problem_sink_init(struct problem_sink *s, struct conf_problems *list, struct str label,
                           struct arena *a) CHECKED;
/* Kept in the order of lines. What comes from the file goes through problem_quote(). */
void problem_add(struct problem_sink *s, uint32_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* At most 60 bytes of a text, for "'%.*s'". */
struct str problem_quote(struct str text);
