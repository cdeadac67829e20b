// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-bench/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

#define BATCH    256
#define READ_MAX 65536
#define OUT_MAX  ((size_t)256 << 20)

static int epoll_of_all(void)
{
    static int fd = -1;
    if (fd == -1 && (fd = epoll_create1(EPOLL_CLOEXEC)) == -1)
        fail("epoll: %s", strerror(errno));
    return fd;
}

static void watch(struct link *l, int op, bool write)
{
    struct epoll_event e = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0), .data.ptr = l};
    if (epoll_ctl(epoll_of_all(), op, l->fd, &e) != 0)
        fail("epoll_ctl: %s", strerror(errno));
    l->writing = write;
}

void link_open(struct link *l, const struct address *to, SSL_CTX *ctx, link_fn *fn)
{
    const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
    int one = 1;
    l->fn = fn;
    l->ssl = NULL;
    l->connecting = true;
    l->shaking = ctx != NULL;
    buf_init(&l->out, OUT_MAX);
    l->fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd == -1)
        fail("socket: %s", strerror(errno));
    if (to->sa.ss_family != AF_UNIX)
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(l->fd, sa, to->n) != 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    if (ctx != NULL) {
        l->ssl = SSL_new(ctx);
        if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1)
            fail("TLS: no memory");
        if (l->resume != NULL && SSL_set_session(l->ssl, l->resume) != 1)
            fail("TLS: a session that cannot be resumed");
        SSL_set_connect_state(l->ssl);
    }
    watch(l, EPOLL_CTL_ADD, true);
}

void link_close(struct link *l)
{
    if (l->fd == -1)
        return;
    if (l->ssl != NULL) /* or its session would not be resumable any more */
        SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(l->ssl);
    l->ssl = NULL;
    close(l->fd);
    l->fd = -1;
    buf_free(&l->out);
}

void link_send(struct link *l, struct str bytes)
{
    buf_str(&l->out, bytes);
    if (buf_err(&l->out) != ERR_OK)
        fail("no memory for output");
}

/* Bytes that went; 0: not now. */
static size_t put(struct link *l, struct str bytes)
{
    if (l->ssl != NULL) {
        size_t n = 0;
        ERR_clear_error();
        return SSL_write_ex(l->ssl, bytes.p, bytes.n, &n) == 1 ? n : 0;
    }
    ssize_t n = send(l->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0; /* an error shows when it is read */
}

void link_flush(struct link *l)
{
    if (l->fd == -1 || l->connecting || l->shaking)
        return;
    while (l->out.n != 0) {
        size_t n = put(l, buf_slice(&l->out));
        if (n == 0)
            break;
        buf_consume(&l->out, n);
    }
    bool waits = l->out.n != 0;
    if (waits != l->writing)
        watch(l, EPOLL_CTL_MOD, waits);
}

/* Bytes that came; 0: nothing now; -1: the end. */
static ssize_t get(struct link *l, char *to)
{
    if (l->ssl != NULL) {
        size_t n;
        ERR_clear_error();
        int rc = SSL_read_ex(l->ssl, to, READ_MAX, &n);
        if (rc == 1)
            return (ssize_t)n;
        return SSL_get_error(l->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t n = recv(l->fd, to, READ_MAX, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void handshake(struct link *l)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(l->ssl);
    if (rc == 1) {
        l->shaking = false;
        l->fn(l, LINK_UP, STR_NONE);
        return;
    }
    int why = SSL_get_error(l->ssl, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        fail("TLS handshake failed");
    if ((why == SSL_ERROR_WANT_WRITE) != l->writing)
        watch(l, EPOLL_CTL_MOD, why == SSL_ERROR_WANT_WRITE);
}

static void connected(struct link *l)
{
    int problem = 0;
    socklen_t n = sizeof problem;
    getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &problem, &n);
    if (problem != 0)
        fail("connect: %s", strerror(problem));
    l->connecting = false;
    if (!l->shaking)
        l->fn(l, LINK_UP, STR_NONE);
}

static void receive(struct link *l)
{
    static char in[READ_MAX];
    ssize_t n;
    do {
        n = get(l, in);
        if (n > 0)
            l->fn(l, LINK_DATA, (struct str){in, (size_t)n});
        else if (n < 0)
            l->fn(l, LINK_DOWN, STR_NONE);
    } while (l->fd != -1 && l->ssl != NULL && n > 0);
}

static void happened(struct link *l)
{
    if (l->fd == -1)
        return;
    if (l->connecting)
        connected(l);
    if (l->fd != -1 && !l->connecting && l->shaking)
        handshake(l);
    else if (l->fd != -1)
        receive(l);
    link_flush(l);
}

void link_run(int64_t deadline, const bool *done)
{
    do {
        struct epoll_event e[BATCH];
        int64_t left = deadline - clock_mono();
        int n = epoll_wait(epoll_of_all(), e, BATCH, left > 0 ? (int)(left / CLOCK_MS) + 1 : 0);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++)
            happened(e[i].data.ptr);
    } while (clock_mono() < deadline && !*done);
}

void link_wait(const bool *done, const char *what)
{
    link_run(clock_mono() + PATIENCE_SEC * CLOCK_SEC, done);
    if (!*done)
        fail("%s: nothing after %d seconds", what, PATIENCE_SEC);
}
