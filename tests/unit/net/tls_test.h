// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * tls_test: a TLS client at the other end of a door, whose every byte the test holds in its hands.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tests/unit/net/net_test.h"

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    int fd;
    size_t chunk; /* bytes sent to the server at a time */
    int done;
    int error; /* the last one that is not want-read */
    bool fin;
};

struct cert {
    struct buf cert, key;
};

static inline void cert_make(struct cert *c, const char *domain)
{
    buf_init(&c->cert, 65536);
    buf_init(&c->key, 65536);
    OK(tls_make_selfsigned(str_of(domain), &c->cert, &c->key));
}

static inline void cert_free(struct cert *c)
{
    buf_free(&c->cert);
    buf_free(&c->key);
}

static inline struct tls_context *context_make(const struct cert *c, struct str keys,
                                               const char *alpn)
{
    struct tls_options o = {.cert_pem = buf_slice(&c->cert),
                            .key_pem = buf_slice(&c->key),
                            .ticket_keys = keys,
                            .alpn = str_of(alpn)};
    struct tls_context *t = NULL;
    char problem[TLS_PROBLEM];
    if (tls_context_new(&o, &t, problem) != ERR_OK)
        fail_msg("%s", problem);
    return t;
}

/* For setups: a world, and a context for its doors with a certificate and ticket keys of its own. */
static inline void tls_world_open(struct world *w, struct cert *c, struct tls_context **ctx)
{
    static const char keys[TLS_TICKET_KEY] = "0123456789abcdef";
    world_open(w, &CONN_OPTIONS_DEFAULT);
    cert_make(c, "harbor.example");
    *ctx = context_make(c, (struct str){keys, sizeof keys}, "");
}

static inline void tls_world_close(struct world *w, struct cert *c, struct tls_context **ctx)
{
    tls_context_unref(ctx);
    cert_free(c);
    world_close(w);
}

static inline void client_init(struct client *c, int fd, int version)
{
    *c = (struct client){.fd = fd, .chunk = 65536};
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(c->ctx, version);
    SSL_CTX_set_max_proto_version(c->ctx, version);
    /* Else the sessions die with the context. */
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
}

static inline void client_ask_for(struct client *c, const char *name)
{
    char copy[256]; /* the library's macro takes no const */
    assert_true(strlen(name) < sizeof copy);
    memcpy(copy, name, strlen(name) + 1);
    SSL_set_tlsext_host_name(c->ssl, copy);
}

static inline void client_free(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0)
        close(c->fd);
}

/* Carries bytes between the TLS machine and the socket. */
static inline void client_carry(struct client *c, struct world *w)
{
    char bytes[70000];
    char *p;
    long n;
    while ((n = BIO_get_mem_data(c->out, &p)) > 0) {
        size_t take = (size_t)n < c->chunk ? (size_t)n : c->chunk;
        ssize_t put = send(c->fd, p, take, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put <= 0)
            break;
        assert_int_equal(BIO_read(c->out, bytes, (int)put), put);
        if (c->chunk < 100)
            spin(w, 1);
    }
    spin(w, 2);
    ssize_t got;
    while ((got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        BIO_write(c->in, bytes, (int)got);
    if (got == 0)
        c->fin = true;
}

static inline void client_shake(struct client *c, struct world *w)
{
    for (int i = 0; i < 100 && !c->done && c->error == 0; i++) {
        int rc = SSL_do_handshake(c->ssl);
        if (rc == 1)
            c->done = 1;
        else if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ)
            c->error = SSL_get_error(c->ssl, rc);
        client_carry(c, w);
    }
    ERR_clear_error();
}

static inline void client_say(struct client *c, struct world *w, const char *text, size_t n)
{
    assert_int_equal(SSL_write(c->ssl, text, (int)n), n);
    client_carry(c, w);
}

/* What has come so far, up to n bytes. */
static inline size_t client_hear(struct client *c, struct world *w, char *to, size_t n)
{
    size_t have = 0;
    int rc = 1;
    client_carry(c, w);
    while (have < n && (rc = SSL_read(c->ssl, to + have, (int)(n - have))) > 0)
        have += (size_t)rc;
    if (rc <= 0 && SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ)
        c->error = SSL_get_error(c->ssl, rc);
    ERR_clear_error();
    return have;
}

/* Of a door and its client. */
static inline void both_end(struct world *w, struct door *d, struct client *c)
{
    client_free(c);
    door_end(w, d);
    assert_int_equal(conn_net_handshakes(w->net), 0);
}
