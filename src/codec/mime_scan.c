// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_scan.h"

/* The line at `at` with its line end; never empty while at < in.n. */
static struct str line_at(struct str in, size_t at)
{
    const char *end = memchr(in.p + at, '\n', in.n - at);
    size_t n = end != NULL ? (size_t)(end - (in.p + at)) + 1 : in.n - at;
    return (struct str){in.p + at, n};
}

static struct str without_end(struct str line)
{
    if (line.n != 0 && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void header_scan_init(struct header_scan *h, struct str in, size_t budget)
{
    *h = (struct header_scan){.in = in, .budget = budget};
}

/* Length of the field name at the start of the line, blanks before the colon allowed (RFC 5322, 4.5); *colon: its place. */
static bool field_name(struct str line, size_t *name_n, size_t *colon)
{
    size_t i = 0;
    while (i < line.n && line.p[i] > ' ' && line.p[i] < 0x7f && line.p[i] != ':')
        i++;
    *name_n = i;
    while (i < line.n && is_blank(line.p[i]))
        i++;
    *colon = i;
    return i < line.n && line.p[i] == ':';
}

bool header_next(struct header_scan *h, struct str *name, struct str *value)
{
    while (!h->ended && h->at < h->in.n) {
        struct str line = line_at(h->in, h->at);
        if (without_end(line).n == 0) {
            h->at += line.n;
            break;
        }
        size_t name_n, colon;
        bool named = field_name(line, &name_n, &colon);
        bool mbox = str_starts(line, STR("From ")) || str_starts(line, STR(">From "));
        /* Not only at the start: whoever delivered it has put his own fields in front. */
        bool skip =
            (h->at == 0 && is_blank(line.p[0])) || (!named && mbox) || (named && name_n == 0);
        if (!named && !skip)
            break;
        size_t start = h->at;
        do {
            h->at += line.n;
            if (h->at < h->in.n)
                line = line_at(h->in, h->at);
        } while (h->at < h->in.n &&
                 is_blank(line.p[0])); /* lines of blanks alone too (RFC 5322, 4.2) */
        size_t n = h->at - start;
        if (skip || n > h->budget) {
            if (!skip)
                h->budget = 0;
            continue;
        }
        h->budget -= n;
        *name = (struct str){h->in.p + start, name_n};
        *value = without_end((struct str){h->in.p + start + colon + 1, n - colon - 1});
        return true;
    }
    h->ended = true;
    return false;
}

/* Is the line, which begins with -- and boundary, a delimiter? *closing: with "--" behind. Blanks may follow. */
static bool is_delimiter(struct str line, struct str boundary, bool *closing)
{
    if (line.n < boundary.n + 2)
        return false;
    struct str rest = str_sub(line, boundary.n + 2, line.n);
    *closing = str_starts(rest, STR("--"));
    return str_trim(str_sub(rest, *closing ? 2 : 0, rest.n)).n == 0;
}

/* The next delimiter line at or after `from` (the start of a line): its place, and where the next line begins. */
static bool find_delimiter(const struct part_scan *s, size_t from, size_t *at, size_t *after,
                           bool *closing)
{
    while (from < s->in.n) {
        const char *p = s->in.p + from;
        size_t left = s->in.n - from;
        if (left >= s->boundary.n + 2 && p[0] == '-' && p[1] == '-' &&
            memcmp(p + 2, s->boundary.p, s->boundary.n) == 0) {
            struct str line = line_at(s->in, from);
            if (is_delimiter(line, s->boundary, closing)) {
                *at = from;
                *after = from + line.n;
                return true;
            }
        }
        const char *end = memchr(p, '\n', left);
        if (end == NULL)
            return false;
        from = (size_t)(end - s->in.p) + 1;
    }
    return false;
}

void part_scan_init(struct part_scan *s, struct str in, struct str boundary)
{
    *s = (struct part_scan){.in = in, .boundary = boundary};
    size_t at;
    bool closing = false;
    s->open = find_delimiter(s, 0, &at, &s->at, &closing) && !closing;
    s->closed = closing;
}

bool part_next(struct part_scan *s, struct str *part)
{
    if (!s->open)
        return false;
    size_t start = s->at, at = s->in.n, after = s->in.n;
    bool closing = false;
    bool found = find_delimiter(s, start, &at, &after, &closing);
    if (found) {
        if (at > start && s->in.p[at - 1] == '\n')
            at--;
        if (at > start && s->in.p[at - 1] == '\r')
            at--;
    }
    s->at = after;
    s->open = found && !closing;
    s->closed = closing;
    *part = str_sub(s->in, start, at - start);
    return true;
}
