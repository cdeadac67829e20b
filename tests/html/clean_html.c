// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * clean_html [INPUT DEPTH OUTPUT]: for tests/html. Reads pieces of HTML, each behind a line with its length in bytes, and answers each
 * with a line "LENGTH CUT ERROR" and the clean form. The numbers are limits. With -v: answers each with
 * a line "ERROR", what html_verify() says of it. Two parts can be shown: logo@mail and "a b@mail".
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec/html_clean.h"

static const struct html_part parts[] = {
    {STR("logo@mail"), STR("/Session/1-a/MIME/F/7-02-B/logo.png")},
    {STR("a b@mail"), STR("/Session/1-a/MIME/F/7-03-B/\"x\"&'y'.png")},
};

int main(int argc, char **argv)
{
    struct html_limits limits = html_limits_default;
    char line[32];
    struct buf out;
    if (argc == 4)
        limits =
            (struct html_limits){strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10),
                                 strtoul(argv[3], NULL, 10)};
    bool verify = argc == 2;
    buf_init(&out, (size_t)64 << 20);
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t n = strtoul(line, NULL, 10);
        char *html = malloc(n + 1);
        bool cut = false;
        if (html == NULL || fread(html, 1, n, stdin) != n)
            return 2;
        html[n] = '\0';
        buf_clear(&out);
        if (verify) {
            puts(err_name(
                html_verify((struct str){html, n}, parts, ARRAY_LEN(parts), limits.depth)));
            fflush(stdout);
            free(html);
            continue;
        }
        enum err e =
            html_clean((struct str){html, n}, parts, ARRAY_LEN(parts), &limits, &out, &cut);
        printf("%zu %d %s\n", out.n, cut, err_name(e));
        fwrite(out.p != NULL ? out.p : "", 1, out.n, stdout);
        fflush(stdout);
        free(html);
    }
    buf_free(&out);
    return 0;
}
