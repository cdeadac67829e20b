// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * pwchange: passwordModify (protocol 1, 6): old password, then a new one, a recovery address, or
 * both. Pure logic, like sasl.h:
 *
 *   pwchange_start() ──┐   PWCHANGE_CHECK  a hasher shall check c->old_password against
 * c->account.verifiers.hash pwchange_checked() ┼─→ PWCHANGE_MAKE   a hasher shall make verifiers of
 * c->new_password pwchange_made() ───┘   PWCHANGE_DONE   c->err: ERR_OK, ERR_AUTH_FAILED (counted),
 * ERR_ACCOUNT_BLOCKED, ERR_PASSWORD_POLICY, ERR_PASSWORD_FIXED, ERR_ATTR_MISSING, ERR_ATTR_VALUE,
 * ERR_DB After PWCHANGE_DONE, or to give up: pwchange_end(). Sessions of the account stay alive.
 */
#include "auth/sasl.h"

enum pwchange_next { PWCHANGE_CHECK, PWCHANGE_MAKE, PWCHANGE_DONE };

struct pwchange {
    enum err err;
    struct account account;
    struct buf old_password, new_password; /* secret */
    char recovery[ACCOUNT_RECOVERY_MAX + 1];
    bool has_new, has_recovery;
};

/* .p == NULL: not given. The account comes from the keeper, who knows whose session it is. */
struct pwchange_request {
    uint64_t account;
    struct str old_password, new_password, recovery;
};

enum pwchange_next pwchange_start(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                  const struct pwchange_request *rq, int64_t now) CHECKED;
enum pwchange_next pwchange_checked(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                    bool right, int64_t now) CHECKED;
/* e: the hasher's verdict; v: only with ERR_OK. */
enum pwchange_next pwchange_made(struct pwchange *c, struct directory *d, struct sasl_env *env,
                                 enum err e, const struct verifiers *v) CHECKED;
void pwchange_end(struct pwchange *c);
