// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * starttls: a connection in clear becomes one with TLS, and nothing that was said in clear behind it is heard (CVE-2011-0411).
 */
#include "tests/unit/net/tls_test.h"

static struct world w;
static struct cert cert;
static struct tls_context *ctx;

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

static const char answer[] = "<response id=\"t\"/>";

static void starttls_on_data(struct door *d, struct str in)
{
    size_t end = str_find(in, '\0');
    if (conn_is_tls(&d->conn) || end == in.n)
        return;
    conn_write(&d->conn, (struct str){answer, sizeof answer});
    conn_start_tls(&d->conn, d->tls, str_sub(in, end + 1, in.n - end - 1));
    conn_write(&d->conn, STR("held back"));
    assert_true(conn_in_handshake(&d->conn) || !conn_is_open(&d->conn));
}

static int starttls_door(struct door *d)
{
    int peer = door_open(&w, d, NULL);
    d->hook = starttls_on_data;
    d->tls = ctx;
    return peer;
}

static void starttls(void **state)
{
    (void)state;
    struct door d;
    struct client c;
    char got[64];
    int peer = starttls_door(&d);
    assert_int_equal(send(peer, "<starttls id=\"t\"/>", 19, 0), 19);
    spin(&w, 5);
    assert_int_equal(recv(peer, got, sizeof got, MSG_DONTWAIT),
                     sizeof answer); /* and nothing behind it */
    assert_memory_equal(got, answer, sizeof answer);
    client_init(&c, peer, TLS1_3_VERSION);
    client_shake(&c, &w);
    assert_int_equal(d.tls_ok, 1);
    assert_int_equal(client_hear(&c, &w, got, sizeof got), 9);
    assert_memory_equal(got, "held back", 9);
    client_say(&c, &w, "secret", 6);
    heard(&d, STR("<starttls id=\"t\"/>\0secret"));
    both_end(&w, &d, &c);
}

/* Whatever stands behind starttls before its response left ends the connection, and no response leaves. */
static void starttls_injection(void **state)
{
    (void)state;
    static char hello[600];
    struct client c;
    client_init(&c, -1, TLS1_3_VERSION);
    (void)SSL_do_handshake(c.ssl);
    int hello_n = BIO_read(c.out, hello, sizeof hello);
    const struct str behind[] = {STR("<noop id=\"1\"/>\0"),
                                 STR("<"),
                                 STR("\0"),
                                 STR(" "),
                                 STR("\r\n"),
                                 STR("<starttls id=\"u\"/>\0"),
                                 STR("<login id=\"L\" authData=\"dora\" password=\"x\"/>\0"),
                                 {hello, (size_t)hello_n}};
    for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
        for (int split = 0; split < 2; split++) {
            struct door d;
            char bytes[1000], got[8];
            int peer = starttls_door(&d);
            memcpy(bytes, "<starttls id=\"t\"/>", 19);
            memcpy(bytes + 19, behind[i].p, behind[i].n);
            if (split)
                assert_int_equal(send(peer, bytes, 19, 0), 19);
            size_t at = split ? 19 : 0;
            assert_int_equal(send(peer, bytes + at, 19 + behind[i].n - at, 0),
                             19 + behind[i].n - at);
            spin(&w, 5);
            assert_int_equal(d.closed, 1);
            assert_int_equal(d.why, CONN_END_INJECTION);
            assert_true(recv(peer, got, sizeof got, MSG_DONTWAIT) <= 0);
            close(peer);
            door_end(&w, &d);
        }
    }
    client_free(&c);
}

static int late_peer;
static struct str late_bytes;

static void starttls_then_more_arrives(struct door *d, struct str in)
{
    starttls_on_data(d, in);
    /* After the read, before the end of the round. */
    assert_int_equal(send(late_peer, late_bytes.p, late_bytes.n, 0), late_bytes.n);
}

static void starttls_injection_in_a_second_segment(void **state)
{
    (void)state;
    const struct str late[] = {STR("<noop id=\"1\"/>\0"), STR("\0"), STR("\x16\x03\x01")};
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        struct door d;
        char got[8];
        late_peer = starttls_door(&d);
        late_bytes = late[i];
        d.hook = starttls_then_more_arrives;
        assert_int_equal(send(late_peer, "<starttls id=\"t\"/>", 19, 0), 19);
        spin(&w, 5);
        assert_int_equal(d.closed, 1);
        assert_int_equal(d.why, CONN_END_INJECTION);
        assert_true(recv(late_peer, got, sizeof got, MSG_DONTWAIT) <= 0);
        close(late_peer);
        door_end(&w, &d);
    }
}

/* In clear after the response: the handshake fails, and nobody executes it. */
static void starttls_then_clear_text(void **state)
{
    (void)state;
    struct door d;
    char got[64];
    int peer = starttls_door(&d);
    assert_int_equal(send(peer, "<starttls id=\"t\"/>", 19, 0), 19);
    spin(&w, 3);
    assert_int_equal(recv(peer, got, sizeof got, MSG_DONTWAIT), sizeof answer);
    assert_int_equal(send(peer, "<noop id=\"1\"/>", 15, 0), 15);
    spin(&w, 4);
    assert_true(d.problem[0] != '\0');
    heard(&d, STR("<starttls id=\"t\"/>\0"));
    close(peer);
    spin(&w, 3);
    assert_int_equal(d.closed, 1);
    assert_int_equal(d.why, CONN_END_TLS);
    door_end(&w, &d);
}

/* The server changes its mind: what was to be protected does not leave in clear. */
static void close_during_starttls(void **state)
{
    (void)state;
    struct door d;
    char got[64];
    int peer = starttls_door(&d);
    door_data(&d.conn, STR("<starttls id=\"t\"/>\0"));
    conn_close(&d.conn);
    spin(&w, 3);
    assert_int_equal(recv(peer, got, sizeof got, MSG_DONTWAIT), sizeof answer);
    assert_int_equal(recv(peer, got, sizeof got, MSG_DONTWAIT), 0);
    close(peer);
    door_end(&w, &d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(starttls),
        T(starttls_injection),
        T(starttls_injection_in_a_second_segment),
        T(starttls_then_clear_text),
        T(close_during_starttls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
