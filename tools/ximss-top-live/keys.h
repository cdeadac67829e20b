// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * keys: what keys mean (keys.tbl), and the texts made of that.
 */
#include <stdint.h>

enum key {
    KEY_IS_NONE,
#define KEY(name, keys, line, help, ...) KEY_IS_##name,
#include "tools/ximss-top-live/keys.tbl"
#undef KEY
};

/* What a code of screen_key() means. */
enum key key_of(int32_t code);

/* The line at the bottom: as many keys as fit, whole. */
void keys_line(int y);

/* The help page from row y on, `rows` of them, beginning with line `top`. Returns how many lines it has in all. */
int keys_page(int y, int rows, int top);
