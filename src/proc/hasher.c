// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* hasher: slow password work, one job at a time; no files, nothing kept (design 2). */
#include <stdlib.h>

#include "auth/verifier.h"
#include "base/log.h"
#include "proc/child.h"

struct hasher {
    bool leaving; /* as soon as auth says that it may */
};

/* libbsd maps a page for its first random number, and ends the process where there is none. */
static enum err start(struct child *c)
{
    uint8_t first;
    (void)c;
    arc4random_buf(&first, sizeof first);
    return ERR_OK;
}

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct buf answer;
    if (it->type == IPC_HASHER_MAY)
        child_leave(c, 0);
    if (it->type != IPC_HASH)
        return;
    buf_init(&answer, IPC_BODY_MAX);
    enum err e = verifier_job_run(it->id, it->body, &answer);
    if (e == ERR_NOMEM || e == ERR_INTERNAL)
        log_write(LOG_FAILURES, "AUTH", 0, NULL, "a password could not be %s: %s",
                  it->id == VERIFIER_CHECK ? "checked" : "hashed",
                  e == ERR_NOMEM ? "no memory" : "libcrypt failed");
    bus_put(from, IPC_HASHED, (uint32_t)e, it->seq, buf_slice(&answer));
    if (answer.p != NULL)
        explicit_bzero(answer.p, answer.n);
    buf_free(&answer);
    /* The packet lies in our own stack; what held the password must not stay there. */
    char *secret;
    memcpy(&secret, &it->body.p, sizeof secret);
    explicit_bzero(secret, it->body.n);
}

/* A job may be on its way: auth says when there is none. */
static void stop(struct child *c, enum ipc_stop how, int64_t within)
{
    struct hasher *h = c->data;
    struct child_peer *p = child_peer(c, IPC_ROLE_AUTH, 0);
    (void)how;
    (void)within;
    h->leaving = true;
    if (p != NULL)
        bus_put(&p->bus, IPC_HASHER_LEAVES, 0, 0, STR_NONE);
    else
        child_leave(c, 0);
}

static void peer_up(struct child *c, struct child_peer *p)
{
    const struct hasher *h = c->data;
    if (h->leaving)
        bus_put(&p->bus, IPC_HASHER_LEAVES, 0, 0, STR_NONE);
}

/* Auth may end itself before it has said so. */
static void peer_gone(struct child *c, struct child_peer *p)
{
    const struct hasher *h = c->data;
    if (h->leaving)
        stop(c, IPC_STOP_LEAVE, 0);
    (void)p;
}

static const struct child_hooks hooks = {
    .start = start, .item = item, .peer_up = peer_up, .peer_gone = peer_gone, .stop = stop};

void hasher_setup(struct child *c)
{
    static struct hasher h;
    c->hooks = &hooks;
    c->data = &h;
}
