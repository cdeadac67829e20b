// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * memory: an answer that lacks what there was no memory for must not look like one. The program is short: when it has no
 * memory it says so, in the form that is wanted, and ends with EXIT_NO_SERVER: what the server did is not known.
 */
#include <stdbool.h>

/* From now on, for buffers and for what the JSON library makes. Once, before either is used. */
void memory_or_end(bool json);
/* For allocations that fail elsewhere. */
_Noreturn void memory_end(void);
