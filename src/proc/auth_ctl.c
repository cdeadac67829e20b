// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The verbs of ximssctl that auth answers while the server runs. */
#include <stdlib.h>

#include "base/clock.h"
#include "proc/auth.h"
#include "proc/auth_accounts.h"
#include "proc/banks.h"
#include "proc/child_ctl.h"

struct ctl_request {
    struct auth_proc *a;
    struct accounts_request rq;
    uint32_t seq;
};

static void out(void *ctx, const struct buf *text)
{
    const struct ctl_request *r = ctx;
    if (r->rq.verb == CTL_ACCOUNT_LIST)
        child_ctl_say(r->a->c, r->seq, text);
    else
        child_ctl_mention(r->a->c, r->seq, text);
}

/* What others remember of the account goes too. */
static void forget(struct ctl_request *r)
{
    struct auth_proc *a = r->a;
    uint64_t id = r->rq.account.id;
    pwcache_forget(&a->cache, id);
    if (r->rq.verb != CTL_ACCOUNT_REMOVE)
        return;
    uint32_t keeper = banks_keeper(r->rq.account.bank, a->keepers);
    struct child_peer *k = child_peer(a->c, IPC_ROLE_KEEPER, keeper);
    uint64_t body[2] = {id, r->rq.account.bank};
    if (k != NULL)
        bus_put(&k->bus, IPC_ACCOUNT_GONE, 0, 0, (struct str){(const char *)body, sizeof body});
}

static void finish(struct ctl_request *r)
{
    if (r->rq.err == ERR_OK && r->rq.verb != CTL_ACCOUNT_LIST)
        forget(r);
    child_ctl_done(r->a->c, r->seq, r->rq.err);
    accounts_end(&r->rq);
    free(r);
}

static void made(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct ctl_request *r = arg;
    struct verifiers v;
    if (e == ERR_OK)
        e = verifier_job_made(body, &v);
    accounts_finish(&r->rq, a->dir, e, e == ERR_OK ? &v : NULL, clock_wall() / CLOCK_SEC, out, r);
    if (e == ERR_OK)
        verifier_wipe(&v);
    finish(r);
}

static void account_verb(struct auth_proc *a, const struct ipc_item *it)
{
    static const struct ip ours;
    struct buf job;
    struct ctl_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        child_ctl_done(a->c, it->seq, ERR_NOMEM);
        return;
    }
    r->a = a;
    r->seq = it->seq;
    enum accounts_next next = accounts_begin(&r->rq, a->dir, &a->env.verifier, a->domains.name[0],
                                             (enum ctl_verb)it->id, it->body, out, r);
    if (next == ACCOUNTS_DONE) {
        finish(r);
        return;
    }
    buf_init(&job, IPC_BODY_MAX);
    verifier_job_make(&job, &a->env.verifier, buf_slice(&r->rq.password));
    enum err e = auth_job_add(a, VERIFIER_MAKE, &job, &ours, made, r);
    if (e != ERR_OK) {
        accounts_finish(&r->rq, a->dir, e, NULL, 0, out, r);
        finish(r);
    }
}

void auth_ctl(struct child *c, const struct ipc_item *it)
{
    switch (it->id) {
    case CTL_ACCOUNT_ADD:
    case CTL_ACCOUNT_LIST:
    case CTL_ACCOUNT_PASSWD:
    case CTL_ACCOUNT_REMOVE:
        account_verb(c->data, it);
        break;
    case CTL_WHY_LOGIN:
        auth_why_login(c->data, it);
        break;
    case CTL_UNBAN:
        auth_unban(c->data, it);
        break;
    default:
        child_ctl_done(c, it->seq, ERR_UNSUPPORTED);
        break;
    }
}
