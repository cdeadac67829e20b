// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * tls_cert.c: certificates: reading and judging them, making one.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/tls_priv.h"

#define SELFSIGNED_DAYS 3650
#define CHAIN_MAX       20

static enum err complain(char problem[TLS_PROBLEM], const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    if (why != NULL)
        snprintf(problem, TLS_PROBLEM, "%s: %s", what, why);
    else
        snprintf(problem, TLS_PROBLEM, "%s", what);
    ERR_clear_error();
    return ERR_SYNTAX;
}

static enum err complain_plainly(char problem[TLS_PROBLEM], const char *what)
{
    ERR_clear_error();
    return complain(problem, what);
}

static BIO *reader(struct str pem)
{
    if (pem.n == 0 || pem.n > TLS_PEM_MAX)
        return NULL;
    return BIO_new_mem_buf(pem.p, (int)pem.n);
}

/* No terminal is asked for the password of a key. */
static int no_password(char *to, int size, int writing, void *arg)
{
    (void)to, (void)size, (void)writing;
    *(bool *)arg = true;
    return -1;
}

static EVP_PKEY *read_key(struct str pem, char problem[TLS_PROBLEM])
{
    bool asked = false;
    BIO *b = reader(pem);
    EVP_PKEY *key = b != NULL ? PEM_read_bio_PrivateKey(b, NULL, no_password, &asked) : NULL;
    BIO_free(b);
    if (key == NULL && asked)
        (void)complain_plainly(problem, "the key is protected by a password; store it without one");
    else if (key == NULL)
        (void)complain_plainly(problem, "the key file holds no private key in PEM form");
    return key;
}

static enum err load_chain(SSL_CTX *ctx, BIO *b, char problem[TLS_PROBLEM])
{
    X509 *x;
    for (int n = 0; (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL; n++) {
        if (n == CHAIN_MAX || SSL_CTX_add0_chain_cert(ctx, x) != 1) {
            X509_free(x);
            return complain(problem, "the chain of the certificate cannot be used");
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return complain(problem, "the chain of the certificate is damaged");
    ERR_clear_error();
    return ERR_OK;
}

static enum err load_pair(SSL_CTX *ctx, X509 *x, EVP_PKEY *key, char problem[TLS_PROBLEM])
{
    if (SSL_CTX_use_certificate(ctx, x) != 1)
        return complain(problem, "the certificate cannot be used");
    if (X509_check_private_key(x, key) != 1)
        return complain_plainly(problem,
                                "the key does not belong to the first certificate of the file; the "
                                "server's own certificate has to come first");
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        return complain(problem, "the key cannot be used");
    return ERR_OK;
}

enum err tls_cert_load(SSL_CTX *ctx, struct str cert_pem, struct str key_pem,
                       char problem[TLS_PROBLEM])
{
    ERR_clear_error();
    BIO *b = reader(cert_pem);
    X509 *x = b != NULL ? PEM_read_bio_X509_AUX(b, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = NULL;
    enum err e = ERR_SYNTAX;
    if (x == NULL)
        e = complain_plainly(problem, "the certificate file holds no certificate in PEM form");
    else if ((key = read_key(key_pem, problem)) != NULL)
        e = load_pair(ctx, x, key, problem);
    if (e == ERR_OK)
        e = load_chain(ctx, b, problem);
    EVP_PKEY_free(key);
    X509_free(x);
    BIO_free(b);
    return e;
}

/* --- judging */

static int64_t unix_seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t tls_context_not_after(const struct tls_context *t)
{
    return unix_seconds(X509_get0_notAfter(SSL_CTX_get0_certificate(t->ctx)));
}

static void say_when(char problem[TLS_PROBLEM], const char *what, int64_t when)
{
    time_t t = (time_t)when;
    struct tm tm;
    char date[16];
    gmtime_r(&t, &tm);
    strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(problem, TLS_PROBLEM, "%s %s", what, date);
}

bool tls_context_warn(const struct tls_context *t, struct str domain, char problem[TLS_PROBLEM])
{
    X509 *x = SSL_CTX_get0_certificate(t->ctx);
    int64_t now = clock_wall() / CLOCK_SEC;
    int64_t from = unix_seconds(X509_get0_notBefore(x));
    int64_t to = tls_context_not_after(t);
    if (to < now)
        say_when(problem, "the certificate has ended on", to);
    else if (from > now)
        say_when(problem, "the certificate is not valid before", from);
    else if (domain.n != 0 && X509_check_host(x, domain.p, domain.n, 0, NULL) != 1)
        snprintf(problem, TLS_PROBLEM, "the certificate is not for the name %.*s",
                 (int)(domain.n > 200 ? 200 : domain.n), domain.p);
    else
        return false;
    return true;
}

/* --- making */

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool ok = ext != NULL && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* Letters, digits, '-' and '.' only: the name goes into a small language of OpenSSL's. */
static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = str_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return s.n != 0 && s.n <= 253;
}

static bool set_serial(X509 *x)
{
    unsigned char serial[16];
    if (RAND_bytes(serial, sizeof serial) != 1)
        return false;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and never shorter */
    BIGNUM *n = BN_bin2bn(serial, sizeof serial, NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *key, struct str domain)
{
    char san[300];
    time_t now = (time_t)(clock_wall() / CLOCK_SEC);
    /* RFC 5280, appendix A: a common name has 64 characters at most; clients look at the SAN. */
    struct str cn = domain.n <= 64 ? domain : STR("ximssd");
    X509_NAME *name = X509_get_subject_name(x);
    snprintf(san, sizeof san, "DNS:%.*s", STR_FMT(domain));
    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
           /* A day of grace for clocks that are late. */
           X509_time_adj_ex(X509_getm_notBefore(x), -1, 0, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(x), SELFSIGNED_DAYS, 0, &now) != NULL &&
           X509_set_pubkey(x, key) == 1 &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)cn.p, (int)cn.n, -1, 0) == 1 &&
           X509_set_issuer_name(x, name) == 1 && add_extension(x, NID_subject_alt_name, san) &&
           add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, NID_ext_key_usage, "serverAuth") &&
           X509_sign(x, key, EVP_sha256()) != 0;
}

static enum err take(BIO *b, struct buf *to)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    if (n <= 0)
        return ERR_NOMEM;
    buf_add(to, p, (size_t)n);
    return buf_err(to);
}

enum err tls_make_selfsigned(struct str domain, struct buf *cert_pem, struct buf *key_pem)
{
    if (!is_host_name(domain))
        return ERR_SYNTAX;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *priv = BIO_new(BIO_s_secmem());
    enum err e = ERR_SYS;
    if (key != NULL && x != NULL && cert != NULL && priv != NULL && fill(x, key, domain) &&
        PEM_write_bio_X509(cert, x) == 1 &&
        PEM_write_bio_PrivateKey(priv, key, NULL, NULL, 0, NULL, NULL) == 1)
        e = take(cert, cert_pem);
    if (e == ERR_OK)
        e = take(priv, key_pem);
    BIO_free(priv);
    BIO_free(cert);
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return e;
}
