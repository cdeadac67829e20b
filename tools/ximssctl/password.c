// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/password.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>

static bool read_line(FILE *from, char *to, size_t size)
{
    if (fgets(to, (int)size, from) == NULL)
        return false;
    to[strcspn(to, "\r\n")] = 0;
    return true;
}

static bool type(const char *prompt, char *to, size_t size)
{
    struct termios old, quiet;
    FILE *tty = fopen("/dev/tty", "r+");
    if (tty == NULL || tcgetattr(fileno(tty), &old) != 0) {
        if (tty != NULL)
            fclose(tty);
        fputs("ximssctl: no terminal to ask for the password; use --password-stdin\n", stderr);
        return false;
    }
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fputs(prompt, tty);
    fflush(tty);
    tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    bool ok = read_line(tty, to, size);
    tcsetattr(fileno(tty), TCSAFLUSH, &old);
    fputc('\n', tty);
    fclose(tty);
    return ok;
}

bool password_get(bool from_stdin, bool twice, char to[PASSWORD_MAX + 2])
{
    char again[PASSWORD_MAX + 2];
    if (from_stdin) {
        if (read_line(stdin, to, PASSWORD_MAX + 2))
            return true;
        fputs("ximssctl: standard input holds no password\n", stderr);
        return false;
    }
    if (!twice)
        return type("Password: ", to, PASSWORD_MAX + 2);
    if (!type("New password: ", to, PASSWORD_MAX + 2) || !type("Again: ", again, PASSWORD_MAX + 2))
        return false;
    bool same = strcmp(to, again) == 0;
    explicit_bzero(again, sizeof again);
    if (!same)
        fputs("ximssctl: the two passwords differ\n", stderr);
    return same;
}
