// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/sasl.h"

#include <stdlib.h>

#include "auth/sasl_priv.h"
#include "codec/b64.h"

enum { CLEAR = 1, CRAM = 2, INITIAL = 4, HIDDEN = 8 };

struct mech {
    const char *name;
    uint32_t flags;
    sasl_start_fn *start;
    sasl_step_fn *step;
};

static const struct mech mechs[SASL_MECH_COUNT] = {
#define MECH(id, name, flags, start, step) [SASL_MECH_##id] = {name, flags, start, step},
#include "auth/sasl_mechs.tbl"
#undef MECH
};

/* --- secrets */

enum err sasl_secret(struct buf *to, struct str s)
{
    sasl_unsecret(to);
    buf_init(to, s.n + 1);
    (void)buf_room(to, s.n + 1);
    buf_str(to, s);
    return buf_err(to);
}

void sasl_unsecret(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

enum err sasl_decode(struct buf *to, struct str base64)
{
    if (base64.n > SASL_DATA_MAX)
        return ERR_ATTR_VALUE;
    buf_init(to, base64.n + 3); /* one piece: b64_decode() asks for a little more than comes out */
    (void)buf_room(to, base64.n + 3);
    enum err e = buf_err(to);
    if (e == ERR_OK)
        e = b64_decode(to, base64);
    if (e != ERR_OK)
        sasl_unsecret(to);
    return e == ERR_SYNTAX ? ERR_ATTR_VALUE : e;
}

/* --- the environment */

enum err sasl_env_init(struct sasl_env *env, const uint8_t secret[32], struct str dummy_hash)
{
    if (dummy_hash.n == 0 || dummy_hash.n > VERIFIER_HASH_MAX || dummy_hash.p[0] == '*')
        return ERR_SYNTAX;
    memcpy(env->dummy_hash, dummy_hash.p, dummy_hash.n);
    env->dummy_hash[dummy_hash.n] = '\0';
    mac_hmac(mac_str(secret, 32), STR("made-up SCRAM salts"), env->salt_key);
    verifier_none(&env->dummy);
    arc4random_buf(env->dummy.scram.stored, MAC_LEN);
    arc4random_buf(env->dummy.scram.server, MAC_LEN);
    arc4random_buf(env->dummy.cram, sizeof env->dummy.cram);
    return ERR_OK;
}

bool sasl_clear_ok(enum sasl_clear_login rule, bool tls, const struct ip *address)
{
    return tls || rule == SASL_CLEAR_YES ||
           (rule == SASL_CLEAR_LOOPBACK && ip_is_loopback(address));
}

static bool is_taken(const struct sasl_env *env, const struct mech *m)
{
    return (m->flags & CRAM) == 0 || env->verifier.cram;
}

void sasl_methods(bool clear_ok, bool cram, struct buf *out)
{
    bool first = true;
    for (size_t i = SASL_MECH_NONE + 1; i < SASL_MECH_COUNT; i++) {
        const struct mech *m = &mechs[i];
        if ((m->flags & HIDDEN) != 0 || ((m->flags & CRAM) != 0 && !cram) ||
            ((m->flags & CLEAR) != 0 && !clear_ok))
            continue;
        if (!first)
            buf_char(out, ' ');
        buf_str(out, str_of(m->name));
        first = false;
    }
}

bool sasl_was_clear(const struct sasl *s)
{
    return (mechs[s->mech].flags & CLEAR) != 0;
}

const char *sasl_mech_name(enum sasl_mech_id id)
{
    return id != SASL_MECH_NONE && id < SASL_MECH_COUNT ? mechs[id].name : "?";
}

/* --- ends */

static void forget(struct sasl *s)
{
    if (!s->rehash)
        sasl_unsecret(&s->password);
    sasl_unsecret(&s->said);
    if (s->err != ERR_OK)
        explicit_bzero(s->session, sizeof s->session);
    verifier_wipe(&s->account.verifiers);
    if (s->scram != NULL)
        scram_free(s->scram);
    free(s->scram);
    s->scram = NULL;
    s->hash = STR_NONE;
}

static enum reason why_failed(const struct sasl *s)
{
    if (!s->identified)
        return REASON_MALFORMED;
    if (s->account.id == 0)
        return s->named ? REASON_NO_ACCOUNT : REASON_BAD_NAME;
    return s->reason != REASON_NONE ? s->reason : REASON_WRONG_PASSWORD;
}

/* The real reason; where several hold, the one that an admin has to do away with first. */
static enum reason why(const struct sasl *s, enum err e)
{
    switch (e) {
    case ERR_OK:
        return REASON_LOGGED_IN;
    case ERR_AUTH_FAILED:
        return why_failed(s);
    case ERR_ACCOUNT_BLOCKED:
        return REASON_BLOCKED;
    case ERR_SERVICE_DISABLED:
        return REASON_DISABLED;
    case ERR_PASSWORD_EXPIRED:
        return REASON_EXPIRED;
    case ERR_AUTH_METHOD:
        return s->mech == SASL_MECH_NONE ? REASON_METHOD_UNKNOWN : REASON_METHOD_OFF;
    case ERR_AUTH_INSECURE:
        return REASON_CLEAR;
    case ERR_ATTR_MISSING:
        return REASON_MISSING;
    case ERR_ATTR_VALUE:
        return REASON_MALFORMED;
    case ERR_AUTH_CANCELLED:
        return s->reason;
    default:
        return REASON_OURS;
    }
}

enum sasl_next sasl_done(struct sasl *s, struct sasl_env *env, enum err e, int64_t now)
{
    s->err = e;
    s->reason = why(s, e);
    if (e == ERR_AUTH_FAILED) {
        if (s->named)
            (void)faillog_account_fail(env->fails, name_str(&s->account.name), now);
        if (!s->exempt)
            s->block_until = faillog_address_fail(env->fails, &s->address, now);
    }
    if (e == ERR_AUTH_FAILED || e == ERR_ACCOUNT_BLOCKED)
        s->delay = faillog_delay(&env->fails->opt, s->failures + 1);
    if (e != ERR_OK)
        s->rehash = false;
    forget(s);
    s->next = SASL_DONE;
    return s->next;
}

static bool is_blocked(const struct sasl *s, const struct sasl_env *env, int64_t now)
{
    return s->named && faillog_account_blocked(env->fails, name_str(&s->account.name), now);
}

enum sasl_next sasl_verdict(struct sasl *s, struct sasl_env *env, bool right, int64_t now)
{
    if (is_blocked(s, env, now))
        return sasl_done(s, env, ERR_ACCOUNT_BLOCKED, now);
    if (!right || s->account.id == 0)
        return sasl_done(s, env, ERR_AUTH_FAILED, now);
    faillog_account_ok(env->fails, name_str(&s->account.name));
    if ((s->account.flags & ACCOUNT_DISABLED) != 0)
        return sasl_done(s, env, ERR_SERVICE_DISABLED, now);
    if ((s->account.flags & ACCOUNT_EXPIRED) != 0) {
        if (!s->can_update)
            return sasl_done(s, env, ERR_PASSWORD_EXPIRED, now);
        s->must_change = true;
    }
    return sasl_done(s, env, ERR_OK, now);
}

enum sasl_next sasl_challenge(struct sasl *s, struct sasl_env *env, struct str clear, int64_t now)
{
    buf_clear(&s->challenge);
    b64_encode(&s->challenge, clear);
    if (buf_err(&s->challenge) != ERR_OK)
        return sasl_done(s, env, ERR_NOMEM, now);
    s->next = SASL_CHALLENGE;
    return s->next;
}

/* --- who, and is it true */

static void note_domain(struct sasl *s, struct str raw)
{
    s->typed_domain = str_find(raw, '@') < raw.n || str_find(raw, '%') < raw.n;
}

enum err sasl_identify(struct sasl *s, struct sasl_env *env, struct str raw, int64_t now)
{
    struct account found;
    enum err e = name_canon(raw, str_of(s->target), &s->account.name);
    s->account.id = 0;
    s->identified = true;
    s->named = e == ERR_OK;
    note_domain(s, raw);
    if (e != ERR_OK) {
        /* cannot be anybody's name: nothing that could be guessed, so only its address is counted */
        s->account.name = (struct name){0};
        return e == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
    }
    e = env->find(env->ctx, name_str(&s->account.name), &found);
    if (e == ERR_NOT_FOUND) /* the same copying for nobody */
        found = (struct account){.name = s->account.name};
    else if (e != ERR_OK)
        return e;
    s->account = found;
    account_wipe(&found);
    return is_blocked(s, env, now) ? ERR_ACCOUNT_BLOCKED : ERR_OK;
}

bool sasl_is_same(const struct sasl *s, struct str authzid, struct str authcid)
{
    struct name a, c;
    if (authzid.n == 0)
        return true;
    if (name_canon(authzid, str_of(s->target), &a) != ERR_OK)
        return false;
    if (str_eq(name_str(&a), name_str(&s->account.name)))
        return true;
    /* both may be the same alias */
    return name_canon(authcid, str_of(s->target), &c) == ERR_OK &&
           str_eq(name_str(&a), name_str(&c));
}

enum sasl_next sasl_password(struct sasl *s, struct sasl_env *env, struct str password, int64_t now)
{
    if (password.n == 0 || password.n > VERIFIER_PASSWORD_MAX)
        return sasl_verdict(s, env, false, now);
    if (pwcache_hit(env->cache, s->account.id, password, now))
        return sasl_verdict(s, env, true, now);
    enum err e = sasl_secret(&s->password, password);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    bool usable = s->account.id != 0 && s->account.verifiers.hash[0] != '*';
    s->hash = str_of(usable ? s->account.verifiers.hash : env->dummy_hash);
    s->next = SASL_CHECK;
    return s->next;
}

enum sasl_next sasl_session(struct sasl *s, struct sasl_env *env, struct str id, int64_t now)
{
    if (urlid_parse(id, NULL, &s->session_bank) != ERR_OK) {
        s->reason = REASON_SESSION_ID;
        return sasl_verdict(s, env, false, now);
    }
    memcpy(s->session, id.p, URLID_LEN);
    s->session[URLID_LEN] = '\0';
    s->next = SASL_SESSION;
    return s->next;
}

/* --- the exchange */

static enum sasl_mech_id choose(const struct sasl_login *in)
{
    if (in->method.n == 0) {
        if (in->nonce.n != 0)
            return SASL_MECH_CRAM_NONCE;
        return in->session_id.n != 0 ? SASL_MECH_SESSION_ATTR : SASL_MECH_CLEAR_TEXT;
    }
    for (size_t i = SASL_MECH_NONE + 1; i < SASL_MECH_COUNT; i++) {
        if (mechs[i].name[0] == '(' || !str_ieq(in->method, str_of(mechs[i].name)))
            continue;
        bool one_step = i == SASL_MECH_CRAM_MD5 && in->nonce.n != 0;
        return one_step ? SASL_MECH_CRAM_NONCE : (enum sasl_mech_id)i;
    }
    return SASL_MECH_NONE;
}

static enum sasl_next run_step(struct sasl *s, struct sasl_env *env, struct str value, int64_t now)
{
    struct buf data;
    enum err e = sasl_decode(&data, value);
    if (e != ERR_OK)
        return sasl_done(s, env, e, now);
    enum sasl_next next = mechs[s->mech].step(s, env, buf_slice(&data), now);
    sasl_unsecret(&data);
    return next;
}

/*
 * Whose login is refused before anybody looks at it? For admins, who ask by name; of a method's exchanges only PLAIN's first
 * message says it.
 */
static void note_name(struct sasl *s, const struct sasl_login *in)
{
    struct str raw = in->user_name, data, authzid;
    struct buf clear = {0};
    if (in->method.n == 0 && in->nonce.n == 0 && in->auth_data.p != NULL)
        raw = in->auth_data;
    if (s->mech == SASL_MECH_PLAIN && sasl_decode(&clear, in->auth_data) == ERR_OK) {
        data = buf_slice(&clear);
        if (!str_split(&data, '\0', &authzid) || !str_split(&data, '\0', &raw))
            raw = STR_NONE;
    }
    note_domain(s, raw);
    if (raw.n == 0 || name_canon(raw, str_of(s->target), &s->account.name) != ERR_OK)
        s->account.name = (struct name){0};
    sasl_unsecret(&clear);
}

static enum sasl_next refuse(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                             enum err e, int64_t now)
{
    note_name(s, in);
    return sasl_done(s, env, e, now);
}

enum sasl_next sasl_start(struct sasl *s, struct sasl_env *env, const struct sasl_login *in,
                          int64_t now)
{
    *s = (struct sasl){.err = ERR_WAIT,
                       .mech = choose(in),
                       .next = SASL_DONE,
                       .tls = in->tls,
                       .can_update = in->can_update,
                       .exempt = in->exempt,
                       .failures = in->failures,
                       .started = now,
                       .address = in->address};
    buf_init(&s->challenge, b64_size(SASL_CHALLENGE_MAX));
    const struct mech *m = &mechs[s->mech];
    if (in->target_domain.n > NAME_DOMAIN_MAX)
        return sasl_done(s, env, ERR_INTERNAL, now);
    memcpy(s->target, in->target_domain.p != NULL ? in->target_domain.p : "", in->target_domain.n);
    if (s->mech == SASL_MECH_NONE || !is_taken(env, m))
        return refuse(s, env, in, ERR_AUTH_METHOD, now);
    if ((m->flags & CLEAR) != 0 && !sasl_clear_ok(in->clear_login, in->tls, &in->address))
        return refuse(s, env, in, ERR_AUTH_INSECURE, now);
    if ((m->flags & INITIAL) != 0 && in->auth_data.n != 0)
        return run_step(s, env, in->auth_data, now);
    enum sasl_next next = m->start(s, env, in, now);
    if (next == SASL_DONE && s->err == ERR_ATTR_MISSING)
        note_name(s, in);
    return next;
}

enum sasl_next sasl_step(struct sasl *s, struct sasl_env *env, struct str value, int64_t now)
{
    BUG_IF(s->next != SASL_CHALLENGE);
    bool late = now - s->started > env->exchange_time;
    if (late || str_eq(value, STR("*"))) {
        s->reason = late ? REASON_LATE : REASON_CANCELLED;
        return sasl_done(s, env, ERR_AUTH_CANCELLED, now);
    }
    return run_step(s, env, value, now);
}

/* While the question was out, the account may have got another password, or be gone. */
static bool is_unchanged(struct sasl *s, struct sasl_env *env, bool password)
{
    struct account is;
    bool same = env->find(env->ctx, name_str(&s->account.name), &is) == ERR_OK &&
                is.id == s->account.id && (!password || is.version == s->account.version);
    if (same)
        s->account.flags = is.flags;
    account_wipe(&is);
    return same;
}

enum sasl_next sasl_checked(struct sasl *s, struct sasl_env *env, bool right, int64_t now)
{
    BUG_IF(s->next != SASL_CHECK && s->next != SASL_SESSION);
    bool password = s->next == SASL_CHECK;
    bool dummy = password && s->hash.p == env->dummy_hash; /* whatever fits it opens nothing */
    s->reason = !password ? REASON_SESSION_GONE
                : dummy   ? REASON_NO_PASSWORD
                : right   ? REASON_CHANGED /* unless it is not */
                          : REASON_WRONG_PASSWORD;
    right = right && !dummy && s->account.id != 0 && is_unchanged(s, env, password);
    if (right && password && !is_blocked(s, env, now)) {
        pwcache_put(env->cache, s->account.id, buf_slice(&s->password), now);
        s->rehash = verifier_stale(&s->account.verifiers, &env->verifier);
    }
    return sasl_verdict(s, env, right, now);
}

void sasl_end(struct sasl *s)
{
    s->rehash = false;
    forget(s);
    buf_free(&s->challenge);
    explicit_bzero(s, sizeof *s);
    s->next = SASL_DONE;
}
