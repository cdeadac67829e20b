// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* passwordModify: a keeper asks, src/auth/pwchange decides, hashers do the slow part (protocol 1, section 6). */
#include <stdlib.h>

#include "base/clock.h"
#include "proc/auth.h"

struct auth_pw {
    struct auth_proc *a;
    struct pwchange c;
    uint32_t keeper, keeper_generation;
    uint32_t seq;
};

static void advance(struct auth_pw *p, enum pwchange_next next);

static void finish(struct auth_pw *p, enum err e)
{
    struct child_peer *k = child_peer(p->a->c, IPC_ROLE_KEEPER, p->keeper);
    if (k != NULL && k->bus.generation == p->keeper_generation)
        bus_put(&k->bus, IPC_PASSWORD_ANSWER, (uint32_t)e, p->seq, STR_NONE);
    pwchange_end(&p->c);
    free(p);
}

static void checked(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct auth_pw *p = arg;
    bool right = false;
    if (e == ERR_OK)
        e = verifier_job_checked(body, &right);
    if (e != ERR_OK)
        finish(p, auth_job_failed(e));
    else
        advance(p, pwchange_checked(&p->c, a->dir, &a->env, right, clock_mono()));
}

static void made(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct auth_pw *p = arg;
    struct verifiers v;
    enum err read = e == ERR_OK ? verifier_job_made(body, &v) : e;
    if (read == ERR_OK) {
        advance(p, pwchange_made(&p->c, a->dir, &a->env, ERR_OK, &v));
        verifier_wipe(&v);
    } else {
        advance(p, pwchange_made(&p->c, a->dir, &a->env, read, NULL));
    }
}

static void advance(struct auth_pw *p, enum pwchange_next next)
{
    static const struct ip ours;
    struct auth_proc *a = p->a;
    struct buf b;
    enum err e = ERR_OK;
    buf_init(&b, IPC_BODY_MAX);
    switch (next) {
    case PWCHANGE_CHECK:
        verifier_job_check(&b, str_of(p->c.account.verifiers.hash), buf_slice(&p->c.old_password));
        e = auth_job_add(a, VERIFIER_CHECK, &b, &ours, checked, p);
        break;
    case PWCHANGE_MAKE:
        verifier_job_make(&b, &a->env.verifier, buf_slice(&p->c.new_password));
        e = auth_job_add(a, VERIFIER_MAKE, &b, &ours, made, p);
        break;
    case PWCHANGE_DONE:
        finish(p, p->c.err);
        return;
    }
    if (e != ERR_OK)
        finish(p, ERR_TIMEOUT);
}

void auth_password(struct auth_proc *a, struct bus_peer *keeper, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct pwchange_request rq = {.account = ipc_get_u64(&in)};
    rq.old_password = ipc_get_opt(&in);
    rq.new_password = ipc_get_opt(&in);
    rq.recovery = ipc_get_opt(&in);
    struct auth_pw *p = ipc_in_end(&in) == ERR_OK ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        bus_put(keeper, IPC_PASSWORD_ANSWER, ERR_NOMEM, it->seq, STR_NONE);
        return;
    }
    p->a = a;
    p->keeper = keeper->number;
    p->keeper_generation = keeper->generation;
    p->seq = it->seq;
    advance(p, pwchange_start(&p->c, a->dir, &a->env, &rq, clock_mono()));
}
