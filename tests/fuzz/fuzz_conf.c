// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Any text: problems or a configuration, and what -T prints of that is a configuration that prints the same. */
#include <stdlib.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *effective(const struct conf *c, size_t *n)
{
    char *out = NULL;
    FILE *f = open_memstream(&out, n);
    BUG_IF(f == NULL);
    conf_print_effective(f, c);
    fclose(f);
    return out;
}

/* The values without the comments that tell their places. */
static bool same_values(struct str a, struct str b)
{
    struct str x, y;
    while (str_split(&a, '\n', &x)) {
        if (!str_split(&b, '\n', &y))
            return false;
        size_t xn = x.n, yn = y.n;
        while (xn > 0 && x.p[xn - 1] != ';')
            xn--;
        while (yn > 0 && y.p[yn - 1] != ';')
            yn--;
        if (!str_eq(str_sub(x, 0, xn), str_sub(y, 0, yn)))
            return false;
    }
    return true;
}

static void check_round_trip(const struct conf *c)
{
    struct arena a;
    struct conf *again;
    struct conf_problems problems;
    size_t n, m;
    char *text = effective(c, &n);
    arena_init(&a, 32 << 20);
    enum err e = conf_load_text(STR("y"), (struct str){text, n}, &a, &again, &problems);
    if (e == ERR_OK) {
        char *text2 = effective(again, &m);
        BUG_IF(!same_values((struct str){text, n}, (struct str){text2, m}));
        free(text2);
    } else {
        /* Printed out, defaults and all, it may be longer than a file can be. */
        BUG_IF(e != ERR_TOO_LONG);
    }
    arena_free(&a);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a;
    struct conf *c;
    struct conf_problems problems;
    arena_init(&a, 32 << 20);
    enum err e = conf_load_text(STR("x"), (struct str){(const char *)data, n}, &a, &c, &problems);
    BUG_IF((e == ERR_OK) != (c != NULL));
    BUG_IF((e == ERR_OK) != (problems.count == 0));
    if (e == ERR_OK)
        check_round_trip(c);
    arena_free(&a);
    return 0;
}
