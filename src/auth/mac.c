// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/mac.h"

#include <md5.h>
#include <sha2.h>

#define BLOCK 64

static void sha_add(SHA2_CTX *c, struct str s)
{
    if (s.n != 0)
        SHA256Update(c, (const uint8_t *)s.p, s.n);
}

void mac_sha256(struct str data, uint8_t out[MAC_LEN])
{
    SHA2_CTX c;
    SHA256Init(&c);
    sha_add(&c, data);
    SHA256Final(out, &c);
    explicit_bzero(&c, sizeof c);
}

static void hmac_begin(SHA2_CTX *c, struct str key, uint8_t pad[BLOCK])
{
    uint8_t k[BLOCK] = {0};
    if (key.n > BLOCK)
        mac_sha256(key, k);
    else if (key.n != 0)
        memcpy(k, key.p, key.n);
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] = k[i] ^ 0x36;
    SHA256Init(c);
    SHA256Update(c, pad, BLOCK);
    explicit_bzero(k, sizeof k);
}

static void hmac_end(SHA2_CTX *c, uint8_t pad[BLOCK], uint8_t out[MAC_LEN])
{
    uint8_t inner[MAC_LEN];
    SHA256Final(inner, c);
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    SHA256Init(c);
    SHA256Update(c, pad, BLOCK);
    SHA256Update(c, inner, sizeof inner);
    SHA256Final(out, c);
    explicit_bzero(inner, sizeof inner);
    explicit_bzero(pad, BLOCK);
    explicit_bzero(c, sizeof *c);
}

void mac_hmac(struct str key, struct str data, uint8_t out[MAC_LEN])
{
    SHA2_CTX c;
    uint8_t pad[BLOCK];
    hmac_begin(&c, key, pad);
    sha_add(&c, data);
    hmac_end(&c, pad, out);
}

void mac_hmac_list(struct str key, const struct str *part, size_t n, uint8_t out[MAC_LEN])
{
    SHA2_CTX c;
    uint8_t pad[BLOCK];
    hmac_begin(&c, key, pad);
    for (size_t i = 0; i < n; i++) {
        uint64_t len = part[i].n;
        if (i + 1 < n)
            sha_add(&c, mac_str(&len, sizeof len));
        sha_add(&c, part[i]);
    }
    hmac_end(&c, pad, out);
}

/* --- PBKDF2: the states after the two pads are made once, each round starts from copies of them */

static void pbkdf2_round(const SHA2_CTX pad[2], SHA2_CTX work[2], uint8_t u[MAC_LEN])
{
    work[0] = pad[0];
    work[1] = pad[1];
    SHA256Update(&work[0], u, MAC_LEN);
    SHA256Final(u, &work[0]);
    SHA256Update(&work[1], u, MAC_LEN);
    SHA256Final(u, &work[1]);
}

void mac_pbkdf2(struct str password, struct str salt, uint32_t iterations, uint8_t out[MAC_LEN])
{
    SHA2_CTX pad[2], work[2];
    uint8_t block[BLOCK], u[MAC_LEN];
    hmac_begin(&pad[0], password, block);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256Init(&pad[1]);
    SHA256Update(&pad[1], block, BLOCK);
    work[0] = pad[0];
    work[1] = pad[1];
    sha_add(&work[0], salt);
    sha_add(&work[0], STR("\0\0\0\1"));
    SHA256Final(u, &work[0]);
    SHA256Update(&work[1], u, MAC_LEN);
    SHA256Final(u, &work[1]);
    memcpy(out, u, MAC_LEN);
    for (uint32_t i = 1; i < iterations; i++) {
        pbkdf2_round(pad, work, u);
        for (size_t k = 0; k < MAC_LEN; k++)
            out[k] ^= u[k];
    }
    explicit_bzero(pad, sizeof pad);
    explicit_bzero(work, sizeof work);
    explicit_bzero(block, sizeof block);
    explicit_bzero(u, sizeof u);
}

/* --- HMAC-MD5 in two halves */

static void put_state(const MD5_CTX *c, uint8_t to[16])
{
    for (size_t i = 0; i < 16; i++)
        to[i] = (uint8_t)(c->state[i / 4] >> (i % 4 * 8));
}

static void get_state(MD5_CTX *c, const uint8_t from[16])
{
    MD5Init(c);
    for (size_t i = 0; i < 4; i++)
        c->state[i] = (uint32_t)from[i * 4] | (uint32_t)from[i * 4 + 1] << 8 |
                      (uint32_t)from[i * 4 + 2] << 16 | (uint32_t)from[i * 4 + 3] << 24;
    c->count = BLOCK * 8; /* libmd counts bits */
}

static void pad_state(const uint8_t k[BLOCK], uint8_t with, uint8_t to[16])
{
    MD5_CTX c;
    uint8_t pad[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] = k[i] ^ with;
    MD5Init(&c);
    MD5Update(&c, pad, BLOCK);
    put_state(&c, to);
    explicit_bzero(pad, sizeof pad);
    explicit_bzero(&c, sizeof c);
}

void mac_cram_key(struct str password, uint8_t key[MAC_CRAM_KEY])
{
    uint8_t k[BLOCK] = {0};
    if (password.n > BLOCK) {
        MD5_CTX c;
        MD5Init(&c);
        MD5Update(&c, (const uint8_t *)password.p, password.n);
        MD5Final(k, &c);
        explicit_bzero(&c, sizeof c);
    } else if (password.n != 0) {
        memcpy(k, password.p, password.n);
    }
    pad_state(k, 0x36, key);
    pad_state(k, 0x5c, key + 16);
    explicit_bzero(k, sizeof k);
}

void mac_cram(const uint8_t key[MAC_CRAM_KEY], struct str challenge, uint8_t out[MAC_CRAM_LEN])
{
    MD5_CTX c;
    uint8_t inner[16];
    get_state(&c, key);
    if (challenge.n != 0)
        MD5Update(&c, (const uint8_t *)challenge.p, challenge.n);
    MD5Final(inner, &c);
    get_state(&c, key + 16);
    MD5Update(&c, inner, sizeof inner);
    MD5Final(out, &c);
    explicit_bzero(&c, sizeof c);
    explicit_bzero(inner, sizeof inner);
}
