// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/pwchange.h"

#include "auth/sasl_priv.h"
#include "base/utf8.h"

static void forget(struct pwchange *c)
{
    sasl_unsecret(&c->old_password);
    sasl_unsecret(&c->new_password);
    verifier_wipe(&c->account.verifiers);
}

static enum pwchange_next done(struct pwchange *c, enum err e)
{
    c->err = e;
    forget(c);
    return PWCHANGE_DONE;
}

/* What is asked for, before anything is believed about who asks. */
static enum err check_request(const struct pwchange_request *rq)
{
    if (rq->old_password.p == NULL || (rq->new_password.p == NULL && rq->recovery.p == NULL))
        return ERR_ATTR_MISSING;
    if (rq->recovery.n > ACCOUNT_RECOVERY_MAX || !utf8_valid(rq->recovery) ||
        str_find(rq->recovery, '\0') != rq->recovery.n)
        return ERR_ATTR_VALUE;
    /* an address for a lost password: nothing, or something with one @ inside and no blanks */
    size_t at = str_find(rq->recovery, '@');
    if (rq->recovery.n != 0 && (at == 0 || at + 1 >= rq->recovery.n))
        return ERR_ATTR_VALUE;
    for (size_t i = 0; i < rq->recovery.n; i++) {
        if ((unsigned char)rq->recovery.p[i] <= ' ' || rq->recovery.p[i] == 0x7f)
            return ERR_ATTR_VALUE;
    }
    return ERR_OK;
}

static enum err take_request(struct pwchange *c, const struct pwchange_request *rq)
{
    c->has_new = rq->new_password.p != NULL;
    c->has_recovery = rq->recovery.p != NULL;
    if (rq->recovery.n != 0)
        memcpy(c->recovery, rq->recovery.p, rq->recovery.n);
    c->recovery[rq->recovery.n] = '\0';
    /* one byte more than may be right: it is refused later, but for the right reason */
    enum err e =
        sasl_secret(&c->old_password, str_sub(rq->old_password, 0, VERIFIER_PASSWORD_MAX + 1));
    if (e == ERR_OK && c->has_new)
        e = sasl_secret(&c->new_password, str_sub(rq->new_password, 0, VERIFIER_PASSWORD_MAX + 1));
    return e;
}

/* The old password is right: the recovery address at once, the new password through a hasher. */
static enum pwchange_next proceed(struct pwchange *c, struct directory *d, struct sasl_env *env)
{
    enum err e = ERR_OK;
    faillog_account_ok(env->fails, name_str(&c->account.name));
    if (c->has_new && (c->account.flags & ACCOUNT_FIXED) != 0)
        return done(c, ERR_PASSWORD_FIXED);
    if (c->has_new)
        e = verifier_policy(buf_slice(&c->new_password), &env->verifier);
    if (e != ERR_OK)
        return done(c, e);
    if (c->has_new)
        return PWCHANGE_MAKE;
    return done(c, directory_set_text(d, c->account.id, DIRECTORY_RECOVERY, str_of(c->recovery)));
}

static enum pwchange_next refuse(struct pwchange *c, struct sasl_env *env, int64_t now)
{
    (void)faillog_account_fail(env->fails, name_str(&c->account.name), now);
    return done(c, ERR_AUTH_FAILED);
}

enum pwchange_next pwchange_start(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                  const struct pwchange_request *rq, int64_t now)
{
    *c = (struct pwchange){.err = ERR_WAIT};
    enum err e = check_request(rq);
    if (e == ERR_OK)
        e = take_request(c, rq);
    if (e == ERR_OK)
        e = directory_find_id(d, rq->account, &c->account);
    if (e != ERR_OK)
        return done(c, e == ERR_NOT_FOUND ? ERR_AUTH_FAILED : e);
    if (faillog_account_blocked(env->fails, name_str(&c->account.name), now))
        return done(c, ERR_ACCOUNT_BLOCKED);
    struct str old = buf_slice(&c->old_password);
    if (old.n == 0 || old.n > VERIFIER_PASSWORD_MAX || c->account.verifiers.hash[0] == '*')
        return refuse(c, env, now);
    if (pwcache_hit(env->cache, c->account.id, old, now))
        return proceed(c, d, env);
    return PWCHANGE_CHECK;
}

enum pwchange_next pwchange_checked(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                    bool right, int64_t now)
{
    if (faillog_account_blocked(env->fails, name_str(&c->account.name), now))
        return done(c, ERR_ACCOUNT_BLOCKED);
    return right ? proceed(c, d, env) : refuse(c, env, now);
}

enum pwchange_next pwchange_made(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                 enum err e, const struct verifiers *v)
{
    struct account is;
    if (e != ERR_OK)
        return done(c, e);
    /* two changes at once: the old password of the slower one is not the account's any more */
    e = directory_find_id(d, c->account.id, &is);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && is.version != c->account.version))
        e = ERR_AUTH_FAILED;
    account_wipe(&is);
    if (e == ERR_OK)
        e = directory_set_password(d, c->account.id, v);
    if (e == ERR_OK)
        pwcache_forget(env->cache, c->account.id);
    if (e == ERR_OK && c->has_recovery)
        e = directory_set_text(d, c->account.id, DIRECTORY_RECOVERY, str_of(c->recovery));
    return done(c, e);
}

void pwchange_end(struct pwchange *c)
{
    forget(c);
    explicit_bzero(c, sizeof *c);
}
