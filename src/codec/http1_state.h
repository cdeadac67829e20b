// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http1_state: where a request stands, for http1.c and http1_body.c, which move it on.
 */
#include "base/buf.h"
#include "codec/http1_priv.h"

enum http1_state {
    HTTP1_S_START,
    HTTP1_S_HEAD,
    HTTP1_S_READY,
    HTTP1_S_LENGTH,
    HTTP1_S_CHUNK,
    HTTP1_S_DATA,
    HTTP1_S_DATA_END,
    HTTP1_S_TRAILER,
    HTTP1_S_DONE,
    HTTP1_S_BAD
};

struct http1 {
    struct http1_limits limits;
    struct http1_request request;
    struct http1_refusal bad;
    struct buf head;
    struct buf line; /* a line of the body that has come in part */
    uint64_t left;   /* bytes of the body, or of the chunk, that are to come */
    uint64_t body;   /* bytes that chunks have announced so far */
    uint64_t max_body;
    size_t line_n;       /* bytes of the head's line in progress ... */
    size_t lines;        /* ... which has so many before it */
    uint32_t extensions; /* bytes of them so far */
    uint32_t trailer;    /* bytes of it so far */
    uint32_t trailers;   /* fields of it so far */
    uint8_t state;
    uint8_t skipped; /* bytes of the CR LF before the request */
    char last;       /* of the line in progress */
    /* What the second parser said during the last http1_second_feed(). */
    bool ll_head, ll_end;
    uint64_t ll_length; /* of the body or of a chunk */
    struct str ll_piece;
    struct http1_field fields[]; /* limits.fields of them */
};

/* The end, for that reason. */
static inline bool http1_bad(struct http1 *h, int status, const char *why, enum http1_event *ev)
{
    (void)http1_refuse(&h->bad, status, why);
    h->state = HTTP1_S_BAD;
    *ev = HTTP1_BAD;
    return true;
}

/* The same, after a check has filled h->bad. */
static inline bool http1_was_bad(struct http1 *h, enum http1_event *ev)
{
    h->state = HTTP1_S_BAD;
    *ev = HTTP1_BAD;
    return true;
}

static inline bool http1_more(enum http1_event *ev)
{
    *ev = HTTP1_MORE;
    return true;
}

/* --- http1.c */
/* Gives llhttp, the second parser, all of it at once. false: it found a fault. */
bool http1_second_feed(struct http1 *h, struct str s);
bool http1_disagree(struct http1 *h, enum http1_event *ev);

/* --- http1_body.c */
/* A step does what can be done in a state. false: go on, in the state that there is now; true: *ev is to be said. */
bool http1_step_length(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev);
bool http1_step_chunk(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev);
bool http1_step_data(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev);
bool http1_step_data_end(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev);
bool http1_step_trailer(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev);
