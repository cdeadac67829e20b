// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/req.h"

#include <stdlib.h>

#include "base/clock.h"
#include "codec/xout.h"

bool req_full(struct req *r)
{
    if (!r->asked) { /* every slice gets on by one step at least */
        r->asked = true;
        return false;
    }
    return r->out->n >= SLICE_AIM || clock_mono() - r->slice_began >= r->s->x->limits.slice_time;
}

enum err req_want_write(struct req *r)
{
    BUG_IF(r->may_write);
    r->want_write = true;
    return ERR_MORE;
}

enum err req_wrote(struct req *r)
{
    BUG_IF(!r->may_write);
    r->want_write = false;
    return ERR_MORE;
}

void req_open(struct req *r, const char *tag)
{
    xout_open(r->out, tag);
    xout_attr(r->out, "id", r->id);
}

bool req_waits(const struct req *r)
{
    return r->waiting;
}

void req_free(struct session *s)
{
    struct req *r = s->req;

    if (r == NULL)
        return;
    if (r->cleanup != NULL)
        r->cleanup(r);
    s->req = NULL;
    s->queue_bytes -= r->bytes;
    s->queue_count--;
    buf_free(&r->spill);
    arena_free(&r->arena);
    free(r);
}

void req_respond(struct buf *out, const struct req *r, enum err e)
{
    struct str id = r->has_id ? r->id : STR_NONE;

    if (r->exe_time)
        xout_response_timed(out, id, e, (uint64_t)((clock_mono() - r->started) / CLOCK_MS));
    else
        xout_response(out, id, e);
}

/* --- for a keeper's successor (snapshot.h) */

bool req_settled(const struct session *s)
{
    const struct req *r = s->req;

    return !s->held && (r == NULL || (r->decided && r->spill.n != 0));
}

void req_put_rest(const struct session *s, struct buf *b)
{
    const struct req *r = s->req;

    buf_add(b, r->spill.p + r->spill_at, r->spill.n - r->spill_at);
    if (!r->written)
        req_respond(b, r, r->result);
}

enum err req_resume(struct session *s, struct str rest, uint32_t bytes)
{
    struct req *r;

    if (s->req != NULL || rest.n == 0 || rest.n > s->x->limits.answer || rest.p[rest.n - 1] != 0)
        return ERR_PACKET;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    r->s = s;
    r->bytes = bytes;
    r->decided = r->written = true;
    r->started = clock_mono();
    arena_init(&r->arena, s->x->limits.request_memory);
    buf_init(&r->spill, s->x->limits.answer);
    buf_str(&r->spill, rest);
    s->req = r;
    s->queue_bytes += bytes;
    s->queue_count++;
    return buf_err(&r->spill); /* the session's end frees it */
}
