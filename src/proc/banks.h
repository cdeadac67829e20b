// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * banks: how many banks a state_dir has, and who keeps which (design 4).
 *
 * The number is fixed when state_dir is made: it stands in state_dir/banks as a decimal line. A new state_dir gets
 * the number of cores rounded up to a power of two, 16 at most.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BANKS_MAX 16

/* Reads the number, or makes the file. ERR_SYNTAX: the file holds something else. */
enum err banks_count(const char *state_dir, uint32_t cores, uint32_t *count) CHECKED;

static inline uint32_t banks_keeper(uint32_t bank, uint32_t keepers)
{
    return bank % keepers;
}

/* Writes "state_dir/bank-NN.db"; ERR_TOO_LONG. */
enum err banks_path(char *to, size_t size, const char *state_dir, uint32_t bank) CHECKED;
