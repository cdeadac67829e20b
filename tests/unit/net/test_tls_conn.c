// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * TLS on connections from their first byte: handshakes, traffic, ends, limits.
 */
#include "tests/unit/net/tls_test.h"

static struct world w;
static struct cert cert;
static struct tls_context *ctx;

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static int setup(void **state)
{
    (void)state;
    tls_world_open(&w, &cert, &ctx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_world_close(&w, &cert, &ctx);
    return 0;
}

static void with_options(struct conn_options o)
{
    conn_net_set_options(w.net, &o);
}

/* A door and a client that have finished their handshake. */
static void join(struct door *d, struct client *c, int version)
{
    client_init(c, door_open(&w, d, ctx), version);
    client_ask_for(c, "mail.harbor.example");
    client_shake(c, &w);
    assert_int_equal(c->done, 1);
    spin(&w, 2);
    assert_int_equal(d->tls_ok, 1);
}

static void both_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct door d;
        struct client c;
        char got[64];
        join(&d, &c, versions[i]);
        assert_true(conn_is_tls(&d.conn));
        assert_false(conn_in_handshake(&d.conn));
        assert_string_equal(conn_tls_version(&d.conn), SSL_get_version(c.ssl));
        assert_string_equal(conn_tls_version(&d.conn), i == 0 ? "TLSv1.2" : "TLSv1.3");
        assert_string_equal(conn_tls_cipher(&d.conn), SSL_get_cipher_name(c.ssl));
        assert_string_equal(conn_tls_name(&d.conn), "mail.harbor.example");
        assert_false(conn_tls_resumed(&d.conn));
        client_say(&c, &w, "<noop id=\"1\"/>", 15);
        heard(&d, STR("<noop id=\"1\"/>\0"));
        conn_write(&d.conn, STR("<response id=\"1\"/>"));
        assert_int_equal(client_hear(&c, &w, got, sizeof got), 18);
        assert_int_equal(d.sent, 18);
        both_end(&w, &d, &c);
    }
}

/* One byte at a time, handshake and all; and the first application bytes in the segment of the Finished. */
static void every_byte_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct door d;
        struct client c;
        client_init(&c, door_open(&w, &d, ctx), versions[i]);
        c.chunk = 1;
        client_shake(&c, &w);
        assert_int_equal(c.done, 1);
        client_say(&c, &w, "one two three", 13);
        heard(&d, STR("one two three"));
        both_end(&w, &d, &c);
    }
    struct door d;
    struct client c;
    client_init(&c, door_open(&w, &d, ctx), TLS1_3_VERSION);
    for (int i = 0; i < 20 && SSL_do_handshake(c.ssl) != 1; i++)
        client_carry(&c, &w);
    assert_int_equal(SSL_write(c.ssl, "early bird", 10), 10); /* behind the unsent Finished */
    client_carry(&c, &w);
    spin(&w, 3);
    assert_int_equal(d.tls_ok, 1);
    heard(&d, STR("early bird"));
    both_end(&w, &d, &c);
}

static void bulk(struct door *d, struct str in)
{
    conn_write(&d->conn, in);
}

/* An echo of much data through small buffers. */
static void bulk_both_ways(void **state)
{
    (void)state;
    enum { BYTES = 1500000 };
    static char sent[BYTES], got[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (char)(i * 2654435761u >> 11);
    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        struct door d;
        struct client c;
        int small = 4096;
        size_t out = 0, in = 0;
        join(&d, &c, versions[v]);
        d.hook = bulk;
        setsockopt(d.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        for (int i = 0; i < 100000 && in < BYTES && c.error == 0; i++) {
            if (out < BYTES && BIO_ctrl_pending(c.out) < 100000) {
                int n =
                    SSL_write(c.ssl, sent + out, BYTES - out < 30000 ? (int)(BYTES - out) : 30000);
                assert_true(n > 0);
                out += (size_t)n;
            }
            in += client_hear(&c, &w, got + in, BYTES - in);
        }
        assert_int_equal(in, BYTES);
        assert_memory_equal(sent, got, BYTES);
        assert_int_equal(d.sent, BYTES);
        both_end(&w, &d, &c);
    }
}

static void ends_with_close_notify(void **state)
{
    (void)state;
    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        struct door d;
        struct client c;
        char got[32];
        join(&d, &c, versions[v]);
        SSL_write(c.ssl, "unread by the door", 18);
        conn_write(&d.conn, STR("<bye/>"));
        conn_close(&d.conn);
        client_carry(&c, &w);
        assert_int_equal(client_hear(&c, &w, got, sizeof got), 6);
        assert_int_equal(c.error, SSL_ERROR_ZERO_RETURN);
        assert_true(c.fin);
        shutdown(c.fd, SHUT_WR);
        spin(&w, 3);
        assert_int_equal(d.closed, 1);
        assert_int_equal(d.why, CONN_END_DONE);
        heard(&d, STR(""));
        both_end(&w, &d, &c);
    }
}

static void half_close(void **state)
{
    (void)state;
    for (int fin = 0; fin < 2; fin++) { /* close_notify, or only a FIN */
        struct door d;
        struct client c;
        char got[32];
        join(&d, &c, TLS1_3_VERSION);
        SSL_write(c.ssl, "last", 4);
        if (!fin)
            SSL_shutdown(c.ssl);
        client_carry(&c, &w);
        if (fin)
            shutdown(c.fd, SHUT_WR);
        spin(&w, 3);
        heard(&d, STR("last"));
        assert_int_equal(d.eofs, 1);
        assert_true(conn_is_open(&d.conn));
        conn_write(&d.conn, STR("answer"));
        conn_close(&d.conn);
        if (!fin) {
            spin(&w, 2);
            ssize_t n = recv(c.fd, got, sizeof got, MSG_DONTWAIT);
            assert_true(n >
                        6); /* a record; this client's library reads no more after its own end */
        } else {
            assert_int_equal(client_hear(&c, &w, got, sizeof got), 6);
        }
        both_end(&w, &d, &c);
    }
}

static void pausing(void **state)
{
    (void)state;
    struct door d;
    struct client c;
    join(&d, &c, TLS1_3_VERSION);
    conn_pause(&d.conn);
    client_say(&c, &w, "one", 3);
    client_say(&c, &w, "two", 3);
    spin(&w, 5);
    heard(&d, STR(""));
    conn_resume(&d.conn);
    spin(&w, 3);
    heard(&d, STR("onetwo"));
    both_end(&w, &d, &c);
}

static void broken_record(void **state)
{
    (void)state;
    struct door d;
    struct client c;
    char *p, got[8];
    join(&d, &c, TLS1_3_VERSION);
    SSL_write(c.ssl, "good", 4);
    client_carry(&c, &w);
    SSL_write(c.ssl, "evil", 4);
    long n = BIO_get_mem_data(c.out, &p);
    p[n - 1] ^= 1;
    client_carry(&c, &w);
    heard(&d, STR("good"));
    (void)client_hear(&c, &w, got, sizeof got);
    assert_int_equal(c.error, SSL_ERROR_SSL); /* the alert arrived */
    close(c.fd);
    c.fd = -1;
    spin(&w, 3);
    assert_int_equal(d.closed, 1);
    assert_int_equal(d.why, CONN_END_TLS);
    both_end(&w, &d, &c);
}

/* --- handshakes that fail */

static void must_fail(struct door *d, int peer)
{
    spin(&w, 4);
    assert_true(d->problem[0] != '\0');
    assert_int_equal(d->tls_ok, 0);
    heard(d, STR(""));
    close(peer);
    spin(&w, 3);
    assert_int_equal(d->closed, 1);
    assert_int_equal(d->why, CONN_END_TLS);
    door_end(&w, d);
    assert_int_equal(conn_net_handshakes(w.net), 0);
}

static void garbage(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
    } bad[] = {{{"GET / HTTP/1.0\r\n\r\n", 18}},
               {{"<login id=\"1\"/>\0<noop id=\"2\"/>\0", 31}},
               {{"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10}},
               {{"\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00", 10}},
               {{"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11}},
               {{"\x15\x03\x01\x00\x02\x02\x28", 7}}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct door d;
        int peer = door_open(&w, &d, ctx);
        assert_int_equal(send(peer, bad[i].bytes.p, bad[i].bytes.n, 0), bad[i].bytes.n);
        if (i >= 3) /* these may announce more than they hold */
            shutdown(peer, SHUT_WR);
        must_fail(&d, peer);
    }
    /* All first bytes but that of a handshake record. */
    for (int byte = 0; byte < 256; byte++) {
        char bytes[64];
        struct door d;
        if (byte == 0x16)
            continue;
        memset(bytes, byte, sizeof bytes);
        int peer = door_open(&w, &d, ctx);
        assert_int_equal(send(peer, bytes, sizeof bytes, 0), sizeof bytes);
        shutdown(peer,
                 SHUT_WR); /* for those that look like the head of a longer old-style record */
        must_fail(&d, peer);
    }
    /* Silence, then gone. */
    struct door d;
    int peer = door_open(&w, &d, ctx);
    shutdown(peer, SHUT_WR);
    must_fail(&d, peer);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    struct door d;
    struct client c;
    client_init(&c, door_open(&w, &d, ctx), TLS1_1_VERSION);
    SSL_set_security_level(c.ssl, 0);
    client_shake(&c, &w);
    assert_int_equal(c.done, 0);
    int peer = c.fd;
    c.fd = -1;
    must_fail(&d, peer);
    client_free(&c);
}

static void handshake_timeout(void **state)
{
    (void)state;
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    o.handshake_timeout = 80 * CLOCK_MS;
    with_options(o);
    for (int bytes = 0; bytes < 8; bytes += 7) { /* silent; or in the middle of a ClientHello */
        struct door d;
        int64_t begin = clock_mono();
        int peer = door_open(&w, &d, ctx);
        assert_int_equal(send(peer, "\x16\x03\x01\x00\x80\x01\x00", (size_t)bytes, 0), bytes);
        spin(&w, 3);
        uint32_t handshakes = conn_net_handshakes(w.net);
        int closed = d.closed;
        if (clock_mono() - begin < o.handshake_timeout) {
            assert_int_equal(handshakes, bytes != 0);
            assert_int_equal(closed, 0);
        }
        await(&w, &d.closed, 20);
        assert_true(clock_mono() - begin >= o.handshake_timeout);
        assert_int_equal(d.closed, 1);
        assert_int_equal(d.why, CONN_END_TLS);
        assert_string_equal(d.problem, "the handshake took too long");
        close(peer);
        door_end(&w, &d);
    }
    assert_int_equal(conn_net_handshakes(w.net), 0);
}

/* --- limits of the process */

static void handshakes_in_flight(void **state)
{
    (void)state;
    struct conn_options o = CONN_OPTIONS_DEFAULT;
    o.handshakes = 3;
    with_options(o);
    struct door slow[4], d;
    int peer[4];
    struct client c;
    for (int i = 0; i < 4; i++) {
        peer[i] = door_open(&w, &slow[i], ctx);
        spin(&w, 2);
        assert_int_equal(conn_net_handshakes(w.net), i < 3 ? i : 3); /* silent ones do not count */
        assert_int_equal(send(peer[i], "\x16\x03\x01", 3, 0), 3);
        spin(&w, 3);
        assert_int_equal(conn_net_handshakes(w.net), i < 2 ? i + 1 : 3);
    }
    /* A good client has to wait for its turn ... */
    client_init(&c, door_open(&w, &d, ctx), TLS1_3_VERSION);
    client_shake(&c, &w);
    assert_int_equal(c.done, 0);
    /* ... until two have gone: the fourth was before it. */
    conn_abort(&slow[0].conn);
    spin(&w, 3);
    assert_int_equal(conn_net_handshakes(w.net), 3);
    client_shake(&c, &w);
    assert_int_equal(c.done, 0);
    conn_abort(&slow[1].conn);
    spin(&w, 3);
    client_shake(&c, &w);
    assert_int_equal(c.done, 1);
    for (int i = 0; i < 4; i++) {
        close(peer[i]);
        door_end(&w, &slow[i]);
    }
    both_end(&w, &d, &c);
}

static int done_now, done_round, done_most;

static void count_done(struct conn *c, const char *problem)
{
    door_tls(c, problem);
    if (done_round != w.total)
        done_now = 0;
    done_round = w.total;
    if (++done_now > done_most)
        done_most = done_now;
}

static void four_steps_a_round(void **state)
{
    (void)state;
    enum { N = 21 };
    static struct door d[N];
    struct client c[N];
    static const struct conn_ops ops = {door_data, door_eof, door_sent, count_done, door_closed};
    done_most = 0;
    for (int i = 0; i < N; i++) {
        client_init(&c[i], door_open(&w, &d[i], ctx), TLS1_3_VERSION);
        d[i].conn.ops = &ops;
        assert_int_equal(SSL_do_handshake(c[i].ssl), -1);
        char *p;
        long n = BIO_get_mem_data(c[i].out, &p);
        assert_int_equal(send(c[i].fd, p, (size_t)n, 0), n);
        (void)BIO_reset(c[i].out);
    }
    int before = w.total;
    spin(&w, 1);
    int answered = 0;
    for (int i = 0; i < N; i++) {
        char byte;
        answered += recv(c[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    }
    assert_true(answered <= CONN_STEPS * (w.total - before));
    spin(&w, 10);
    for (int i = 0; i < N; i++) {
        char bytes[4096], *p;
        ssize_t got = recv(c[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
        assert_true(got > 0);
        BIO_write(c[i].in, bytes, (int)got);
        assert_int_equal(SSL_do_handshake(c[i].ssl), 1);
        long n = BIO_get_mem_data(c[i].out, &p);
        assert_int_equal(send(c[i].fd, p, (size_t)n, 0), n);
        (void)BIO_reset(c[i].out);
    }
    spin(&w, 10);
    assert_int_equal(done_most, CONN_STEPS);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d[i].tls_ok, 1);
        client_free(&c[i]);
        door_end(&w, &d[i]);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(both_versions),
        T(every_byte_alone),
        T(bulk_both_ways),
        T(ends_with_close_notify),
        T(half_close),
        T(pausing),
        T(broken_record),
        T(garbage),
        T(old_versions_are_refused),
        T(handshake_timeout),
        T(handshakes_in_flight),
        T(four_steps_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
