// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * tls: certificates and TLS settings, over OpenSSL 3, which nobody outside net sees.
 *
 * A context is what a listener offers: TLS 1.2 and 1.3, one certificate by default and others by SNI name, stateless
 * tickets under keys that all workers share. It is counted: after a reload new connections get the new context
 * while the old ones keep theirs. TLS on a connection is started with net/conn.h; the tls_link part below is for conn.c.
 *
 * Settings, and why (dependencies.md 3.2, finding 14): RELEASE_BUFFERS, no session cache: an idle connection keeps no
 * record buffers; one ticket per handshake; no renegotiation, no compression, security level 2; AEAD suites with forward
 * secrecy; X25519 first, then P-256. An end of input without close_notify counts as an ordinary end: messages have
 * their own end mark, so nothing can be truncated unnoticed.
 */
#include "base/buf.h"

#define TLS_TICKET_KEY  80          /* bytes: 16 name, 32 AES-256, 32 HMAC-SHA-256 */
#define TLS_TICKET_LIFE (12 * 3600) /* seconds; rotate keys no faster than this */
#define TLS_NAMES_MAX   1000        /* of a context, for SNI */
#define TLS_PEM_MAX     (1024 * 1024)
#define TLS_ALPN_MAX    255
#define TLS_PROBLEM     256 /* bytes of a problem's text with its end */

struct tls_context;

enum tls_min { TLS_MIN_1_2, TLS_MIN_1_3 };

struct tls_options {
    struct str cert_pem; /* certificate, then its chain */
    struct str key_pem;
    enum tls_min min;
    /* TLS_TICKET_KEY bytes, or twice that: current, then previous. Empty: no tickets. */
    struct str ticket_keys;
    /*
     * Names accepted when a client offers ALPN, best first, blanks between ("ximss"); a client that offers
     * only others gets an alert. Empty: ALPN is ignored.
     */
    struct str alpn;
};

/* Lets OpenSSL read its own configuration: for processes that will soon see no files. */
void tls_prepare(void);

/*
 * ERR_SYNTAX: the certificate or key is not usable; `problem` says why in words for an administrator ("the key does not
 * belong to the certificate"). The bytes of opt are copied. The context is born with one reference.
 */
enum err tls_context_new(const struct tls_options *opt, struct tls_context **out,
                         char problem[TLS_PROBLEM]) CHECKED;
struct tls_context *tls_context_ref(struct tls_context *ctx);
void tls_context_unref(struct tls_context **ctx);

/*
 * Another certificate, for clients that ask for `name` (a host name, or "*.example.org" for one label below it), any
 * case. Only before the context is used. ERR_EXISTS, ERR_RANGE (TLS_NAMES_MAX), ERR_SYNTAX as above.
 */
enum err tls_context_add_name(struct tls_context *ctx, struct str name, struct str cert_pem,
                              struct str key_pem, char problem[TLS_PROBLEM]) CHECKED;

/* New ticket keys, in the form of tls_options; connections and contexts in use go on. ERR_RANGE: wrong length. */
enum err tls_context_set_ticket_keys(struct tls_context *ctx, struct str keys) CHECKED;

/* Unix seconds at which the default certificate ends. */
int64_t tls_context_not_after(const struct tls_context *ctx);
/* A warning about the default certificate for -t (has ended, not valid yet, not for `domain`), or false. */
bool tls_context_warn(const struct tls_context *ctx, struct str domain, char problem[TLS_PROBLEM]);

/* A new ECDSA P-256 key and a certificate signed with it, for 10 years: CN and SAN = domain. PEM into both buffers. */
enum err tls_make_selfsigned(struct str domain, struct buf *cert_pem, struct buf *key_pem) CHECKED;

/* --- for conn.c: TLS over one descriptor */

struct tls_link;

enum tls_step { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_EOF, TLS_FAILED };

/* Holds a reference to ctx. NULL: no memory. fd stays the caller's. */
struct tls_link *tls_link_new(struct tls_context *ctx, int fd);
void tls_link_free(struct tls_link **link);

/* One step of the handshake, reading and writing fd. TLS_FAILED: tls_link_problem(). */
enum tls_step tls_link_handshake(struct tls_link *link);
/*
 * Decrypts `in`, bytes that came from fd, into out (room for in.n + TLS_SLACK bytes), all of it; an incomplete record is
 * kept in the link. TLS_WANT_READ: all went well; TLS_EOF: close_notify was seen. *n: bytes of plain text, in any case.
 */
#define TLS_SLACK (20 * 1024)
enum tls_step tls_link_read(struct tls_link *link, struct str in, char *out, size_t *n);
/* Encrypts and writes. *n: bytes taken for good, in any case. TLS_DONE: all of them. */
enum tls_step tls_link_write(struct tls_link *link, struct str bytes, size_t *n);
/* Sends close_notify. TLS_DONE, TLS_WANT_WRITE, TLS_FAILED. */
enum tls_step tls_link_shutdown(struct tls_link *link);

/* Why the last call failed: constant text. */
const char *tls_link_problem(const struct tls_link *link);
const char *tls_link_version(const struct tls_link *link);
const char *tls_link_cipher(const struct tls_link *link);
const char *tls_link_name(const struct tls_link *link); /* SNI, "" if none */
bool tls_link_resumed(const struct tls_link *link);
