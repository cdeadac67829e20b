// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The methods of sasl_mechs.tbl, one after the other (protocol 1, 3.3-3.6). */
#include <stdio.h>
#include <stdlib.h>

#include "auth/sasl_priv.h"
#include "codec/b64.h"

/* Before the last blank, and what stands behind it (CRAM-MD5, SESSIONID: names may hold blanks in theory). */
static bool split_last(struct str s, struct str *head, struct str *tail)
{
    size_t at = s.n;
    while (at != 0 && s.p[at - 1] != ' ')
        at--;
    if (at == 0)
        return false;
    *head = str_sub(s, 0, at - 1);
    *tail = str_sub(s, at, s.n);
    return true;
}

enum sasl_next sasl_start_empty(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                                int64_t now)
{
    (void)in;
    return sasl_challenge(s, env, STR(""), now);
}

/* --- the clear-text form: authData (or userName) and password */

enum sasl_next sasl_start_clear(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                                int64_t now)
{
    struct str name = in->auth_data.p != NULL ? in->auth_data : in->user_name;
    if (name.p == NULL || in->password.p == NULL)
        return sasl_done(s, env, ERR_ATTR_MISSING, now);
    enum err e = sasl_identify(s, env, name, now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return sasl_password(s, env, in->password, now);
}

/* --- PLAIN, RFC 4616: [authzid] NUL authcid NUL passwd */

enum sasl_next sasl_step_plain(struct sasl *s, struct sasl_env *env, struct str data, int64_t now)
{
    struct str authzid, authcid;
    if (!str_split(&data, '\0', &authzid) || !str_split(&data, '\0', &authcid) || data.p == NULL)
        return sasl_verdict(s, env, false, now);
    enum err e = sasl_identify(s, env, authcid, now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    if (str_find(data, '\0') != data.n || !sasl_is_same(s, authzid, authcid)) {
        s->reason = str_find(data, '\0') != data.n ? REASON_MALFORMED : REASON_OTHER_IDENTITY;
        return sasl_verdict(s, env, false, now);
    }
    return sasl_password(s, env, data, now);
}

/* --- LOGIN: two questions */

enum sasl_next sasl_start_login(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                                int64_t now)
{
    (void)in;
    return sasl_challenge(s, env, STR("Username:"), now);
}

enum sasl_next sasl_step_login(struct sasl *s, struct sasl_env *env, struct str data, int64_t now)
{
    enum err e;
    if (s->step == 0) {
        s->step = 1;
        e = sasl_secret(&s->said, data);
        if (e != ERR_OK)
            return sasl_done(s, env, e, now);
        return sasl_challenge(s, env, STR("Password:"), now);
    }
    e = sasl_identify(s, env, buf_slice(&s->said), now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return sasl_password(s, env, data, now);
}

/* --- CRAM-MD5, RFC 2195 */

/* 32 hex digits of either case. */
static bool get_digest(struct str hex, uint8_t out[MAC_CRAM_LEN])
{
    if (hex.n != (size_t)MAC_CRAM_LEN * 2)
        return false;
    for (size_t i = 0; i < hex.n; i++) {
        char c = str_lower(hex.p[i]);
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out[i / 2] | v);
    }
    return true;
}

static enum sasl_next cram_verdict(struct sasl *s, struct sasl_env *env, struct str challenge,
                                   struct str hex, bool valid, int64_t now)
{
    uint8_t said[MAC_CRAM_LEN] = {0}, want[MAC_CRAM_LEN];
    bool known = s->account.id != 0 && s->account.verifiers.has_cram;
    bool right = get_digest(hex, said);
    mac_cram(known ? s->account.verifiers.cram : env->dummy.cram, challenge, want);
    right &= str_eq_secret(mac_str(said, sizeof said), mac_str(want, sizeof want));
    explicit_bzero(want, sizeof want);
    s->reason = !known ? REASON_NO_CRAM_KEY : !valid ? REASON_NONCE : REASON_WRONG_DIGEST;
    return sasl_verdict(s, env, right && known && valid, now);
}

enum sasl_next sasl_start_cram(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                               int64_t now)
{
    uint64_t random[2];
    char text[NAME_DOMAIN_MAX + 80];
    (void)in;
    arc4random_buf(random, sizeof random);
    int n = snprintf(text, sizeof text, "<%016llx%016llx.%lld@%s>", (unsigned long long)random[0],
                     (unsigned long long)random[1], (long long)(now / 1000000000), env->host);
    BUG_IF(n < 0 || (size_t)n >= sizeof text);
    enum err e = sasl_secret(&s->said, (struct str){text, (size_t)n});
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return sasl_challenge(s, env, buf_slice(&s->said), now);
}

enum sasl_next sasl_step_cram(struct sasl *s, struct sasl_env *env, struct str data, int64_t now)
{
    struct str name, hex;
    if (!split_last(data, &name, &hex))
        return sasl_verdict(s, env, false, now);
    enum err e = sasl_identify(s, env, name, now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return cram_verdict(s, env, buf_slice(&s->said), hex, true, now);
}

/* One step: userName, nonce, authData = base64 of the hex digits alone (protocol 1, 3.4). */
enum sasl_next sasl_start_nonce(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                                int64_t now)
{
    struct buf hex;
    if (in->user_name.p == NULL || in->auth_data.p == NULL)
        return sasl_done(s, env, ERR_ATTR_MISSING, now);
    bool fresh = nonce_use(env->nonces, in->nonce, s->tls, in->attempt, now) == ERR_OK;
    enum err e = sasl_decode(&hex, in->auth_data);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    e = sasl_identify(s, env, in->user_name, now);
    if (e != ERR_OK)
        (void)sasl_done(s, env, e, now);
    else
        (void)cram_verdict(s, env, in->nonce, buf_slice(&hex), fresh, now);
    sasl_unsecret(&hex);
    return s->next;
}

/* --- SCRAM-SHA-256, RFC 5802 and 7677 */

/* What a name without keys is told: never another salt, and keys that nothing fits. */
static void made_up_keys(const struct sasl *s, const struct sasl_env *env, struct str typed,
                         struct scram_keys *out)
{
    uint8_t salt[MAC_LEN];
    *out = env->dummy.scram;
    out->iterations =
        env->verifier.iterations < VERIFIER_ITER_MIN ? VERIFIER_ITER_MIN : env->verifier.iterations;
    out->salt_n = VERIFIER_SALT_NEW;
    mac_hmac(mac_str(env->salt_key, MAC_LEN), s->named ? name_str(&s->account.name) : typed, salt);
    memcpy(out->salt, salt, VERIFIER_SALT_NEW);
}

static enum err scram_answer(struct sasl *s, struct sasl_env *env, struct str data,
                             struct buf *user, struct buf *authzid, struct buf *out, int64_t now)
{
    char random[SCRAM_NONCE_NEW + 1];
    struct scram_keys keys;
    enum err e = scram_first(s->scram, data, user, authzid);
    if (e != ERR_OK)
        return e;
    e = sasl_identify(s, env, buf_slice(user), now);
    if (e != ERR_OK)
        return e;
    if (!sasl_is_same(s, buf_slice(authzid), buf_slice(user))) {
        s->reason = REASON_OTHER_IDENTITY;
        return ERR_AUTH_FAILED;
    }
    made_up_keys(s, env, buf_slice(user), &keys); /* for everybody, as it takes its time */
    if (s->account.id != 0 && s->account.verifiers.has_scram)
        keys = s->account.verifiers.scram;
    scram_random(random);
    e = scram_challenge(s->scram, &keys, str_of(random), out);
    explicit_bzero(&keys, sizeof keys);
    return e;
}

/* Both kinds of a message that says nothing right count as a failed login. */
static enum sasl_next scram_refuse(struct sasl *s, struct sasl_env *env, enum err e, int64_t now)
{
    if (e == ERR_SYNTAX || e == ERR_TOO_LONG)
        s->reason = REASON_MALFORMED;
    if (e == ERR_SYNTAX || e == ERR_TOO_LONG || e == ERR_AUTH_FAILED)
        return sasl_verdict(s, env, false, now);
    return sasl_done(s, env, e, now);
}

static enum sasl_next scram_step_first(struct sasl *s, struct sasl_env *env, struct str data,
                                       int64_t now)
{
    struct buf user, authzid, out;
    s->scram = malloc(sizeof *s->scram);
    if (s->scram == NULL)
        return sasl_done(s, env, ERR_NOMEM, now);
    scram_init(s->scram);
    buf_init(&user, SCRAM_MESSAGE_MAX);
    buf_init(&authzid, SCRAM_MESSAGE_MAX);
    buf_init(&out, SASL_CHALLENGE_MAX);
    enum err e = scram_answer(s, env, data, &user, &authzid, &out, now);
    s->step = 1;
    if (e == ERR_OK)
        (void)sasl_challenge(s, env, buf_slice(&out), now);
    else
        (void)scram_refuse(s, env, e, now);
    buf_free(&user);
    buf_free(&authzid);
    buf_free(&out);
    return s->next;
}

static enum sasl_next scram_step_final(struct sasl *s, struct sasl_env *env, struct str data,
                                       int64_t now)
{
    struct buf out;
    buf_init(&out, SASL_CHALLENGE_MAX);
    enum err e = scram_final(s->scram, data, &out);
    bool known = s->account.id != 0 && s->account.verifiers.has_scram;
    s->reason = known ? REASON_WRONG_DIGEST : REASON_NO_SCRAM_KEY;
    if (e == ERR_OK && !known)
        e = ERR_AUTH_FAILED;
    /* the last challenge already says "right": a blocked name must not get it */
    if (e == ERR_OK && faillog_account_blocked(env->fails, name_str(&s->account.name), now))
        e = ERR_ACCOUNT_BLOCKED;
    s->step = 2;
    if (e == ERR_OK)
        (void)sasl_challenge(s, env, buf_slice(&out), now);
    else
        (void)scram_refuse(s, env, e, now);
    buf_free(&out);
    return s->next;
}

enum sasl_next sasl_step_scram(struct sasl *s, struct sasl_env *env, struct str data, int64_t now)
{
    switch (s->step) {
    case 0:
        return scram_step_first(s, env, data, now);
    case 1:
        return scram_step_final(s, env, data, now);
    default:
        s->reason = REASON_MALFORMED;
        return sasl_verdict(s, env, data.n == 0, now);
    }
}

/* --- the id of a living session (protocol 1, 3.6) */

enum sasl_next sasl_step_sessionid(struct sasl *s, struct sasl_env *env, struct str data,
                                   int64_t now)
{
    struct str name, id;
    if (!split_last(data, &name, &id))
        return sasl_verdict(s, env, false, now);
    enum err e = sasl_identify(s, env, name, now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return sasl_session(s, env, id, now);
}

enum sasl_next sasl_start_session(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                                  int64_t now)
{
    struct str name = in->user_name.p != NULL ? in->user_name : in->auth_data;
    if (name.p == NULL)
        return sasl_done(s, env, ERR_ATTR_MISSING, now);
    enum err e = sasl_identify(s, env, name, now);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    return sasl_session(s, env, in->session_id, now);
}
