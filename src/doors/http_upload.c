// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Files that come in (protocol 2, 9.2): multipart/form-data is taken apart here, in the worker, as it comes, and what is in it goes
 * to the session's keeper at once. Nothing is held but a part's head; while the keeper has IPC_UPLOAD_WINDOW bytes to take, no more
 * is read from the client.
 */
#include <stdlib.h>

#include "codec/multipart.h"
#include "doors/http_priv.h"

#define PIECE      49152               /* bytes in one packet item */
#define HEADS_ROOM (UINT64_C(1) << 20) /* what multipart adds to the files */
#define STEP       65536               /* bytes that the body timeout is for */

struct http_upload {
    struct multipart m;
    bool form;      /* multipart/form-data; else the body is the file */
    bool wanted;    /* the part that comes is a file */
    bool expect;    /* the client waits to hear that it may send */
    uint32_t files; /* that there were */
    uint32_t ahead; /* bytes that the keeper has yet to take */
    uint32_t since; /* bytes since the timer was set */
};

uint64_t http_upload_cap(const struct http_conn *c)
{
    return c->door->conf->http.upload_session + HEADS_ROOM;
}

void http_upload_free(struct http_upload **up)
{
    struct http_upload *u = *up;
    *up = NULL;
    if (u == NULL)
        return;
    if (u->form)
        multipart_free(&u->m);
    free(u);
}

static struct bus_peer *keeper_of(const struct http_conn *c)
{
    const struct http_door *d = c->door;
    return d->host.keeper(d->host.ctx, c->req->bank);
}

static void put(struct http_conn *c, enum ipc_type type, struct str body)
{
    struct bus_peer *k = keeper_of(c);
    if (k != NULL)
        bus_put(k, type, c->id, c->seq, body);
}

/* The keeper forgets what it has got. */
static void take_back(struct http_conn *c)
{
    put(c, IPC_HTTP_DROP, STR_NONE);
    c->req->asked = false;
}

static bool refuse(struct http_conn *c, int status)
{
    take_back(c);
    http_reply(c, status, STR(""), STR_NONE);
    return false;
}

/* --- the head */

static bool ask(struct http_conn *c, struct str id)
{
    struct buf b;
    struct http_req *r = c->req;
    struct bus_peer *k = keeper_of(c);
    struct ipc_http h = {.kind = IPC_HTTP_UPLOAD,
                         .url_id = str_of(r->url_id),
                         .cookie = r->cookie,
                         .folder = id,
                         .body = STR("")};
    memcpy(h.addr, r->client.b, sizeof h.addr);
    buf_init(&b, IPC_BODY_MAX);
    b.secret = true;
    ipc_http_put(&b, &h);
    r->asked = k != NULL && buf_err(&b) == ERR_OK;
    if (r->asked)
        bus_send(k, &(struct ipc_item){.type = IPC_HTTP,
                                       .flags = IPC_FLAG_SECRET,
                                       .id = c->id,
                                       .seq = c->seq,
                                       .body = buf_slice(&b),
                                       .fd = -1});
    buf_free(&b);
    return r->asked;
}

CHECKED static enum err put_file(struct http_conn *c, struct str name, struct str type)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_str(&b, name.p != NULL ? name : STR(""));
    ipc_put_str(&b, type.p != NULL ? type : STR(""));
    enum err e = buf_err(&b);
    if (e == ERR_OK)
        put(c, IPC_UPLOAD_FILE, buf_slice(&b));
    buf_free(&b);
    c->req->upload->files++;
    return e;
}

int http_upload_begin(struct http_conn *c, const struct http1_request *q,
                      const struct urlpath *path)
{
    struct str type = http1_field(q, "content-type");
    struct http_upload *u = calloc(1, sizeof *u);
    if (u == NULL)
        return 503;
    enum err e = multipart_init(&u->m, type);
    if (e == ERR_SYNTAX || e == ERR_NOMEM) {
        free(u);
        return e == ERR_SYNTAX ? 400 : 503;
    }
    c->req->upload = u;
    u->form = e == ERR_OK;
    u->expect = q->expect_continue && q->length != 0;
    if (!ask(c, path->seg[3].text)) {
        http_upload_free(&c->req->upload);
        return 503;
    }
    if (!u->form && put_file(c, STR(""), type) != ERR_OK) {
        take_back(c);
        http_upload_free(&c->req->upload);
        return 503;
    }
    return 0;
}

/* --- the body */

static void put_data(struct http_conn *c, struct str bytes)
{
    struct http_upload *u = c->req->upload;
    while (bytes.n != 0) {
        struct str piece = str_sub(bytes, 0, PIECE);
        put(c, IPC_UPLOAD_DATA, piece);
        u->ahead += (uint32_t)piece.n;
        bytes = str_sub(bytes, piece.n, bytes.n);
    }
    if (u->ahead > IPC_UPLOAD_WINDOW && !c->paused) {
        conn_pause(&c->conn);
        c->paused = true;
    }
}

/* The status of a refusal, or 0. */
static int take_form(struct http_conn *c, struct str in)
{
    struct http_upload *u = c->req->upload;
    struct str piece;
    for (;;) {
        switch (multipart_feed(&u->m, &in, &piece)) {
        case MULTIPART_MORE:
            return 0;
        case MULTIPART_PART:
            u->wanted = u->m.filename.n != 0;
            if (u->wanted && u->files == c->door->conf->http.upload_files)
                return 413; /* what is announced to the keeper is bounded here: files may be empty */
            if (u->wanted && put_file(c, u->m.filename, u->m.type) != ERR_OK)
                return 503;
            break;
        case MULTIPART_DATA:
            if (u->wanted)
                put_data(c, piece);
            break;
        case MULTIPART_PART_END:
        case MULTIPART_END:
            u->wanted = false;
            break;
        case MULTIPART_BAD:
            return 400;
        }
    }
}

bool http_upload_piece(struct http_conn *c, struct str piece)
{
    struct http_upload *u = c->req->upload;
    u->since += (uint32_t)piece.n;
    if (u->since >= STEP) {
        http_set_timer(c, c->door->conf->http.body_timeout);
        u->since = 0;
    }
    if (u->form) {
        int status = take_form(c, piece);
        return status == 0 || refuse(c, status);
    }
    put_data(c, piece);
    return true;
}

void http_upload_end(struct http_conn *c)
{
    struct http_upload *u = c->req->upload;
    if (u->form && (multipart_finish(&u->m) != ERR_OK || u->files == 0)) {
        (void)refuse(c, 400);
        return;
    }
    put(c, IPC_UPLOAD_END, STR_NONE);
    http_wait(c);
}

void http_upload_more(struct http_conn *c, struct str body)
{
    struct http_upload *u = c->req->upload;
    struct ipc_in in = {body, false};
    uint32_t n = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK || n > u->ahead)
        return;
    u->ahead -= n;
    if (u->expect) {
        buf_clear(&c->door->scratch);
        http1out_continue(&c->door->scratch);
        conn_write(&c->conn, buf_slice(&c->door->scratch));
        u->expect = false;
    }
    if (c->paused && c->state == HTTP_BODY && u->ahead <= IPC_UPLOAD_WINDOW / 2) {
        c->paused = false;
        conn_resume(&c->conn);
    }
}
