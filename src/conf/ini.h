// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ini: reads configuration text item by item, with line numbers (design §6, §7).
 *
 *   line    = blank | comment | section | setting | more
 *   section = "[" word [ blanks NAME ] "]" [ comment ]
 *   setting = name "=" value [ blanks comment ]
 *   value   = text | '"' text without '"' '"'
 *   more    = blanks text without "="       goes on with the value above; for lists
 *   comment = ( "#" | ";" ) text
 *
 * Lines end with LF or CRLF; the text is UTF-8, a BOM in front is skipped. The reader never stops at an error: it
 * reports it as an item and goes on with the next line.
 */
#include "base/arena.h"

enum ini_kind { INI_END, INI_SECTION, INI_SETTING, INI_BAD };

struct ini_item {
    enum ini_kind kind;
    uint32_t line;   /* of its first line, from 1 */
    struct str word; /* section word, or name of the setting */
    struct str name; /* NAME of the section, "" if none */
    /* The value, trimmed, comments taken off. A value of several lines has one LF for each line end of the file, so
     * that positions can be told. */
    struct str value;
    const char *what; /* INI_BAD: a constant sentence */
};

struct ini {
    struct str rest;
    uint32_t line;
    struct arena *arena; /* for values of several lines */
};

/* The text has to live as long as the items are in use. */
void ini_init(struct ini *r, struct str text, struct arena *a);
/* ERR_NOMEM or ERR_OK; after the last item INI_END again and again. */
enum err ini_next(struct ini *r, struct ini_item *out) CHECKED;
