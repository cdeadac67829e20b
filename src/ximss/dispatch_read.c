// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A message becomes a request: what is wrong with it before any handler has a say is found here. */
#include "ximss/dispatch_read.h"

#include <stdlib.h>

#include "codec/xscan.h"
#include "ximss/binding.h"
#include "ximss/ops.h"
#include "ximss/session.h"

/* For an error about a message that does not parse: its id, if that can be made out (protocol 1, 1.7). */
static void rescue_id(struct req *r, struct str message)
{
    struct xscan found;
    char *id;

    xscan_rescue(message, &found);
    if (found.id.p == NULL)
        return;
    id = arena_alloc(&r->arena, found.id.n + 1);
    r->has_id = id != NULL && xscan_decode(found.id, id, &r->id.n) == ERR_OK;
    r->id.p = id;
}

/* What is wrong before any handler has a say, in the order of protocol/errors.md. */
static enum err check_head(struct req *r)
{
    struct str exe = xelem_attr(r->root, "exeTime");
    int64_t n = 0;
    enum err e;

    r->id = xelem_attr(r->root, "id");
    r->has_id = r->id.p != NULL;
    if (!r->has_id) {
        r->protocol_error = true;
        return ERR_ID_MISSING;
    }
    r->op = optag_find(r->root->name);
    e = ops_check(r->op, true);
    if (e != ERR_OK)
        return e;
    if (ops_handler(r->op) == NULL)
        return ERR_UNKNOWN_COMMAND;
    if (r->s->must_change && (optag_flags(r->op) & OPF_EXPIRED) == 0)
        return ERR_PASSWORD_EXPIRED;
    if (r->id.n > XMSG_ID_MAX || (exe.p != NULL && str_i64(str_trim(exe), &n) != ERR_OK))
        return ERR_ATTR_VALUE;
    r->exe_time = n != 0;
    return ERR_OK;
}

static void read_message(struct req *r, struct str message)
{
    struct xelem *root = NULL;
    enum err e = xmsg_parse(r->s->x->parser, message, &r->arena, &root);

    if (e == ERR_OK) {
        r->root = root;
        e = check_head(r);
    } else {
        rescue_id(r, message);
        r->protocol_error = e == ERR_ILLEGAL_XML;
    }
    /* Also what does not parse may hold a password. */
    r->arena.secret = r->op == OP_NONE || (optag_flags(r->op) & OPF_SECRET) != 0;
    if (r->arena.secret)
        xmsg_parser_wipe(r->s->x->parser);
    if (e != ERR_OK)
        dispatch_decide(r, e);
}

static struct req *new_request(struct session *s)
{
    struct req *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->s = s;
    arena_init(&r->arena, s->x->limits.request_memory);
    buf_init(&r->spill, s->x->limits.answer);
    return r;
}

/* Of a message over TCP. */
static void take_message(struct session *s, struct req *r)
{
    uint32_t n;

    memcpy(&n, s->queue.p, sizeof n);
    r->bytes = n;
    read_message(r, (struct str){s->queue.p + sizeof n, n});
    buf_consume(&s->queue, sizeof n + n);
    if (s->queue.n == 0)
        buf_free(&s->queue);
}

/* Of a batch over HTTP, which has been parsed as a whole. */
static void take_element(struct session *s, struct req *r)
{
    r->root = binding_next(s->binding);
    r->arena.secret = binding_is_secret(s->binding);
    s->queue_count++;
    enum err e = check_head(r);
    if (e != ERR_OK)
        dispatch_decide(r, e);
}

bool dispatch_read_next(struct session *s)
{
    struct req *r;

    if (s->x->pausing && s->binding == NULL) /* a batch over HTTP comes to its end as a whole */
        return false;
    if (s->queue.n == 0 && (s->binding == NULL || !binding_has_next(s->binding)))
        return false;
    r = new_request(s);
    if (r == NULL)
        return false;
    if (s->binding == NULL)
        take_message(s, r);
    else
        take_element(s, r);
    s->req = r;
    return true;
}
