// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* A binding as bytes, and back: whoever reads them believes nothing (ximss/snapshot.h). */
#include <stdlib.h>

#include "codec/ipcmsg.h"
#include "ximss/binding_priv.h"
#include "ximss/session.h"

enum { IP_WATCH = 1, HAS_LAST = 2, LAST_LOST = 4 };

bool binding_settled(const struct binding *b)
{
    return b->first == NULL && b->poller == NULL && !b->partial;
}

static struct str body_of(const struct reply *r)
{
    return r != NULL ? buf_slice(&r->body) : STR_NONE;
}

void binding_put(const struct binding *b, struct buf *to)
{
    ipc_put_str(to, (struct str){b->url_id, URLID_LEN});
    ipc_put_str(to, (struct str){(const char *)b->addr, sizeof b->addr});
    ipc_put_u32(to, (b->ip_watch ? IP_WATCH : 0u) | (b->has_last ? HAS_LAST : 0u) |
                        (b->last_lost ? LAST_LOST : 0u));
    ipc_put_u32(to, b->cookie_state);
    ipc_put_str(to, str_of(b->cookie));
    ipc_put_u32(to, b->last_kind);
    ipc_put_u64(to, b->last);
    ipc_put_opt(to, body_of(b->last_reply));
    ipc_put_u64(to, b->out_seq);
    ipc_put_opt(to, body_of(b->unacked));
    ipc_put_str(to, buf_slice(&b->queue));
}

/* NULL where there is none; in->bad for want of memory too. */
static struct reply *get_reply(struct ipc_in *in, size_t most, struct replies *among)
{
    struct str body = ipc_get_opt(in);
    struct buf b;
    if (body.p == NULL || in->bad)
        return NULL;
    buf_init(&b, most);
    buf_str(&b, body);
    struct reply *r = reply_new(&b, among);
    in->bad = in->bad || r == NULL;
    return r;
}

static void get_who(struct ipc_in *in, struct binding *b)
{
    struct str url_id = ipc_get_str(in), addr = ipc_get_str(in);
    uint32_t flags = ipc_get_u32(in), state = ipc_get_u32(in);
    struct str cookie = ipc_get_str(in);
    bool bound = state != COOKIE_NONE;
    if (in->bad || url_id.n != URLID_LEN || addr.n != sizeof b->addr || state > COOKIE_BOUND ||
        cookie.n != (bound ? BINDING_COOKIE : 0)) {
        in->bad = true;
        return;
    }
    memcpy(b->url_id, url_id.p, URLID_LEN);
    memcpy(b->addr, addr.p, sizeof b->addr);
    if (bound)
        memcpy(b->cookie, cookie.p, BINDING_COOKIE);
    b->cookie_state = (uint8_t)state;
    b->ip_watch = (flags & IP_WATCH) != 0;
    b->has_last = (flags & HAS_LAST) != 0;
    b->last_lost = (flags & LAST_LOST) != 0;
}

enum err binding_get(struct str from, struct session *s, const struct binding_host *host,
                     size_t reply, struct binding **out)
{
    struct ipc_in in = {from, false};
    struct binding *b = *out = binding_alloc();
    if (b == NULL)
        return ERR_NOMEM;
    b->host = host;
    buf_init(&b->queue, reply);
    get_who(&in, b);
    uint32_t kind = ipc_get_u32(&in);
    b->last_kind = (uint8_t)kind;
    b->last = ipc_get_u64(&in);
    b->last_reply = get_reply(&in, reply, b->replies);
    b->out_seq = ipc_get_u64(&in);
    b->unacked = get_reply(&in, reply, b->replies);
    buf_str(&b->queue, ipc_get_str(&in));
    bool fits = s == NULL || str_eq(s->url_id, (struct str){b->url_id, URLID_LEN});
    if (ipc_in_end(&in) != ERR_OK || buf_err(&b->queue) != ERR_OK || kind > BINDING_POLL || !fits) {
        binding_free(out);
        return ERR_PACKET;
    }
    b->s = s;
    if (s != NULL)
        s->binding = b;
    return ERR_OK;
}
