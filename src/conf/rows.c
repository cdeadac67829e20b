// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/rows.h"

const struct row rows[ROWS_COUNT] = {
#define SETTING(sec, name, type, def, min, max, words, when, line, para)                          \
    {#sec, #name, ROW_##type, def, min, max, words, CONF_##when, offsetof(struct conf, sec.name), \
     line, para},
#define LISTENER_SETTING(sec, name, type, def, min, max, words, when, line, para) \
    {#sec,  #name,       ROW_##type,                                              \
     def,   min,         max,                                                     \
     words, CONF_##when, offsetof(struct conf_listener, name),                    \
     line,  para},
#define DOMAIN_SETTING(sec, name, type, def, min, max, words, when, line, para) \
    {                                                                           \
        #sec,  #name,       ROW_##type,                                         \
        def,   min,         max,                                                \
        words, CONF_##when, offsetof(struct conf_domain, name),                 \
        line,  para},
#include "conf/settings.tbl"
};

#define ROW_SCOPE_listener ROW_LISTENER
#define ROW_SCOPE_domain   ROW_DOMAIN

const struct row_section row_sections[ROW_SECTIONS] = {
#define SECTION_BEGIN(sec, title, para) \
    {#sec, ROW_FIXED, title, para, ROWS_BEGIN_##sec, ROWS_END_##sec},
#define NAMED_BEGIN(sec, title, para) \
    {#sec, ROW_SCOPE_##sec, title, para, ROWS_BEGIN_##sec, ROWS_END_##sec},
#include "conf/settings.tbl"
};

const struct row_section *row_section_find(struct str name)
{
    for (size_t i = 0; i < ROW_SECTIONS; i++) {
        if (str_eq(name, str_of(row_sections[i].name)))
            return &row_sections[i];
    }
    return NULL;
}

const struct row *row_find(const struct row_section *s, struct str name)
{
    for (uint32_t i = s->first; i < s->end; i++) {
        if (str_eq(name, str_of(rows[i].name)))
            return &rows[i];
    }
    return NULL;
}

struct str row_word(const struct row *r, int i)
{
    struct str rest = str_of(r->words);
    struct str word = STR_NONE;
    for (int at = 0; at <= i; at++) {
        if (!str_split(&rest, '|', &word))
            return STR_NONE;
    }
    return word;
}
