// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ctlmsg.h"
#include "proc/ctl_master.h"
#include "proc/master.h"

#define CHILDREN 256 /* the master has no more */

struct client {
    int fd; /* -1: free */
    pid_t pid;
    uid_t uid;
    bool eof;     /* he asks no more, but may wait for an answer */
    uint32_t seq; /* of the request that is out; 0: none */
    enum ctl_verb verb;
    int64_t since; /* clock_mono() of his last request, or when he last took something */
    uint64_t asked[CHILDREN / 64]; /* by place in m->children: who has not answered yet */
    bool own;                      /* the master itself has not */
    bool found;                    /* one of them did it */
    enum err verdict;              /* of the others: the first that says more than ERR_NOT_FOUND */
    struct buf silent;             /* names as JSON strings, separated by commas */
    struct buf queue;              /* packets that wait: length u32, bytes */
};

struct ctl {
    struct master *m;
    int fd;
    char path[108];
    uint32_t next_seq;
    struct client clients[CTL_CLIENTS];
};

enum err ctl_new(struct ctl **out, struct master *m, int run_dir_fd, const char *run_dir)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct ctl *c = calloc(1, sizeof *c);
    (void)run_dir_fd;
    if (c == NULL)
        return ERR_NOMEM;
    c->m = m;
    for (size_t i = 0; i < CTL_CLIENTS; i++)
        c->clients[i].fd = -1;
    if ((size_t)snprintf(c->path, sizeof c->path, "%s/" CTL_SOCKET, run_dir) >= sizeof c->path) {
        log_write(LOG_FAILURES, "CTL", 0, NULL, "run_dir is too long for a socket: %s", run_dir);
        free(c);
        return ERR_TOO_LONG;
    }
    memcpy(sa.sun_path, c->path, sizeof sa.sun_path);
    unlink(c->path); /* run_dir's lock is ours: what stands there is a leftover */
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    bool ok =
        c->fd >= 0 && bind(c->fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(c->fd, 16) == 0;
    umask(old);
    if (!ok) {
        log_write(LOG_FAILURES, "CTL", 0, NULL, "cannot open %s: %s", c->path, strerror(errno));
        if (c->fd >= 0)
            close(c->fd);
        free(c);
        return ERR_SYS;
    }
    *out = c;
    return ERR_OK;
}

static void drop(struct client *cl)
{
    close(cl->fd);
    buf_free(&cl->queue);
    buf_free(&cl->silent);
    *cl = (struct client){.fd = -1};
}

void ctl_free(struct ctl **cp)
{
    struct ctl *c = *cp;
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        if (c->clients[i].fd >= 0)
            drop(&c->clients[i]);
    }
    close(c->fd);
    unlink(c->path);
    free(c);
    *cp = NULL;
}

/* The next question is read when the one before is answered and the answer taken. */
static short wanted(const struct client *cl)
{
    if (cl->queue.n != 0)
        return POLLOUT;
    return cl->seq == 0 && !cl->eof ? POLLIN : 0;
}

nfds_t ctl_polls(struct ctl *c, struct pollfd *p)
{
    p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    for (size_t i = 0; i < CTL_CLIENTS; i++)
        p[1 + i] = (struct pollfd){.fd = c->clients[i].fd, .events = wanted(&c->clients[i])};
    return CTL_POLLS;
}

/* --- answers */

/* Sends what the client takes now. */
static void send_queue(struct client *cl)
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
        drop(cl);
    else if (at == cl->queue.n)
        buf_free(&cl->queue);
    else
        buf_consume(&cl->queue, at);
}

static void reply(struct client *cl, const struct ctl_reply *head, struct str text)
{
    ipc_put_u32(&cl->queue, (uint32_t)(sizeof *head + text.n));
    buf_add(&cl->queue, head, sizeof *head);
    buf_str(&cl->queue, text);
    send_queue(cl);
}

static void log_request(const struct client *cl, enum err e)
{
    const struct ctl_row *row = ctl_row(cl->verb);
    log_write((row->flags & CTLF_CHANGE) != 0 ? LOG_MAJOR : LOG_LOW, "CTL", 0, NULL,
              "%s, by user %u, process %d: %s", row->words, (unsigned)cl->uid, (int)cl->pid,
              e == ERR_OK ? "done" : err_name(e));
}

/* The last packet. */
static void end(struct client *cl, enum err e, struct str text)
{
    struct ctl_reply head = {CTL_VERSION, (uint32_t)e, 1, IPC_ROLE_MASTER, 0};
    if (cl->verb != CTL_NONE)
        log_request(cl, e);
    cl->seq = 0;
    cl->verb = CTL_NONE;
    reply(cl, &head, text);
}

static bool waits(const struct client *cl)
{
    uint64_t any = cl->own;
    for (size_t i = 0; i < ARRAY_LEN(cl->asked); i++)
        any |= cl->asked[i];
    return any != 0;
}

/* All have answered who will: the verdict (ctl.tbl, reach). */
static void conclude(struct client *cl)
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
    end(cl, e, buf_slice(&b));
    buf_free(&b);
}

/* One of those who were asked has given its verdict. */
static void judged(struct client *cl, enum err e)
{
    if (e == ERR_OK)
        cl->found = true;
    else if (cl->verdict == ERR_OK || cl->verdict == ERR_NOT_FOUND)
        cl->verdict = e;
    if (!waits(cl))
        conclude(cl);
}

static void no_answer(struct ctl *c, struct client *cl, size_t place)
{
    const struct master_child *child = &c->m->children[place];
    char who[CTL_WHO];
    if (cl->silent.n != 0)
        buf_char(&cl->silent, ',');
    ctl_json_str(&cl->silent, str_of(ctl_who(who, child->role, child->number)));
    cl->asked[place / 64] &= ~(UINT64_C(1) << place % 64);
    judged(cl, ERR_TIMEOUT);
}

static bool is_asked(const struct client *cl, size_t place)
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
        struct client *cl = &c->clients[i];
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

static struct client *asker(struct ctl *c, uint32_t seq)
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
    struct client *cl = asker(c, seq);
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
    struct client *cl = asker(c, seq);
    if (cl == NULL || !cl->own)
        return;
    cl->own = false;
    judged(cl, e);
}

/* --- requests */

static bool serves(const struct master_child *c, enum ipc_role role, uint32_t target)
{
    bool has =
        role == CTL_ROLE_SESSIONS && (c->role == IPC_ROLE_WORKER || c->role == IPC_ROLE_KEEPER);
    return (role == IPC_ROLE_ANY || c->role == role || has) && c->pid != 0 && c->ready &&
           !c->stopping && (target == CTL_TARGET_ALL || c->number == target);
}

static void ask_children(struct ctl *c, struct client *cl, const struct ctl_head *head,
                         struct str body)
{
    const struct ctl_row *row = ctl_row(cl->verb);
    struct master *m = c->m;
    for (size_t i = 0; i < m->nchildren && i < CHILDREN; i++) {
        if (!serves(&m->children[i], row->role, head->target))
            continue;
        cl->asked[i / 64] |= UINT64_C(1) << i % 64;
        bus_put(&m->children[i].bus, IPC_CTL, head->verb, cl->seq, body);
    }
}

static void pass_on(struct ctl *c, struct client *cl, const struct ctl_head *head, struct str body)
{
    const struct ctl_row *row = ctl_row((enum ctl_verb)head->verb);
    cl->seq = ++c->next_seq == 0 ? ++c->next_seq : c->next_seq;
    cl->verb = (enum ctl_verb)head->verb;
    cl->since = clock_mono();
    cl->found = false;
    cl->verdict = ERR_OK;
    cl->own = row->role == IPC_ROLE_MASTER || row->role == IPC_ROLE_ANY;
    buf_init(&cl->silent, CHILDREN * (size_t)CTL_WHO);
    if (row->role != IPC_ROLE_MASTER)
        ask_children(c, cl, head, body);
    if (!waits(cl)) {
        char text[80];
        snprintf(text, sizeof text, "{\"error\":\"no %s serves now\"}",
                 row->role == CTL_ROLE_SESSIONS ? "worker" : ipc_role_name(row->role));
        end(cl, ERR_TIMEOUT, str_of(text));
    } else if (cl->own) {
        uint32_t seq = cl->seq;
        enum err e = ctl_master_run(c->m, cl->verb, seq, body);
        if (e != ERR_WAIT)
            ctl_done(c, seq, e);
    }
}

static void refuse(struct client *cl, enum err e)
{
    end(cl, e,
        e == ERR_PACKET      ? STR("{\"error\":\"the server is of another version\"}")
        : e == ERR_NOT_FOUND ? STR("{\"error\":\"unknown verb\"}")
                             : STR("{\"error\":\"that is not a request\"}"));
}

static void take_request(struct ctl *c, struct client *cl)
{
    char bytes[CTL_MAX];
    struct ctl_head head;
    struct str body;
    /* MSG_TRUNC: the length that it had */
    ssize_t n = recv(cl->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            drop(cl);
        return;
    }
    size_t have = (size_t)n < sizeof bytes ? (size_t)n : sizeof bytes;
    enum err e = (size_t)n <= sizeof bytes
                     ? ctl_request_parse((struct str){bytes, have}, &head, &body)
                     : ERR_TOO_LONG;
    cl->since = clock_mono();
    if (e != ERR_OK)
        refuse(cl, e);
    else
        pass_on(c, cl, &head, body);
    explicit_bzero(bytes, have); /* it may hold a password */
}

/* --- clients */

static bool may_command(int fd, struct ucred *who)
{
    socklen_t n = sizeof *who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &n) == 0 &&
           (who->uid == 0 || who->uid == geteuid());
}

/* A free place; when there is none, that of who has asked nothing for the longest time. */
static struct client *place_for_one(struct ctl *c)
{
    struct client *oldest = NULL;
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct client *cl = &c->clients[i];
        if (cl->fd < 0)
            return cl;
        if (cl->seq == 0 && (oldest == NULL || cl->since < oldest->since))
            oldest = cl;
    }
    if (oldest != NULL)
        drop(oldest);
    return oldest;
}

static void take_client(struct ctl *c, int fd)
{
    struct ucred who;
    struct client *cl = may_command(fd, &who) ? place_for_one(c) : NULL;
    if (cl == NULL) {
        close(fd);
        return;
    }
    *cl = (struct client){.fd = fd, .pid = who.pid, .uid = who.uid, .since = clock_mono()};
    buf_init(&cl->queue, CTL_QUEUE);
}

/* Who has waited long enough. */
static void look_at_time(struct ctl *c)
{
    int64_t now = clock_mono();
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct client *cl = &c->clients[i];
        bool many = ctl_row(cl->verb)->reach != CTL_ONE;
        if (cl->fd < 0 || cl->seq == 0 ||
            now - cl->since < (many ? CTL_PATIENCE_ALL : CTL_PATIENCE_ONE))
            continue;
        for (size_t k = 0; k < CHILDREN && cl->fd >= 0; k++) {
            if (is_asked(cl, k))
                no_answer(c, cl, k);
        }
    }
}

void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n)
{
    BUG_IF(n != CTL_POLLS);
    for (size_t i = 0; i < CTL_CLIENTS; i++) {
        struct client *cl = &c->clients[i];
        if (cl->fd < 0 || p[1 + i].fd != cl->fd || p[1 + i].revents == 0)
            continue;
        if ((p[1 + i].revents & (POLLHUP | POLLERR)) != 0)
            drop(cl); /* nobody is there to read */
        else if ((p[1 + i].revents & POLLOUT) != 0)
            send_queue(cl);
        else if ((p[1 + i].revents & POLLIN) != 0)
            take_request(c, cl);
    }
    int fd;
    for (int i = 0; p[0].revents != 0 && i < CTL_CLIENTS; i++) {
        if ((fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
            break;
        take_client(c, fd);
    }
    look_at_time(c);
}
