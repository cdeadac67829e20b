// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * tls_link.c: TLS over one descriptor.
 *
 * OpenSSL reaches the descriptor through a BIO of ours. During the handshake it reads the descriptor itself, exactly
 * the bytes it asks for, so that nothing is left over when it stops. Afterwards it is fed from the input that conn.c has
 * read for everybody, all of it at once: one system call per batch, and no hidden rest that poll would not tell of.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/tls_priv.h"

struct tls_link {
    SSL *ssl;
    struct tls_context *ctx;
    const char *problem;
    struct str in;
    int fd;
    bool fed; /* input comes from `in` */
};

/* --- the BIO */

static int port_read(BIO *b, char *to, int n)
{
    struct tls_link *l = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (l->fed) {
        size_t take = l->in.n < (size_t)n ? l->in.n : (size_t)n;
        if (take == 0) {
            BIO_set_retry_read(b);
            return -1;
        }
        memcpy(to, l->in.p, take);
        l->in.p += take;
        l->in.n -= take;
        return (int)take;
    }
    ssize_t got;
    do
        got = recv(l->fd, to, (size_t)n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(b);
    return (int)got;
}

static int port_write(BIO *b, const char *from, int n)
{
    struct tls_link *l = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t put;
    do
        put = send(l->fd, from, (size_t)n, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_write(b);
    return (int)put;
}

static long port_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0; /* nothing is ever held back here */
}

BIO_METHOD *tls_port_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ximssd connection");
    if (m == NULL)
        return NULL;
    BIO_meth_set_read(m, port_read);
    BIO_meth_set_write(m, port_write);
    BIO_meth_set_ctrl(m, port_ctrl);
    return m;
}

/* --- life */

struct tls_link *tls_link_new(struct tls_context *ctx, int fd)
{
    struct tls_link *l = malloc(sizeof *l);
    SSL *ssl = l != NULL ? SSL_new(ctx->ctx) : NULL;
    BIO *b = ssl != NULL ? BIO_new(ctx->port) : NULL;
    if (b == NULL) {
        SSL_free(ssl);
        free(l);
        return NULL;
    }
    *l = (struct tls_link){.ssl = ssl, .ctx = tls_context_ref(ctx), .problem = "", .fd = fd};
    BIO_set_data(b, l);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
    SSL_set_accept_state(ssl);
    return l;
}

void tls_link_free(struct tls_link **ref)
{
    struct tls_link *l = *ref;
    if (l == NULL)
        return;
    *ref = NULL;
    SSL_free(l->ssl);
    tls_context_unref(&l->ctx);
    free(l);
}

/* --- traffic */

/* SSL_get_error() looks into the queue of errors, so it must be empty before; emptying it costs 0.3 µs. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static enum tls_step judge(struct tls_link *l, int rc)
{
    unsigned long code;
    switch (SSL_get_error(l->ssl, rc)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    case SSL_ERROR_SSL:
        code = ERR_peek_error();
        l->problem = ERR_reason_error_string(code);
        break;
    default:
        l->problem = "the client closed the connection";
    }
    if (l->problem == NULL || l->problem[0] == '\0')
        l->problem = "unknown TLS error";
    ERR_clear_error();
    return TLS_FAILED;
}

enum tls_step tls_link_handshake(struct tls_link *l)
{
    l->fed = false;
    forget_errors();
    int rc = SSL_accept(l->ssl);
    enum tls_step step = rc == 1 ? TLS_DONE : judge(l, rc);
    if (step == TLS_EOF) {
        l->problem = "the client closed the connection";
        step = TLS_FAILED;
    }
    return step;
}

enum tls_step tls_link_read(struct tls_link *l, struct str in, char *out, size_t *n)
{
    size_t room = in.n + TLS_SLACK;
    *n = 0;
    l->fed = true;
    l->in = in;
    forget_errors();
    for (;;) {
        size_t got;
        int rc = SSL_read_ex(l->ssl, out + *n, room - *n, &got);
        if (rc == 1) {
            *n += got;
            if (l->in.n == 0 && !SSL_has_pending(l->ssl))
                return TLS_WANT_READ; /* it would say so itself, after taking buffers for it */
            continue;
        }
        enum tls_step step = judge(l, rc);
        l->in = STR_NONE;
        /* An answer of the library's own that cannot leave: what is left of `in` would be lost. */
        if (step == TLS_WANT_WRITE) {
            l->problem = "the client does not read";
            step = TLS_FAILED;
        }
        return step;
    }
}

enum tls_step tls_link_write(struct tls_link *l, struct str bytes, size_t *n)
{
    *n = 0;
    l->fed = true;
    forget_errors();
    while (*n < bytes.n) {
        size_t put;
        int rc = SSL_write_ex(l->ssl, bytes.p + *n, bytes.n - *n, &put);
        if (rc != 1)
            return judge(l, rc);
        *n += put;
    }
    return TLS_DONE;
}

enum tls_step tls_link_shutdown(struct tls_link *l)
{
    l->fed = true;
    forget_errors();
    int rc = SSL_shutdown(l->ssl);
    return rc >= 0 ? TLS_DONE : judge(l, rc);
}

/* --- questions */

const char *tls_link_problem(const struct tls_link *l)
{
    return l->problem;
}

const char *tls_link_version(const struct tls_link *l)
{
    return SSL_get_version(l->ssl);
}

const char *tls_link_cipher(const struct tls_link *l)
{
    return SSL_get_cipher_name(l->ssl);
}

const char *tls_link_name(const struct tls_link *l)
{
    const char *name = SSL_get_servername(l->ssl, TLSEXT_NAMETYPE_host_name);
    return name != NULL ? name : "";
}

bool tls_link_resumed(const struct tls_link *l)
{
    return SSL_session_reused(l->ssl) == 1;
}
