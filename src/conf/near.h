// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * near: which known word somebody may have meant.
 */
#include "base/str.h"

#define NEAR_WORD_MAX 40 /* longer words are near nothing */

/*
 * Steps (a letter more, less, other, or two neighbours exchanged) from a to b, without regard to case; '-' and
 * blanks count as '_'. Words over NEAR_WORD_MAX: SIZE_MAX.
 */
size_t near_steps(struct str a, struct str b);

struct near {
    struct str word; /* what was written */
    struct str best; /* .p == NULL: nothing near */
    size_t steps;
};

/* near_init(), near_offer() for each known word, then look at .best: at most a third of the letters differ. */
void near_init(struct near *n, struct str word);
void near_offer(struct near *n, struct str known);
