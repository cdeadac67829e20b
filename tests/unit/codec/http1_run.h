// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/* For tests of http1: what a stream of requests is read as, in words. */
#include "base/buf.h"
#include "codec/http1.h"

/*
 * Feeds `in` in pieces of `first` bytes and then of `step` bytes until there is nothing left or something is refused. Appends
 * a line for each event: "HEAD POST /path ?query host=h 1.1 length=5 chunked keep expect", "BODY text" (pieces joined),
 * "DONE", "BAD 400 why"; at the end "MORE" if a request is incomplete.
 */
void http1_run(const struct http1_limits *limits, struct str in, size_t first, size_t step,
               struct buf *out);

/*
 * The same for the whole at once, for each cut in two, and byte by byte: all have to be the same (asserted). The result is
 * zero-terminated, in *out.
 */
const char *http1_run_all(const struct http1_limits *limits, struct str in, struct buf *out);
