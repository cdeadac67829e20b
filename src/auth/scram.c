// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/scram.h"

#include <stdlib.h>

#include "codec/b64.h"

void scram_init(struct scram_server *s)
{
    *s = (struct scram_server){0};
    /* one piece of memory from the start: growing would leave copies of it behind */
    buf_init(&s->auth, 3 * SCRAM_MESSAGE_MAX);
    (void)buf_room(&s->auth, 3 * SCRAM_MESSAGE_MAX);
}

void scram_free(struct scram_server *s)
{
    if (s->auth.p != NULL)
        explicit_bzero(s->auth.p, s->auth.cap);
    buf_free(&s->auth);
    explicit_bzero(s, sizeof *s);
}

void scram_random(char to[SCRAM_NONCE_NEW + 1])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t raw[SCRAM_NONCE_NEW];
    arc4random_buf(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++)
        to[i] = alphabet[raw[i] & 63];
    to[SCRAM_NONCE_NEW] = '\0';
}

/* saslname = 1*(value-safe-char / "=2C" / "=3D") */
static enum err get_saslname(struct str in, struct buf *out)
{
    if (in.n == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\0')
            return ERR_SYNTAX;
        if (in.p[i] != '=') {
            buf_char(out, in.p[i]);
            continue;
        }
        struct str code = str_sub(in, i, 3);
        if (str_eq(code, STR("=2C")))
            buf_char(out, ',');
        else if (str_eq(code, STR("=3D")))
            buf_char(out, '=');
        else
            return ERR_SYNTAX;
        i += 2;
    }
    return buf_err(out);
}

/* printable = %x21-2B / %x2D-7E */
static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == ',')
            return false;
    }
    return s.n != 0;
}

/* "x=value": cuts the value off the front of *rest. */
static enum err take(struct str *rest, char letter, struct str *value)
{
    struct str item;
    if (!str_split(rest, ',', &item) || item.n < 2 || item.p[0] != letter || item.p[1] != '=')
        return ERR_SYNTAX;
    *value = str_sub(item, 2, item.n);
    return ERR_OK;
}

/* What may follow: ["," extensions], attr-val of a letter each. "m" is mandatory to know, and we know none. */
static enum err check_extensions(struct str rest)
{
    struct str item;
    while (str_split(&rest, ',', &item)) {
        if (item.n < 3 || item.p[1] != '=' || item.p[0] == 'm' || str_find(item, '\0') != item.n)
            return ERR_SYNTAX;
        if (!((item.p[0] | 32) >= 'a' && (item.p[0] | 32) <= 'z'))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* gs2-header = ("n" / "y") "," [authzid] ","; cut off the front of *rest. */
static enum err get_gs2(struct scram_server *s, struct str *rest, struct buf *authzid)
{
    struct str whole = *rest, flag, who;
    if (!str_split(rest, ',', &flag) || !str_split(rest, ',', &who) || rest->p == NULL)
        return ERR_SYNTAX;
    if (!str_eq(flag, STR("n")) && !str_eq(flag, STR("y")))
        return ERR_SYNTAX;
    if (who.n != 0) {
        if (!str_starts(who, STR("a=")))
            return ERR_SYNTAX;
        enum err e = get_saslname(str_sub(who, 2, who.n), authzid);
        if (e != ERR_OK)
            return e;
    }
    s->gs2_n = (uint32_t)(flag.n + 1 + who.n + 1);
    memcpy(s->gs2, whole.p, s->gs2_n);
    return ERR_OK;
}

enum err scram_first(struct scram_server *s, struct str msg, struct buf *user, struct buf *authzid)
{
    struct str name, nonce;
    if (msg.n > SCRAM_MESSAGE_MAX)
        return ERR_TOO_LONG;
    enum err e = get_gs2(s, &msg, authzid);
    struct str bare = msg;
    if (e == ERR_OK)
        e = take(&msg, 'n', &name);
    if (e == ERR_OK)
        e = get_saslname(name, user);
    if (e == ERR_OK)
        e = take(&msg, 'r', &nonce);
    if (e == ERR_OK)
        e = check_extensions(msg);
    if (e != ERR_OK)
        return e;
    if (!is_printable(nonce))
        return ERR_SYNTAX;
    if (nonce.n > SCRAM_NONCE_MAX)
        return ERR_TOO_LONG;
    memcpy(s->nonce, nonce.p, nonce.n);
    s->nonce_n = (uint32_t)nonce.n;
    buf_str(&s->auth, bare);
    return buf_err(&s->auth);
}

enum err scram_challenge(struct scram_server *s, const struct scram_keys *keys, struct str random,
                         struct buf *out)
{
    BUG_IF(random.n == 0 || random.n > SCRAM_NONCE_ADD);
    s->keys = *keys;
    memcpy(s->nonce + s->nonce_n, random.p, random.n);
    s->nonce_n += (uint32_t)random.n;
    buf_char(&s->auth, ',');
    size_t from = s->auth.n;
    buf_lit(&s->auth, "r=");
    buf_add(&s->auth, s->nonce, s->nonce_n);
    buf_lit(&s->auth, ",s=");
    b64_encode(&s->auth, mac_str(keys->salt, keys->salt_n));
    buf_lit(&s->auth, ",i=");
    buf_u64(&s->auth, keys->iterations);
    if (buf_err(&s->auth) != ERR_OK)
        return ERR_NOMEM;
    buf_str(out, str_sub(buf_slice(&s->auth), from, s->auth.n));
    return buf_err(out);
}

/* c= must be the base64 of the gs2 header that was sent first. */
static bool is_same_gs2(const struct scram_server *s, struct str c)
{
    struct buf b;
    buf_init(&b, b64_size(s->gs2_n));
    b64_encode(&b, (struct str){s->gs2, s->gs2_n});
    bool same = buf_err(&b) == ERR_OK && str_eq(buf_slice(&b), c);
    buf_free(&b);
    return same;
}

/* Base64 of 32 bytes in its one strict spelling: b64_decode() takes more, so it is written once more. */
static enum err get_proof(struct str text, uint8_t proof[MAC_LEN])
{
    struct buf b;
    if (text.n != b64_size(MAC_LEN))
        return ERR_SYNTAX;
    buf_init(&b, 4 * MAC_LEN);
    (void)buf_room(&b, 4 * MAC_LEN);
    enum err e = b64_decode(&b, text);
    if (e == ERR_OK && b.n == MAC_LEN) {
        memcpy(proof, b.p, MAC_LEN);
        b64_encode(&b, mac_str(proof, MAC_LEN));
        if (!str_eq(str_sub(buf_slice(&b), MAC_LEN, b.n), text))
            e = ERR_SYNTAX;
    } else if (e == ERR_OK) {
        e = ERR_SYNTAX;
    }
    if (b.p != NULL)
        explicit_bzero(b.p, b.cap);
    buf_free(&b);
    return e;
}

/* RFC 5802, section 3: ClientKey = proof XOR HMAC(StoredKey, AuthMessage); H(ClientKey) must be StoredKey. */
static bool is_right(const struct scram_server *s, uint8_t proof[MAC_LEN])
{
    uint8_t key[MAC_LEN], stored[MAC_LEN];
    mac_hmac(mac_str(s->keys.stored, MAC_LEN), buf_slice(&s->auth), key);
    for (size_t i = 0; i < MAC_LEN; i++)
        key[i] ^= proof[i];
    mac_sha256(mac_str(key, MAC_LEN), stored);
    bool right = str_eq_secret(mac_str(stored, MAC_LEN), mac_str(s->keys.stored, MAC_LEN));
    explicit_bzero(key, sizeof key);
    explicit_bzero(stored, sizeof stored);
    return right;
}

/* Splits "….,p=proof" at its last comma. */
static enum err split_proof(struct str msg, struct str *before, uint8_t proof[MAC_LEN])
{
    size_t at = msg.n;
    while (at != 0 && msg.p[at - 1] != ',')
        at--;
    if (at < 2 || !str_starts(str_sub(msg, at, msg.n), STR("p=")))
        return ERR_SYNTAX;
    *before = str_sub(msg, 0, at - 1);
    return get_proof(str_sub(msg, at + 2, msg.n), proof);
}

enum err scram_final(struct scram_server *s, struct str msg, struct buf *out)
{
    struct str before, c, nonce;
    uint8_t proof[MAC_LEN];
    if (msg.n > SCRAM_MESSAGE_MAX)
        return ERR_TOO_LONG;
    enum err e = split_proof(msg, &before, proof);
    struct str rest = before;
    if (e == ERR_OK)
        e = take(&rest, 'c', &c);
    if (e == ERR_OK)
        e = take(&rest, 'r', &nonce);
    if (e == ERR_OK)
        e = check_extensions(rest);
    if (e != ERR_OK)
        return e;
    if (!is_same_gs2(s, c) || !str_eq(nonce, (struct str){s->nonce, s->nonce_n}))
        return ERR_SYNTAX;
    buf_char(&s->auth, ',');
    buf_str(&s->auth, before);
    if (buf_err(&s->auth) != ERR_OK)
        return ERR_NOMEM;
    bool right = is_right(s, proof);
    explicit_bzero(proof, sizeof proof);
    if (!right)
        return ERR_AUTH_FAILED;
    mac_hmac(mac_str(s->keys.server, MAC_LEN), buf_slice(&s->auth), s->verdict);
    buf_lit(out, "v=");
    b64_encode(out, mac_str(s->verdict, MAC_LEN));
    return buf_err(out);
}
