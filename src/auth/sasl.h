// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * sasl: one login, from its first message to its verdict (protocol 1, 3.1-3.6, 3.9). Pure logic: no
 * sockets, no clock, no process; the auth process carries messages to it and does what it answers.
 *
 * sasl_start(), sasl_step() and sasl_checked() say what is to be done next:
 *
 * SASL_CHALLENGE: send s->challenge; the client's answer goes into sasl_step().
 *
 * SASL_CHECK: a hasher shall check s->password against s->hash; its answer goes into sasl_checked().
 *
 * SASL_SESSION: the keeper of bank s->session_bank shall say whether s->session is a living session of s->account.id
 * that may be used from this address; its answer goes into sasl_checked().
 *
 * SASL_DONE: s->err is the verdict. ERR_OK: s->account is who it is.
 *
 * After SASL_DONE, or to give up (client gone, hashers full, too late): sasl_end().
 *
 * Failures are counted here (faillog), blocked names refused, right passwords remembered (pwcache):
 * the caller has only to delay the answer by s->delay and to block the address until s->block_until
 * if that is not 0.
 *
 * Same work, same answer for a wrong name and a wrong password: an unknown name gets a made-up
 * SCRAM salt that never changes, a dummy hash of the same cost, dummy CRAM states, and is counted.
 * What the name is worth is looked at once more at the verdict: guesses that were under way when
 * their account got blocked are answered 517, right or wrong.
 */
#include "auth/attempts.h"
#include "auth/directory.h"
#include "auth/faillog.h"
#include "auth/nonce.h"
#include "auth/pwcache.h"
#include "base/buf.h"
#include "codec/addrlist.h"
#include "codec/urlid.h"

#define SASL_DATA_MAX \
    4096 /* bytes of one base64 text from the client: n may, n + 1 is ERR_ATTR_VALUE */
#define SASL_CHALLENGE_MAX 2048

enum sasl_clear_login { SASL_CLEAR_YES, SASL_CLEAR_LOOPBACK, SASL_CLEAR_NO };

/* What all logins share; the auth process owns it. */
struct sasl_env {
    /* Account or alias by canonical name: ERR_OK, ERR_NOT_FOUND, ERR_DB. directory_find() behind a
     * small wrapper. */
    enum err (*find)(void *ctx, struct str name, struct account *out);
    void *ctx;
    struct pwcache *cache;
    struct nonces *nonces;
    struct faillog *fails;
    struct verifier_options verifier; /* .cram: are CRAM-MD5 and nonces taken at all */
    int64_t exchange_time;            /* ns; a whole exchange (protocol 1, 3.2) */
    char host[NAME_DOMAIN_MAX + 1];   /* in CRAM-MD5 challenges */
    uint8_t salt_key[MAC_LEN];        /* set by sasl_env_init() */
    char dummy_hash[VERIFIER_HASH_MAX + 1];
    struct verifiers dummy; /* SCRAM and CRAM keys that no password fits */
};

/*
 * Once at start, after the pointers, verifier options and host are set: makes the dummies. secret:
 * 32 bytes that survive restarts (directory_secret()). dummy_hash must be a hash of the same cost
 * as the accounts': made by a slow verifier_make() of something random; take it from a hasher, or
 * do it once before serving. ERR_SYNTAX: no such hash.
 */
enum err sasl_env_init(struct sasl_env *env, const uint8_t secret[32],
                       struct str dummy_hash) CHECKED;

/* The attributes of <login>; .p == NULL: absent. Points into the packet; only sasl_start() looks at
 * it. */
struct sasl_login {
    struct str method, auth_data, password, user_name, nonce, session_id;
    struct str target_domain; /* canonical */
    struct ip address;
    bool tls;
    bool can_update;                   /* canUpdatePwd */
    bool exempt;                       /* the address is in client_addresses: not counted */
    enum sasl_clear_login clear_login; /* of the target domain */
    uint32_t failures;                 /* on this connection so far */
    uint64_t attempt; /* a number that no other attempt has, the same when it is put again; or 0 */
};

enum sasl_next { SASL_CHALLENGE, SASL_CHECK, SASL_SESSION, SASL_DONE };

enum sasl_mech_id {
    SASL_MECH_NONE = 0,
#define MECH(id, name, flags, start, step) SASL_MECH_##id,
#include "auth/sasl_mechs.tbl"
#undef MECH
    SASL_MECH_COUNT
};

struct scram_server;

struct sasl {
    /* results */
    enum err err;
    enum reason reason;          /* with the verdict: why, for admins alone */
    struct buf challenge;        /* base64, may be empty */
    struct buf password;         /* secret */
    struct str hash;             /* into account or env */
    char session[URLID_LEN + 1]; /* secret; after ERR_OK it stays, for killOld */
    uint32_t session_bank;
    struct account account; /* id 0: unknown name; then .name alone is set */
    bool must_change;       /* ERR_OK, and <session changePassword="1"> */
    bool rehash;   /* ERR_OK, and s->password should be made into new verifiers (verifier_stale) */
    int64_t delay; /* ns to wait before an error is answered */
    int64_t block_until; /* clock_mono(), or 0: the address goes to the gate */
    /* the exchange */
    enum sasl_mech_id mech;
    enum sasl_next next;
    uint32_t step;
    bool tls, can_update, exempt, named;
    bool identified;   /* the client has said who it wants to be */
    bool typed_domain; /* ... and in which domain: that was no password */
    uint32_t failures;
    int64_t started;
    struct ip address;
    char target[NAME_DOMAIN_MAX + 1];
    struct buf said; /* CRAM: the challenge in clear; LOGIN: the name */
    struct scram_server *scram;
};

/* now: clock_mono(). *s may be uninitialised. */
enum sasl_next sasl_start(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                          int64_t now) CHECKED;
/* `value` of <auth>, still base64; "*" cancels (ERR_AUTH_CANCELLED). Only after SASL_CHALLENGE. */
enum sasl_next sasl_step(struct sasl *s, struct sasl_env *env, struct str value,
                         int64_t now) CHECKED;
/* Only after SASL_CHECK and SASL_SESSION. */
enum sasl_next sasl_checked(struct sasl *s, struct sasl_env *env, bool right, int64_t now) CHECKED;
/* Wipes and frees; any number of times. */
void sasl_end(struct sasl *s);

/* "PLAIN", or in brackets what is no method of the protocol. "?" for none. */
const char *sasl_mech_name(enum sasl_mech_id id);

/* Is a clear-text password acceptable on this link? */
bool sasl_clear_ok(enum sasl_clear_login rule, bool tls, const struct ip *address);
/*
 * The methods for <features>, best first, separated by blanks. clear_ok: those that send the password as it is too;
 * cram: CRAM-MD5 too (some account of the domain can use it).
 */
void sasl_methods(bool clear_ok, bool cram, struct buf *out);
/* The password was sent as it is. */
bool sasl_was_clear(const struct sasl *s);
