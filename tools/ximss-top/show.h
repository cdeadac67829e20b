// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * show: pictures printed one below the other, without any knowledge of terminals.
 */
#include "tools/ximss-top/options.h"
#include "tools/ximss-top/view.h"

/* Reads the table anew and prints it in the form that the options want. Returns the exit code. */
int show(struct shm_reader *r, const struct options *o);

/* The same every o->delay, with an empty line between two. What was wrong is said each time, and no reason to end. */
_Noreturn void show_forever(struct shm_reader *r, const struct options *o);

/* The sentence to a status that is not SHM_OK, on stderr. Returns the exit code. */
int show_problem(const struct shm_reader *r, enum shm_status st);
