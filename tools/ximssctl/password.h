// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * password: from standard input's first line, or typed at the terminal.
 */
#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MAX 1024

/*
 * to: PASSWORD_MAX + 2 bytes, so that one that is too long is refused and not cut; the caller wipes them. twice: a new
 * one, to be typed twice. false: a sentence was printed.
 */
bool password_get(bool from_stdin, bool twice, char to[PASSWORD_MAX + 2]);
