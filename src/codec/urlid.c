// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/urlid.h"

#include <stdlib.h>

#define DIGITS      6
#define BANK_AT     (DIGITS + 1)
#define RANDOM_AT   (BANK_AT + 2)
#define SESSION_MIN 100001
#define SESSION_MAX 999999

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
#define LETTERS 62

static int value_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 36;
    return -1;
}

/* Bytes from 248 up are thrown away, so that every letter is equally likely. */
static void random_letters(char *to, size_t n)
{
    uint8_t pool[32];
    size_t at = sizeof pool;
    while (n != 0) {
        if (at == sizeof pool) {
            arc4random_buf(pool, sizeof pool);
            at = 0;
        }
        uint8_t r = pool[at++];
        if (r < 256 / LETTERS * LETTERS) {
            *to++ = alphabet[r % LETTERS];
            n--;
        }
    }
    explicit_bzero(pool, sizeof pool);
}

void urlid_make(char to[URLID_LEN + 1], uint32_t session, uint32_t bank)
{
    BUG_IF(session < SESSION_MIN || session > SESSION_MAX || bank > URLID_BANK_MAX);
    for (size_t i = DIGITS; i-- > 0; session /= 10)
        to[i] = (char)('0' + session % 10);
    to[DIGITS] = '-';
    to[BANK_AT] = alphabet[bank / LETTERS];
    to[BANK_AT + 1] = alphabet[bank % LETTERS];
    random_letters(to + RANDOM_AT, URLID_LEN - RANDOM_AT);
    to[URLID_LEN] = '\0';
}

enum err urlid_parse(struct str text, uint32_t *session, uint32_t *bank)
{
    uint64_t number;
    if (text.n != URLID_LEN || text.p[DIGITS] != '-')
        return ERR_SYNTAX;
    if (str_u64(str_sub(text, 0, DIGITS), SESSION_MAX, &number) != ERR_OK || number < SESSION_MIN)
        return ERR_SYNTAX;
    for (size_t i = BANK_AT; i < URLID_LEN; i++) {
        if (value_of(text.p[i]) < 0)
            return ERR_SYNTAX;
    }
    if (session != NULL)
        *session = (uint32_t)number;
    if (bank != NULL)
        *bank = (uint32_t)(value_of(text.p[BANK_AT]) * LETTERS + value_of(text.p[BANK_AT + 1]));
    return ERR_OK;
}

bool urlid_eq(struct str a, struct str b)
{
    return a.n == URLID_LEN && str_eq_secret(a, b);
}
