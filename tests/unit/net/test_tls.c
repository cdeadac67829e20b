// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * TLS contexts: certificates, names, tickets, reload; and `openssl s_client` as a peer that is not ours.
 */
#include <stdio.h>

#include "net/listen.h"
#include "tests/unit/net/tls_test.h"

static struct world w;
static struct cert cert, other;

static int setup(void **state)
{
    (void)state;
    world_open(&w, &CONN_OPTIONS_DEFAULT);
    cert_make(&cert, "harbor.example");
    cert_make(&other, "pier.example");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&cert);
    cert_free(&other);
    world_close(&w);
    return 0;
}

/* --- certificates */

static void selfsigned(void **state)
{
    (void)state;
    char problem[TLS_PROBLEM];
    BIO *b = BIO_new_mem_buf(cert.cert.p, (int)cert.cert.n);
    X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
    int days, secs, nid;
    assert_non_null(x);
    assert_int_equal(X509_check_host(x, "harbor.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "pier.example", 0, 0, NULL), 0);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(x)), -1);
    assert_int_equal(ASN1_TIME_diff(&days, &secs, NULL, X509_get0_notAfter(x)), 1);
    assert_true(days >= 3649 && days <= 3650);
    nid = EVP_PKEY_get_id(X509_get0_pubkey(x));
    assert_int_equal(nid, EVP_PKEY_EC);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 256);
    assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    assert_int_equal(X509_check_ca(x), 0);
    X509_free(x);
    BIO_free(b);
    struct tls_context *t = context_make(&cert, STR(""), "");
    int64_t left = tls_context_not_after(t) - clock_wall() / CLOCK_SEC;
    assert_true(left > 3649 * 86400 && left <= 3650 * 86400);
    assert_false(tls_context_warn(t, STR("harbor.example"), problem));
    assert_false(tls_context_warn(t, STR(""), problem));
    assert_true(tls_context_warn(t, STR("pier.example"), problem));
    assert_string_equal(problem, "the certificate is not for the name pier.example");
    tls_context_unref(&t);
    assert_null(t);
}

static void selfsigned_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a,DNS:b", "a b", "a/b", "\xc3\xa9", "a\nb", "*.a"};
    struct cert c;
    char name[255];
    buf_init(&c.cert, 65536);
    buf_init(&c.key, 65536);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(tls_make_selfsigned(str_of(bad[i]), &c.cert, &c.key), ERR_SYNTAX);
    for (size_t n = 60; n <= 254; n += n < 68 || n > 250 ? 1 : 183) {
        for (size_t i = 0; i < n; i++)
            name[i] = i % 20 == 10 ? '.' : 'a';
        name[n - 1] = 'z';
        assert_int_equal(tls_make_selfsigned((struct str){name, n}, &c.cert, &c.key),
                         n <= 253 ? ERR_OK : ERR_SYNTAX);
    }
    cert_free(&c);
}

static void refused(struct str cert_pem, struct str key_pem, const char *part)
{
    struct tls_options o = {.cert_pem = cert_pem, .key_pem = key_pem};
    struct tls_context *t = NULL;
    char problem[TLS_PROBLEM] = "";
    assert_int_equal(tls_context_new(&o, &t, problem), ERR_SYNTAX);
    assert_null(t);
    if (strstr(problem, part) == NULL)
        fail_msg("%s: no '%s' in it", problem, part);
}

static struct str as_pem(BIO *b)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    return (struct str){p, (size_t)n};
}

static void unusable_files(void **state)
{
    (void)state;
    struct str c = buf_slice(&cert.cert), k = buf_slice(&cert.key), k2 = buf_slice(&other.key);
    refused(STR(""), k, "no certificate");
    refused(STR("hello\n"), k, "no certificate");
    refused(k, k, "no certificate");
    refused(c, STR(""), "no private key");
    refused(c, c, "no private key");
    refused(c, k2, "does not belong");
    refused(str_sub(c, 0, c.n / 2), k, "no certificate");
    /* A chain that breaks off in the middle. */
    struct buf both;
    buf_init(&both, 65536);
    buf_str(&both, c);
    buf_str(&both, str_sub(c, 0, c.n / 2));
    refused(buf_slice(&both), k, "chain");
    buf_free(&both);
    /* A key with a password. */
    BIO *b = BIO_new_mem_buf(k.p, (int)k.n), *locked = BIO_new(BIO_s_mem());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    unsigned char pass[] = "secret";
    assert_int_equal(PEM_write_bio_PrivateKey(locked, key, EVP_aes_128_cbc(), pass, 6, NULL, NULL),
                     1);
    refused(c, as_pem(locked), "password");
    EVP_PKEY_free(key);
    BIO_free(locked);
    BIO_free(b);
}

/* RSA with 1024 bits is below security level 2. */
static void weak_key(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *x = X509_new();
    BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    assert_int_not_equal(X509_sign(x, key, EVP_sha256()), 0);
    PEM_write_bio_X509(c, x);
    PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL);
    refused(as_pem(c), as_pem(k), "too small");
    BIO_free(c);
    BIO_free(k);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* --- what a client sees */

static bool shown_to(struct tls_context *t, const char *sni, const char *host)
{
    struct door d;
    struct client c;
    client_init(&c, door_open(&w, &d, t), TLS1_3_VERSION);
    if (sni != NULL)
        client_ask_for(&c, sni);
    client_shake(&c, &w);
    assert_int_equal(c.done, 1);
    bool is = X509_check_host(SSL_get0_peer_certificate(c.ssl), host, 0, 0, NULL) == 1;
    client_free(&c);
    door_end(&w, &d);
    return is;
}

static void names(void **state)
{
    (void)state;
    char problem[TLS_PROBLEM];
    struct cert wild;
    cert_make(&wild, "wild.example");
    struct tls_context *t = context_make(&cert, STR(""), "");
    OK(tls_context_add_name(t, STR("pier.example"), buf_slice(&other.cert), buf_slice(&other.key),
                            problem));
    OK(tls_context_add_name(t, STR("*.quay.example"), buf_slice(&wild.cert), buf_slice(&wild.key),
                            problem));
    assert_int_equal(tls_context_add_name(t, STR("Pier.example"), buf_slice(&other.cert),
                                          buf_slice(&other.key), problem),
                     ERR_EXISTS);
    assert_int_equal(tls_context_add_name(t, STR("x.example"), buf_slice(&other.cert),
                                          buf_slice(&cert.key), problem),
                     ERR_SYNTAX);
    assert_int_equal(
        tls_context_add_name(t, STR(""), buf_slice(&other.cert), buf_slice(&other.key), problem),
        ERR_RANGE);
    assert_true(shown_to(t, NULL, "harbor.example"));
    assert_true(shown_to(t, "harbor.example", "harbor.example"));
    assert_true(shown_to(t, "unknown.example", "harbor.example"));
    assert_true(shown_to(t, "PIER.example", "pier.example"));
    assert_true(shown_to(t, "a.quay.example", "wild.example"));
    assert_true(shown_to(t, "quay.example", "harbor.example"));
    assert_true(shown_to(t, "a.b.quay.example", "harbor.example"));
    tls_context_unref(&t);
    cert_free(&wild);
}

static bool alpn_accepted(struct tls_context *t, const char *wire, const char *want)
{
    struct door d;
    struct client c;
    const unsigned char *got;
    unsigned n;
    client_init(&c, door_open(&w, &d, t), TLS1_3_VERSION);
    if (wire != NULL)
        SSL_set_alpn_protos(c.ssl, (const unsigned char *)wire, (unsigned)strlen(wire));
    client_shake(&c, &w);
    SSL_get0_alpn_selected(c.ssl, &got, &n);
    bool ok = c.done && n == strlen(want) && (n == 0 || memcmp(got, want, n) == 0);
    if (!c.done)
        assert_int_equal(c.error, SSL_ERROR_SSL); /* told by an alert */
    client_free(&c);
    door_end(&w, &d);
    return ok;
}

static void alpn(void **state)
{
    (void)state;
    struct tls_context *t = context_make(&cert, STR(""), "ximss xmpp-client");
    assert_true(alpn_accepted(t, NULL, ""));
    assert_true(alpn_accepted(t, "\x05ximss", "ximss"));
    assert_true(alpn_accepted(t, "\x02h2\x0bxmpp-client\x05ximss", "ximss"));
    assert_false(alpn_accepted(t, "\x08http/1.1", ""));
    assert_false(alpn_accepted(t, "\x06ximss2\x04xims", ""));
    tls_context_unref(&t);
    t = context_make(&cert, STR(""), "");
    assert_true(alpn_accepted(t, "\x02h2", ""));
    tls_context_unref(&t);
    /* 255 bytes of wire form fit. */
    char list[257];
    memset(list, 'a', sizeof list);
    for (size_t n = 253; n <= 255; n++) {
        struct tls_options o = {
            .cert_pem = buf_slice(&cert.cert), .key_pem = buf_slice(&cert.key), .alpn = {list, n}};
        char problem[TLS_PROBLEM];
        assert_int_equal(tls_context_new(&o, &t, problem), n <= 254 ? ERR_OK : ERR_RANGE);
        tls_context_unref(&t);
    }
}

/* --- tickets */

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = s;
    return 1;
}

/* One connection, resuming what is kept; was it? */
static bool visit(struct tls_context *t, int version)
{
    struct door d;
    struct client c;
    char got[8];
    client_init(&c, door_open(&w, &d, t), version);
    SSL_CTX_sess_set_new_cb(c.ctx, keep_session);
    if (kept != NULL)
        SSL_set_session(c.ssl, kept);
    client_shake(&c, &w);
    assert_int_equal(c.done, 1);
    client_say(&c, &w, "x", 1);
    conn_write(&d.conn, STR("y"));
    assert_int_equal(client_hear(&c, &w, got, sizeof got), 1);
    bool resumed = SSL_session_reused(c.ssl) == 1;
    assert_int_equal(conn_tls_resumed(&d.conn), resumed);
    if (version == TLS1_2_VERSION) { /* the library reports no renewed ticket there */
        SSL_SESSION_free(kept);
        kept = SSL_get1_session(c.ssl);
    }
    SSL_set_shutdown(c.ssl,
                     SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else the session is spoilt */
    client_free(&c);
    door_end(&w, &d);
    return resumed;
}

static void tickets_are_shared_and_rotate(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char k[3 * TLS_TICKET_KEY];
    for (size_t i = 0; i < sizeof k; i++)
        k[i] = (char)(i * 7 + i / TLS_TICKET_KEY);
    struct str a = {k, TLS_TICKET_KEY}, ab = {k, 2 * TLS_TICKET_KEY},
               bc = {k + TLS_TICKET_KEY, 2 * TLS_TICKET_KEY};
    for (size_t v = 0; v < 2; v++) {
        /* Two workers, which know nothing of each other but the key. */
        struct tls_context *one = context_make(&cert, a, ""), *two = context_make(&cert, a, "");
        SSL_SESSION_free(kept);
        kept = NULL;
        assert_false(visit(one, versions[v]));
        assert_non_null(kept);
        assert_true(visit(two, versions[v]));
        assert_true(visit(one, versions[v]));
        /* One gets other keys: tickets of the former are unknown there. */
        OK(tls_context_set_ticket_keys(one, bc));
        assert_false(visit(one, versions[v]));
        /* ... but good while they are the previous ones, and renewed under the current. */
        SSL_SESSION_free(kept);
        kept = NULL;
        OK(tls_context_set_ticket_keys(one, (struct str){k + TLS_TICKET_KEY, TLS_TICKET_KEY}));
        assert_false(visit(one, versions[v])); /* a ticket under b */
        OK(tls_context_set_ticket_keys(one, ab));
        assert_true(visit(one, versions[v]));
        OK(tls_context_set_ticket_keys(one, a));
        assert_true(visit(one, versions[v])); /* it was renewed under a */
        tls_context_unref(&one);
        tls_context_unref(&two);
    }
    /* No keys: no tickets. */
    struct tls_context *none = context_make(&cert, STR(""), "");
    SSL_SESSION_free(kept);
    kept = NULL;
    assert_false(visit(none, TLS1_3_VERSION));
    assert_false(visit(none, TLS1_3_VERSION));
    SSL_SESSION_free(kept);
    kept = NULL;
    for (size_t n = 0; n <= sizeof k; n++)
        assert_int_equal(tls_context_set_ticket_keys(none, (struct str){k, n}),
                         n == 0 || n == 80 || n == 160 ? ERR_OK : ERR_RANGE);
    tls_context_unref(&none);
}

/* A forged or cut ticket is a full handshake, not an error. */
static void damaged_tickets(void **state)
{
    (void)state;
    static const char key[TLS_TICKET_KEY] = "k";
    struct tls_context *t = context_make(&cert, (struct str){key, sizeof key}, "");
    assert_false(visit(t, TLS1_2_VERSION));
    assert_true(visit(t, TLS1_2_VERSION));
    for (int at = 0; at < 200; at += 13) {
        unsigned char *der = NULL;
        const unsigned char *ticket;
        size_t n;
        SSL_SESSION_get0_ticket(kept, &ticket, &n);
        int len = i2d_SSL_SESSION(kept, &der);
        unsigned char *in_der = memmem(der, (size_t)len, ticket, n);
        assert_non_null(in_der);
        in_der[(size_t)at % n] ^= 0x40;
        const unsigned char *p = der;
        SSL_SESSION *bad = d2i_SSL_SESSION(NULL, &p, len);
        assert_non_null(bad);
        SSL_SESSION_free(kept);
        kept = bad;
        OPENSSL_free(der);
        assert_false(visit(t, TLS1_2_VERSION));
    }
    SSL_SESSION_free(kept);
    kept = NULL;
    tls_context_unref(&t);
}

/* --- reload */

static void reload_keeps_old_connections(void **state)
{
    (void)state;
    struct door d[2];
    struct client c[2];
    char got[8];
    struct tls_context *t = context_make(&cert, STR(""), "");
    client_init(&c[0], door_open(&w, &d[0], t), TLS1_3_VERSION);
    client_shake(&c[0], &w);
    client_init(&c[1], door_open(&w, &d[1], t), TLS1_3_VERSION); /* not begun */
    tls_context_unref(&t);
    t = context_make(&other, STR(""), "");
    assert_true(shown_to(t, NULL, "pier.example"));
    client_shake(&c[1], &w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(c[i].done, 1);
        assert_int_equal(
            X509_check_host(SSL_get0_peer_certificate(c[i].ssl), "harbor.example", 0, 0, NULL), 1);
        client_say(&c[i], &w, "x", 1);
        conn_write(&d[i].conn, STR("y"));
        assert_int_equal(client_hear(&c[i], &w, got, sizeof got), 1);
        client_free(&c[i]);
        door_end(&w, &d[i]);
    }
    tls_context_unref(&t);
}

/* --- a peer that is not ours */

static struct door guest;
static struct tls_context *guest_tls;

static void answer_in_capitals(struct door *d, struct str in)
{
    char up[256];
    size_t n = in.n < sizeof up ? in.n : sizeof up;
    for (size_t i = 0; i < n; i++)
        up[i] = (char)(in.p[i] >= 'a' && in.p[i] <= 'z' ? in.p[i] - 32 : in.p[i]);
    conn_write(&d->conn, (struct str){up, n});
    if (memchr(in.p, '!', in.n) != NULL)
        conn_close(&d->conn);
}

static void on_guest(void *arg, int fd, const struct listen_addr *peer)
{
    (void)arg, (void)peer;
    door_init(&guest);
    guest.hook = answer_in_capitals;
    OK(conn_open(&guest.conn, w.net, fd, &door_ops, guest_tls));
}

/* Runs s_client with these options, gives it `say`, and returns all that it printed. */
static void s_client(uint16_t port, const char *options, const char *say, char *out, size_t size)
{
    char command[400];
    snprintf(command, sizeof command,
             "(printf '%s'; sleep 2) | timeout 20 openssl s_client -connect 127.0.0.1:%u %s "
             "-ign_eof 2>&1",
             say, port, options);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    guest.closed = 0;
    await(&w, &guest.closed, 20);
    size_t n = fread(out, 1, size - 1, p);
    out[n] = '\0';
    pclose(p);
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in: %s", part, text);
}

static void openssl_s_client(void **state)
{
    (void)state;
    static const char key[TLS_TICKET_KEY] = "s_client";
    static char out[65536];
    char ticket[] = "/tmp/ximss-ticket-XXXXXX", options[200];
    int fd;
    struct listener l;
    guest_tls = context_make(&cert, (struct str){key, sizeof key}, "ximss");
    OK(listen_bind(STR("127.0.0.1"), 0, 5, false, &fd));
    OK(listen_open(&l, w.loop, fd, on_guest, NULL));
    struct listen_addr a;
    OK(listen_addr_local(fd, &a));
    close(mkstemp(ticket));
    for (int v = 2; v <= 3; v++) {
        snprintf(options, sizeof options, "-tls1_%d -alpn ximss -sess_out %s", v, ticket);
        s_client(a.port, options, "hello stranger!", out, sizeof out);
        has(out, "HELLO STRANGER!");
        has(out, v == 2 ? "Protocol  : TLSv1.2" : "New, TLSv1.3");
        has(out, "ALPN protocol: ximss");
        has(out, "Peer signature type: ECDSA");
        has(out, "Server Temp Key: X25519");
        has(out,
            "Secure Renegotiation IS"); /* "supported", or "NOT supported" in 1.3, where there is none */
        assert_int_equal(guest.closed, 1);
        assert_int_equal(guest.why, CONN_END_DONE);
        buf_free(&guest.in);
        snprintf(options, sizeof options, "-tls1_%d -sess_in %s", v, ticket);
        s_client(a.port, options, "again!", out, sizeof out);
        has(out, "AGAIN!");
        has(out, "Reused, TLS");
        buf_free(&guest.in);
    }
    s_client(a.port, "-tls1_2 -cipher AES128-SHA:@SECLEVEL=0", "hello!", out, sizeof out);
    has(out, "handshake failure");
    assert_true(guest.problem[0] != '\0');
    buf_free(&guest.in);
    unlink(ticket);
    listen_close(&l, NULL);
    spin(&w, 2);
    tls_context_unref(&guest_tls);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(selfsigned),
        T(selfsigned_names),
        T(unusable_files),
        T(weak_key),
        T(names),
        T(alpn),
        T(tickets_are_shared_and_rotate),
        T(damaged_tickets),
        T(reload_keeps_old_connections),
        T(openssl_s_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
