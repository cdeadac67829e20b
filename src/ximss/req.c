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
