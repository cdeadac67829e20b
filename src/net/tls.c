// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * tls.c: contexts: settings, tickets, ALPN, SNI.
 */
#include "net/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/tls_priv.h"

/* Parts of a ticket key. */
#define KEY_NAME 16
#define KEY_AES  32
#define KEY_MAC  32
_Static_assert(KEY_NAME + KEY_AES + KEY_MAC == TLS_TICKET_KEY, "all of it is used");

#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* --- tickets (RFC 5077, section 4; RFC 8446, 4.6.1): any process with the same keys can resume */

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    unsigned at = 0;
    if (encrypt) {
        if (t->nkeys == 0 || RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->ticket_cipher)) != 1)
            return -1;
        memcpy(name, t->keys[0], KEY_NAME);
    } else {
        while (at < t->nkeys && memcmp(name, t->keys[at], KEY_NAME) != 0)
            at++;
        if (at == t->nkeys)
            return 0; /* not ours, or too old: a full handshake */
    }
    unsigned char *key = t->keys[at];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key + KEY_NAME + KEY_AES, KEY_MAC),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
        EVP_CipherInit_ex2(cipher, t->ticket_cipher, key + KEY_NAME, iv, encrypt, NULL) != 1)
        return -1;
    /* 2: good, and the client gets another. In TLS 1.3 always: a ticket used twice ties two connections together. */
    return at == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

enum err tls_context_set_ticket_keys(struct tls_context *t, struct str keys)
{
    if (keys.n % TLS_TICKET_KEY != 0 || keys.n > sizeof t->keys)
        return ERR_RANGE;
    OPENSSL_cleanse(t->keys, sizeof t->keys);
    if (keys.n != 0)
        memcpy(t->keys, keys.p, keys.n);
    t->nkeys = (unsigned)(keys.n / TLS_TICKET_KEY);
    return ERR_OK;
}

/* --- ALPN (RFC 7301): a client that speaks of another protocol is stopped (cross-protocol attacks) */

static enum err set_alpn(struct tls_context *t, struct str names)
{
    struct str one;
    while (str_split(&names, ' ', &one)) {
        if (one.n == 0)
            continue;
        if (one.n + 1 > TLS_ALPN_MAX - t->alpn_len)
            return ERR_RANGE;
        t->alpn[t->alpn_len++] = (unsigned char)one.n;
        memcpy(t->alpn + t->alpn_len, one.p, one.n);
        t->alpn_len += (unsigned)one.n;
    }
    return ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    struct tls_context *t = arg;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, t->alpn, t->alpn_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* --- SNI */

static bool name_matches(const struct tls_name *n, struct str asked)
{
    struct str have = str_of(n->name);
    if (str_starts(have, STR("*."))) {
        size_t dot = str_find(asked, '.');
        if (dot == 0 || dot == asked.n)
            return false;
        return str_ieq(str_sub(asked, dot, asked.n - dot), str_sub(have, 1, have.n - 1));
    }
    return str_ieq(have, asked);
}

static int on_name(SSL *ssl, int *alert, void *arg)
{
    struct tls_context *t = arg;
    struct str asked = str_of(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    (void)alert;
    for (size_t i = 0; asked.n != 0 && i < t->nnames; i++) {
        if (name_matches(&t->names[i], asked)) {
            SSL_set_SSL_CTX(ssl, t->names[i].ctx);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK; /* the default certificate; the client decides */
}

/* --- life */

/*
 * OpenSSL 3 makes all algorithms of a kind when the first of them is asked for, and what it gets no memory for then is
 * "unsupported" until the process ends. So that is done here, not in somebody's handshake.
 */
#define ALL_OF(KIND)                                          \
    static void seen_##KIND(EVP_##KIND *method, void *unused) \
    {                                                         \
        (void)method;                                         \
        (void)unused;                                         \
    }
ALL_OF(MD)
ALL_OF(CIPHER)
ALL_OF(MAC)
ALL_OF(KDF)
ALL_OF(RAND)
ALL_OF(KEYMGMT)
ALL_OF(KEYEXCH)
ALL_OF(SIGNATURE)
ALL_OF(ASYM_CIPHER)
ALL_OF(KEM)
#undef ALL_OF

void tls_prepare(void)
{
    SSL_CTX_free(SSL_CTX_new(TLS_server_method()));
#define MAKE(KIND) EVP_##KIND##_do_all_provided(NULL, seen_##KIND, NULL)
    MAKE(MD);
    MAKE(CIPHER);
    MAKE(MAC);
    MAKE(KDF);
    MAKE(RAND);
    MAKE(KEYMGMT);
    MAKE(KEYEXCH);
    MAKE(SIGNATURE);
    MAKE(ASYM_CIPHER);
    MAKE(KEM);
#undef MAKE
    ERR_clear_error();
}

static bool set_protocol(const struct tls_context *t, SSL_CTX *ctx)
{
    /* X25519 costs half of P-256; what a client's first message guesses is nearly always one of the two. */
    char groups[] = "X25519:P-256:P-384";
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE);
    return SSL_CTX_set_min_proto_version(ctx, t->min == TLS_MIN_1_3 ? TLS1_3_VERSION
                                                                    : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) == 1 &&
           SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
           SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ximssd", 6) == 1;
}

/* An OpenSSL context with everything but SNI, which belongs to the first one. */
static enum err make_ctx(struct tls_context *t, struct str cert, struct str key, SSL_CTX **out,
                         char problem[TLS_PROBLEM])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL || !set_protocol(t, ctx)) {
        SSL_CTX_free(ctx);
        snprintf(problem, TLS_PROBLEM, "the TLS library refuses our settings");
        return ERR_NOMEM;
    }
    SSL_CTX_set_app_data(ctx, t);
    if (t->nkeys != 0) {
        SSL_CTX_set_num_tickets(ctx, 1);
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    } else {
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    if (t->alpn_len != 0)
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, t);
    enum err e = tls_cert_load(ctx, cert, key, problem);
    if (e == ERR_OK)
        *out = ctx;
    else
        SSL_CTX_free(ctx);
    ERR_clear_error();
    return e;
}

enum err tls_context_new(const struct tls_options *opt, struct tls_context **out,
                         char problem[TLS_PROBLEM])
{
    problem[0] = '\0';
    struct tls_context *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    t->refs = 1;
    t->min = opt->min;
    t->port = tls_port_method();
    t->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    enum err e = t->port != NULL && t->ticket_cipher != NULL ? ERR_OK : ERR_NOMEM;
    if (e == ERR_OK)
        e = tls_context_set_ticket_keys(t, opt->ticket_keys);
    if (e == ERR_OK)
        e = set_alpn(t, opt->alpn);
    if (e == ERR_OK)
        e = make_ctx(t, opt->cert_pem, opt->key_pem, &t->ctx, problem);
    if (e != ERR_OK) {
        if (problem[0] == '\0')
            snprintf(problem, TLS_PROBLEM, "%s",
                     e == ERR_RANGE ? "internal: bad length of keys" : "no memory");
        tls_context_unref(&t);
        return e;
    }
    SSL_CTX_set_tlsext_servername_callback(t->ctx, on_name);
    SSL_CTX_set_tlsext_servername_arg(t->ctx, t);
    *out = t;
    return ERR_OK;
}

enum err tls_context_add_name(struct tls_context *t, struct str name, struct str cert_pem,
                              struct str key_pem, char problem[TLS_PROBLEM])
{
    problem[0] = '\0';
    for (size_t i = 0; i < t->nnames; i++) {
        if (str_ieq(str_of(t->names[i].name), name))
            return ERR_EXISTS;
    }
    if (t->nnames == TLS_NAMES_MAX || name.n == 0 || name.n > 255)
        return ERR_RANGE;
    struct tls_name *more = realloc(t->names, (t->nnames + 1) * sizeof *more);
    if (more == NULL)
        return ERR_NOMEM;
    t->names = more;
    struct tls_name n = {.name = strndup(name.p, name.n)};
    if (n.name == NULL)
        return ERR_NOMEM;
    enum err e = make_ctx(t, cert_pem, key_pem, &n.ctx, problem);
    if (e != ERR_OK) {
        free(n.name);
        return e;
    }
    t->names[t->nnames++] = n;
    return ERR_OK;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    t->refs++;
    return t;
}

void tls_context_unref(struct tls_context **ref)
{
    struct tls_context *t = *ref;
    *ref = NULL;
    if (t == NULL || --t->refs != 0)
        return;
    for (size_t i = 0; i < t->nnames; i++) {
        free(t->names[i].name);
        SSL_CTX_free(t->names[i].ctx);
    }
    free(t->names);
    SSL_CTX_free(t->ctx);
    EVP_CIPHER_free(t->ticket_cipher);
    BIO_meth_free(t->port);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
    free(t);
}
