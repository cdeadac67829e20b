// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/http1.h"

#include <stdlib.h>

#include <llhttp.h>

#include "base/buf.h"
#include "codec/http1_priv.h"

/* A step does what can be done in a state. false: go on, in the state that there is now; true: *ev is to be said. */
enum state { START, HEAD, READY, LENGTH, CHUNK, DATA, DATA_END, TRAILER, DONE, BAD };

struct http1 {
    llhttp_t ll; /* the second parser */
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
    /* What llhttp said during the last ll_feed(). */
    bool ll_head, ll_end;
    uint64_t ll_length; /* of the body or of a chunk */
    struct str ll_piece;
    struct http1_field fields[]; /* limits.fields of them */
};

const struct http1_limits http1_limits_default = {
    .head = HTTP1_MAX_HEAD,
    .target = HTTP1_MAX_TARGET,
    .fields = HTTP1_MAX_FIELDS,
    .body = HTTP1_MAX_BODY,
};

static bool refuse(struct http1 *h, int status, const char *why, enum http1_event *ev)
{
    (void)http1_refuse(&h->bad, status, why);
    h->state = BAD;
    *ev = HTTP1_BAD;
    return true;
}

/* The same, after a check has filled h->bad. */
static bool refused(struct http1 *h, enum http1_event *ev)
{
    h->state = BAD;
    *ev = HTTP1_BAD;
    return true;
}

static bool more(enum http1_event *ev)
{
    *ev = HTTP1_MORE;
    return true;
}

/* --- llhttp */

static int on_head(llhttp_t *ll)
{
    struct http1 *h = ll->data;
    h->ll_head = true;
    h->ll_length = ll->content_length;
    return 0;
}

static int on_chunk(llhttp_t *ll)
{
    struct http1 *h = ll->data;
    h->ll_length = ll->content_length;
    return 0;
}

static int on_body(llhttp_t *ll, const char *p, size_t n)
{
    struct http1 *h = ll->data;
    h->ll_piece = (struct str){p, n};
    return 0;
}

static int on_end(llhttp_t *ll)
{
    struct http1 *h = ll->data;
    h->ll_end = true;
    return 0;
}

static const llhttp_settings_t callbacks = {
    .on_headers_complete = on_head,
    .on_chunk_header = on_chunk,
    .on_body = on_body,
    .on_message_complete = on_end,
};

/* All of it at once. Where the client asks for an upgrade llhttp stops behind the request; we do not follow. */
static bool ll_feed(struct http1 *h, struct str s)
{
    h->ll_head = h->ll_end = false;
    h->ll_piece = STR_NONE;
    llhttp_errno_t e = llhttp_execute(&h->ll, s.p, s.n);
    return e == HPE_OK || (e == HPE_PAUSED_UPGRADE && h->ll_end);
}

static bool disagree(struct http1 *h, enum http1_event *ev)
{
    return refuse(h, 400, "llhttp does not agree", ev);
}

/* The head, which we have found good. */
static bool ll_agrees(struct http1 *h)
{
    const struct http1_request *r = &h->request;
    bool body = r->chunked || r->length > 0;
    if (!ll_feed(h, r->head) || !h->ll_head || h->ll_end == body)
        return false;
    if (r->chunked != ((h->ll.flags & F_CHUNKED) != 0) && body)
        return false;
    return r->chunked || h->ll_length == (uint64_t)(r->length > 0 ? r->length : 0);
}

/* --- the head */

static bool step_start(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    (void)piece;
    if (in->n == 0)
        return more(ev);
    char c = in->p[0];
    if (h->skipped == 1 ? c == '\n' : h->skipped == 0 && c == '\r') {
        h->skipped++;
        *in = str_sub(*in, 1, in->n);
        return false;
    }
    if (h->skipped == 1 || (http1_class[(unsigned char)c] & HTTP1_C_TOKEN) == 0)
        return refuse(h, 400, "no request", ev);
    h->state = HEAD;
    return false;
}

/* How many bytes of `s` belong to the head; *end: its last line is among them. false: a line feed without its CR. */
static bool scan_head(struct http1 *h, struct str s, size_t *n, bool *end)
{
    size_t at = 0;
    *end = false;
    while (at < s.n) {
        size_t more = str_find(str_sub(s, at, s.n), '\n'), lf = at + more;
        size_t length = h->line_n + more;
        if (lf == s.n) {
            h->line_n = length;
            h->last = s.p[s.n - 1];
            break;
        }
        if (length == 0 || (more != 0 ? s.p[lf - 1] : h->last) != '\r')
            return false;
        h->line_n = 0;
        h->lines++;
        at = lf + 1;
        if (length == 1) {
            *end = true;
            *n = at;
            return true;
        }
    }
    *n = s.n;
    return true;
}

static bool step_head(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    size_t n;
    bool end;
    (void)piece;
    if (!scan_head(h, str_sub(*in, 0, h->limits.head - h->head.n), &n, &end))
        return refuse(h, 400, "line feed without carriage return", ev);
    buf_add(&h->head, in->p, n);
    *in = str_sub(*in, n, in->n);
    if (buf_err(&h->head) != ERR_OK)
        return refuse(h, 503, "no memory", ev);
    if (!end && h->head.n < h->limits.head)
        return more(ev);
    if (!end)
        return h->lines == 0 ? refuse(h, 414, "request line too long", ev)
                             : refuse(h, 431, "head too long", ev);
    if (!http1_head_parse(buf_slice(&h->head), &h->limits, &h->request, &h->bad))
        return refused(h, ev);
    if (!ll_agrees(h)) {
        bool method = h->ll.error == HPE_INVALID_METHOD || h->ll.error == HPE_INVALID_CONSTANT;
        return method ? refuse(h, 501, "method", ev) : disagree(h, ev);
    }
    h->state = READY;
    *ev = HTTP1_HEAD;
    return true;
}

/* The head was reported; by now http1_max_body() was called, if ever. */
static bool step_ready(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    const struct http1_request *r = &h->request;
    (void)in, (void)piece;
    if (r->length > 0 && (uint64_t)r->length > h->max_body)
        return refuse(h, 413, "body too long", ev);
    h->left = r->length > 0 ? (uint64_t)r->length : 0;
    h->state = r->chunked ? CHUNK : h->left != 0 ? LENGTH : DONE;
    return false;
}

/* --- bodies */

/* What is there of the body or chunk: *piece. llhttp must see it as we do. */
static bool take_piece(struct http1 *h, struct str *in, struct str *piece)
{
    struct str part = str_sub(*in, 0, in->n < h->left ? in->n : (size_t)h->left);
    if (!ll_feed(h, part) || h->ll_piece.p != part.p || h->ll_piece.n != part.n)
        return false;
    *in = str_sub(*in, part.n, in->n);
    h->left -= part.n;
    *piece = part;
    return true;
}

static bool step_length(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    if (in->n == 0)
        return more(ev);
    if (!take_piece(h, in, piece) || h->ll_end != (h->left == 0))
        return disagree(h, ev);
    if (h->left == 0)
        h->state = DONE;
    *ev = HTTP1_BODY;
    return true;
}

static bool step_data(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    if (in->n == 0)
        return more(ev);
    if (!take_piece(h, in, piece) || h->ll_end)
        return disagree(h, ev);
    if (h->left == 0)
        h->state = DATA_END;
    *ev = HTTP1_BODY;
    return true;
}

enum line { LINE_WHOLE, LINE_PART, LINE_LONG, LINE_BARE, LINE_NOMEM };

/* A line of a chunked body; *line is without its end and good until h->line changes. `max` counts the end. */
static enum line take_line(struct http1 *h, struct str *in, size_t max, struct str *line)
{
    size_t lf = str_find(*in, '\n');
    bool whole = lf < in->n;
    struct str part = str_sub(*in, 0, whole ? lf + 1 : in->n);
    if (h->line.n + part.n > max || (!whole && h->line.n + part.n == max))
        return LINE_LONG;
    *in = str_sub(*in, part.n, in->n);
    *line = part;
    if (!whole || h->line.n != 0) {
        buf_str(&h->line, part);
        if (buf_err(&h->line) != ERR_OK)
            return LINE_NOMEM;
        *line = buf_slice(&h->line);
    }
    if (!whole)
        return LINE_PART;
    if (line->n < 2 || line->p[line->n - 2] != '\r')
        return LINE_BARE;
    line->n -= 2;
    return LINE_WHOLE;
}

/* false: *line is a line; true: *ev. */
static bool need_line(struct http1 *h, struct str *in, size_t max, struct str *line,
                      enum http1_event *ev)
{
    switch (take_line(h, in, max, line)) {
    case LINE_WHOLE:
        return false;
    case LINE_PART:
        return more(ev);
    case LINE_BARE:
        return refuse(h, 400, "line feed without carriage return", ev);
    case LINE_NOMEM:
        return refuse(h, 503, "no memory", ev);
    case LINE_LONG:
        break;
    }
    if (h->state == TRAILER)
        return refuse(h, 431, "trailer too long", ev);
    return refuse(h, 400, h->state == CHUNK ? "chunk line too long" : "end of a chunk", ev);
}

static bool step_chunk(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line, digits;
    char size[HTTP1_MAX_CHUNK_SIZE + 2];
    (void)piece;
    if (need_line(h, in, HTTP1_MAX_CHUNK_LINE, &line, ev))
        return true;
    if (!http1_chunk_parse(line, &digits, &h->bad))
        return refused(h, ev);
    h->extensions += (uint32_t)(line.n - digits.n);
    if (h->extensions > HTTP1_MAX_EXTENSIONS)
        return refuse(h, 400, "too many chunk extensions", ev);
    memcpy(size, digits.p, digits.n);
    memcpy(size + digits.n, "\r\n", 2);
    buf_clear(&h->line);
    h->ll_length = 0;
    if (!ll_feed(h, (struct str){size, digits.n + 2}) || h->ll_end)
        return disagree(h, ev);
    if (h->ll_length > h->max_body - h->body)
        return refuse(h, 413, "body too long", ev);
    h->left = h->ll_length;
    h->body += h->left;
    h->state = h->left != 0 ? DATA : TRAILER;
    return false;
}

static bool step_data_end(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line;
    (void)piece;
    if (need_line(h, in, 2, &line, ev))
        return true;
    buf_clear(&h->line);
    if (!ll_feed(h, STR("\r\n")) || h->ll_end)
        return disagree(h, ev);
    h->state = CHUNK;
    return false;
}

/* Fields of the trailer are checked and dropped (RFC 9110, 6.5.1). */
static bool step_trailer(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line, name, value;
    (void)piece;
    if (need_line(h, in, HTTP1_MAX_TRAILER - h->trailer, &line, ev))
        return true;
    h->trailer += (uint32_t)line.n + 2;
    if (line.n != 0 && !http1_field_parse(line, &name, &value, &h->bad))
        return refused(h, ev);
    if (line.n != 0 && ++h->trailers > h->limits.fields)
        return refuse(h, 431, "too many fields", ev);
    bool last = line.n == 0;
    buf_clear(&h->line);
    if (!last)
        return false;
    if (!ll_feed(h, STR("\r\n")) || !h->ll_end)
        return disagree(h, ev);
    h->state = DONE;
    return false;
}

static bool step_done(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    (void)h, (void)in, (void)piece;
    *ev = HTTP1_DONE;
    return true;
}

static bool step_bad(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    (void)h, (void)in, (void)piece;
    *ev = HTTP1_BAD;
    return true;
}

enum http1_event http1_feed(struct http1 *h, struct str *in, struct str *piece)
{
    static bool (*const steps[])(struct http1 *, struct str *, struct str *, enum http1_event *) = {
        [START] = step_start,     [HEAD] = step_head,         [READY] = step_ready,
        [LENGTH] = step_length,   [CHUNK] = step_chunk,       [DATA] = step_data,
        [TRAILER] = step_trailer, [DATA_END] = step_data_end, [DONE] = step_done,
        [BAD] = step_bad,
    };
    enum http1_event ev;
    *piece = STR_NONE;
    while (!steps[h->state](h, in, piece, &ev))
        ;
    return ev;
}

/* --- life */

struct http1 *http1_new(const struct http1_limits *limits)
{
    unsigned fields = limits->fields < HTTP1_TOP_FIELDS ? limits->fields : HTTP1_TOP_FIELDS;
    struct http1 *h = calloc(1, sizeof *h + fields * sizeof h->fields[0]);
    if (h == NULL)
        return NULL;
    h->limits = *limits;
    h->limits.fields = fields;
    if (h->limits.head > HTTP1_TOP_HEAD)
        h->limits.head = HTTP1_TOP_HEAD;
    buf_init(&h->head, h->limits.head);
    buf_init(&h->line, HTTP1_MAX_TRAILER);
    h->head.secret = true; /* passwords and session ids */
    http1_next(h);
    return h;
}

void http1_next(struct http1 *h)
{
    buf_clear(&h->head);
    buf_clear(&h->line);
    llhttp_init(&h->ll, HTTP_REQUEST, &callbacks);
    h->ll.data = h;
    h->request = (struct http1_request){.length = -1, .fields = h->fields};
    h->bad = (struct http1_refusal){0, NULL};
    h->max_body = h->limits.body;
    h->left = h->body = 0;
    h->line_n = h->lines = 0;
    h->extensions = h->trailer = h->trailers = 0;
    h->skipped = 0;
    h->state = START;
}

void http1_free(struct http1 **h)
{
    if (*h == NULL)
        return;
    buf_free(&(*h)->head);
    buf_free(&(*h)->line);
    free(*h);
    *h = NULL;
}

void http1_max_body(struct http1 *h, uint64_t most)
{
    h->max_body = most;
}

bool http1_begun(const struct http1 *h)
{
    return h->state != START && h->state != DONE;
}

const struct http1_request *http1_request(const struct http1 *h)
{
    return &h->request;
}

int http1_status(const struct http1 *h)
{
    return h->bad.status;
}

const char *http1_why(const struct http1 *h)
{
    return h->bad.why;
}
