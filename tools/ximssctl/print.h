// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * print: answers for people. Whatever stands in an answer, no control character of it reaches the terminal.
 */
#include <jansson.h>

#include "base/buf.h"

/* A column of a table: `key` of each row, through `form`. */
struct print_column {
    const char *head, *key;
    /* NULL: texts as they are, numbers, yes and no; null and what is missing as "-". */
    void (*form)(struct buf *b, const json_t *value);
};

/* Rows are the objects of an array. Columns are as wide as they must be; nothing at all without rows. */
void print_table(const json_t *rows, const struct print_column *columns, size_t n);
/* The text, clean, to be shown to people. */
void print_text(struct buf *b, const char *text);
/* Adds the value as the column without `form` shows it. */
void print_value(struct buf *b, const json_t *value);
/* Seconds: 3.2 s, 34 s, 3 min, 5 h, 2 d. */
void print_age(struct buf *b, const json_t *seconds);
/* Seconds as protocol 1, 9.1 shows them: 34sec, 3min, 5h, 2d; nothing for null. */
void print_span(struct buf *b, const json_t *seconds);
/* Writes and empties b. */
void print_flush(struct buf *b, FILE *to);
/* Why nothing was done: a sentence on standard error or, when JSON is wanted, {"error":"sentence"}. */
void print_problem(bool json, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The object as it is, one line. */
void print_json(const json_t *answer);
