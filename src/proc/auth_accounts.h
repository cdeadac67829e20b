// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * auth_accounts: the account verbs of ximssctl, once for the running server (auth_ctl.c: the password goes to a hasher) and for
 * the time when none runs (offline.c: made on the spot).
 *
 *   accounts_begin() -> ACCOUNTS_MAKE: make verifiers of `password`, then accounts_finish(); ACCOUNTS_DONE: answered
 */
#include "auth/directory.h"
#include "codec/ctlmsg.h"

enum accounts_next { ACCOUNTS_MAKE, ACCOUNTS_DONE };

struct accounts_request {
    enum ctl_verb verb;
    enum err err;
    const char *problem;    /* a sentence, or NULL: err_text(err) */
    struct account account; /* of ADD: new; else as found */
    struct buf password;    /* secret */
};

/* Pieces of the answer leave through this; `ctx` is the caller's. */
typedef void accounts_out_fn(void *ctx, const struct buf *text);

/* A request's body. ACCOUNTS_DONE: rq->err is the verdict and what is to be said has been said to `out`. */
enum accounts_next accounts_begin(struct accounts_request *rq, struct directory *d,
                                  const struct verifier_options *opt, struct str target_domain,
                                  enum ctl_verb verb, struct str body, accounts_out_fn *out,
                                  void *ctx) CHECKED;
/* e: the hasher's verdict; v: with ERR_OK. Sets rq->err, says the answer. */
void accounts_finish(struct accounts_request *rq, struct directory *d, enum err e,
                     const struct verifiers *v, int64_t unix_now, accounts_out_fn *out, void *ctx);
void accounts_end(struct accounts_request *rq);
