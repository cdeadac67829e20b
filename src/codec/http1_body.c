// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Bodies as they come: of a known length, or in chunks, with their lines and the trailer. */
#include "codec/http1_state.h"

/* What is there of the body or chunk: *piece. llhttp must see it as we do. */
static bool take_piece(struct http1 *h, struct str *in, struct str *piece)
{
    struct str part = str_sub(*in, 0, in->n < h->left ? in->n : (size_t)h->left);
    if (!http1_second_feed(h, part) || h->ll_piece.p != part.p || h->ll_piece.n != part.n)
        return false;
    *in = str_sub(*in, part.n, in->n);
    h->left -= part.n;
    *piece = part;
    return true;
}

bool http1_step_length(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    if (in->n == 0)
        return http1_more(ev);
    if (!take_piece(h, in, piece) || h->ll_end != (h->left == 0))
        return http1_disagree(h, ev);
    if (h->left == 0)
        h->state = HTTP1_S_DONE;
    *ev = HTTP1_BODY;
    return true;
}

bool http1_step_data(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    if (in->n == 0)
        return http1_more(ev);
    if (!take_piece(h, in, piece) || h->ll_end)
        return http1_disagree(h, ev);
    if (h->left == 0)
        h->state = HTTP1_S_DATA_END;
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
        return http1_more(ev);
    case LINE_BARE:
        return http1_bad(h, 400, "line feed without carriage return", ev);
    case LINE_NOMEM:
        return http1_bad(h, 503, "no memory", ev);
    case LINE_LONG:
        break;
    }
    if (h->state == HTTP1_S_TRAILER)
        return http1_bad(h, 431, "trailer too long", ev);
    return http1_bad(h, 400, h->state == HTTP1_S_CHUNK ? "chunk line too long" : "end of a chunk",
                     ev);
}

bool http1_step_chunk(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line, digits;
    char size[HTTP1_MAX_CHUNK_SIZE + 2];
    (void)piece;
    if (need_line(h, in, HTTP1_MAX_CHUNK_LINE, &line, ev))
        return true;
    if (!http1_chunk_parse(line, &digits, &h->bad))
        return http1_was_bad(h, ev);
    h->extensions += (uint32_t)(line.n - digits.n);
    if (h->extensions > HTTP1_MAX_EXTENSIONS)
        return http1_bad(h, 400, "too many chunk extensions", ev);
    memcpy(size, digits.p, digits.n);
    memcpy(size + digits.n, "\r\n", 2);
    buf_clear(&h->line);
    h->ll_length = 0;
    if (!http1_second_feed(h, (struct str){size, digits.n + 2}) || h->ll_end)
        return http1_disagree(h, ev);
    if (h->ll_length > h->max_body - h->body)
        return http1_bad(h, 413, "body too long", ev);
    h->left = h->ll_length;
    h->body += h->left;
    h->state = h->left != 0 ? HTTP1_S_DATA : HTTP1_S_TRAILER;
    return false;
}

bool http1_step_data_end(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line;
    (void)piece;
    if (need_line(h, in, 2, &line, ev))
        return true;
    buf_clear(&h->line);
    if (!http1_second_feed(h, STR("\r\n")) || h->ll_end)
        return http1_disagree(h, ev);
    h->state = HTTP1_S_CHUNK;
    return false;
}

/* Fields of the trailer are checked and dropped (RFC 9110, 6.5.1). */
bool http1_step_trailer(struct http1 *h, struct str *in, struct str *piece, enum http1_event *ev)
{
    struct str line, name, value;
    (void)piece;
    if (need_line(h, in, HTTP1_MAX_TRAILER - h->trailer, &line, ev))
        return true;
    h->trailer += (uint32_t)line.n + 2;
    if (line.n != 0 && !http1_field_parse(line, &name, &value, &h->bad))
        return http1_was_bad(h, ev);
    if (line.n != 0 && ++h->trailers > h->limits.fields)
        return http1_bad(h, 431, "too many fields", ev);
    bool last = line.n == 0;
    buf_clear(&h->line);
    if (!last)
        return false;
    if (!http1_second_feed(h, STR("\r\n")) || !h->ll_end)
        return http1_disagree(h, ev);
    h->state = HTTP1_S_DONE;
    return false;
}
