// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The hashers' queue: one job each at a time, 500 in all, 4 of one address, so that a flood of logins costs its
 * sender time and nobody else anything (performance P4).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "proc/auth.h"

static void job_free(struct auth_job *j)
{
    if (j->body.p != NULL)
        explicit_bzero(j->body.p, j->body.n);
    buf_free(&j->body);
    free(j);
}

static bool is_ours(const struct ip *addr)
{
    static const struct ip none;
    return ip_eq(addr, &none);
}

static uint32_t count_of_address(const struct auth_proc *a, const struct ip *addr)
{
    uint32_t n = 0;
    for (const struct auth_job *j = a->jobs; j != NULL; j = j->next)
        n += ip_eq(&j->addr, addr);
    for (uint32_t i = 0; i < CHILD_PEERS; i++)
        n += a->hashers[i].job != NULL && ip_eq(&a->hashers[i].job->addr, addr);
    return n;
}

static void start_next(struct auth_proc *a, uint32_t hasher)
{
    struct child_peer *p = child_peer(a->c, IPC_ROLE_HASHER, hasher);
    struct auth_job *j = a->jobs;
    if (p == NULL || j == NULL || a->hashers[hasher].job != NULL)
        return;
    a->jobs = j->next;
    if (a->jobs == NULL)
        a->jobs_tail = &a->jobs;
    j->next = NULL;
    j->deadline = clock_mono() + AUTH_JOB_TIME;
    a->hashers[hasher].job = j;
    bus_put(&p->bus, IPC_HASH, j->kind, 0, buf_slice(&j->body));
}

enum err auth_job_add(struct auth_proc *a, enum verifier_job kind, struct buf *body,
                      const struct ip *addr,
                      void (*done)(struct auth_proc *, void *, enum err, struct str), void *arg)
{
    struct ip counted = ip_counted(addr);
    enum err e = buf_err(body);
    struct auth_job *j = NULL;
    if (e == ERR_OK && a->njobs >= AUTH_JOBS_MAX)
        e = ERR_TIMEOUT;
    /* Loopback is many users behind one address (web servers), so it shares the queue as a whole. */
    if (e == ERR_OK && !is_ours(addr) && !ip_is_loopback(addr) &&
        count_of_address(a, &counted) >= AUTH_JOBS_PER_ADDRESS)
        e = ERR_AGAIN;
    if (e == ERR_OK && (j = calloc(1, sizeof *j)) == NULL)
        e = ERR_NOMEM;
    if (e != ERR_OK) {
        if (body->p != NULL)
            explicit_bzero(body->p, body->n);
        buf_free(body);
        return e;
    }
    *j = (struct auth_job){.body = *body,
                           .kind = kind,
                           .addr = is_ours(addr) ? *addr : counted,
                           .done = done,
                           .arg = arg};
    *a->jobs_tail = j;
    a->jobs_tail = &j->next;
    a->njobs++;
    for (uint32_t i = 0; i < CHILD_PEERS && a->jobs != NULL; i++)
        start_next(a, i);
    return ERR_OK;
}

enum err auth_job_failed(enum err e)
{
    return e == ERR_NOMEM || e == ERR_INTERNAL ? e : ERR_TIMEOUT;
}

static void finish(struct auth_proc *a, uint32_t hasher, enum err e, struct str body)
{
    struct auth_job *j = a->hashers[hasher].job;
    if (j == NULL)
        return;
    a->hashers[hasher].job = NULL;
    a->njobs--;
    if (j->done != NULL)
        j->done(a, j->arg, e, body);
    job_free(j);
}

static void let_hasher_go(struct auth_proc *a, uint32_t hasher)
{
    struct child_peer *p = child_peer(a->c, IPC_ROLE_HASHER, hasher);
    if (a->hashers[hasher].job == NULL && a->hashers[hasher].leaving && p != NULL)
        bus_put(&p->bus, IPC_HASHER_MAY, 0, 0, STR_NONE);
}

void auth_job_answer(struct auth_proc *a, uint32_t hasher, enum err e, struct str body)
{
    finish(a, hasher, e, body);
    let_hasher_go(a, hasher);
    start_next(a, hasher);
}

void auth_hasher_leaves(struct auth_proc *a, uint32_t hasher)
{
    a->hashers[hasher].leaving = true;
    let_hasher_go(a, hasher);
}

void auth_hasher_up(struct auth_proc *a, uint32_t hasher)
{
    a->hashers[hasher].leaving = false;
    start_next(a, hasher);
}

void auth_hasher_gone(struct auth_proc *a, uint32_t hasher)
{
    finish(a, hasher, ERR_TIMEOUT, STR_NONE);
}

void auth_jobs_tick(struct auth_proc *a, int64_t now)
{
    uint32_t role = IPC_ROLE_HASHER;
    for (uint32_t i = 0; i < CHILD_PEERS; i++) {
        struct child_peer *p = child_peer(a->c, IPC_ROLE_HASHER, i);
        if (a->hashers[i].job == NULL || p == NULL || a->hashers[i].job->deadline > now)
            continue;
        a->hashers[i].job->deadline = INT64_MAX; /* said once */
        bus_put(&a->c->master, IPC_STUCK, i, p->bus.generation,
                (struct str){(const char *)&role, sizeof role});
    }
}

void auth_job_orphan(struct auth_proc *a, const void *arg)
{
    for (uint32_t i = 0; i < CHILD_PEERS; i++) {
        if (a->hashers[i].job != NULL && a->hashers[i].job->arg == arg)
            a->hashers[i].job->done = NULL;
    }
    struct auth_job **at = &a->jobs;
    while (*at != NULL) {
        struct auth_job *j = *at;
        if (j->arg != arg) {
            at = &j->next;
            continue;
        }
        *at = j->next;
        a->njobs--;
        job_free(j);
    }
    a->jobs_tail = at;
}
