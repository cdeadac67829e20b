// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http1: requests of HTTP/1.1 and 1.0 as a server reads them (RFC 9112, RFC 9110; protocol 1, 4.11). Pure.
 *
 * Two parsers have to agree. The head is collected, checked by us as a whole and strictly (security 2.2, request
 * smuggling), and only then given to llhttp, which is known to let some of it pass; what it says about the length of the body
 * must be what we say. Of a chunked body llhttp gets our reduced form of each chunk line and of the trailer. Whatever two
 * servers could read in two ways is refused, so that nobody before us can have read it differently:
 *
 *   400  lines that do not end with CR LF; NUL and other control characters; folded fields; blanks before a colon; names that
 *        are no tokens; more than one blank, or other than blanks, in the request line; a Host that is missing, doubled or
 *        malformed; Content-Length that is doubled, even if equal, or not only digits; Content-Length with Transfer-Encoding;
 *        Transfer-Encoding twice, or with HTTP/1.0; chunk lines with anything but the grammar of RFC 9112, 7.1, or with blanks
 *   413  a body over the cap, before a byte of it is taken
 *   414  a target over the limit, or a request line that fills the head
 *   431  a head over the limit, in bytes or fields; a trailer over its limit
 *   501  Transfer-Encoding that is not exactly `chunked`; CONNECT and methods that llhttp does not know
 *   505  a version that is not 1.0 or 1.1
 *   503  no memory
 *
 * After any of these the connection is of no more use: answer, close. One CR LF before a request is skipped (RFC 9112, 2.2).
 *
 * Targets: origin-form; `*` with OPTIONS; absolute-form with http or https, which a server has to accept (RFC 9112, 3.2.2): its
 * authority then takes the place of Host, and a Host that differs from it is 400. Upgrade and trailer fields are ignored,
 * and so is an Expect that is not 100-continue (RFC 9110, 10.1.1 allows it).
 *
 * Use: one http1 lives while requests of a connection are read, and has memory of its own only for the head and for lines
 * that come in pieces:
 *
 *     for (;;)
 *         switch (http1_feed(h, &in, &piece)) {
 *         case HTTP1_MORE:  all of `in` was taken: read
 *         case HTTP1_HEAD:  http1_request(h); http1_max_body(h, ...) if this URL may have more or less; call again at once
 *         case HTTP1_BODY:  `piece`, a slice of `in`
 *         case HTTP1_DONE:  what is left of `in` is the next request, for http1_next(h) or another http1
 *         case HTTP1_BAD:   http1_status(h), http1_why(h)
 *         }
 *
 * How the bytes are split makes no difference but to where pieces of a body end.
 */
#include "base/str.h"

#define HTTP1_MAX_HEAD   16384 /* defaults (design, 11) ... */
#define HTTP1_MAX_FIELDS 64
#define HTTP1_MAX_TARGET 8192
#define HTTP1_MAX_BODY   (UINT64_C(16) << 20)
#define HTTP1_TOP_HEAD   65536 /* ... and the highest that may be given */
#define HTTP1_TOP_FIELDS 256

#define HTTP1_MAX_CHUNK_LINE 256  /* bytes of a chunk's first line, with its end */
#define HTTP1_MAX_CHUNK_SIZE 16   /* hexadecimal digits */
#define HTTP1_MAX_EXTENSIONS 4096 /* bytes of chunk extensions in a request */
#define HTTP1_MAX_TRAILER    4096 /* bytes of the trailer, with its last line */

/* What a head may have, with its last line; bytes of a body after decoding. Each is allowed, one more is not. */
struct http1_limits {
    size_t head;
    size_t target;
    unsigned fields; /* of the head, and of the trailer */
    uint64_t body;
};
extern const struct http1_limits http1_limits_default;

enum http1_method { HTTP1_M_OTHER, HTTP1_M_GET, HTTP1_M_HEAD, HTTP1_M_POST, HTTP1_M_OPTIONS };

/* A field's place in the head: its last bytes are line ends, so 16 bits are enough. */
struct http1_field {
    uint16_t name_at, name_n, value_at, value_n;
};

/* Slices are good until http1_next() or http1_free(). */
struct http1_request {
    enum http1_method method;
    struct str method_name; /* as sent; upper case makes a difference */
    struct str target;      /* as sent */
    struct str path;        /* not decoded; begins with `/`, or is `*` */
    struct str query;       /* not decoded, without `?`; p is NULL when there is none */
    struct str host;        /* with its port; "" when nothing names one */
    uint8_t minor;          /* of the version 1.x: 0 or 1 */
    bool chunked;           /* the length of the body is not known */
    bool keep_alive;        /* the client wants the connection to stay */
    bool expect_continue;   /* the client may wait for 100 before it sends the body */
    int64_t length;         /* Content-Length; -1: none */
    struct str head;        /* request line, fields, empty line */
    unsigned count;
    struct http1_field *fields;
};

/* The value of the first field of that name, given in lower case, without blanks around it; p is NULL when there is none. */
struct str http1_field(const struct http1_request *r, const char *lower_name);
/* The same for fields that may occur several times: *at is 0 at first. */
struct str http1_field_next(const struct http1_request *r, const char *lower_name, unsigned *at);

enum http1_event {
    HTTP1_MORE,
    HTTP1_HEAD, /* the next call may say DONE or BAD without a byte */
    HTTP1_BODY,
    HTTP1_DONE,
    HTTP1_BAD,
};

struct http1;

/* NULL: no memory. Limits over the highest are taken for those. */
struct http1 *http1_new(const struct http1_limits *limits);
/* Frees and forgets; NULL is allowed. */
void http1_free(struct http1 **h);

/* Takes *in off as far as it was used. After HTTP1_DONE and HTTP1_BAD nothing is taken, and they are said again. */
enum http1_event http1_feed(struct http1 *h, struct str *in, struct str *piece);
/* After HTTP1_DONE: ready for the next request, with the limits of http1_new(). */
void http1_next(struct http1 *h);
/* Another cap for the body of this request, between HTTP1_HEAD and the next http1_feed(). */
void http1_max_body(struct http1 *h, uint64_t most);

/* A byte of a request was taken and the request is not complete: it is not the client's turn to be idle. */
bool http1_begun(const struct http1 *h);
/* From HTTP1_HEAD on. */
const struct http1_request *http1_request(const struct http1 *h);
/* After HTTP1_BAD: what to answer, and a constant text for the log. */
int http1_status(const struct http1 *h);
const char *http1_why(const struct http1 *h);
