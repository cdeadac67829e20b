// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/print.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

#define CELL_MAX    1000
#define COLUMNS_MAX 16

void print_text(struct buf *b, const char *text)
{
    struct str s = str_of(text);
    size_t at = 0;
    while (at < s.n) {
        char utf8[4];
        uint32_t c = utf8_next(s, &at);
        buf_add(b, utf8, utf8_put(utf8, utf8_is_control(c) ? '?' : c));
    }
}

void print_value(struct buf *b, const json_t *value)
{
    if (json_is_string(value))
        print_text(b, json_string_value(value));
    else if (json_is_integer(value))
        buf_printf(b, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        buf_printf(b, "%.1f", json_real_value(value));
    else if (json_is_boolean(value))
        buf_str(b, json_is_true(value) ? STR("yes") : STR("no"));
    else
        buf_char(b, '-');
}

void print_age(struct buf *b, const json_t *seconds)
{
    double s = json_number_value(seconds);
    if (!json_is_number(seconds))
        buf_char(b, '-');
    else if (s < 10)
        buf_printf(b, "%.1f s", s);
    else if (s < 60)
        buf_printf(b, "%.0f s", s);
    else if (s < 3600)
        buf_printf(b, "%.0f min", s / 60);
    else if (s < 86400)
        buf_printf(b, "%.0f h", s / 3600);
    else
        buf_printf(b, "%.0f d", s / 86400);
}

void print_span(struct buf *b, const json_t *seconds)
{
    long long s = (long long)json_integer_value(seconds);
    if (!json_is_integer(seconds))
        return;
    if (s < 60)
        buf_printf(b, "%lldsec", s);
    else if (s < 3600)
        buf_printf(b, "%lldmin", s / 60);
    else if (s < 86400)
        buf_printf(b, "%lldh", s / 3600);
    else
        buf_printf(b, "%lldd", s / 86400);
}

void print_flush(struct buf *b, FILE *to)
{
    fwrite(b->p, 1, b->n, to);
    buf_clear(b);
}

void print_problem(bool json, const char *fmt, ...)
{
    char text[1024];
    struct buf b;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (json) {
        json_t *o = json_pack("{s:s}", "error", text);
        print_json(o);
        json_decref(o);
        return;
    }
    buf_init(&b, 4 * sizeof text);
    buf_lit(&b, "ximssctl: ");
    print_text(&b, text);
    buf_char(&b, '\n');
    print_flush(&b, stderr);
    buf_free(&b);
}

/* The library escapes what JSON wants escaped; a terminal has more wishes. They can stand in strings only. */
void print_json(const json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    struct str s = str_of(text != NULL ? text : "{}");
    for (size_t at = 0; at < s.n;) {
        size_t from = at;
        uint32_t c = utf8_next(s, &at);
        if (utf8_is_control(c))
            printf("\\u%04x", c);
        else
            fwrite(s.p + from, 1, at - from, stdout);
    }
    free(text);
    fputc('\n', stdout);
}

/* --- tables */

static size_t width(struct str s)
{
    size_t n = 0, at = 0;
    while (at < s.n) {
        (void)utf8_next(s, &at);
        n++;
    }
    return n;
}

static void cell(struct buf *b, const json_t *row, const struct print_column *c)
{
    const json_t *value = json_object_get(row, c->key);
    buf_clear(b);
    if (c->form != NULL)
        c->form(b, value);
    else
        print_value(b, value);
}

static void put_cell(struct buf *out, struct str text, size_t wide, bool last)
{
    buf_str(out, text);
    for (size_t n = width(text); !last && n < wide + 2; n++)
        buf_char(out, ' ');
}

void print_table(const json_t *rows, const struct print_column *columns, size_t n)
{
    size_t wide[COLUMNS_MAX], i;
    const json_t *row;
    struct buf b, out;
    BUG_IF(n > COLUMNS_MAX);
    buf_init(&b, CELL_MAX);
    buf_init(&out, (size_t)COLUMNS_MAX * CELL_MAX * 4);
    for (size_t c = 0; c < n; c++)
        wide[c] = strlen(columns[c].head);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++) {
            cell(&b, row, &columns[c]);
            if (width(buf_slice(&b)) > wide[c])
                wide[c] = width(buf_slice(&b));
        }
    }
    for (size_t c = 0; json_array_size(rows) != 0 && c < n; c++)
        put_cell(&out, str_of(columns[c].head), wide[c], c + 1 == n);
    if (out.n != 0)
        buf_char(&out, '\n');
    print_flush(&out, stdout);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++) {
            cell(&b, row, &columns[c]);
            put_cell(&out, buf_slice(&b), wide[c], c + 1 == n);
        }
        buf_char(&out, '\n');
        print_flush(&out, stdout);
    }
    buf_free(&b);
    buf_free(&out);
}
