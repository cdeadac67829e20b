// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http: a link that speaks HTTP/1.1 and stays open, one request at a time; and sessions of the HTTP binding, which belong to
 * no connection.
 */
#include "codec/urlid.h"
#include "tools/ximss-bench/link.h"

struct http;
typedef void http_fn(struct http *h);
typedef void http_answer_fn(struct http *h, int status, struct str body);

struct http {
    struct link l;
    http_fn *up;            /* connected; may send */
    http_answer_fn *answer; /* a whole reply; may send the next request, or close */
    void *owner;            /* the caller's */
    struct buf held;        /* a reply that is not complete yet */
    uint32_t number;        /* of a session, perhaps; the two are the caller's */
    int64_t sent;           /* clock_mono() */
};

/* up and answer are set before. A server that closes the connection is a failure. */
void http_open(struct http *h, const struct options *o);
void http_close(struct http *h);
void http_get(struct http *h, const char *target);
/* Puts requests between <XIMSS> and </XIMSS>. */
void http_post(struct http *h, const char *target, const char *requests);

/* Opens all n and waits until each has called http_is_up(), o->parallel of them at a time. */
void http_open_all(struct http *h, uint32_t n, const struct options *o);
void http_is_up(struct http *h);

struct web {
    char id[URLID_LEN + 1];
};

/* Makes n sessions, session i of account i % o->accounts. Those of an account's first session pay for its password's hash. */
struct web *web_sessions(uint32_t n, const struct options *o);
