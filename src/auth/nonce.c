// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/nonce.h"

#include <stdio.h>
#include <stdlib.h>

#define NS        INT64_C(1000000000)
#define RANDOM_N  16 /* hex digits */
#define MAC_N     32
#define MAC_BYTES (MAC_N / 2)

static const char hex_digits[] = "0123456789abcdef";

enum err nonces_init(struct nonces *n, uint32_t uses)
{
    *n = (struct nonces){.size = 4};
    while (n->size / 4 * 3 < uses && n->size < 1U << 24)
        n->size *= 2;
    for (int i = 0; i < 2; i++) {
        n->used[i] = calloc(n->size, sizeof *n->used[i]);
        if (n->used[i] == NULL) {
            nonces_free(n);
            return ERR_NOMEM;
        }
    }
    arc4random_buf(n->key, sizeof n->key);
    return ERR_OK;
}

void nonces_free(struct nonces *n)
{
    free(n->used[0]);
    free(n->used[1]);
    explicit_bzero(n, sizeof *n);
}

/* Appends "-MAC" to the first `len` characters of `to`. */
static size_t sign(const struct nonces *n, char *to, size_t len, bool tls)
{
    uint8_t mac[MAC_LEN];
    struct str part[] = {tls ? STR("tls") : STR("clear"), {to, len}};
    mac_hmac_list(mac_str(n->key, sizeof n->key), part, ARRAY_LEN(part), mac);
    to[len++] = '-';
    for (size_t i = 0; i < MAC_BYTES; i++) {
        to[len++] = hex_digits[mac[i] >> 4];
        to[len++] = hex_digits[mac[i] & 15];
    }
    to[len] = '\0';
    return len;
}

static size_t write_nonce(const struct nonces *n, int64_t seconds, uint64_t random, bool tls,
                          char to[NONCE_MAX])
{
    int len = snprintf(to, NONCE_MAX, "%llx-%016llx", (unsigned long long)seconds,
                       (unsigned long long)random);
    BUG_IF(len < 0 || len + 1 + MAC_N >= NONCE_MAX);
    return sign(n, to, (size_t)len, tls);
}

size_t nonce_make(const struct nonces *n, bool tls, int64_t now, char to[NONCE_MAX])
{
    uint64_t random = 0;
    while (random == 0) /* 0 marks a free place among the used ones */
        arc4random_buf(&random, sizeof random);
    int64_t seconds = now / NS;
    return write_nonce(n, seconds > 0 ? seconds & 0xffffffffff : 0, random, tls, to);
}

static enum err hex_number(struct str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 16)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] != '\0' ? strchr(hex_digits, s.p[i]) : NULL;
        if (at == NULL)
            return ERR_SYNTAX;
        v = v << 4 | (uint64_t)(at - hex_digits);
    }
    *out = v;
    return ERR_OK;
}

/* The two numbers, when the text is exactly what we would have written. */
static bool is_ours(const struct nonces *n, struct str text, bool tls, int64_t *seconds,
                    uint64_t *random)
{
    char again[NONCE_MAX];
    uint64_t s, r;
    size_t dash = str_find(text, '-');
    if (text.n >= NONCE_MAX || text.n != dash + 1 + RANDOM_N + 1 + MAC_N || dash > 10)
        return false;
    if (hex_number(str_sub(text, 0, dash), &s) != ERR_OK ||
        hex_number(str_sub(text, dash + 1, RANDOM_N), &r) != ERR_OK)
        return false;
    struct str ours = {again, write_nonce(n, (int64_t)s, r, tls, again)};
    *seconds = (int64_t)s;
    *random = r;
    return str_eq_secret(ours, text);
}

/* The random parts are evenly spread by themselves, and nobody can choose one: the MAC covers it. */
static uint32_t slot_of(const struct nonces *n, int which, uint64_t random)
{
    uint32_t at = (uint32_t)random & (n->size - 1);
    while (n->used[which][at].random != 0 && n->used[which][at].random != random)
        at = (at + 1) & (n->size - 1);
    return at;
}

/* Every life a new table; a nonce that is good now was used in this period or the last one. */
static void turn(struct nonces *n, int64_t now)
{
    int64_t period = now / (NONCE_LIFE_S * NS);
    if (period <= n->period) /* never back: what was used stays used */
        return;
    struct nonce_slot *old = n->used[1];
    if (period == n->period + 1) {
        n->used[1] = n->used[0];
        n->count[1] = n->count[0];
        n->used[0] = old;
    } else {
        memset(n->used[1], 0, n->size * sizeof *old);
        n->count[1] = 0;
    }
    memset(n->used[0], 0, n->size * sizeof *old);
    n->count[0] = 0;
    n->period = period;
}

enum err nonce_use(struct nonces *n, struct str text, bool tls, uint64_t by, int64_t now)
{
    int64_t made;
    uint64_t random;
    if (!is_ours(n, text, tls, &made, &random) || random == 0)
        return ERR_AUTH_FAILED;
    int64_t age = now / NS - made;
    if (age < 0 || age >= NONCE_LIFE_S)
        return ERR_AUTH_FAILED;
    turn(n, now);
    struct nonce_slot *slot = &n->used[0][slot_of(n, 0, random)];
    const struct nonce_slot *before = &n->used[1][slot_of(n, 1, random)];
    if (slot->random != 0 || before->random != 0) {
        const struct nonce_slot *was = slot->random != 0 ? slot : before;
        return by != 0 && was->by == by ? ERR_OK : ERR_AUTH_FAILED;
    }
    if (n->count[0] >= n->size / 4 * 3)
        return ERR_AUTH_FAILED;
    *slot = (struct nonce_slot){random, by};
    n->count[0]++;
    return ERR_OK;
}
