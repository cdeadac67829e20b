// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/view.h"

#include <stdio.h>

enum { GAP = 2 };

const char *const view_heads[VIEW_COLUMNS] = {"ID",        "IP Address", "Account",
                                              "Connected", "Status",     "Running"};

void view_span(char *out, size_t n, int64_t s)
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

void view_state(const struct shm_server *s, char *out, size_t n)
{
    char ago[32];
    out[0] = 0;
    if (s->running)
        return;
    if (s->silence < 0) {
        snprintf(out, n, "server is not running");
    } else {
        view_span(ago, sizeof(ago), s->silence / CLOCK_SEC);
        snprintf(out, n, "server is not running (last heard of %s ago)", ago);
    }
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

void view_cells(const struct view *v, const struct shm_row *row, struct view_cells *c)
{
    view_item(v, row, &c->it);
    snprintf(c->id, sizeof(c->id), "%u", c->it.id);
    snprintf(c->ip, sizeof(c->ip), "[%s]", c->it.ip);
    view_span(c->connected, sizeof(c->connected), c->it.connected);
    c->running[0] = 0;
    if (c->it.running)
        view_span(c->running, sizeof(c->running), c->it.since);
    const char *text[VIEW_COLUMNS] = {c->id,        c->ip,        c->it.account,
                                      c->connected, c->it.status, c->running};
    memcpy(c->text, text, sizeof(text));
}

static void sessions(struct view *v)
{
    size_t wide[VIEW_COLUMNS] = {0};
    struct view_cells c;
    widen(view_heads, wide, VIEW_COLUMNS);
    for (size_t i = 0; i < v->selected; i++) {
        view_cells(v, v->row[i], &c);
        widen(c.text, wide, VIEW_COLUMNS);
    }
    line(v->out, view_heads, wide, VIEW_COLUMNS);
    for (size_t i = 0; i < v->selected; i++) {
        view_cells(v, v->row[i], &c);
        line(v->out, c.text, wide, VIEW_COLUMNS);
        view_flush(v, false);
    }
}

static void counters(struct view *v)
{
    static const char *const head[] = {"Element", "Value", "Kind", "Unit", "Meaning"};
    size_t wide[ARRAY_LEN(head)] = {0};
    struct shm_value val;
    char n[32];
    widen(head, wide, ARRAY_LEN(head));
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            line(v->out, head, wide, ARRAY_LEN(head));
        for (size_t i = 0; shm_reader_value(v->reader, i, &val); i++) {
            snprintf(n, sizeof(n), "%llu", (unsigned long long)val.value);
            const char *text[ARRAY_LEN(head)] = {val.name, n, view_kind(val.kind), val.unit,
                                                 val.help};
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
    char state[100];
    view_state(v->server, state, sizeof(state));
    buf_printf(v->out, "%zu of %zu selected\n", v->selected, v->total);
    if (state[0] != 0)
        buf_printf(v->out, "%s\n", state);
    if (v->counters)
        counters(v);
    else if (v->server->running)
        sessions(v);
    view_flush(v, true);
}
