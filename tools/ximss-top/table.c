// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/view.h"

#include <stdio.h>

enum { COLUMNS = 6, GAP = 2 };

struct cells {
    struct item it;
    char id[16], ip[INET6_ADDRSTRLEN + 2], connected[32], running[32];
    const char *text[COLUMNS];
};

/* A number and a unit without blank (protocol 1, 9.1). */
static void span(char *out, size_t n, int64_t s)
{
    if (s < 60)
        snprintf(out, n, "%llusec", (unsigned long long)s);
    else if (s < 60 * 60)
        snprintf(out, n, "%llumin", (unsigned long long)s / 60);
    else if (s < 24 * 60 * 60)
        snprintf(out, n, "%lluh", (unsigned long long)s / (60 * 60));
    else
        snprintf(out, n, "%llud", (unsigned long long)s / (24 * 60 * 60));
}

/* Characters of well-formed UTF-8. */
static size_t width(const char *s)
{
    size_t n = 0;
    for (; *s != 0; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void line(struct buf *b, const char *const *text, const size_t *wide, size_t columns)
{
    size_t pad = 0;
    for (size_t i = 0; i < columns; i++) {
        if (text[i][0] == 0) {
            pad += wide[i] + GAP;
            continue;
        }
        buf_printf(b, "%*s", (int)pad, "");
        buf_str(b, str_of(text[i]));
        pad = wide[i] - width(text[i]) + GAP;
    }
    buf_char(b, '\n');
}

static void widen(const char *const *text, size_t *wide, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        size_t n = width(text[i]);
        if (n > wide[i])
            wide[i] = n;
    }
}

static void cells_of(const struct view *v, const struct shm_row *row, struct cells *c)
{
    view_item(v, row, &c->it);
    snprintf(c->id, sizeof(c->id), "%u", c->it.id);
    snprintf(c->ip, sizeof(c->ip), "[%s]", c->it.ip);
    span(c->connected, sizeof(c->connected), c->it.connected);
    c->running[0] = 0;
    if (c->it.running)
        span(c->running, sizeof(c->running), c->it.since);
    const char *text[COLUMNS] = {c->id,        c->ip,        c->it.account,
                                 c->connected, c->it.status, c->running};
    memcpy(c->text, text, sizeof(text));
}

static void sessions(struct view *v)
{
    static const char *const head[COLUMNS] = {"ID",        "IP Address", "Account",
                                              "Connected", "Status",     "Running"};
    size_t wide[COLUMNS] = {0};
    struct cells c;
    widen(head, wide, COLUMNS);
    for (size_t i = 0; i < v->selected; i++) {
        cells_of(v, v->row[i], &c);
        widen(c.text, wide, COLUMNS);
    }
    line(v->out, head, wide, COLUMNS);
    for (size_t i = 0; i < v->selected; i++) {
        cells_of(v, v->row[i], &c);
        line(v->out, c.text, wide, COLUMNS);
        view_flush(v, false);
    }
}

static void counters(struct view *v)
{
    static const char *const head[] = {"Element", "Value", "Unit", "Meaning"};
    size_t wide[ARRAY_LEN(head)] = {0};
    struct shm_value val;
    char n[32];
    widen(head, wide, ARRAY_LEN(head));
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            line(v->out, head, wide, ARRAY_LEN(head));
        for (size_t i = 0; shm_reader_value(v->reader, i, &val); i++) {
            snprintf(n, sizeof(n), "%llu", (unsigned long long)val.value);
            const char *text[ARRAY_LEN(head)] = {val.name, n, val.unit, val.help};
            if (pass == 0)
                widen(text, wide, ARRAY_LEN(head));
            else
                line(v->out, text, wide, ARRAY_LEN(head));
            view_flush(v, false);
        }
    }
}

void view_table(struct view *v)
{
    char ago[32];
    buf_printf(v->out, "%zu of %zu selected\n", v->selected, v->total);
    if (!v->server->running && v->server->silence < 0) {
        buf_lit(v->out, "server is not running\n");
    } else if (!v->server->running) {
        span(ago, sizeof(ago), v->server->silence / CLOCK_SEC);
        buf_printf(v->out, "server is not running (last heard of %s ago)\n", ago);
    }
    if (v->counters)
        counters(v);
    else if (v->server->running)
        sessions(v);
    view_flush(v, true);
}
