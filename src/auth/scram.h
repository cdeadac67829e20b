// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * scram: the server side of SCRAM-SHA-256 (RFC 5802, 7677), from stored keys alone. No channel
 * binding (-PLUS is not offered, so the gs2 flags "n" and "y" are fine and "p" is not). Pure: texts
 * in, texts out.
 *
 * Ours and not libgsasl's: the library's server makes its own nonce (the RFC's vectors cannot be
 * replayed against it), leaves key material in freed memory, and costs a dozen allocations a login.
 * libgsasl's client is the tests' oracle.
 */
#include "auth/verifier.h"
#include "base/buf.h"

#define SCRAM_MESSAGE_MAX 2048 /* decoded bytes of one client message */
#define SCRAM_NONCE_MAX   256  /* of the client's nonce */
#define SCRAM_NONCE_NEW   24   /* characters of scram_random() */
#define SCRAM_NONCE_ADD   64   /* most characters that the server's part may have */

struct scram_server {
    struct scram_keys keys;
    struct buf auth; /* client-first-bare "," server-first: the beginning of AuthMessage */
    char gs2[SCRAM_MESSAGE_MAX + 1]; /* gs2 header */
    uint32_t gs2_n;
    char nonce[SCRAM_NONCE_MAX + SCRAM_NONCE_ADD];
    uint32_t nonce_n;
    uint8_t verdict[MAC_LEN]; /* server signature */
};

void scram_init(struct scram_server *s);
void scram_free(struct scram_server *s); /* wipes */

/*
 * Reads client-first-message. user and authzid (empty: none) are appended decoded (=2C, =3D).
 * ERR_SYNTAX for anything that RFC 5802 section 7 does not allow, ERR_TOO_LONG.
 */
enum err scram_first(struct scram_server *s, struct str msg, struct buf *user,
                     struct buf *authzid) CHECKED;
/* server-first-message with these keys; random: the server's part of the nonce, printable, no comma. */
enum err scram_challenge(struct scram_server *s, const struct scram_keys *keys, struct str random,
                         struct buf *out) CHECKED;
/*
 * Reads client-final-message. ERR_OK: the client knows the password, server-final-message is
 * appended; ERR_AUTH_FAILED: the proof is wrong; ERR_SYNTAX.
 */
enum err scram_final(struct scram_server *s, struct str msg, struct buf *out) CHECKED;
/* 24 random characters [A-Za-z0-9+/]. */
void scram_random(char to[SCRAM_NONCE_NEW + 1]);
