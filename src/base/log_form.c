// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/log_form.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log_out.h"
#include "base/utf8.h"

#define WHO_MAX 1024 /* bytes of `who`, escaped */

/* Controls, and what nobody sees: two names that look alike must not. */
static bool is_invisible(uint32_t c)
{
    return utf8_is_control(c) || (c >= 0x200b && c <= 0x200d) || (c >= 0x2060 && c <= 0x206f) ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* The visible form of one character, at most 10 bytes; *at steps over it. */
static size_t put_one(char *to, struct str s, size_t *at)
{
    unsigned char c = (unsigned char)s.p[*at];
    if (c < 0x20 || c == 0x7f) {
        *at += 1;
        if (c == '\r' || c == '\n' || c == 0) {
            to[0] = '\\';
            to[1] = c == '\r' ? 'r' : c == '\n' ? 'n' : '0';
            return 2;
        }
        return (size_t)snprintf(to, 11, "\\x%02x", c);
    }
    size_t from = *at;
    uint32_t cp = utf8_next(s, at);
    if (c >= 0x80 && *at - from == 1)
        return (size_t)snprintf(to, 11, "\\x%02x", c);
    if (is_invisible(cp))
        return (size_t)snprintf(to, 11, cp > 0xffff ? "\\U%08x" : "\\u%04x", cp);
    memcpy(to, s.p + from, *at - from);
    return *at - from;
}

size_t log_escape(char *to, size_t at, size_t max, const char *text, size_t n, size_t more)
{
    struct str s = {text, n};
    char one[12];
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t from = i;
        if (c >= 0x20 && c < 0x7f) { /* nearly every byte */
            one[0] = (char)c;
            i++;
        }
        size_t k = i != from ? 1 : put_one(one, s, &i);
        if (at + k > max)
            return at + (size_t)snprintf(to + at, LOG_CUT_ROOM, "…+%zu bytes", n - from + more);
        memcpy(to + at, one, k);
        at += k;
    }
    return more == 0 ? at : at + (size_t)snprintf(to + at, LOG_CUT_ROOM, "…+%zu bytes", more);
}

/* TAG-NNNNNN(who) text */
static size_t put_body(char *to, size_t at, size_t max, const struct log_record *r)
{
    at += (size_t)snprintf(to + at, 32, "%.20s", r->tag);
    if (r->id != 0)
        at += (size_t)snprintf(to + at, 16, "-%06u", r->id);
    if (r->who != NULL) {
        to[at++] = '(';
        at = log_escape(to, at, at + WHO_MAX, r->who, strlen(r->who), 0);
        to[at++] = ')';
    }
    to[at++] = ' ';
    return log_escape(to, at, max, r->text, r->n, r->more);
}

size_t log_form_line(char *to, size_t line_max, const struct log_record *r)
{
    time_t sec = (time_t)(r->wall / CLOCK_SEC);
    struct tm tm;
    gmtime_r(&sec, &tm);
    size_t at = (size_t)snprintf(to, 32, "%02d:%02d:%02d.%03d %d ", tm.tm_hour, tm.tm_min,
                                 tm.tm_sec, (int)(r->wall % CLOCK_SEC / CLOCK_MS), (int)r->level);
    at = put_body(to, at, line_max - LOG_CUT_ROOM - 1, r);
    to[at++] = '\n';
    return at;
}

/* --- the journal's native protocol */

/* syslog(3): what a client causes (level 1: failed logins, refused links) is a warning, what the server is, critical. */
static int priority_of(enum log_level level)
{
    static const int map[LOG_LEVELS] = {[LOG_CRASH] = 2,    [LOG_FAILURES] = 4, [LOG_MAJOR] = 5,
                                        [LOG_PROBLEMS] = 6, [LOG_LOW] = 7,      [LOG_ALL] = 7};
    return map[level];
}

/* NAME, line break, length (64 bits, little-endian), the value from `from` on, line break. The value is there already. */
static size_t begin_field(char *to, size_t at, const char *name)
{
    at += (size_t)snprintf(to + at, 32, "%s\n", name);
    return at + 8;
}

static size_t end_field(char *to, size_t from, size_t at)
{
    uint64_t n = at - from;
    for (size_t i = 0; i < 8; i++)
        to[from - 8 + i] = (char)(n >> (8 * i) & 0xff);
    to[at++] = '\n';
    return at;
}

size_t log_form_datagram(char *to, const struct log_record *r)
{
    size_t at = (size_t)snprintf(to, 96, "PRIORITY=%d\nSYSLOG_IDENTIFIER=ximssd\nXIMSS_TAG=%.20s\n",
                                 priority_of(r->level), r->tag);
    if (r->id != 0)
        at += (size_t)snprintf(to + at, 32, "XIMSS_ID=%u\n", r->id);
    if (r->who != NULL) {
        size_t from = begin_field(to, at, "XIMSS_WHO");
        at = end_field(to, from, log_escape(to, from, from + WHO_MAX, r->who, strlen(r->who), 0));
    }
    size_t from = begin_field(to, at, "MESSAGE");
    return end_field(to, from, put_body(to, from, from + LOG_LINE, r));
}

size_t log_form_lost(char *to, size_t size, bool datagram, uint64_t lost, int why)
{
    char text[200];
    int n = snprintf(text, sizeof text, "%llu records were lost: %s", (unsigned long long)lost,
                     strerror(why));
    struct log_record r = {
        .wall = clock_wall(), .level = LOG_FAILURES, .tag = "LOG", .text = text, .n = (size_t)n};
    return datagram ? log_form_datagram(to, &r) : log_form_line(to, size, &r);
}
