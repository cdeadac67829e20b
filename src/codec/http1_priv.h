// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * What the files of http1 share: the checks, each of them over complete lines. Only http1.c knows llhttp.
 *
 *   http1_line.c   request line and Host
 *   http1_head.c   fields, and what they say about the body
 *   http1_chunk.c  chunk lines
 *   http1_body.c   bodies as they come
 *   http1.c        order in time
 */
#include "codec/http1.h"

/* Why not. status is 0 while nothing was refused. */
struct http1_refusal {
    int status;
    const char *why;
};

/* Always false. */
static inline bool http1_refuse(struct http1_refusal *bad, int status, const char *why)
{
    *bad = (struct http1_refusal){status, why};
    return false;
}

/* Classes of bytes. */
#define HTTP1_C_TOKEN  1  /* tchar (RFC 9110, 5.6.2) */
#define HTTP1_C_VALUE  2  /* of a field's value: visible, obs-text, blank, TAB (RFC 9110, 5.5) */
#define HTTP1_C_TARGET 4  /* of path and query */
#define HTTP1_C_HOST   8  /* of a name or IPv4 address in Host */
#define HTTP1_C_HEX    16 /* hexadecimal digit */
extern const uint8_t http1_class[256];

/* Every byte is of that class; true for none. */
static inline bool http1_all(struct str s, uint8_t c)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((http1_class[(unsigned char)s.p[i]] & c) == 0)
            return false;
    }
    return true;
}

/* The line without its end: method, target, path, query, minor; host, if the target has one (else p is NULL). */
bool http1_line_parse(struct str line, size_t max_target, struct http1_request *r,
                      struct http1_refusal *bad) CHECKED;
/* uri-host [":" port], not empty. Names of letters, digits and - . _ ~ only: less than RFC 3986 allows, all that there is. */
bool http1_host_ok(struct str host) CHECKED;

/* One line of a field without its end, also of a trailer. The value comes without blanks around it. */
bool http1_field_parse(struct str line, struct str *name, struct str *value,
                       struct http1_refusal *bad) CHECKED;
/*
 * A whole head; every line of it ends with CR LF, and only the last one is empty. r->head becomes that; r->fields has room for
 * limits->fields.
 */
bool http1_head_parse(struct str head, const struct http1_limits *limits, struct http1_request *r,
                      struct http1_refusal *bad) CHECKED;

/* The first line of a chunk, without its end; *digits is its size. Extensions are checked, and of no use to anybody. */
bool http1_chunk_parse(struct str line, struct str *digits, struct http1_refusal *bad) CHECKED;
