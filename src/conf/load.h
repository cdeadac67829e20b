// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * load: the steps between text and struct conf: reading the items (load.c), then what only the whole shows (check.c).
 */
#include "conf/problem.h"
#include "conf/rows.h"

struct load {
    struct arena *arena;
    struct conf *c;
    struct problem_sink *bad;
    /* The section that settings go to now; NULL: an unknown one, whose settings are not looked at. */
    const struct row_section *section;
    void *base;
    uint32_t *lines;
    uint32_t begun[ROW_SECTIONS]; /* line of the first [section], 0: none yet */
    bool any_section;
};

/* c, its arrays and all defaults. */
enum err load_begin(struct load *l) CHECKED;
/* Reads all items. ERR_NOMEM; problems are only collected. */
enum err load_items(struct load *l, struct str text) CHECKED;
/* Gives the section its defaults. */
enum err load_defaults(struct load *l, const struct row_section *s, void *base) CHECKED;

/* Domain and listeners that nobody named, addresses, and the checks over several settings. */
enum err check_whole(struct load *l) CHECKED;
