// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mac: the keyed digests that auth needs: HMAC-SHA-256, SHA-256, and HMAC-MD5 from precomputed
 * states (RFC 2104, 2195). On libmd (comes with libbsd), since libgsasl gives no digests away and
 * OpenSSL stays behind net.
 */
#include "base/str.h"

#define MAC_LEN      32
#define MAC_CRAM_KEY 32 /* HMAC-MD5: inner and outer state, 16 bytes each, words little-endian */
#define MAC_CRAM_LEN 16

void mac_sha256(struct str data, uint8_t out[MAC_LEN]);
void mac_hmac(struct str key, struct str data, uint8_t out[MAC_LEN]);
/* HMAC over several pieces; every piece but the last goes in with its length, so that no two lists
 * collide. */
void mac_hmac_list(struct str key, const struct str *part, size_t n, uint8_t out[MAC_LEN]);

/* PBKDF2 with HMAC-SHA-256, one block (RFC 8018, 5.2; Hi() of RFC 5802). Slow: 10,000 iterations are milliseconds. */
void mac_pbkdf2(struct str password, struct str salt, uint32_t iterations, uint8_t out[MAC_LEN]);

/* The two MD5 states after the padded key: with them a digest can be checked without the password.
 */
void mac_cram_key(struct str password, uint8_t key[MAC_CRAM_KEY]);
void mac_cram(const uint8_t key[MAC_CRAM_KEY], struct str challenge, uint8_t out[MAC_CRAM_LEN]);

static inline struct str mac_str(const void *p, size_t n)
{
    return (struct str){p, n};
}
