// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * err: the one error enum of the house.
 *
 * Every function that can fail returns `enum err` and is marked CHECKED. What a client is told (number and
 * text) comes from errors.tbl, which holds the table of protocol/errors.md; details go to the log, where the
 * failure happened. Values after ERR_INTERNAL are for our own eyes: a client sees 599 for each of them.
 */
#include "base/bug.h"

enum err {
#define ERR(name, num, text, doc) ERR_##name,
#include "base/errors.tbl"
#undef ERR
    ERR_COUNT
};

/* errorNum of the protocol; 0 for ERR_OK, ERR_MORE and ERR_WAIT. */
int err_num(enum err e);

/* errorText of the protocol: constant, English, no full stop. "" where err_num() is 0. */
const char *err_text(enum err e);

/* The C name without ERR_, for the log. */
const char *err_name(enum err e);
