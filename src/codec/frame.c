// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Messages: what stands before the root is let go, zero bytes end them, and the rest is kept for the next read. */
#include "codec/frame_priv.h"

const struct frame_limits frame_limits_default = {FRAME_MAX_TAG, FRAME_MAX_ATTRS, FRAME_MAX_DEPTH};

static const char bom_bytes[] = "\xef\xbb\xbf";

static void next_message(struct frame *f)
{
    *f = (struct frame){.max = f->max, .state = FRAME_S_LEAD};
}

void frame_init(struct frame *f, size_t max)
{
    BUG_IF(max > (size_t)1 << 30);
    *f = (struct frame){.max = max, .state = FRAME_S_LEAD};
}

void frame_set_max(struct frame *f, size_t max)
{
    BUG_IF(max > (size_t)1 << 30);
    f->max = max;
}

bool frame_begun(const struct frame *f)
{
    return f->state != FRAME_S_LEAD || f->decl || f->bom;
}

/* --- messages */

static void drop(struct frame *f, struct str *in, size_t n)
{
    in->p += n;
    in->n -= n;
    f->gone += n;
}

/* Lets go what stands before the root. Ends with no input, or in another state than FRAME_S_LEAD and
 * FRAME_S_BOM. */
static void skip_lead(struct frame *f, struct str *in)
{
    while (in->n != 0 && (f->state == FRAME_S_LEAD || f->state == FRAME_S_BOM)) {
        char c = in->p[0];
        if (f->state == FRAME_S_BOM) {
            f->state = c != bom_bytes[f->match] ? FRAME_S_BAD
                       : ++f->match == 3        ? FRAME_S_LEAD
                                                : FRAME_S_BOM;
            if (f->state == FRAME_S_BAD)
                return;
        } else if (c == bom_bytes[0] && !f->bom && !f->decl) {
            f->bom = true;
            f->match = 1;
            f->state = FRAME_S_BOM;
        } else if (c == '<') {
            f->state = FRAME_S_LT;
            f->tag_at = 0;
            f->seen = 1;
            return;
        } else if (c == '\0' && !f->bom && !f->decl && f->gone <= f->max) {
            drop(f, in, 1);
            next_message(f);
            continue;
        } else if (!frame_is_space(c)) {
            f->state = FRAME_S_BAD;
            return;
        }
        drop(f, in, 1);
    }
}

/* The message of to bytes at the head of the input is complete. */
static enum err finish(const struct frame *f, struct str in, size_t to, struct str *msg)
{
    *msg = str_sub(in, 0, to);
    if (f->state == FRAME_S_AFTER) {
        while (msg->p[msg->n - 1] != '>')
            msg->n--;
        return ERR_OK;
    }
    if (msg->n > FRAME_KEEP_BAD)
        msg->n = FRAME_KEEP_BAD;
    return ERR_ILLEGAL_XML;
}

enum err frame_next(struct frame *f, const struct frame_limits *lim, struct str *in,
                    struct str *msg)
{
    *msg = STR_NONE;
    if (lim == NULL)
        lim = &frame_limits_default;
    BUG_IF(lim->tag > FRAME_TOP_TAG || lim->attrs > FRAME_TOP_ATTRS ||
           lim->depth > FRAME_TOP_DEPTH);
    for (;;) {
        skip_lead(f, in);
        if (f->state == FRAME_S_DEAD || f->gone > f->max) {
            f->state = FRAME_S_DEAD;
            return ERR_TOO_LONG;
        }
        if (in->n == 0)
            return ERR_AGAIN;
        BUG_IF(f->seen > in->n);
        size_t fresh = in->n - f->seen;
        const char *zero = fresh != 0 ? memchr(in->p + f->seen, '\0', fresh) : NULL;
        size_t to = zero != NULL ? (size_t)(zero - in->p) : in->n;
        if (f->gone + to > f->max) {
            f->state = FRAME_S_DEAD;
            return ERR_TOO_LONG;
        }
        size_t stop = frame_scan(f, lim, in->p, f->seen, to);
        if (f->state == FRAME_S_LEAD) { /* behind a declaration */
            drop(f, in, stop);
            f->seen = 0;
            continue;
        }
        if (zero != NULL) {
            enum err e = finish(f, *in, to, msg);
            *in = str_sub(*in, to + 1, in->n);
            next_message(f);
            return e;
        }
        f->seen = to;
        if (f->state == FRAME_S_BAD && to > FRAME_KEEP_BAD) {
            f->gone += to - FRAME_KEEP_BAD;
            f->seen = in->n = FRAME_KEEP_BAD;
        }
        return ERR_AGAIN;
    }
}

enum err frame_check(struct str bytes, size_t max, const struct frame_limits *lim, struct str *msg)
{
    struct frame f;
    struct str in = bytes;
    frame_init(&f, max);
    enum err e = frame_next(&f, lim, &in, msg);
    if (e == ERR_TOO_LONG)
        return e;
    if (e != ERR_AGAIN || (in.p != bytes.p && memchr(bytes.p, 0, (size_t)(in.p - bytes.p)) != NULL))
        return ERR_ILLEGAL_XML; /* a zero byte */
    return finish(&f, in, in.n, msg);
}

/* --- what is kept between two reads */

#define HELD_SMALL ((size_t)64 << 10)

enum err frame_join(struct buf *held, struct str fresh, struct str *in)
{
    if (held->n == 0) {
        *in = fresh;
        return ERR_OK;
    }
    buf_str(held, fresh);
    *in = buf_slice(held);
    return buf_err(held);
}

enum err frame_stash(struct buf *held, struct str rest)
{
    if (rest.n == 0) {
        buf_free(held);
        return ERR_OK;
    }
    bool inside = held->n != 0;
    BUG_IF(inside && (rest.p < held->p || rest.p + rest.n > held->p + held->n));
    if (inside && (held->cap <= HELD_SMALL || rest.n > held->cap / 4)) {
        buf_consume(held, (size_t)(rest.p - held->p));
        buf_cut(held, rest.n); /* shorter only when the end of a refused message was let go */
        return ERR_OK;
    }
    /* The first piece, or a little rest behind a large message, whose memory goes back. */
    struct buf small;
    buf_init(&small, held->max);
    small.secret = held->secret;
    buf_str(&small, rest);
    enum err e = buf_err(&small);
    buf_free(held);
    if (e == ERR_OK)
        *held = small;
    return e;
}
