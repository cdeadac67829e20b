// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 8192
#define PENDING_BYTES  65536

static struct {
    int fd;
    enum log_level level;
    size_t pending;
    char bytes[PENDING_BYTES];
} out = {.fd = STDERR_FILENO, .level = LOG_MAJOR};

void log_open(int fd, enum log_level level)
{
    out.fd = fd;
    out.level = level;
}

void log_set_level(enum log_level level)
{
    out.level = level;
}

bool log_enabled(enum log_level level)
{
    return level <= out.level;
}

void log_flush(void)
{
    size_t done = 0;
    while (done < out.pending) {
        ssize_t n = write(out.fd, out.bytes + done, out.pending - done);
        if (n <= 0)
            break; /* nobody to tell; records are lost rather than the service */
        done += (size_t)n;
    }
    out.pending = 0;
}

/* Appends text with control characters made visible; returns the new length, at most `max`. */
static size_t put_escaped(char *to, size_t at, size_t max, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (at + 4 > max)
            return at + (size_t)snprintf(to + at, 32, "…+%zu bytes", n - i);
        if (c >= 0x20 && c != 0x7f) {
            to[at++] = (char)c;
            continue;
        }
        to[at++] = '\\';
        if (c == '\r' || c == '\n' || c == 0) {
            to[at++] = c == '\r' ? 'r' : c == '\n' ? 'n' : '0';
            continue;
        }
        to[at++] = 'x';
        to[at++] = hex[c >> 4];
        to[at++] = hex[c & 15];
    }
    return at;
}

static size_t put_head(char *to, size_t max, enum log_level level, const char *tag, uint32_t id)
{
    int64_t now = clock_wall();
    time_t sec = (time_t)(now / CLOCK_SEC);
    struct tm tm;
    gmtime_r(&sec, &tm);
    int n = snprintf(to, max, "%02d:%02d:%02d.%03d %d %s", tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (int)(now % CLOCK_SEC / CLOCK_MS), (int)level, tag);
    if (id != 0)
        n += snprintf(to + n, max - (size_t)n, "-%06u", id);
    return (size_t)n;
}

void log_write(enum log_level level, const char *tag, uint32_t id, const char *who, const char *fmt,
               ...)
{
    char text[LINE_MAX_BYTES * 2];
    char line[LINE_MAX_BYTES + 64];
    if (!log_enabled(level))
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t at = put_head(line, sizeof line, level, tag, id);
    if (who != NULL) {
        line[at++] = '(';
        at = put_escaped(line, at, LINE_MAX_BYTES / 2, who, strlen(who));
        line[at++] = ')';
    }
    line[at++] = ' ';
    at = put_escaped(line, at, LINE_MAX_BYTES, text,
                     (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    line[at++] = '\n';
    if (out.pending + at > sizeof out.bytes)
        log_flush();
    memcpy(out.bytes + out.pending, line, at);
    out.pending += at;
    if (level <= LOG_FAILURES)
        log_flush();
}
