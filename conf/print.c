// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * print: what `make conf` writes into this folder: `print-conf sample` or `print-conf man`, to standard output.
 */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sample") == 0) {
        conf_print_sample(stdout);
    } else if (argc == 2 && strcmp(argv[1], "man") == 0) {
        conf_print_man(stdout);
    } else {
        fputs("usage: print-conf sample|man\n", stderr);
        return 2;
    }
    return ferror(stdout) != 0 || fflush(stdout) != 0;
}
