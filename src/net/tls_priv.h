// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * tls_priv: what the files tls*.c share; for them only.
 */
#include <openssl/ssl.h>

#include "net/tls.h"

struct tls_name {
    char *name; /* lower case, zero-terminated; "*.example.org" starts with the star */
    SSL_CTX *ctx;
};

struct tls_context {
    SSL_CTX *ctx;
    unsigned refs;
    unsigned nkeys; /* 0: no tickets */
    unsigned char keys[2][TLS_TICKET_KEY];
    enum tls_min min;
    unsigned char alpn[TLS_ALPN_MAX + 1]; /* wire form: length byte, name, ... */
    unsigned alpn_len;
    struct tls_name *names;
    size_t nnames;
    EVP_CIPHER *ticket_cipher; /* fetched once: a fetch per ticket costs more than the encryption */
    BIO_METHOD *port;
};

/* tls_link.c: how OpenSSL reaches our descriptors. NULL: no memory. */
BIO_METHOD *tls_port_method(void);
/* tls_cert.c: puts certificate, chain and key into ctx; ERR_SYNTAX with the reason in words. */
enum err tls_cert_load(SSL_CTX *ctx, struct str cert_pem, struct str key_pem,
                       char problem[TLS_PROBLEM]) CHECKED;
