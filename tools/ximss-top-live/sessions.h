// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * sessions: the page with the table of protocol 1, 9.1: which rows, in which order, which of them are on the screen, and
 * which one is selected. The bar stays with its session, wherever that goes in the table; when the session has ended, with
 * the place. Only rows on the screen are made into text.
 */
#include "tools/ximss-top-live/order.h"
#include "tools/ximss-top-live/screen.h"

#define FILTER_MAX 160 /* bytes */

struct sessions {
    struct view view; /* the last picture; filters by the command line */
    struct order order;
    char filter[FILTER_MAX + 1]; /* "": none */
    uint32_t selected;           /* the session's number; 0: there was none yet */
    size_t at;                   /* its place in view.row, while there are rows */
    size_t top;                  /* place of the first one on the screen */
    size_t height;               /* rows that were on it last */
    int wide[VIEW_COLUMNS];      /* of the columns: they grow with what they have shown */
};

/* A new picture of what shm_reader_refresh() has read at `now`. ERR_NOMEM: without rows, or not sorted. */
enum err sessions_refresh(struct sessions *s, const struct shm_reader *r, int64_t now) CHECKED;
/* No rows. */
void sessions_forget(struct sessions *s);

/* Moves the bar; far beyond an end is the end. */
void sessions_move(struct sessions *s, long rows);
/* NULL: no row is selected. */
const struct shm_row *sessions_selected(const struct sessions *s);

/* Head line and rows at row y, `rows` of the screen together. Returns the screen's row of the bar. */
int sessions_draw(struct sessions *s, int y, int rows);
