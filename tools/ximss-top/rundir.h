// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * rundir: where the server keeps its table, from its configuration.
 */
#include "base/arena.h"

#define RUNDIR_MEMORY ((size_t)8 << 20) /* that a configuration takes at most */

/*
 * run_dir of the configuration file `path`; NULL: the usual file, and the built-in value when there
 * is none. A file with problems prints them to stderr and gives NULL.
 */
const char *rundir_find(const char *path, struct arena *a);
