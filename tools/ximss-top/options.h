// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * options: the command line of ximss-top, for it and for ximss-top-live, which takes the same one.
 */
#include <stdbool.h>
#include <stdint.h>

enum { EXIT_USAGE = 1, EXIT_UNUSABLE = 2, EXIT_NO_SERVER = 3 };

#define DELAY_MIN INT64_C(100000000) /* ns */
#define DELAY_MAX INT64_C(3600000000000)

struct options {
    const char *config, *run_dir, *account, *ip;
    int64_t delay; /* ns between two pictures, DELAY_MIN...DELAY_MAX */
    bool once, plain, json, csv, counters;
};

/* Wrong use ends the program with a sentence; so do --help and --version, with theirs. */
void options_parse(struct options *o, int argc, char **argv);
