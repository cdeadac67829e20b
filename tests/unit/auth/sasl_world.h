// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * sasl_world: three accounts and everything that a login needs, without database and hashers; for the tests of sasl.h.
 */
#include "auth/sasl.h"

#define S      INT64_C(1000000000)
#define RIGHT  "correct-horse"
#define FAIL_N 10

/* Three accounts in a row: dora, otto (no keys: a hash of another system), and one whose flags a test sets. */
struct world {
    struct sasl_env env;
    struct pwcache cache;
    struct nonces nonces;
    struct faillog fails;
    void *mem;
    struct account account[3];
    uint32_t finds;
    bool broken;
};

extern struct world *w;

/* cmocka's set-up and tear-down of each test. */
int world_setup(void **state);
int world_teardown(void **state);

/* A login over TLS from 192.0.2.7, nothing filled in yet. */
struct sasl_login base(void);
/* Lives until four calls later. */
struct str b64(struct str clear);
/* The challenge, decoded; lives until the next call. */
struct str said(const struct sasl *s);
/* What auth and a hasher do together. */
enum err settle(struct sasl *s, enum sasl_next next, int64_t now);
/* A whole login in clear text. */
enum err clear_login(const char *name, const char *password, int64_t now);
/* A whole login with libgsasl's client; salt, if not NULL and empty, gets the end of the server's first message. */
enum err scram(const char *user, const char *authzid, const char *password, struct buf *salt);
