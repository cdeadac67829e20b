// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * shm/LAYOUT says what the structs say. `test_layout print` prints it anew.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/shm/shmkit.h"

static const char head[] =
    "# SPDX-License-Identifier: MIT\n"
    "# SPDX-FileCopyrightText: The ximssd authors\n"
    "# The shared table, format %d.%d: shm/shm_layout.h in figures. Made by "
    "`build/unit/shm/test_layout print`.\n"
    "# A line without indent: struct and its size; then field, offset, size, all in bytes.\n";

static char *layout(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    fprintf(f, head, SHM_MAJOR, SHM_MINOR);
#define SIZE(s, n) fprintf(f, "%s %zu\n", #s, sizeof(struct s));
#define FIELD(s, m, o, n) \
    fprintf(f, "  %s %zu %zu\n", #m, offsetof(struct s, m), sizeof(((struct s *)0)->m));
    SHM_LAYOUT_TABLE(SIZE, FIELD)
    fclose(f);
    return text;
}

/* Every byte of each struct belongs to exactly one listed field. */
static void no_hole(void **state)
{
    (void)state;
    size_t size = 0, at = 0;
    const char *in = "";
#define END         \
    if (at != size) \
        fail_msg("%s has a hole at %zu", in, at);
#define SIZE2(s, n) \
    END size = (n); \
    at = 0;         \
    in = #s;
#define FIELD2(s, m, o, n)         \
    if ((o) != at)                 \
        fail_msg("%s.%s", in, #m); \
    at += (n);
    SHM_LAYOUT_TABLE(SIZE2, FIELD2)
    END
}

static void committed(void **state)
{
    (void)state;
    char *want = layout();
    char have[16384];
    FILE *f = fopen("shm/LAYOUT", "r");
    if (f == NULL)
        fail_msg("run me from the top folder");
    size_t n = fread(have, 1, sizeof(have) - 1, f);
    fclose(f);
    have[n] = 0;
    assert_string_equal(have, want);
    free(want);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_hole), cmocka_unit_test(committed)};
    if (argc == 2 && strcmp(argv[1], "print") == 0) {
        char *text = layout();
        fputs(text, stdout);
        free(text);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
