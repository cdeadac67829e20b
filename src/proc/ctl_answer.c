// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Answers: pieces from those who were asked, the master's own, the verdict of all, and what is not taken at once. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/ctl_priv.h"
#include "proc/master.h"

void ctl_send_queue(struct ctl_client *cl)
{
    size_t at = 0;
    while (at < cl->queue.n) {
        uint32_t n;
        memcpy(&n, cl->queue.p + at, sizeof n);
        if (send(cl->fd, cl->queue.p + at + sizeof n, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        at += sizeof n + n;
    }
    if (at != 0)
        cl->since = clock_mono();
    bool failed = at < cl->queue.n && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS;
    bool done = at == cl->queue.n && cl->eof && cl->seq == 0;
    if (failed || done || buf_err(&cl->queue) != ERR_OK)
        ctl_drop(cl);
    else if (at == cl->queue.n)
        buf_free(&cl->queue);
    else
        buf_consume(&cl->queue, at);
}

static void reply(struct ctl_client *cl, const struct ctl_reply *head, struct str text)
{
    ipc_put_u32(&cl->queue, (uint32_t)(sizeof *head + text.n));
    buf_add(&cl->queue, head, sizeof *head);
    buf_str(&cl->queue, text);
    ctl_send_queue(cl);
}

static void log_request(const struct ctl_client *cl, enum err e)
{
    const struct ctl_row *row = ctl_row(cl->verb);
    log_write((row->flags & CTLF_CHANGE) != 0 ? LOG_MAJOR : LOG_LOW, "CTL", 0, NULL,
              "%s, by user %u, process %d: %s", row->words, (unsigned)cl->uid, (int)cl->pid,
              e == ERR_OK ? "done" : err_name(e));
}

void ctl_end(struct ctl_client *cl, enum err e, struct str text)
{
    struct ctl_reply head = {CTL_VERSION, (uint32_t)e, 1, IPC_ROLE_MASTER, 0};
    if (cl->verb != CTL_NONE)
        log_request(cl, e);
    cl->seq = 0;
    cl->verb = CTL_NONE;
    reply(cl, &head, text);
}

bool ctl_waits(const struct ctl_client *cl)
{
    uint64_t any = cl->own;
    for (size_t i = 0; i < ARRAY_LEN(cl->asked); i++)
        any |= cl->asked[i];
    return any != 0;
}

/* All have answered who will: the verdict (ctl.tbl, reach). */
static void conclude(struct ctl_client *cl)
{
    struct buf b;
    enum err e = cl->verdict;
    if (cl->found && (e == ERR_NOT_FOUND || ctl_row(cl->verb)->reach == CTL_FIND))
        e = ERR_OK;
    buf_init(&b, CTL_MAX);
    if (cl->silent.n != 0) {
        buf_lit(&b, "{\"silent\":[");
        buf_str(&b, buf_slice(&cl->silent));
        buf_lit(&b, "]}");
    }
    buf_free(&cl->silent);
    ctl_end(cl, e, buf_slice(&b));
    buf_free(&b);
}

/* One of those who were asked has given its verdict. */
static void judged(struct ctl_client *cl, enum err e)
{
    if (e == ERR_OK)
        cl->found = true;
    else if (cl->verdict == ERR_OK || cl->verdict == ERR_NOT_FOUND)
        cl->verdict = e;
    if (!ctl_waits(cl))
        conclude(cl);
}

static void no_answer(struct ctl *c, struct ctl_client *cl, size_t place)
{
    const struct master_child *child = &c->m->children[place];
    char who[CTL_WHO];
    if (cl->silent.n != 0)
        buf_char(&cl->silent, ',');
    ctl_json_str(&cl->silent, str_of(ctl_who(who, child->role, child->number)));
    cl->asked[place / 64] &= ~(UINT64_C(1) << place % 64);
    judged(cl, ERR_TIMEOUT);
}

static bool is_asked(const struct ctl_client *cl, size_t place)
{
    return (cl->asked[place / 64] >> place % 64 & 1) != 0;
}

void ctl_answer(struct ctl *c, const struct master_child *from, const struct ipc_item *it)
{
    size_t place = (size_t)(from - c->m->children);
    struct ipc_in in = {it->body, false};
    uint32_t e = ipc_get_u32(&in);
    struct str text = ipc_get_rest(&in);
    struct ctl_reply head = {CTL_VERSION, 0, 0, from->role, from->number};
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct ctl_client *cl = &c->clients[i];
        if (cl->fd < 0 || it->seq == 0 || cl->seq != it->seq || !is_asked(cl, place))
            continue;
        if (it->id != 0)
            head.err = e < ERR_COUNT && ipc_in_end(&in) == ERR_OK ? e : ERR_INTERNAL;
        if (text.n != 0)
            reply(cl, &head, text);
        if (cl->fd < 0 || it->id == 0)
            continue;
        cl->asked[place / 64] &= ~(UINT64_C(1) << place % 64);
        judged(cl, (enum err)head.err);
    }
}

void ctl_child_gone(struct ctl *c, const struct master_child *child)
{
    size_t place = (size_t)(child - c->m->children);
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0 && is_asked(&c->clients[i], place))
            no_answer(c, &c->clients[i], place);
    }
}

/* --- answers of the master itself */

static struct ctl_client *asker(struct ctl *c, uint32_t seq)
{
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0 && seq != 0 && c->clients[i].seq == seq)
            return &c->clients[i];
    }
    return NULL;
}

void ctl_say(struct ctl *c, uint32_t seq, struct str text)
{
    struct ctl_reply head = {CTL_VERSION, 0, 0, IPC_ROLE_MASTER, 0};
    struct ctl_client *cl = asker(c, seq);
    while (cl != NULL && text.n != 0) {
        struct str piece = str_sub(text, 0, CTL_MAX - sizeof head);
        text = str_sub(text, piece.n, text.n);
        reply(cl, &head, piece);
        cl = asker(c, seq);
    }
}

enum err ctl_refuse(struct ctl *c, uint32_t seq, enum err e, const char *sentence)
{
    struct buf b;
    buf_init(&b, CTL_MAX);
    buf_lit(&b, "{\"error\":");
    ctl_json_str(&b, str_of(sentence));
    buf_char(&b, '}');
    if (buf_err(&b) == ERR_OK)
        ctl_say(c, seq, buf_slice(&b));
    buf_free(&b);
    return e;
}

void ctl_done(struct ctl *c, uint32_t seq, enum err e)
{
    struct ctl_client *cl = asker(c, seq);
    if (cl == NULL || !cl->own)
        return;
    cl->own = false;
    judged(cl, e);
}

/* --- time */

void ctl_look_at_time(struct ctl *c)
{
    int64_t now = clock_mono();
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct ctl_client *cl = &c->clients[i];
        bool many = ctl_row(cl->verb)->reach != CTL_ONE;
        if (cl->fd < 0 || cl->seq == 0 ||
            now - cl->since < (many ? CTL_PATIENCE_ALL : CTL_PATIENCE_ONE))
            continue;
        for (size_t k = 0; k < CTL_CHILDREN && cl->fd >= 0; k++) {
            if (is_asked(cl, k))
                no_answer(c, cl, k);
        }
    }
}
