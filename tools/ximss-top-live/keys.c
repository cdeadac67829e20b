// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/keys.h"

#include <curses.h>

#include "base/bug.h"
#include "tools/ximss-top-live/screen.h"

#define SPECIAL(number) (SCREEN_SPECIAL + (number))
#define CODES_MAX       8
#define KEYS_WIDE       9 /* columns for them on the help page */

static const struct {
    enum key key;
    const char *keys, *line, *help;
    int32_t codes[CODES_MAX]; /* 0 ends */
} rows[] = {
#define KEY(name, keys, line, help, ...) {KEY_IS_##name, keys, line, help, {__VA_ARGS__}},
#include "tools/ximss-top-live/keys.tbl"
#undef KEY
};

enum key key_of(int32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < CODES_MAX && rows[i].codes[k] != 0; k++)
            if (rows[i].codes[k] == code)
                return rows[i].key;
    return KEY_IS_NONE;
}

void keys_line(int y)
{
    int x = 0, room = screen_columns();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int keys = screen_width(rows[i].keys), line = screen_width(rows[i].line);
        if (line == 0)
            continue;
        if (x + keys + 1 + line > room)
            break;
        x += screen_put(y, x, keys, rows[i].keys, LOOK_KEY) + 1;
        x += screen_put(y, x, line, rows[i].line, LOOK_PLAIN) + 2;
    }
}

int keys_page(int y, int height, int top)
{
    int n = (int)ARRAY_LEN(rows);
    for (int i = 0; i < height && top + i < n; i++) {
        screen_put(y + i, 0, KEYS_WIDE - 1, rows[top + i].keys, LOOK_KEY);
        screen_put(y + i, KEYS_WIDE, screen_columns(), rows[top + i].help, LOOK_PLAIN);
    }
    return n;
}
