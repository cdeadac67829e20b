// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * rows: settings.tbl as data, for the other files of this room.
 */
#include "conf/conf.h"

enum row_type {
    ROW_STRING,
    ROW_PATH,
    ROW_LIST,
    ROW_ADDRESS,
    ROW_BOOL,
    ROW_ENUM,
    ROW_NUMBER,
    ROW_AUTO,
    ROW_SIZE,
    ROW_TIME
};

struct row {
    const char *section;
    const char *name;
    enum row_type type;
    const char *def;
    int64_t min, max;
    const char *words;
    enum conf_when when;
    size_t offset; /* of the field in struct conf, conf_listener or conf_domain */
    const char *line;
    const char *para;
};

/* What a section's fields are in. */
enum row_scope { ROW_FIXED, ROW_LISTENER, ROW_DOMAIN };

struct row_section {
    const char *name;
    enum row_scope scope;
    const char *title;
    const char *para;
    uint32_t first; /* its rows: rows[first] to rows[end - 1] */
    uint32_t end;
};

/* Places in rows[]: ROWS_BEGIN_server, ROWS_END_server; ROW_AT_server_domain. */
enum row_place {
#define ROW_PLACE_BEGIN(sec, title, para) \
    ROWS_BEGIN_##sec, ROWS_BEGIN_BACK_##sec = ROWS_BEGIN_##sec - 1,
#define ROW_PLACE_END(sec)                                                 ROWS_END_##sec, ROWS_END_BACK_##sec = ROWS_END_##sec - 1,
#define ROW_PLACE(sec, name, type, def, min, max, words, when, line, para) ROW_AT_##sec##_##name,
#define SECTION_BEGIN                                                      ROW_PLACE_BEGIN
#define SECTION_END                                                        ROW_PLACE_END
#define NAMED_BEGIN                                                        ROW_PLACE_BEGIN
#define NAMED_END                                                          ROW_PLACE_END
#define SETTING                                                            ROW_PLACE
#define LISTENER_SETTING                                                   ROW_PLACE
#define DOMAIN_SETTING                                                     ROW_PLACE
#include "conf/settings.tbl"
    ROWS_COUNT
};

#define ROW_SECTIONS 9

extern const struct row rows[ROWS_COUNT];
extern const struct row_section row_sections[ROW_SECTIONS];

/* Where each value of a section comes from: a line of the file, or 0 for the default. */
struct conf_lines {
    uint32_t fixed[ROWS_COUNT];
    uint32_t (*listener)[ROWS_END_listener - ROWS_BEGIN_listener];
    uint32_t (*domain)[ROWS_END_domain - ROWS_BEGIN_domain];
};

const struct row_section *row_section_find(struct str name);
/* NULL when the section has no such setting. */
const struct row *row_find(const struct row_section *s, struct str name);

/* The i-th word of "a|b|c"; .p == NULL behind the last. */
struct str row_word(const struct row *r, int i);

static inline void *row_field(const struct row *r, void *base)
{
    return (char *)base + r->offset;
}

static inline const void *row_value(const struct row *r, const void *base)
{
    return (const char *)base + r->offset;
}
