// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * helper: opens hostile formats, so that what breaks over them is a process without files, network or accounts that the
 * master replaces (design 2). Gets bytes, gives bytes; ends by itself after 1,000 jobs.
 */
#include <unistd.h>

#include "base/log.h"
#include "codec/digest.h"
#include "codec/html_job.h"
#include "codec/mime.h"
#include "codec/mime_charset.h"
#include "proc/child.h"

#define JOBS_MAX 1000
#define PIECE    32768

struct helper {
    uint32_t jobs;
    bool leaving; /* as soon as a keeper says that it may */
    struct buf head, body;
    struct html_job job;
};

/* What is parsed without memory lacks something, and that would stay so for ever: better dead, as GLib is too. */
static void no_memory(void)
{
    log_write(LOG_FAILURES, "HELPER", 0, NULL, "no memory: ending");
    log_flush();
    _exit(1);
}

static enum err start(struct child *c)
{
    struct helper *h = c->data;
    buf_on_no_memory(no_memory);
    buf_init(&h->head, DIGEST_BLOB_MAX);
    buf_init(&h->body, DIGEST_BLOB_MAX);
    if (!mime_charset_fallback(c->conf->server.charset))
        log_write(LOG_PROBLEMS, "HELPER", 0, NULL, "this system has no converter for '%.*s'",
                  STR_FMT(c->conf->server.charset));
    return ERR_OK;
}

static void give(struct bus_peer *to, uint32_t seq, uint32_t id, const struct buf *b)
{
    for (size_t at = 0; at < b->n; at += PIECE)
        bus_put(to, IPC_DIGEST_PIECE, id, seq, str_sub(buf_slice(b), at, PIECE));
}

/* The end, when the last answer is on its way; the keeper gives no job behind it. */
static void leave_when_told(struct child *c, struct bus_peer *keeper)
{
    const struct helper *h = c->data;
    if (h->jobs >= JOBS_MAX && bus_flush(keeper) != ERR_AGAIN)
        child_leave(c, 0);
}

static void done(struct child *c, struct bus_peer *to, enum ipc_type type, enum err e, uint32_t seq)
{
    struct helper *h = c->data;
    uint32_t last = ++h->jobs >= JOBS_MAX;
    bus_put(to, type, (uint32_t)e, seq, (struct str){(const char *)&last, sizeof last});
    leave_when_told(c, to);
}

static void clean(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct helper *h = c->data;
    bool cut;
    buf_clear(&h->body);
    enum err e = html_job_read(it->body, &h->job);
    if (e == ERR_OK)
        e = html_clean(h->job.html, h->job.parts, h->job.nparts, &html_limits_default, &h->body,
                       &cut);
    for (size_t at = 0; e == ERR_OK && at < h->body.n; at += PIECE)
        bus_put(from, IPC_CLEAN_PIECE, 0, it->seq, str_sub(buf_slice(&h->body), at, PIECE));
    done(c, from, IPC_CLEANED, e, it->seq);
}

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct helper *h = c->data;
    if (it->type == IPC_HELPER_MAY)
        child_leave(c, 0);
    if (it->type == IPC_CLEAN)
        clean(c, from, it);
    if (it->type != IPC_DIGEST)
        return;
    buf_clear(&h->head);
    buf_clear(&h->body);
    enum err e = mime_digest(it->body, &mime_limits_default, &h->head, &h->body);
    if (e == ERR_OK) {
        give(from, it->seq, 0, &h->head);
        give(from, it->seq, 1, &h->body);
    }
    done(c, from, IPC_DIGEST_DONE, e, it->seq);
}

/* A job may be on its way: the keeper says when there is none. */
static void stop(struct child *c, enum ipc_stop how, int64_t within)
{
    struct helper *h = c->data;
    bool any = false;
    h->leaving = true;
    (void)how;
    (void)within;
    for (uint32_t i = 0; i < CHILD_PEERS; i++) {
        struct child_peer *p = child_peer(c, IPC_ROLE_KEEPER, i);
        any = any || p != NULL;
        if (p != NULL)
            bus_put(&p->bus, IPC_HELPER_LEAVES, 0, 0, STR_NONE);
    }
    if (!any)
        child_leave(c, 0);
}

static void peer_up(struct child *c, struct child_peer *p)
{
    const struct helper *h = c->data;
    if (h->leaving)
        bus_put(&p->bus, IPC_HELPER_LEAVES, 0, 0, STR_NONE);
}

/* Who was to say it may end itself in the meantime. */
static void peer_gone(struct child *c, struct child_peer *p)
{
    const struct helper *h = c->data;
    if (h->leaving)
        stop(c, IPC_STOP_LEAVE, 0);
    (void)p;
}

static void round_end(struct child *c)
{
    for (uint32_t i = 0; i < CHILD_PEERS; i++) {
        if (child_peer(c, IPC_ROLE_KEEPER, i) != NULL)
            leave_when_told(c, &child_peer(c, IPC_ROLE_KEEPER, i)->bus);
    }
}

static const struct child_hooks hooks = {.load = mime_init,
                                         .start = start,
                                         .item = item,
                                         .peer_up = peer_up,
                                         .peer_gone = peer_gone,
                                         .stop = stop,
                                         .round = round_end};

void helper_setup(struct child *c)
{
    static struct helper h;
    c->hooks = &hooks;
    c->data = &h;
}
