// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/counters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/clock.h"
#include "tools/ximss-top-live/screen.h"

#define GAP 2

void counters_forget(struct counters *c)
{
    free(c->sample);
    *c = (struct counters){.top = c->top};
}

static size_t count(const struct shm_reader *r)
{
    struct shm_value v;
    size_t n = 0;
    while (shm_reader_value(r, n, &v))
        n++;
    return n;
}

/* Samples without rates: of a server that was not seen before. */
static void begin(struct counters *c, const struct shm_reader *r)
{
    struct shm_value v;
    size_t n = count(r);
    counters_forget(c);
    c->sample = calloc(n + 1, sizeof *c->sample);
    c->n = c->sample != NULL ? n : 0;
    for (size_t i = 0; i < c->n && shm_reader_value(r, i, &v); i++)
        c->sample[i] = (struct counters_sample){v.value, -1};
}

void counters_refresh(struct counters *c, const struct shm_reader *r, int64_t now)
{
    int64_t start = shm_reader_server(r)->start_wall;
    struct shm_value v;
    if (c->sample == NULL || c->start_wall != start) {
        begin(c, r);
        c->start_wall = start;
        c->taken = now;
        return;
    }
    if (now - c->taken < COUNTERS_APART)
        return;
    for (size_t i = 0; i < c->n && shm_reader_value(r, i, &v); i++) {
        struct counters_sample *s = &c->sample[i];
        s->rate = v.value >= s->value
                      ? (double)(v.value - s->value) * CLOCK_SEC / (double)(now - c->taken)
                      : -1;
        s->value = v.value;
    }
    c->taken = now;
}

enum column { ELEMENT, VALUE, RATE, UNIT, MEANING, COLUMNS };

struct cells {
    char value[32], rate[32];
    const char *text[COLUMNS];
};

static bool cells_of(const struct counters *c, const struct shm_reader *r, size_t i,
                     struct cells *out)
{
    struct shm_value v;
    if (!shm_reader_value(r, i, &v))
        return false;
    snprintf(out->value, sizeof out->value, "%llu", (unsigned long long)v.value);
    out->rate[0] = 0;
    if (v.kind == SHM_COUNTER && i < c->n && c->sample[i].rate >= 0)
        snprintf(out->rate, sizeof out->rate, "%.1f", c->sample[i].rate);
    const char *text[COLUMNS] = {v.name, out->value, out->rate, v.unit, v.help};
    for (size_t k = 0; k < COLUMNS; k++)
        out->text[k] = text[k];
    return true;
}

static void widen(const char *const *text, int *wide)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        int w = screen_width(text[i]);
        if (w > wide[i])
            wide[i] = w;
    }
}

static void draw(const char *const *text, int y, const int *wide, enum screen_look look)
{
    int x = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        int right = i == VALUE || i == RATE ? wide[i] - screen_width(text[i]) : 0;
        screen_put(y, x + right, wide[i], text[i], look);
        x += wide[i] + GAP;
    }
}

int counters_draw(const struct counters *c, const struct shm_reader *r, int y, int rows)
{
    static const char *const head[COLUMNS] = {"Element", "Value", "Per second", "Unit", "Meaning"};
    int wide[COLUMNS] = {0};
    struct cells row;
    widen(head, wide);
    for (size_t i = 0; cells_of(c, r, i, &row); i++)
        widen(row.text, wide);
    screen_fill(y, 0, LOOK_HEAD);
    draw(head, y, wide, LOOK_HEAD);
    for (int i = 0; i + 1 < rows && cells_of(c, r, (size_t)(c->top + i), &row); i++)
        draw(row.text, y + 1 + i, wide, LOOK_PLAIN);
    return (int)count(r);
}
