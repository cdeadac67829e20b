// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * nonce: the text for a one-step CRAM-MD5 login (protocol 1, 2.2, 3.4).
 *
 *   nonce = time, hex seconds "-" 16 hex digits random "-" 32 hex digits MAC [A-Za-z0-9.-] only
 *
 * Needs no state of the connection: the MAC (under a key that this auth made) covers time, random
 * part and whether the link had TLS, so a nonce from before starttls is worthless after it
 * (protocol 1, 2.3). Good for 5 minutes, once in the whole server: auth remembers the used ones.
 * That memory is bounded; when it is full of nonces that could still be replayed, further ones are
 * refused, never forgotten (only a real login attempt fills it).
 */
#include "auth/mac.h"

#define NONCE_LIFE_S 300
#define NONCE_MAX    64    /* with the zero byte */
#define NONCE_USED   32768 /* default: uses remembered per 5 minutes */

struct nonce_slot {
    uint64_t random; /* 0: free */
    uint64_t by;
};

struct nonces {
    struct nonce_slot *used[2]; /* this period's and the last one's */
    uint32_t count[2];
    uint32_t size;  /* slots of each, power of two; 3/4 of it are filled at most */
    int64_t period; /* now / life of used[0] */
    uint8_t key[MAC_LEN];
};

/* uses: most that are remembered per period, 1 at least. */
enum err nonces_init(struct nonces *n, uint32_t uses) CHECKED;
void nonces_free(struct nonces *n);
/* now: clock_mono(), here and below. Returns the length; zero-terminated. */
size_t nonce_make(const struct nonces *n, bool tls, int64_t now, char to[NONCE_MAX]);
/*
 * Uses it up. by: a number of the attempt: a login whose keeper dies is put to auth once more (design 2.3), and is the same
 * attempt then; 0 is like no other. ERR_AUTH_FAILED: not ours, expired, other link kind, used by another attempt, or the memory is full.
 */
enum err nonce_use(struct nonces *n, struct str text, bool tls, uint64_t by, int64_t now) CHECKED;
