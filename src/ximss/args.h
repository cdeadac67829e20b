// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * args: reads attributes of a request (protocol 1, 1.9). Names and enumerated values are matched without regard to
 * ASCII case. A missing attribute is ERR_ATTR_MISSING (501), a bad value ERR_ATTR_VALUE (502).
 *
 * Handlers look for all missing ones before they judge any value (protocol/errors.md, order of checks).
 */
#include "ximss/req.h"

/* The value; .p == NULL: absent. */
struct str arg_str(const struct req *r, const char *name);
/* The value; absent or empty is 501 (protocol 2, 12.4). */
enum err arg_need(const struct req *r, const char *name, struct str *out) CHECKED;
/* Absent: the default. */
enum err arg_bool(const struct req *r, const char *name, bool absent, bool *out) CHECKED;
enum err arg_u64(const struct req *r, const char *name, uint64_t max, uint64_t absent,
                 uint64_t *out) CHECKED;
/* -1 and absent give UINT64_MAX ("no limit"); else 0...2^63-1. */
enum err arg_limit(const struct req *r, const char *name, uint64_t *out) CHECKED;
