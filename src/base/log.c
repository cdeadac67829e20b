// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log_form.h"
#include "base/log_out.h"
#include "base/log_rules.h"

#define LAST_PATIENCE 250 /* ms */

static enum log_level own_level = LOG_MAJOR; /* of the configuration */
enum log_level log_ceiling = LOG_MAJOR;

/* --- names */

static const char *const levels[LOG_LEVELS] = {"crashes",  "failures", "major",
                                               "problems", "low",      "all"};

static const struct {
    const char *tag, *doc;
} modules[LOG_MODULE_COUNT] = {
    [LOG_MODULE_ANY] = {"", ""},
#define LOG_MODULE(tag, doc) [LOG_MODULE_##tag] = {#tag, doc},
#include "base/log_modules.tbl"
#undef LOG_MODULE
};

const char *log_level_name(enum log_level level)
{
    return level < LOG_LEVELS ? levels[level] : "";
}

const char *log_module_tag(enum log_module m)
{
    return m < LOG_MODULE_COUNT ? modules[m].tag : "";
}

const char *log_module_doc(enum log_module m)
{
    return m < LOG_MODULE_COUNT ? modules[m].doc : "";
}

enum log_module log_module_find(const char *tag)
{
    for (int m = LOG_MODULE_ANY + 1; m < LOG_MODULE_COUNT; m++) {
        if (strcasecmp(tag, modules[m].tag) == 0)
            return (enum log_module)m;
    }
    return LOG_MODULE_ANY;
}

enum err log_level_find(const char *word, enum log_level *out)
{
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (strcasecmp(word, levels[i]) == 0 || (word[0] == '0' + i && word[1] == 0)) {
            *out = (enum log_level)i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* --- what is wanted */

void log_open(int fd, enum log_level level)
{
    log_out_open(fd, false);
    log_set_level(level);
}

void log_open_journal(int fd)
{
    log_out_open(fd, true);
}

void log_set_level(enum log_level level)
{
    own_level = level;
    log_ceiling = log_rules_highest(level);
}

enum log_level log_get_level(void)
{
    return own_level;
}

bool log_wanted(enum log_level level, const char *tag, uint32_t id, const char *who)
{
    if (!log_enabled(level))
        return false;
    return log_rules_none() || level <= log_rules_level(own_level, log_module_find(tag), id, who);
}

/* --- writing */

void log_write_now(enum log_level level, const char *tag, uint32_t id, const char *who,
                   const char *fmt, ...)
{
    char text[LOG_LINE * 2];
    char record[LOG_FORM_MAX];
    if (!log_wanted(level, tag, id, who))
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t here = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    struct log_record r = {.wall = clock_wall(),
                           .level = level,
                           .tag = tag,
                           .id = id,
                           .who = who,
                           .text = text,
                           .n = here,
                           .more = (size_t)n - here};
    enum log_out_kind kind = log_out_kind();
    size_t len =
        kind == LOG_OUT_JOURNAL
            ? log_form_datagram(record, &r)
            : log_form_line(record,
                            kind == LOG_OUT_FILE ? LOG_LINE + LOG_CUT_ROOM : LOG_STREAM_LINE, &r);
    log_out_put(record, len);
    if (level <= LOG_FAILURES)
        log_out_flush();
}

void log_flush(void)
{
    log_out_flush();
}

void log_last_flush(void)
{
    log_out_drain(LAST_PATIENCE);
}
