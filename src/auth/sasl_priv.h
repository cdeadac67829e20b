// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * sasl_priv: what sasl.c and the methods (sasl_mech.c) share. Nobody else includes it.
 */
#include "auth/sasl.h"
#include "auth/scram.h"

typedef enum sasl_next sasl_start_fn(struct sasl *s, struct sasl_env *env,
                                     const struct sasl_login *in, int64_t now);
typedef enum sasl_next sasl_step_fn(struct sasl *s, struct sasl_env *env, struct str data,
                                    int64_t now);

sasl_start_fn sasl_start_empty, sasl_start_login, sasl_start_cram, sasl_start_clear,
    sasl_start_nonce, sasl_start_session;
sasl_step_fn sasl_step_plain, sasl_step_login, sasl_step_cram, sasl_step_scram, sasl_step_sessionid;

/* The end: counts a failure, sets the delay, wipes. */
enum sasl_next sasl_done(struct sasl *s, struct sasl_env *env, enum err e, int64_t now);
/* The end, by what was found out about the client; a blocked name and an unknown one are never right. */
enum sasl_next sasl_verdict(struct sasl *s, struct sasl_env *env, bool right, int64_t now);
/* Encodes it. */
enum sasl_next sasl_challenge(struct sasl *s, struct sasl_env *env, struct str clear, int64_t now);

/*
 * Who is it? Fills s->account; an unknown name has id 0. ERR_OK, ERR_ACCOUNT_BLOCKED, or a failure of ours.
 */
enum err sasl_identify(struct sasl *s, struct sasl_env *env, struct str raw, int64_t now) CHECKED;
/* Is this another spelling of who it is (authzid, RFC 4616)? An empty one is. */
bool sasl_is_same(const struct sasl *s, struct str authzid, struct str authcid);
/* Quickly out of the cache, or by a hasher. */
enum sasl_next sasl_password(struct sasl *s, struct sasl_env *env, struct str password,
                             int64_t now);
/* Asks for the keeper's word on "urlID". */
enum sasl_next sasl_session(struct sasl *s, struct sasl_env *env, struct str id, int64_t now);
/* Decodes a client's text into a buffer that is wiped with sasl_unsecret(). ERR_ATTR_VALUE, ERR_NOMEM. */
enum err sasl_decode(struct buf *to, struct str base64) CHECKED;
/* Copies into one exact piece of memory, so that no copy stays behind. */
enum err sasl_secret(struct buf *to, struct str s) CHECKED;
void sasl_unsecret(struct buf *b);
