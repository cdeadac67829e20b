// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Order in time: what is due next, the head and the end of a request; llhttp, the second parser; an http1's life. */
#include "codec/http1_state.h"

#include <stdlib.h>

#include <llhttp.h>

/* One piece of memory with the parser beside it, which the header need not know. */
struct both {
    llhttp_t ll;
    struct http1 h;
};

const struct http1_limits http1_limits_default = {
    .head = HTTP1_MAX_HEAD,
    .target = HTTP1_MAX_TARGET,
    .fields = HTTP1_MAX_FIELDS,
    .body = HTTP1_MAX_BODY,
};

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

static llhttp_t *second(struct http1 *h)
{
    return &CONTAINER_OF(h, struct both, h)->ll;
}

/* Where the client asks for an upgrade llhttp stops behind the request; we do not follow. */
bool http1_second_feed(struct http1 *h, struct str s)
{
    h->ll_head = h->ll_end = false;
    h->ll_piece = STR_NONE;
    llhttp_errno_t e = llhttp_execute(second(h), s.p, s.n);
    return e == HPE_OK || (e == HPE_PAUSED_UPGRADE && h->ll_end);
}

bool http1_disagree(struct http1 *h, enum http1_event *ev)
{
    return http1_bad(h, 400, "llhttp does not agree", ev);
}

/* The head, which we have found good. */
static bool ll_agrees(struct http1 *h)
{
    const struct http1_request *r = &h->request;
    bool body = r->chunked || r->length > 0;
    if (!http1_second_feed(h, r->head) || !h->ll_head || h->ll_end == body)
        return false;
    if (r->chunked != ((second(h)->flags & F_CHUNKED) != 0) && body)
        return false;
    return r->chunked || h->ll_length == (uint64_t)(r->length > 0 ? r->length : 0);
}

/* --- the head */

static bool step_start(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    (void)piece;
    if (in->n == 0)
        return http1_more(ev);
    char c = in->p[0];
    if (h->skipped == 1 ? c == '\n' : h->skipped == 0 && c == '\r') {
        h->skipped++;
        *in = str_sub(*in, 1, in->n);
        return false;
    }
    if (h->skipped == 1 || (http1_class[(unsigned char)c] & HTTP1_C_TOKEN) == 0)
        return http1_bad(h, 400, "no request", ev);
    h->state = HTTP1_S_HEAD;
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
        return http1_bad(h, 400, "line feed without carriage return", ev);
    buf_add(&h->head, in->p, n);
    *in = str_sub(*in, n, in->n);
    if (buf_err(&h->head) != ERR_OK)
        return http1_bad(h, 503, "no memory", ev);
    if (!end && h->head.n < h->limits.head)
        return http1_more(ev);
    if (!end)
        return h->lines == 0 ? http1_bad(h, 414, "request line too long", ev)
                             : http1_bad(h, 431, "head too long", ev);
    if (!http1_head_parse(buf_slice(&h->head), &h->limits, &h->request, &h->bad))
        return http1_was_bad(h, ev);
    if (!ll_agrees(h)) {
        int32_t why = second(h)->error;
        bool method = why == HPE_INVALID_METHOD || why == HPE_INVALID_CONSTANT;
        return method ? http1_bad(h, 501, "method", ev) : http1_disagree(h, ev);
    }
    h->state = HTTP1_S_READY;
    *ev = HTTP1_HEAD;
    return true;
}

/* The head was reported; by now http1_max_body() was called, if ever. */
static bool step_ready(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    const struct http1_request *r = &h->request;
    (void)in, (void)piece;
    if (r->length > 0 && (uint64_t)r->length > h->max_body)
        return http1_bad(h, 413, "body too long", ev);
    h->left = r->length > 0 ? (uint64_t)r->length : 0;
    h->state = r->chunked ? HTTP1_S_CHUNK : h->left != 0 ? HTTP1_S_LENGTH : HTTP1_S_DONE;
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
        [HTTP1_S_START] = step_start,
        [HTTP1_S_HEAD] = step_head,
        [HTTP1_S_READY] = step_ready,
        [HTTP1_S_LENGTH] = http1_step_length,
        [HTTP1_S_CHUNK] = http1_step_chunk,
        [HTTP1_S_DATA] = http1_step_data,
        [HTTP1_S_TRAILER] = http1_step_trailer,
        [HTTP1_S_DATA_END] = http1_step_data_end,
        [HTTP1_S_DONE] = step_done,
        [HTTP1_S_BAD] = step_bad,
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
    struct both *both = calloc(1, sizeof *both + fields * sizeof both->h.fields[0]);
    if (both == NULL)
        return NULL;
    struct http1 *h = &both->h;
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
    llhttp_init(second(h), HTTP_REQUEST, &callbacks);
    second(h)->data = h;
    h->request = (struct http1_request){.length = -1, .fields = h->fields};
    h->bad = (struct http1_refusal){0, NULL};
    h->max_body = h->limits.body;
    h->left = h->body = 0;
    h->line_n = h->lines = 0;
    h->extensions = h->trailer = h->trailers = 0;
    h->skipped = 0;
    h->state = HTTP1_S_START;
}

void http1_free(struct http1 **h)
{
    if (*h == NULL)
        return;
    buf_free(&(*h)->head);
    buf_free(&(*h)->line);
    free(CONTAINER_OF(*h, struct both, h));
    *h = NULL;
}

void http1_max_body(struct http1 *h, uint64_t most)
{
    h->max_body = most;
}

bool http1_begun(const struct http1 *h)
{
    return h->state != HTTP1_S_START && h->state != HTTP1_S_DONE;
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
