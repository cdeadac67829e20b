// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/session.h"

#include <stdlib.h>

#include "codec/xout.h"
#include "ximss/alert.h"
#include "ximss/binding.h"
#include "ximss/folder.h"
#include "ximss/req.h"

#define ASYNC_MAX     65536
#define IDLE_DEFAULT  600 /* protocol 1, 3.8 */
#define LENGTH_PREFIX sizeof(uint32_t)

/* The texts of a session stand in one block of exactly their size. */
static char *place(char *at, struct str from, struct str *to)
{
    if (from.n != 0)
        memcpy(at, from.p, from.n);
    *to = (struct str){at, from.n};
    at[from.n] = '\0';
    return at + from.n + 1;
}

static enum err copy_texts(struct session *s, const struct session_info *info)
{
    char *at = malloc(info->name.n + info->real_name.n + info->url_id.n + info->address.n + 4);

    if (at == NULL)
        return ERR_NOMEM;
    s->texts = at;
    at = place(at, info->name, &s->name);
    at = place(at, info->real_name, &s->real_name);
    at = place(at, info->url_id, &s->url_id);
    place(at, info->address, &s->address);
    return ERR_OK;
}

enum err session_new(struct ximss *x, struct store *store, const struct session_info *info,
                     struct session **out)
{
    struct session *s = calloc(1, sizeof *s);
    enum err e;

    *out = NULL;
    if (s == NULL)
        return ERR_NOMEM;
    s->x = x;
    s->store = store;
    s->account = info->account;
    s->id = info->id;
    s->conn = info->conn;
    s->bank = info->bank;
    s->worker = info->worker;
    s->must_change = info->must_change;
    s->idle_timeout = IDLE_DEFAULT;
    buf_init(&s->queue, SIZE_MAX);
    s->queue.secret = true;
    buf_init(&s->broken, SIZE_MAX);
    e = copy_texts(s, info);
    if (e == ERR_OK)
        e = hub_add(&x->hub, s);
    if (e != ERR_OK) {
        free(s->texts);
        free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void session_free(struct session **sp)
{
    struct session *s = *sp;

    if (s == NULL)
        return;
    *sp = NULL;
    req_free(s);
    folders_free(s);
    hub_remove(&s->x->hub, s);
    alerts_free(s);
    uploads_free(s);
    buf_free(&s->queue);
    buf_free(&s->broken);
    free(s->client_name);
    free(s->texts);
    free(s);
}

void session_greet(const struct session *s, struct str login_id, struct buf *out)
{
    uint32_t random;
    char hex[9];

    arc4random_buf(&random, sizeof random);
    for (int i = 0; i < 8; i++)
        hex[i] = "0123456789abcdef"[random >> (28 - 4 * i) & 15];
    hex[8] = '\0';
    xout_open(out, "session");
    xout_attr_opt(out, "id", login_id);
    xout_attr(out, "urlID", s->url_id);
    xout_attr(out, "userName", s->name);
    if (s->real_name.n != 0)
        xout_attr(out, "realName", s->real_name);
    xout_attr_lit(out, "version", s->x->version);
    xout_attr_lit(out, "random", hex);
    if (s->must_change)
        xout_attr_lit(out, "changePassword", "1");
    xout_empty(out);
    xout_end(out);
}

enum err session_feed(struct session *s, struct str message)
{
    const struct ximss_limits *limits = &s->x->limits;
    uint32_t n = (uint32_t)message.n;

    if (s->closing || str_trim(message).n == 0)
        return ERR_OK;
    if (message.n > limits->message || s->queue_count >= limits->queue_requests ||
        s->queue_bytes >= limits->queue_bytes)
        return ERR_TOO_LONG;
    char *room = buf_room(&s->queue, LENGTH_PREFIX + message.n);
    if (room == NULL) {
        buf_cut(&s->queue, s->queue.n);
        return ERR_NOMEM;
    }
    memcpy(room, &n, LENGTH_PREFIX);
    memcpy(room + LENGTH_PREFIX, message.p, message.n);
    buf_grow(&s->queue, LENGTH_PREFIX + message.n);
    s->queue_bytes += message.n;
    s->queue_count++;
    return ERR_OK;
}

bool session_has_work(const struct session *s)
{
    if (s->closing || (s->req == NULL && s->queue.n != 0 && !s->x->pausing))
        return true;
    if (s->req == NULL && s->binding != NULL)
        return binding_has_next(s->binding);
    return s->req != NULL && !req_waits(s->req);
}

void session_end(struct session *s)
{
    req_free(s);
    buf_free(&s->queue);
    s->queue_bytes = 0;
    s->queue_count = 0;
    s->mid_message = false;
    s->closing = true;
}

bool session_async_due(const struct session *s)
{
    return !s->closing && !s->mid_message && (alerts_due(s) || folders_notify_due(s));
}

void session_async(struct session *s, struct buf *out)
{
    size_t max = out->n + ASYNC_MAX;

    if (!session_async_due(s))
        return;
    alerts_write(s, out, max);
    folders_notify(s, out, max);
}

void session_write_bye(struct buf *out)
{
    xout_open(out, "bye");
    xout_empty(out);
    xout_end(out);
}
