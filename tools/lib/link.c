// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/lib/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

void link_init(struct link *l)
{
    *l = (struct link){.fd = -1};
    buf_init(&l->in, LINK_MESSAGE_MAX);
}

static enum link_state failed(struct link *l, const char *what, const char *why)
{
    snprintf(l->problem, sizeof l->problem, "%s%s%s", what, why != NULL ? ": " : "",
             why != NULL ? why : "");
    return LINK_FAILED;
}

/* Waits for one of `events`. `since`: the begin of the whole affair. */
static enum link_state wait_for(struct link *l, short events, int64_t since)
{
    for (;;) {
        int64_t left = l->opt.timeout - (clock_mono() - since);
        struct pollfd p = {.fd = l->fd, .events = events};
        int n = left > 0 ? poll(&p, 1, (int)((left + CLOCK_MS - 1) / CLOCK_MS)) : 0;
        if (n > 0)
            return LINK_OK;
        if (n < 0 && errno != EINTR)
            return failed(l, "poll", strerror(errno));
        if (n == 0) {
            failed(l, "the server does not answer", NULL);
            return LINK_TIMEOUT;
        }
    }
}

/* --- opening */

/* The end of a connect() that was begun. */
static enum link_state await_connect(struct link *l)
{
    int e = 0;
    socklen_t n = sizeof e;
    enum link_state st = wait_for(l, POLLOUT, clock_mono());
    if (st == LINK_OK && getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 && e != 0)
        return failed(l, strerror(e), NULL);
    return st;
}

static enum link_state connect_to(struct link *l, int family, const struct sockaddr *sa,
                                  socklen_t len)
{
    int on = 1;
    enum link_state st = LINK_OK;
    l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return failed(l, "socket", strerror(errno));
    if (connect(l->fd, sa, len) != 0)
        st = errno == EINPROGRESS ? await_connect(l) : failed(l, strerror(errno), NULL);
    if (st == LINK_OK && family != AF_UNIX)
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (st != LINK_OK) {
        close(l->fd);
        l->fd = -1;
    }
    return st;
}

static enum link_state open_unix(struct link *l, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        return failed(l, "the name of the socket is too long", NULL);
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    return connect_to(l, AF_UNIX, (const struct sockaddr *)&sa, sizeof sa);
}

/* "host", "host:port", "[v6]", "[v6]:port", "v6" */
static bool split_address(struct str s, struct str *host, struct str *port)
{
    size_t colon = str_find(s, ':');
    *port = STR(LINK_PORT);
    *host = s;
    if (s.n != 0 && s.p[0] == '[') {
        size_t end = str_find(s, ']');
        if (end == s.n || (end + 1 < s.n && s.p[end + 1] != ':'))
            return false;
        *host = str_sub(s, 1, end - 1);
        colon = end + 1;
    } else if (colon < s.n) {
        if (str_find(str_sub(s, colon + 1, s.n), ':') < s.n - colon - 1)
            return true;
        *host = str_sub(s, 0, colon);
    }
    if (colon < s.n)
        *port = str_sub(s, colon + 1, s.n);
    return host->n != 0 && port->n != 0;
}

static enum link_state open_tcp(struct link *l, const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    struct str host, port;
    char service[32];
    if (!split_address(str_of(address), &host, &port) || host.n >= sizeof l->host ||
        port.n >= sizeof service)
        return failed(l, "not an address; HOST:PORT or unix:PATH", NULL);
    snprintf(l->host, sizeof l->host, "%.*s", STR_FMT(host));
    snprintf(service, sizeof service, "%.*s", STR_FMT(port));
    int e = getaddrinfo(l->host, service, &hints, &list);
    if (e != 0)
        return failed(l, gai_strerror(e), NULL);
    if (l->opt.name != NULL)
        snprintf(l->host, sizeof l->host, "%s", l->opt.name);
    enum link_state st = LINK_FAILED;
    for (struct addrinfo *i = list; i != NULL && st != LINK_OK; i = i->ai_next)
        st = connect_to(l, i->ai_family, i->ai_addr, i->ai_addrlen);
    freeaddrinfo(list);
    return st;
}

enum link_state link_open(struct link *l, const char *address, const struct link_options *opt)
{
    l->opt = *opt;
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(l, address + 5);
    return open_tcp(l, address);
}

void link_close(struct link *l)
{
    if (l->ssl != NULL) {
        SSL_shutdown(l->ssl);
        SSL_free(l->ssl);
    }
    if (l->fd >= 0)
        close(l->fd);
    buf_free(&l->in);
    link_init(l);
}

/* --- TLS */

static enum link_state tls_failed(struct link *l, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    long verdict = l->ssl != NULL ? SSL_get_verify_result(l->ssl) : X509_V_OK;
    const char *why = e != 0 ? ERR_reason_error_string(e) : "the connection was closed";
    if (verdict != X509_V_OK)
        why = X509_verify_cert_error_string(verdict);
    ERR_clear_error();
    return failed(l, what, why);
}

/* After an SSL_ function gave n: LINK_OK means again. */
static enum link_state tls_again(struct link *l, int n, int64_t since, const char *what)
{
    switch (SSL_get_error(l->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(l, POLLIN, since);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(l, POLLOUT, since);
    case SSL_ERROR_ZERO_RETURN:
        return LINK_CLOSED;
    default:
        return tls_failed(l, what);
    }
}

static bool is_ip(const char *host)
{
    unsigned char b[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, b) == 1 || inet_pton(AF_INET6, host, b) == 1;
}

/* Whom we want to talk to: SNI, and the name or address that has to be in the certificate. */
static bool set_peer(SSL *ssl, const struct link *l)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
    SSL_set_verify(ssl, l->opt.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (l->host[0] == 0)
        return true;
    if (is_ip(l->host))
        return X509_VERIFY_PARAM_set1_ip_asc(p, l->host) == 1;
    char name[sizeof l->host];
    memcpy(name, l->host, sizeof name);
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1 &&
           X509_VERIFY_PARAM_set1_host(p, l->host, 0) == 1;
}

static SSL *new_ssl(const struct link *l)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_default_verify_paths(ctx) == 1) {
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        /* Messages have their own end mark: an end without close_notify hides nothing. */
        SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
        ssl = SSL_new(ctx);
    }
    SSL_CTX_free(ctx);
    if (ssl != NULL && (!set_peer(ssl, l) || SSL_set_fd(ssl, l->fd) != 1)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    return ssl;
}

enum link_state link_start_tls(struct link *l)
{
    static const unsigned char alpn[] = {5, 'x', 'i', 'm', 's', 's'};
    int64_t since = clock_mono();
    enum link_state st = LINK_OK;
    int n;
    if (l->ssl != NULL)
        return failed(l, "TLS is already active", NULL);
    if (link_rest(l).n != 0)
        return failed(l, "the server said something in clear before the handshake", NULL);
    if ((l->ssl = new_ssl(l)) == NULL ||
        (!l->opt.no_alpn && SSL_set_alpn_protos(l->ssl, alpn, sizeof alpn) != 0))
        return tls_failed(l, "TLS");
    while (st == LINK_OK && (n = SSL_connect(l->ssl)) != 1) {
        st = tls_again(l, n, since, "TLS handshake");
        if (st == LINK_CLOSED)
            st = tls_failed(l, "TLS handshake");
    }
    return st;
}

/* --- bytes */

enum link_state link_send(struct link *l, struct str bytes)
{
    int64_t since = clock_mono();
    while (bytes.n != 0) {
        enum link_state st = LINK_OK;
        size_t piece = bytes.n < 65536 ? bytes.n : 65536;
        ssize_t n = l->ssl != NULL ? SSL_write(l->ssl, bytes.p, (int)piece)
                                   : send(l->fd, bytes.p, piece, MSG_NOSIGNAL);
        if (n > 0)
            bytes = str_sub(bytes, (size_t)n, bytes.n);
        else if (l->ssl != NULL)
            st = tls_again(l, (int)n, since, "write");
        else if (errno == EAGAIN)
            st = wait_for(l, POLLOUT, since);
        else
            st = failed(l, "write", strerror(errno));
        if (st != LINK_OK)
            return st;
    }
    return LINK_OK;
}

void link_half_close(struct link *l)
{
    if (l->ssl != NULL)
        SSL_shutdown(l->ssl);
    shutdown(l->fd, SHUT_WR);
}

/* Some more bytes into l->in. */
static enum link_state fetch(struct link *l, bool wait, int64_t since)
{
    char *room = buf_room(&l->in, 65536);
    if (room == NULL)
        return failed(l, "a message is too long", NULL);
    for (;;) {
        enum link_state st;
        ssize_t n = l->ssl != NULL ? SSL_read(l->ssl, room, 65536) : recv(l->fd, room, 65536, 0);
        if (n > 0) {
            buf_grow(&l->in, (size_t)n);
            return LINK_OK;
        }
        if (l->ssl == NULL && (n == 0 || errno == ECONNRESET))
            return LINK_CLOSED;
        bool later =
            l->ssl != NULL ? SSL_get_error(l->ssl, (int)n) == SSL_ERROR_WANT_READ : errno == EAGAIN;
        if (later && !wait)
            return LINK_TIMEOUT;
        if (l->ssl != NULL)
            st = tls_again(l, (int)n, since, "read");
        else
            st = later ? wait_for(l, POLLIN, since) : failed(l, "read", strerror(errno));
        if (st != LINK_OK)
            return st;
    }
}

/* Everything up to `end`, which is taken too. */
static enum link_state take_until(struct link *l, char end, bool wait, struct str *out)
{
    int64_t since = clock_mono();
    buf_consume(&l->in, l->taken);
    l->taken = 0;
    for (;;) {
        struct str fresh = str_sub(buf_slice(&l->in), l->looked, l->in.n);
        size_t n = str_find(fresh, end);
        if (n < fresh.n) {
            *out = str_sub(buf_slice(&l->in), 0, l->looked + n);
            l->taken = l->looked + n + 1;
            l->looked = 0;
            return LINK_OK;
        }
        l->looked = l->in.n;
        enum link_state st = fetch(l, wait, since);
        if (st == LINK_CLOSED && l->in.n != 0)
            return failed(l, "the server closed in the middle of a message", NULL);
        if (st != LINK_OK)
            return st;
    }
}

enum link_state link_next(struct link *l, bool wait, struct str *msg)
{
    return take_until(l, 0, wait, msg);
}

enum link_state link_line(struct link *l, struct str *line)
{
    return take_until(l, '\n', true, line);
}

enum link_state link_bytes(struct link *l, size_t n, struct str *bytes)
{
    int64_t since = clock_mono();
    enum link_state st = LINK_OK;
    buf_consume(&l->in, l->taken);
    l->taken = l->looked = 0;
    while (l->in.n < n && st == LINK_OK)
        st = fetch(l, true, since);
    if (st == LINK_CLOSED)
        return failed(l, "the server closed in the middle of an answer", NULL);
    if (st == LINK_OK) {
        *bytes = str_sub(buf_slice(&l->in), 0, n);
        l->taken = n;
    }
    return st;
}

struct str link_rest(const struct link *l)
{
    return str_sub(buf_slice(&l->in), l->taken, l->in.n);
}
