// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* proxyline, forwarded, fieldparam: the papers' own examples. tests/web has the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/fieldparam.h"
#include "codec/forwarded.h"
#include "codec/proxyline.h"

static void assert_ip(const struct ip *ip, const char *want)
{
    char text[IP_TEXT_MAX];
    ip_print(ip, text);
    assert_string_equal(text, want);
}

/* proxy-protocol.txt, 2.1; and what HAProxy wrote in version 2 for a client at 172.19.0.1, port 42578. */
static void test_headers(void **state)
{
    static const struct {
        struct str in;
        const char *ip;
        uint16_t port;
        size_t used;
    } rows[] = {
        {STR("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n"), "192.168.0.1",
         56324, 47},
        {STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255",
         65535, 56},
        {STR("\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c"
             "\xac\x13\x00\x01\xac\x13\x00\x03\xa6\x52\x00\x50GET / HTTP/1.1"),
         "172.19.0.1", 42578, 28},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxyline p;
        size_t used;
        assert_int_equal(proxyline_read(rows[i].in, &used, &p), ERR_OK);
        assert_true(p.given);
        assert_int_equal(used, rows[i].used);
        assert_int_equal(p.port, rows[i].port);
        assert_ip(&p.ip, rows[i].ip);
    }
}

/* proxy-protocol.txt, 2.2 and 2.2.6: additions fill the rest of the header exactly; that of TLS has five bytes or more. */
static void test_additions(void **state)
{
    static const struct {
        struct str tlvs;
        enum err want;
        bool tls;
    } rows[] = {
        {STR(""), ERR_OK, false},
        {STR("\x04"), ERR_SYNTAX, false},
        {STR("\x04\0"), ERR_SYNTAX, false},
        {STR("\x04\0\0"), ERR_OK, false},
        {STR("\x04\0\3ab"), ERR_SYNTAX, false},
        {STR("\x04\0\3abc"), ERR_OK, false},
        {STR("\x04\0\3abcd"), ERR_SYNTAX, false},
        {STR("\x04\xff\xff"
             "abc"),
         ERR_SYNTAX, false},
        {STR("\x20\0\4\1\0\0\0"), ERR_SYNTAX, false},
        {STR("\x20\0\5\1\0\0\0"), ERR_SYNTAX, false},
        {STR("\x20\0\5\1\0\0\0\0"), ERR_OK, true},
        {STR("\x20\0\6\1\0\0\0\0x"), ERR_OK, true},
        {STR("\x20\0\5\0\0\0\0\0"), ERR_OK, false},
        {STR("\x20\0\5\x06\0\0\0\0"), ERR_OK, false}, /* a certificate, but no TLS */
        {STR("\x20\0\5\xff\0\0\0\1"), ERR_OK, true},
        {STR("\3\0\4wxyz\x20\0\x0f\1\0\0\0\0\x21\0\7TLSv1.3\4\0\0"), ERR_OK, true},
        {STR("\x20\0\5\1\0\0\0\0\x20\0\5\0\0\0\0\0"), ERR_OK, false},
        {STR("\x20\0\5\1\0\0\0\0\4\0"), ERR_SYNTAX, false},
        {STR("\x30\0\x0d\x20\0\5\1\0\0\0\0abcde"), ERR_OK, false}, /* inside of another one */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char in[100] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0?\xac\x13\0\1\xac\x13\0\3\xa6\x52\0\x50";
        struct proxyline p;
        size_t used, n = 28 + rows[i].tlvs.n;
        in[15] = (char)(n - 16);
        memcpy(in + 28, rows[i].tlvs.p, rows[i].tlvs.n);
        in[n] = '\x20'; /* what follows is the client's */
        assert_int_equal(proxyline_read((struct str){in, n - 1}, &used, &p), ERR_AGAIN);
        assert_int_equal(proxyline_read((struct str){in, n + 1}, &used, &p), rows[i].want);
        if (rows[i].want == ERR_OK)
            assert_true(used == n && p.given && p.tls == rows[i].tls);
        in[12] = '\x20'; /* LOCAL: whatever stands there is passed over */
        assert_int_equal(proxyline_read((struct str){in, n}, &used, &p), ERR_OK);
        assert_true(used == n && !p.given && !p.tls);
    }
}

static void test_refusal_leaves_nothing(void **state)
{
    struct proxyline p = {.port = 7};
    size_t used = 7;
    (void)state;
    assert_int_equal(proxyline_read(STR(""), &used, &p), ERR_AGAIN);
    assert_int_equal(proxyline_read(STR("PROXY TCP4 1.1.1.1 1.1.1.1 1 x\r\n"), &used, &p),
                     ERR_SYNTAX);
    assert_true(used == 7 && p.port == 7 && !p.given);
}

/* RFC 7239, 4 and 6.3; a port for the proxy in front. */
static void test_forwarded_examples(void **state)
{
    static const struct {
        const char *line, *ip; /* NULL: unknown */
    } rows[] = {
        {"for=\"_gazonk\"", NULL},
        {"For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"},
        {"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
        {"for=192.0.2.43, for=198.51.100.17", "198.51.100.17"},
        {"for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown", NULL},
        {"for=_hidden, for=_SEVKISEK", NULL},
        {"for=\"192.0.2.43:47011\"", "192.0.2.43"},
        {"for=192.0.2.43, for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"},
        {"by=203.0.113.43", NULL},
    };
    struct addrlist trusted;
    struct ip peer, got;
    (void)state;
    addrlist_init(&trusted);
    assert_int_equal(addrlist_parse(&trusted, STR("127.0.0.0/8"), NULL), ERR_OK);
    assert_int_equal(ip_parse(STR("127.0.0.1"), &peer), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct forwarded f;
        forwarded_init(&f, &trusted, &peer);
        forwarded_add(&f, str_of(rows[i].line));
        bool known = forwarded_client(&f, &got);
        assert_int_equal(known, rows[i].ip != NULL);
        if (known)
            assert_ip(&got, rows[i].ip);
    }
    addrlist_free(&trusted);
}

static void test_params(void **state)
{
    static const struct {
        struct str in;
        const char *want; /* name=value| for each; NULL: refused */
    } rows[] = {
        {STR(""), ""},
        {STR(" \t"), ""},
        {STR(";;; ;"), ""},
        {STR("; a=b"), "a=b|"},
        {STR(";a=b ;\tC=\"d e\";; f*=UTF-8''%20 "), "a=b|C=d e|f*=UTF-8''%20|"},
        {STR(";a=\"\""), "a=|"},
        {STR(";a=\"x\\\"y\\\\z\\q;,\""), "a=x\"y\\zq;,|"},
        {STR(";a=\"\xc3\xa9\t\""), "a=\xc3\xa9\t|"},
        {STR(";b=----=_Part_1/(2)'?:"), "b=----=_Part_1/(2)'?:|"},
        {STR("a=b"), NULL},
        {STR("; a"), NULL},
        {STR("; =b"), NULL},
        {STR("; a="), NULL},
        {STR("; a =b"), NULL},
        {STR("; a= b"), NULL},
        {STR("; a=b c"), NULL},
        {STR("; a=b\"c\""), NULL},
        {STR("; a=\"b\"c"), NULL},
        {STR("; a=\"b"), NULL},
        {STR("; a=\"b\\"), NULL},
        {STR("; a=\"b\\\""), NULL},
        {STR("; a=\"b\n\""), NULL},
        {STR("; a=\"b\\\n\""), NULL},
        {STR("; a=\"b\0\""), NULL},
        {STR("; a=\"b\x7f\""), NULL},
        {STR("; a=\xc3\xa9"), NULL},
        {STR("; \xc3\xa9=a"), NULL},
        {STR("; a=b\0"), NULL},
        {STR("; a\0=b"), NULL},
        {STR("; a=b\r\n"), NULL},
        {STR("; a=b, c=d"), NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str rest = rows[i].in;
        struct fieldparam p;
        struct buf got;
        enum err e;
        buf_init(&got, 1000);
        while ((e = fieldparam_next(&rest, &p)) == ERR_OK) {
            buf_str(&got, p.name);
            buf_char(&got, '=');
            fieldparam_value(&p, &got);
            buf_char(&got, '|');
        }
        assert_int_equal(e, rows[i].want != NULL ? ERR_EOF : ERR_SYNTAX);
        if (e == ERR_EOF)
            assert_true(str_eq(buf_slice(&got), str_of(rows[i].want)));
        buf_free(&got);
    }
}

/* RFC 9110, 5.6.2. */
static void test_tokens(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char z = (char)c;
        bool want =
            c > 0x20 && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL; /* the delimiters */
        assert_int_equal(fieldparam_is_token((struct str){&z, 1}), want);
    }
    assert_false(fieldparam_is_token(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_additions),
        cmocka_unit_test(test_refusal_leaves_nothing),
        cmocka_unit_test(test_forwarded_examples),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
