// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/err.h"

struct err_row {
    int num;
    const char *text;
    const char *name;
};

static const struct err_row rows[ERR_COUNT] = {
#define ERR(name, num, text, doc) [ERR_##name] = {num, text, #name},
#include "base/errors.tbl"
#undef ERR
};

static const struct err_row *row_of(enum err e)
{
    BUG_IF((unsigned)e >= ERR_COUNT);
    return &rows[e];
}

int err_num(enum err e)
{
    return row_of(e)->num;
}

const char *err_text(enum err e)
{
    return row_of(e)->text;
}

const char *err_name(enum err e)
{
    return row_of(e)->name;
}
