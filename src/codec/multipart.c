// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/multipart.h"

#include "codec/fieldparam.h"
#include "codec/multipart_priv.h"

/* --- the boundary */

static bool is_boundary_char(char c)
{
    char l = str_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && memchr("'()+_,-./:=? ", c, 13) != NULL);
}

static bool is_boundary(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_boundary_char(s.p[i]))
            return false;
    }
    return s.n != 0 && s.n <= MULTIPART_BOUNDARY_MAX && s.p[s.n - 1] != ' ';
}

static enum err read_boundary(struct str params, struct buf *to)
{
    struct fieldparam p;
    enum err e;
    bool has = false;
    while ((e = fieldparam_next(&params, &p)) == ERR_OK) {
        if (!str_ieq(p.name, STR("boundary")))
            continue;
        if (has)
            return ERR_SYNTAX;
        has = true;
        fieldparam_value(&p, to);
    }
    if (e != ERR_EOF || buf_err(to) != ERR_OK || !is_boundary(buf_slice(to)))
        return ERR_SYNTAX;
    return ERR_OK;
}

/* A boundary may follow at once; its CR LF counts as seen, but is no data. */
static void at_line_start(struct multipart *m)
{
    m->matched = m->unreal = 2;
}

enum { PREAMBLE, DATA, MARK, MARK_DASH, MARK_BLANK, MARK_CR, HEAD, EPILOGUE, BAD };

enum err multipart_init(struct multipart *m, struct str content_type)
{
    struct buf b;
    if (!str_ieq(fieldparam_media(&content_type), STR("multipart/form-data")))
        return ERR_UNSUPPORTED;
    buf_init(&b, MULTIPART_BOUNDARY_MAX);
    enum err e = read_boundary(content_type, &b);
    if (e == ERR_OK) {
        *m = (struct multipart){.state = PREAMBLE, .mark_n = (uint8_t)(4 + b.n)};
        at_line_start(m);
        memcpy(m->mark, "\r\n--", 4);
        memcpy(m->mark + 4, b.p, b.n);
        buf_init(&m->head, MULTIPART_HEAD_MAX);
        arena_init(&m->text, MULTIPART_TEXT_MAX);
    }
    buf_free(&b);
    return e;
}

void multipart_free(struct multipart *m)
{
    buf_free(&m->head);
    arena_free(&m->text);
}

static enum multipart_event fail(struct multipart *m, enum err e)
{
    m->state = BAD;
    m->err = e;
    m->name = m->filename = m->type = STR_NONE;
    return MULTIPART_BAD;
}

/* --- data, up to the next line that begins with the boundary */

/* Where the mark, or a beginning of it that the end cuts off, stands in `in`; in.n: nowhere. It has one CR, at its beginning. */
static size_t find_mark(const struct multipart *m, struct str in)
{
    size_t at = 0;
    while (at < in.n) {
        size_t left, cr = str_find(str_sub(in, at, in.n), '\r');
        at += cr;
        left = in.n - at < m->mark_n ? in.n - at : m->mark_n;
        if (left != 0 && memcmp(in.p + at, m->mark, left) == 0)
            return at;
        at++;
    }
    return in.n;
}

static void consume(struct str *in, size_t n)
{
    *in = str_sub(*in, n, in->n);
}

/* DATA with a piece, which may be empty; MORE; or PART_END when the mark was taken off. */
static enum multipart_event scan(struct multipart *m, struct str *in, struct str *piece)
{
    if (m->matched == 0) {
        size_t at = find_mark(m, *in);
        if (at != 0) {
            *piece = str_sub(*in, 0, at);
            consume(in, at);
            return MULTIPART_DATA;
        }
    }
    size_t n = (size_t)m->mark_n - m->matched;
    if (n > in->n)
        n = in->n;
    if (memcmp(in->p, m->mark + m->matched, n) != 0) {
        *piece = (struct str){m->mark + m->unreal, (size_t)m->matched - m->unreal};
        m->matched = m->unreal = 0;
        return MULTIPART_DATA;
    }
    consume(in, n);
    m->matched = (uint8_t)(m->matched + n);
    if (m->matched < m->mark_n)
        return MULTIPART_MORE;
    m->matched = m->unreal = 0;
    return MULTIPART_PART_END;
}

/* What follows the boundary in its line. */
static enum multipart_event end_of_mark(struct multipart *m, struct str *in)
{
    char c = in->p[0];
    consume(in, 1);
    if (m->state == MARK_DASH && c == '-') {
        m->state = EPILOGUE;
        return MULTIPART_END;
    }
    if (m->state == MARK_CR && c == '\n') {
        m->state = HEAD;
        if (m->parts++ == MULTIPART_PARTS_MAX)
            return fail(m, ERR_TOO_LONG);
        return MULTIPART_MORE;
    }
    bool open = m->state == MARK || m->state == MARK_BLANK;
    if (m->state == MARK && c == '-')
        m->state = MARK_DASH;
    else if (open && (c == ' ' || c == '\t'))
        m->state = MARK_BLANK;
    else if (open && c == '\r')
        m->state = MARK_CR;
    else
        return fail(m, ERR_SYNTAX);
    return MULTIPART_MORE;
}

/* --- the head of a part */

/* Takes up to a line's end. */
static enum multipart_event collect_head(struct multipart *m, struct str *in)
{
    size_t n = str_find(*in, '\n');
    n = n < in->n ? n + 1 : n;
    if (n > MULTIPART_HEAD_MAX - m->head.n)
        return fail(m, ERR_TOO_LONG);
    buf_add(&m->head, in->p, n);
    if (buf_err(&m->head) != ERR_OK)
        return fail(m, ERR_NOMEM);
    consume(in, n);
    struct str head = buf_slice(&m->head);
    if (head.p[head.n - 1] == '\n' && (head.n == 1 || head.p[head.n - 2] != '\r'))
        return fail(m, ERR_SYNTAX);
    bool all = head.n == 2 ? str_eq(head, STR("\r\n"))
                           : head.n > 4 && str_eq(str_sub(head, head.n - 4, 4), STR("\r\n\r\n"));
    if (!all)
        return MULTIPART_MORE;
    enum err e = multipart_head_read(m);
    if (e != ERR_OK)
        return fail(m, e);
    m->state = DATA;
    at_line_start(m); /* RFC 2046, 5.1.1: the boundary's CR LF may be the head's empty line */
    return MULTIPART_PART;
}

static void end_part(struct multipart *m)
{
    m->name = m->filename = m->type = STR_NONE;
    buf_clear(&m->head);
    arena_reset(&m->text);
}

enum multipart_event multipart_feed(struct multipart *m, struct str *in, struct str *piece)
{
    enum multipart_event ev = MULTIPART_MORE;
    if (m->state == BAD)
        return MULTIPART_BAD;
    while (in->n != 0 && ev == MULTIPART_MORE) {
        if (m->state == EPILOGUE) {
            consume(in, in->n);
        } else if (m->state == HEAD) {
            ev = collect_head(m, in);
        } else if (m->state == PREAMBLE) {
            if (scan(m, in, piece) == MULTIPART_PART_END)
                m->state = MARK;
        } else if (m->state == DATA) {
            ev = scan(m, in, piece);
            if (ev == MULTIPART_DATA && piece->n == 0)
                ev = MULTIPART_MORE;
            if (ev == MULTIPART_PART_END) {
                end_part(m);
                m->state = MARK;
            }
        } else {
            ev = end_of_mark(m, in);
        }
    }
    return ev;
}

enum err multipart_finish(const struct multipart *m)
{
    return m->state == BAD ? m->err : m->state == EPILOGUE ? ERR_OK : ERR_EOF;
}
