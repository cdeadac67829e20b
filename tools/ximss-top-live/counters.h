// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * counters: the page with the statistic elements (protocol 1, 9.2): for a COUNTER also what it grew by in a second,
 * between two samples that are at least COUNTERS_APART from each other.
 */
#include "shm/shm_reader.h"

#define COUNTERS_APART INT64_C(1000000000) /* ns */

struct counters_sample {
    uint64_t value;
    double rate; /* per second; negative: not known */
};

struct counters {
    struct counters_sample *sample; /* one for each element */
    size_t n;
    int64_t taken;      /* when, monotonic ns */
    int64_t start_wall; /* of the server that they are of */
    bool known;
    int top; /* first line on the screen */
};

/* After each picture that shm_reader_refresh() took at `now`. Without memory there are no rates. */
void counters_refresh(struct counters *c, const struct shm_reader *r, int64_t now);
void counters_forget(struct counters *c);

/* Head line and elements at row y, `rows` of the screen together. Returns how many elements there are. */
int counters_draw(const struct counters *c, const struct shm_reader *r, int y, int rows);
