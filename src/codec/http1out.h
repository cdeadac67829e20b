// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http1out: the head of an HTTP/1.1 reply, in this order: http1out_status(), fields, http1out_end(); the body, if any, is the
 * caller's. Pure; failures of the buffer are remembered there.
 *
 * A reply always says HTTP/1.1, also to HTTP/1.0 (RFC 9112, 2.3), always has Content-Length, but for 204 (RFC 9110, 8.6), is
 * never chunked, and always has Connection, which some clients want to see (protocol 1, 0.2).
 */
#include "base/buf.h"

/* The reason phrase of a row of http_status.tbl; "" for any other number. */
const char *http1out_reason(int status);

/* The first line; a status without a row is a bug. */
void http1out_status(struct buf *out, int status);
/* A field; name is ours. ERR_SYNTAX, and nothing is added: the value has a control character (no TAB either), or begins or ends with a blank. */
enum err http1out_field(struct buf *out, const char *name, struct str value) CHECKED;
/* A field of ours as a whole: http1out_lit(out, "Cache-Control: no-cache"). */
#define http1out_lit(out, field) buf_lit((out), field "\r\n")
/* Content-Length, Connection, empty line. status is that of http1out_status(); to HEAD, length is what GET would have got. */
void http1out_end(struct buf *out, int status, uint64_t length, bool keep_alive);

/* The interim reply to Expect: 100-continue; nothing else belongs to it. */
void http1out_continue(struct buf *out);

/* Date (RFC 9110, 5.6.7, IMF-fixdate), made anew when the second changes. */
struct http1out_date {
    int64_t second; /* of the text; 0 at first: none */
    char text[32];
};
#define HTTP1OUT_DATE_LEN 29
/* now: clock_wall(). The slice is of *d. */
struct str http1out_date(struct http1out_date *d, int64_t now);
