// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/near.h"

static char fold(char c)
{
    return c == '-' || c == ' ' ? '_' : str_lower(c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t near_steps(struct str a, struct str b)
{
    /* Row i holds the steps from the first i letters of a to each beginning of b (optimal string alignment). */
    size_t row[3][NEAR_WORD_MAX + 1] = {{0}};
    if (a.n > NEAR_WORD_MAX || b.n > NEAR_WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = row[i % 3];
        const size_t *one = row[(i - 1) % 3];
        const size_t *two = row[(i + 1) % 3]; /* i - 2 */
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = fold(a.p[i - 1]), y = fold(b.p[j - 1]);
            now[j] = least(least(one[j], now[j - 1]) + 1, one[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b.p[j - 2]) && fold(a.p[i - 2]) == y)
                now[j] = least(now[j], two[j - 2] + 1);
        }
    }
    return row[a.n % 3][b.n];
}

void near_init(struct near *n, struct str word)
{
    *n = (struct near){.word = word, .steps = word.n / 3 > 1 ? word.n / 3 + 1 : 2};
}

void near_offer(struct near *n, struct str known)
{
    size_t steps = near_steps(n->word, known);
    if (steps < n->steps) {
        n->best = known;
        n->steps = steps;
    }
}
