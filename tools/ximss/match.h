// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * match: the placeholders of the scenario notation (tests/scenario/README.md): {num}, {name=num}, {name}.
 *
 * Braces around anything else than lower-case letters and digits (with one '=' between) are ordinary text.
 */
#include "base/buf.h"
#include "base/str.h"

#define MATCH_NAMES_MAX 256

/* What {name=kind} has remembered; the newest of a name counts. All slices belong to the caller's script and to `text`. */
struct match_names {
    struct {
        struct str name, value;
    } v[MATCH_NAMES_MAX];
    size_t n;
};

/*
 * For a script that is only read: false when a kind is not known, or a {name} in a line that is sent was never
 * remembered, or there are too many names; *why is that placeholder. Names of other lines are remembered, without value.
 */
bool match_check(struct str pattern, bool sent, struct match_names *names, struct str *why);

/*
 * Whether `got` is what `pattern` describes, whole. Remembers its names then; their values are slices of `got`, which
 * has to live as long as `names`.
 */
bool match_text(struct str pattern, struct str got, struct match_names *names);

/* The pattern with its names filled in. */
void match_fill(struct str pattern, const struct match_names *names, struct buf *out);

/* Remembers; false when there are MATCH_NAMES_MAX. */
bool match_remember(struct match_names *names, struct str name, struct str value);
