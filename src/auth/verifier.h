// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * verifier: what is kept of a password, and how it is made and checked.
 *
 * - a crypt(5) hash: yescrypt with Debian's default cost for new ones; any form that libxcrypt
 * reads is checked;
 * - SCRAM-SHA-256 keys (RFC 5802, 7677), iterations >= 10,000;
 * - only where `[login] cram = yes`: the HMAC-MD5 states of CRAM-MD5 (RFC 2195), which are worth
 * the password to whoever can read them.
 *
 * verifier_make() and verifier_check() take milliseconds: they run in hashers. Everything else is
 * quick.
 *
 * Prepared form: for hash and SCRAM a password goes through SASLprep (RFC 4013, by libgsasl), so
 * that composed and decomposed letters are one password; where SASLprep refuses it, its bytes are
 * taken as they are. CRAM-MD5 takes the raw bytes, as its clients do. libxcrypt takes 511 bytes: of
 * a longer prepared form the SHA-256 in hex is hashed.
 *
 * Text form, stored and sent (printable ASCII, one line, fields separated by one blank, in this
 * order): HASH [SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY] [CRAM-MD5$64HEX] base64 with
 * padding HASH is `*` for an account without password.
 */
#include "auth/mac.h"
#include "base/buf.h"

#define VERIFIER_PASSWORD_MAX 1024 /* bytes */
#define VERIFIER_HASH_MAX     255
#define VERIFIER_SALT_MAX     64
#define VERIFIER_SALT_NEW     16
#define VERIFIER_ITER_MIN     10000
#define VERIFIER_ITER_MAX     1000000
#define VERIFIER_TEXT_MAX     700

struct scram_keys {
    uint32_t iterations;
    uint32_t salt_n;
    uint8_t salt[VERIFIER_SALT_MAX];
    uint8_t stored[MAC_LEN];
    uint8_t server[MAC_LEN];
};

struct verifiers {
    char hash[VERIFIER_HASH_MAX + 1]; /* crypt(5); "*": no password is right */
    bool has_scram, has_cram;
    struct scram_keys scram;
    uint8_t cram[MAC_CRAM_KEY];
};

struct verifier_options {
    uint32_t cost;       /* of yescrypt, 1-11; 0: libxcrypt's default */
    uint32_t iterations; /* of SCRAM */
    uint32_t min_length; /* of a new password, in characters; at least 1 */
    bool cram;           /* keep CRAM-MD5 states */
};

#define VERIFIER_DEFAULTS                                                          \
    {                                                                              \
        .cost = 0, .iterations = VERIFIER_ITER_MIN, .min_length = 6, .cram = false \
    }

/*
 * May this become a password? 1-1024 bytes of UTF-8 without zero byte, min_length characters or
 * more. ERR_PASSWORD_POLICY.
 */
enum err verifier_policy(struct str password, const struct verifier_options *opt) CHECKED;
/* Slow (hasher). ERR_PASSWORD_POLICY, ERR_INTERNAL (libxcrypt refused), ERR_NOMEM. */
enum err verifier_make(struct str password, const struct verifier_options *opt,
                       struct verifiers *out) CHECKED;
/*
 * Slow (hasher). Constant-time comparison; not right: also an empty or over-long password, and an unusable hash. ERR_NOMEM,
 * ERR_INTERNAL: it could not be found out, which is nobody's failed login. Where libxcrypt does not say whether a hash of the
 * yescrypt family is damaged or its memory could not be had, what has the family's form is taken for whole: ERR_NOMEM.
 */
enum err verifier_check(struct str hash, struct str password, bool *right) CHECKED;
/* The SCRAM keys alone, with this salt. Slow. A part of verifier_make(), open for tests with given salts. */
enum err verifier_scram(struct str password, struct str salt, uint32_t iterations,
                        struct scram_keys *out) CHECKED;
/* No password is right. */
void verifier_none(struct verifiers *out);
/* The options now ask for other forms than these: make them anew when the password is next seen. */
bool verifier_stale(const struct verifiers *v, const struct verifier_options *opt);

void verifier_put(struct buf *b, const struct verifiers *v);
/* Strict: anything but the text form is ERR_SYNTAX. ERR_NOMEM: it is not known what it is. */
enum err verifier_get(struct str text, struct verifiers *out) CHECKED;

void verifier_wipe(struct verifiers *v);

/*
 * Jobs: bodies of the packets HASH and HASHED (id 0 check, 1 make), made with the ipc_put_* calls.
 *   HASH check    hash, password                      HASHED check  right u32
 *   HASH make     cost, iterations, min, cram, password   HASHED make   text form (empty unless
 * ERR_OK)
 */
enum verifier_job { VERIFIER_CHECK = 0, VERIFIER_MAKE = 1 };

void verifier_job_check(struct buf *b, struct str hash, struct str password);
void verifier_job_make(struct buf *b, const struct verifier_options *opt, struct str password);
/*
 * The whole work of a hasher: reads the body of a HASH item, does it, appends the body of the
 * HASHED item. The result is that item's id. The caller wipes the packet it came in.
 */
enum err verifier_job_run(uint32_t job, struct str body, struct buf *answer) CHECKED;
/* auth reads the answers. ERR_PACKET. */
enum err verifier_job_checked(struct str body, bool *right) CHECKED;
enum err verifier_job_made(struct str body, struct verifiers *out) CHECKED;
