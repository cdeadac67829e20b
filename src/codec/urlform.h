// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * urlform: the parameters of a query string or of an application/x-www-form-urlencoded body (protocol 1, 4.2; WHATWG URL
 * Standard, 5.1, but what cannot be decoded is refused). Pure.
 *
 * Pieces lie between '&' and only there; empty ones are nothing, one without '=' has the value "". "+" is a blank. Values may be
 * passwords: then the arena is secret.
 */
#include "base/arena.h"

#define URLFORM_PARAMS 64

struct urlform {
    uint32_t n;
    struct urlform_param {
        struct str name, value; /* decoded, UTF-8, no zero byte */
    } param[URLFORM_PARAMS];
};

/*
 * Replaces *out. `text` may be empty or have .p == NULL. ERR_SYNTAX: something cannot be decoded, whether anybody asks for it or
 * not; ERR_TOO_LONG: more than URLFORM_PARAMS; ERR_NOMEM.
 */
enum err urlform_parse(struct arena *a, struct str text, struct urlform *out) CHECKED;

/*
 * The value of that name, without regard to ASCII case: the first one of the body, else the first one of the query; .p == NULL:
 * neither has it. Either may be NULL.
 */
struct str urlform_get(const struct urlform *body, const struct urlform *query, struct str name);

/* A boolean (protocol/README rule 3): absent and empty are false. ERR_SYNTAX: none of the words, *out is untouched. */
enum err urlform_bool(const struct urlform *body, const struct urlform *query, struct str name,
                      bool *out) CHECKED;
