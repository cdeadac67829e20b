// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/ipcbody.h"

const char *ipc_why_text(uint32_t why)
{
    static const char *const text[IPC_WHY_COUNT] = {
#define WHY(name, words) [IPC_WHY_##name] = words,
#include "codec/ipc_why.tbl"
#undef WHY
    };
    return why < IPC_WHY_COUNT ? text[why] : "closed";
}

static void get_addr(struct ipc_in *in, uint8_t addr[16])
{
    struct str s = ipc_get_str(in);
    if (s.n != 16)
        in->bad = true;
    else
        memcpy(addr, s.p, 16);
}

static void put_addr(struct buf *b, const uint8_t addr[16])
{
    ipc_put_str(b, (struct str){(const char *)addr, 16});
}

void ipc_login_put(struct buf *b, const struct ipc_login *l)
{
    ipc_put_u32(b, l->flags);
    ipc_put_u32(b, l->failures);
    ipc_put_u32(b, l->place);
    put_addr(b, l->addr);
    ipc_put_str(b, l->domain);
    ipc_put_opt(b, l->request_id);
    ipc_put_opt(b, l->method);
    ipc_put_opt(b, l->auth_data);
    ipc_put_opt(b, l->user_name);
    ipc_put_opt(b, l->password);
    ipc_put_opt(b, l->nonce);
    ipc_put_opt(b, l->session_id);
}

enum err ipc_login_get(struct str body, struct ipc_login *l)
{
    struct ipc_in in = {body, false};
    l->flags = ipc_get_u32(&in);
    l->failures = ipc_get_u32(&in);
    l->place = ipc_get_u32(&in);
    get_addr(&in, l->addr);
    l->domain = ipc_get_str(&in);
    l->request_id = ipc_get_opt(&in);
    l->method = ipc_get_opt(&in);
    l->auth_data = ipc_get_opt(&in);
    l->user_name = ipc_get_opt(&in);
    l->password = ipc_get_opt(&in);
    l->nonce = ipc_get_opt(&in);
    l->session_id = ipc_get_opt(&in);
    return ipc_in_end(&in);
}

void ipc_attach_put(struct buf *b, const struct ipc_attach *a)
{
    ipc_put_u64(b, a->account);
    ipc_put_u32(b, a->bank);
    ipc_put_u32(b, a->worker);
    ipc_put_u32(b, a->worker_generation);
    ipc_put_u32(b, a->flags);
    put_addr(b, a->addr);
    ipc_put_opt(b, a->request_id);
    ipc_put_str(b, a->name);
    ipc_put_str(b, a->real_name);
    ipc_put_str(b, a->old_session);
}

enum err ipc_attach_get(struct str body, struct ipc_attach *a)
{
    struct ipc_in in = {body, false};
    a->account = ipc_get_u64(&in);
    a->bank = ipc_get_u32(&in);
    a->worker = ipc_get_u32(&in);
    a->worker_generation = ipc_get_u32(&in);
    a->flags = ipc_get_u32(&in);
    get_addr(&in, a->addr);
    a->request_id = ipc_get_opt(&in);
    a->name = ipc_get_str(&in);
    a->real_name = ipc_get_str(&in);
    a->old_session = ipc_get_str(&in);
    return ipc_in_end(&in);
}

static void put_part(struct buf *b, const struct ipc_http *h)
{
    ipc_put_str(b, h->folder);
    ipc_put_u32(b, h->ref);
    ipc_put_u32(b, h->uid);
    ipc_put_str(b, h->part);
    ipc_put_str(b, h->name);
    ipc_put_opt(b, h->range);
}

static void get_part(struct ipc_in *in, struct ipc_http *h)
{
    h->folder = ipc_get_str(in);
    h->ref = ipc_get_u32(in);
    h->uid = ipc_get_u32(in);
    h->part = ipc_get_str(in);
    h->name = ipc_get_str(in);
    h->range = ipc_get_opt(in);
}

void ipc_http_put(struct buf *b, const struct ipc_http *h)
{
    ipc_put_u32(b, h->kind);
    ipc_put_u32(b, h->flags);
    ipc_put_u32(b, h->max_wait);
    ipc_put_u64(b, h->seq);
    put_addr(b, h->addr);
    ipc_put_str(b, h->url_id);
    ipc_put_opt(b, h->cookie);
    if (h->kind >= IPC_HTTP_MIME)
        put_part(b, h);
    buf_str(b, h->body);
}

enum err ipc_http_get(struct str body, struct ipc_http *h)
{
    struct ipc_in in = {body, false};
    *h = (struct ipc_http){.kind = ipc_get_u32(&in)};
    h->flags = ipc_get_u32(&in);
    h->max_wait = ipc_get_u32(&in);
    h->seq = ipc_get_u64(&in);
    get_addr(&in, h->addr);
    h->url_id = ipc_get_str(&in);
    h->cookie = ipc_get_opt(&in);
    if (h->kind >= IPC_HTTP_MIME)
        get_part(&in, h);
    h->body = ipc_get_rest(&in);
    if (h->kind >= IPC_HTTP_KINDS)
        in.bad = true;
    return ipc_in_end(&in);
}

void ipc_http_reply_put(struct buf *b, const struct ipc_http_reply *r)
{
    ipc_put_u32(b, r->status);
    ipc_put_u64(b, r->length);
    ipc_put_str(b, r->type);
    ipc_put_str(b, r->cookie);
    ipc_put_str(b, r->fields);
    buf_str(b, r->body);
}

enum err ipc_http_reply_get(struct str body, struct ipc_http_reply *r)
{
    struct ipc_in in = {body, false};
    r->status = ipc_get_u32(&in);
    r->length = ipc_get_u64(&in);
    r->type = ipc_get_str(&in);
    r->cookie = ipc_get_str(&in);
    r->fields = ipc_get_str(&in);
    r->body = ipc_get_rest(&in);
    if (r->body.n > r->length)
        in.bad = true;
    return ipc_in_end(&in);
}
