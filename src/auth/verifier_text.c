// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The text form of verifiers, and the packets between auth and hashers. */
#include <stdio.h>

#include "auth/verifier.h"
#include "codec/b64.h"
#include "codec/ipcmsg.h"

#define SCRAM_PREFIX "SCRAM-SHA-256$"
#define CRAM_PREFIX  "CRAM-MD5$"

static void put_hex(struct buf *b, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        buf_char(b, hex[p[i] >> 4]);
        buf_char(b, hex[p[i] & 15]);
    }
}

void verifier_put(struct buf *b, const struct verifiers *v)
{
    buf_str(b, str_of(v->hash));
    if (v->has_scram) {
        buf_lit(b, " " SCRAM_PREFIX);
        buf_u64(b, v->scram.iterations);
        buf_char(b, ':');
        b64_encode(b, mac_str(v->scram.salt, v->scram.salt_n));
        buf_char(b, '$');
        b64_encode(b, mac_str(v->scram.stored, MAC_LEN));
        buf_char(b, ':');
        b64_encode(b, mac_str(v->scram.server, MAC_LEN));
    }
    if (v->has_cram) {
        buf_lit(b, " " CRAM_PREFIX);
        put_hex(b, v->cram, sizeof v->cram);
    }
}

static enum err get_hash(struct str s, struct verifiers *out)
{
    if (s.n == 0 || s.n > VERIFIER_HASH_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
            return ERR_SYNTAX;
    }
    memcpy(out->hash, s.p, s.n);
    out->hash[s.n] = '\0';
    return ERR_OK;
}

/* Decodes into `to`; *n is its size, then the number of bytes. */
static enum err get_b64(struct str text, uint8_t *to, size_t *n)
{
    struct buf b;
    buf_init(&b, text.n + 3); /* b64_decode() asks for up to 3 bytes more than come out */
    if (buf_room(&b, text.n + 3) == NULL)
        return ERR_NOMEM;
    enum err e = b64_decode(&b, text);
    if (e == ERR_OK && b.n != 0 && b.n <= *n) {
        memcpy(to, b.p, b.n);
        *n = b.n;
    } else {
        e = ERR_SYNTAX;
    }
    if (b.p != NULL)
        explicit_bzero(b.p, b.cap);
    buf_free(&b);
    return e;
}

static enum err get_key(struct str text, uint8_t to[MAC_LEN])
{
    size_t n = MAC_LEN;
    enum err e = get_b64(text, to, &n);
    return e == ERR_OK && n != MAC_LEN ? ERR_SYNTAX : e;
}

static enum err get_scram(struct str s, struct scram_keys *out)
{
    struct str head, iterations, salt, stored;
    uint64_t v;
    size_t salt_n = VERIFIER_SALT_MAX;
    if (!str_split(&s, '$', &head) || !str_split(&s, ':', &stored))
        return ERR_SYNTAX;
    if (!str_split(&head, ':', &iterations) || !str_split(&head, ':', &salt))
        return ERR_SYNTAX;
    if (str_u64(iterations, VERIFIER_ITER_MAX, &v) != ERR_OK || v < VERIFIER_ITER_MIN)
        return ERR_SYNTAX;
    enum err e = get_b64(salt, out->salt, &salt_n);
    if (e == ERR_OK)
        e = get_key(stored, out->stored);
    if (e == ERR_OK)
        e = get_key(s, out->server);
    out->iterations = (uint32_t)v;
    out->salt_n = (uint32_t)salt_n;
    return e;
}

static enum err get_hex(struct str s, uint8_t *to, size_t n)
{
    if (s.n != n * 2)
        return ERR_SYNTAX;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0)
            return ERR_SYNTAX;
        to[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : to[i / 2] | v);
    }
    return ERR_OK;
}

static enum err get_fields(struct str rest, struct verifiers *out)
{
    struct str field;
    if (!str_split(&rest, ' ', &field) || get_hash(field, out) != ERR_OK)
        return ERR_SYNTAX;
    while (str_split(&rest, ' ', &field)) {
        enum err e = ERR_SYNTAX;
        if (str_starts(field, STR(SCRAM_PREFIX)) && !out->has_scram) {
            e = get_scram(str_sub(field, sizeof SCRAM_PREFIX - 1, field.n), &out->scram);
            out->has_scram = true;
        } else if (str_starts(field, STR(CRAM_PREFIX)) && !out->has_cram) {
            e = get_hex(str_sub(field, sizeof CRAM_PREFIX - 1, field.n), out->cram,
                        sizeof out->cram);
            out->has_cram = true;
        }
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* Base64 and numbers have many spellings; only the one that we write is taken, so it is written once more. */
enum err verifier_get(struct str text, struct verifiers *out)
{
    struct buf again;
    verifier_none(out);
    if (text.n > VERIFIER_TEXT_MAX)
        return ERR_SYNTAX;
    enum err e = get_fields(text, out);
    if (e == ERR_OK) {
        buf_init(&again, VERIFIER_TEXT_MAX);
        (void)buf_room(&again, VERIFIER_TEXT_MAX);
        verifier_put(&again, out);
        if (buf_err(&again) != ERR_OK)
            e = ERR_NOMEM;
        else if (!str_eq(buf_slice(&again), text))
            e = ERR_SYNTAX;
        if (again.p != NULL)
            explicit_bzero(again.p, again.cap);
        buf_free(&again);
    }
    if (e != ERR_OK)
        verifier_wipe(out);
    return e;
}

/* --- jobs */

void verifier_job_check(struct buf *b, struct str hash, struct str password)
{
    ipc_put_str(b, hash);
    ipc_put_str(b, password);
}

void verifier_job_make(struct buf *b, const struct verifier_options *opt, struct str password)
{
    ipc_put_u32(b, opt->cost);
    ipc_put_u32(b, opt->iterations);
    ipc_put_u32(b, opt->min_length);
    ipc_put_u32(b, opt->cram);
    ipc_put_str(b, password);
}

static enum err run_make(struct ipc_in *in, struct buf *answer)
{
    struct verifier_options opt;
    struct verifiers v;
    opt.cost = ipc_get_u32(in);
    opt.iterations = ipc_get_u32(in);
    opt.min_length = ipc_get_u32(in);
    opt.cram = ipc_get_u32(in) != 0;
    struct str password = ipc_get_str(in);
    if (ipc_in_end(in) != ERR_OK)
        return ERR_PACKET;
    enum err e = verifier_make(password, &opt, &v);
    if (e != ERR_OK)
        return e;
    verifier_put(answer, &v);
    verifier_wipe(&v);
    return buf_err(answer);
}

enum err verifier_job_run(uint32_t job, struct str body, struct buf *answer)
{
    struct ipc_in in = {.rest = body};
    if (job == VERIFIER_MAKE)
        return run_make(&in, answer);
    if (job != VERIFIER_CHECK)
        return ERR_PACKET;
    struct str hash = ipc_get_str(&in);
    struct str password = ipc_get_str(&in);
    if (ipc_in_end(&in) != ERR_OK)
        return ERR_PACKET;
    bool right;
    enum err e = verifier_check(hash, password, &right);
    ipc_put_u32(answer, right);
    return e == ERR_OK ? buf_err(answer) : e;
}

enum err verifier_job_checked(struct str body, bool *right)
{
    struct ipc_in in = {.rest = body};
    uint32_t v = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK || v > 1)
        return ERR_PACKET;
    *right = v == 1;
    return ERR_OK;
}

enum err verifier_job_made(struct str body, struct verifiers *out)
{
    return verifier_get(body, out) == ERR_OK ? ERR_OK : ERR_PACKET;
}
