// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Logins: LOGIN and LOGIN_STEP of a worker go into src/auth's state machine; its questions go to hashers and
 * keepers; its verdict to auth_verdict.c.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/ipcbody.h"
#include "codec/xmsg.h"
#include "proc/auth_login.h"
#include "proc/banks.h"

#define PATIENCE \
    (10 * CLOCK_SEC) /* beyond the time of an exchange, when we are the ones to wait for */
#define LINK_IS_SAFE (IPC_LOGIN_TLS | IPC_LOGIN_PROXY_TLS) /* passwords may travel */

/* Numbers of connections are a worker's word: it can name only logins of its own. */
static uint64_t key_of(uint32_t worker, uint32_t conn)
{
    return (uint64_t)worker << 32 | conn;
}

void auth_login_free(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    auth_job_orphan(a, l);
    if (l->question != 0)
        idmap_remove(&a->questions, l->question);
    uint64_t key = key_of(l->worker, l->conn);
    if (idmap_get(&a->logins, key) == l)
        idmap_remove(&a->logins, key);
    sasl_end(&l->s);
    free(l->request_id);
    free(l);
}

struct bus_peer *auth_login_worker(struct auth_login *l)
{
    struct child_peer *p = child_peer(l->a->c, IPC_ROLE_WORKER, l->worker);
    return p != NULL && p->bus.generation == l->worker_generation ? &p->bus : NULL;
}

struct child_peer *auth_login_keeper(struct auth_proc *a, uint32_t bank)
{
    return child_peer(a->c, IPC_ROLE_KEEPER, banks_keeper(bank, a->keepers));
}

static void advance(struct auth_login *l, enum sasl_next next);

static void hasher_said(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct auth_login *l = arg;
    bool right = false;
    if (e == ERR_OK)
        e = verifier_job_checked(body, &right);
    if (e != ERR_OK)
        auth_login_give_up(l, auth_job_failed(e) != ERR_TIMEOUT ? REASON_OURS : REASON_HASHER_LOST,
                           auth_job_failed(e));
    else
        advance(l, sasl_checked(&l->s, &a->env, right, clock_mono()));
}

static void ask_hasher(struct auth_login *l)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    verifier_job_check(&b, l->s.hash, buf_slice(&l->s.password));
    enum err e = auth_job_add(l->a, VERIFIER_CHECK, &b, &l->s.address, hasher_said, l);
    if (e != ERR_OK)
        auth_login_give_up(l,
                           e == ERR_TIMEOUT ? REASON_HASHERS_BUSY
                           : e == ERR_AGAIN ? REASON_HASHERS_ADDRESS
                                            : REASON_OURS,
                           ERR_TIMEOUT);
}

/* A session lives in its account's bank: no other keeper has a say about it. */
static bool has_a_say(const struct auth_login *l)
{
    return l->s.account.id != 0 && l->s.session_bank == l->s.account.bank;
}

/* The keeper of the bank that the id names, in any case: how long it takes tells nobody whether there is such an account. */
static void ask_keeper(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    l->asked_bank = l->s.session_bank % a->c->banks;
    struct child_peer *k = auth_login_keeper(a, l->asked_bank);
    uint32_t q = ++a->next_question == 0 ? ++a->next_question : a->next_question;
    struct buf b;
    if (k == NULL || idmap_put(&a->questions, q, l) != ERR_OK) {
        auth_login_give_up(l, REASON_KEEPER_LOST, ERR_TIMEOUT);
        return;
    }
    l->question = q;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_u64(&b, l->s.account.id);
    ipc_put_str(&b, str_of(l->s.session));
    ipc_put_str(&b, (struct str){(const char *)l->s.address.b, sizeof l->s.address.b});
    bus_put(&k->bus, IPC_SESSION_CHECK, 0, q, buf_slice(&b));
    buf_free(&b);
}

static void advance(struct auth_login *l, enum sasl_next next)
{
    struct bus_peer *w;
    switch (next) {
    case SASL_CHALLENGE:
        w = auth_login_worker(l);
        if (w != NULL)
            bus_put(w, IPC_LOGIN_CHALLENGE, l->conn, l->attempt, buf_slice(&l->s.challenge));
        break;
    case SASL_CHECK:
        ask_hasher(l);
        break;
    case SASL_SESSION:
        ask_keeper(l);
        break;
    case SASL_DONE:
        auth_login_done(l);
        break;
    }
}

void auth_session_checked(struct auth_proc *a, const struct bus_peer *keeper,
                          const struct ipc_item *it)
{
    struct auth_login *l = it->seq != 0 ? idmap_get(&a->questions, it->seq) : NULL;
    if (l == NULL || banks_keeper(l->asked_bank, a->c->keepers) != keeper->number)
        return;
    idmap_remove(&a->questions, l->question);
    l->question = 0;
    advance(l, sasl_checked(&l->s, &a->env, it->id == 1 && has_a_say(l), clock_mono()));
}

/* The rule for clear-text passwords of the target domain ([domain] clear_login). */
static enum sasl_clear_login clear_rule(const struct auth_proc *a, struct str domain)
{
    const struct conf_domain *d = conf_domain_find(a->c->conf, domain);
    static const enum sasl_clear_login map[] = {[CONF_CLEAR_YES] = SASL_CLEAR_YES,
                                                [CONF_CLEAR_LOOPBACK] = SASL_CLEAR_LOOPBACK,
                                                [CONF_CLEAR_NO] = SASL_CLEAR_NO};
    return map[d != NULL ? d->clear_login : a->c->conf->domains[0].clear_login];
}

void auth_login_begin(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it)
{
    struct ipc_login in;
    if (it->id < GATE_ID_FIRST || it->id > GATE_ID_LAST || ipc_login_get(it->body, &in) != ERR_OK ||
        in.request_id.n > XMSG_ID_MAX)
        return;
    struct auth_login *l = idmap_get(&a->logins, key_of(worker->number, it->id));
    if (l != NULL && l->attempt == it->seq && l->worker_generation == worker->generation)
        return; /* asked once more, for the sake of those whose keeper died */
    if (auth_login_has_failed(a, worker, it, &in))
        return;
    auth_login_drop(a, worker, it->id, 0);
    l = a->logins.count < a->c->conf->server.channels + 1 ? calloc(1, sizeof *l) : NULL;
    if (l == NULL)
        return; /* the worker's own time limit answers */
    *l = (struct auth_login){.a = a,
                             .conn = it->id,
                             .attempt = it->seq,
                             .worker = worker->number,
                             .worker_generation = worker->generation,
                             .flags = in.flags,
                             .place = in.place};
    if (in.request_id.p != NULL)
        l->request_id = malloc(in.request_id.n + 1);
    if ((l->request_id == NULL && in.request_id.p != NULL) ||
        idmap_put(&a->logins, key_of(l->worker, l->conn), l) != ERR_OK) {
        free(l->request_id);
        free(l);
        return;
    }
    if (l->request_id != NULL)
        memcpy(l->request_id, in.request_id.p, in.request_id.n);
    l->request_id_n = in.request_id.n;
    struct sasl_login rq = {
        .method = in.method,
        .auth_data = in.auth_data,
        .password = in.password,
        .user_name = in.user_name,
        .nonce = in.nonce,
        .session_id = in.session_id,
        .target_domain = in.domain,
        .tls = (in.flags & LINK_IS_SAFE) != 0,
        .can_update = (in.flags & IPC_LOGIN_CAN_UPDATE) != 0,
        .clear_login = clear_rule(a, in.domain),
        .failures = in.failures,
        .attempt = (uint64_t)(worker->number + 1) << 53 | (uint64_t)it->id << 32 | it->seq,
    };
    memcpy(rq.address.b, in.addr, sizeof rq.address.b);
    rq.exempt = addrlist_match(&a->clients, &rq.address);
    advance(l, sasl_start(&l->s, &a->env, &rq, clock_mono()));
}

void auth_login_step(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it)
{
    struct auth_login *l =
        it->id != 0 ? idmap_get(&a->logins, key_of(worker->number, it->id)) : NULL;
    if (l == NULL || l->attempt != it->seq || l->worker_generation != worker->generation ||
        l->s.next != SASL_CHALLENGE) {
        /* An auth that died took the exchange with it. */
        auth_login_say_failed(worker, it->id, it->seq, ERR_TIMEOUT, 0);
        return;
    }
    advance(l, sasl_step(&l->s, &a->env, it->body, clock_mono()));
}

void auth_login_drop(struct auth_proc *a, const struct bus_peer *worker, uint32_t conn,
                     uint32_t attempt)
{
    struct auth_login *l = conn != 0 ? idmap_get(&a->logins, key_of(worker->number, conn)) : NULL;
    if (l == NULL || (attempt != 0 && l->attempt != attempt))
        return;
    auth_login_note(l, REASON_CLIENT_GONE, ERR_AUTH_CANCELLED);
    auth_login_free(l);
}

/* Calls fn for each login; fn may free it. */
static void for_each(struct auth_proc *a, void (*fn)(struct auth_login *, int64_t), int64_t arg)
{
    uint32_t at = 0, n = 0;
    struct auth_login *l;
    struct auth_login **all = calloc(a->logins.count + 1, sizeof(struct auth_login *));
    if (all == NULL)
        return;
    while ((l = idmap_next(&a->logins, &at)) != NULL)
        all[n++] = l;
    for (uint32_t i = 0; i < n; i++)
        fn(all[i], arg);
    free(all);
}

static void drop_of_worker(struct auth_login *l, int64_t worker)
{
    if (l->worker == (uint32_t)worker)
        auth_login_free(l);
}

void auth_logins_of_worker_gone(struct auth_proc *a, uint32_t worker)
{
    for_each(a, drop_of_worker, worker);
}

static void late(struct auth_login *l, int64_t now)
{
    int64_t over = now - l->s.started - l->a->env.exchange_time;
    bool theirs = l->s.next == SASL_CHALLENGE; /* is it for the client to speak? */
    if (l->attach_by != 0 && now >= l->attach_by)
        auth_login_give_up(l, REASON_KEEPER_LOST, ERR_TIMEOUT);
    else if (l->attach_by == 0 && theirs && over > 0)
        auth_login_give_up(l, REASON_LATE, ERR_AUTH_CANCELLED);
    else if (l->attach_by == 0 && over > PATIENCE)
        auth_login_give_up(l, l->s.next == SASL_CHECK ? REASON_HASHER_LOST : REASON_KEEPER_LOST,
                           ERR_TIMEOUT);
}

void auth_logins_tick(struct auth_proc *a, int64_t now)
{
    if (a->logins.count != 0)
        for_each(a, late, now);
}

static void attach_again(struct auth_login *l, int64_t unused)
{
    (void)unused;
    if (l->attach_by != 0)
        (void)auth_login_attach(l);
}

void auth_keeper_up(struct auth_proc *a)
{
    for_each(a, attach_again, 0);
}

void auth_features(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t flags = ipc_get_u32(&in);
    struct str asked = ipc_get_str(&in);
    struct str addr = ipc_get_str(&in);
    struct ip ip = {{0}};
    char nonce[NONCE_MAX] = "";
    struct buf b, methods;
    if (ipc_in_end(&in) != ERR_OK || addr.n != sizeof ip.b)
        return;
    memcpy(ip.b, addr.p, sizeof ip.b);
    bool tls = (flags & LINK_IS_SAFE) != 0;
    const struct conf_domain *d = conf_domain_find(a->c->conf, asked);
    if (d == NULL)
        d = &a->c->conf->domains[0];
    bool cram = a->env.verifier.cram && directory_has_cram(a->dir, d->name);
    if (cram)
        nonce_make(&a->nonces, tls, clock_mono(), nonce);
    buf_init(&b, IPC_BODY_MAX);
    buf_init(&methods, 1024);
    sasl_methods(sasl_clear_ok(clear_rule(a, d->name), tls, &ip), cram, &methods);
    ipc_put_str(&b, d->name);
    ipc_put_str(&b, buf_slice(&methods));
    ipc_put_str(&b, str_of(nonce));
    ipc_put_str(&b, d->language);
    bool whole = buf_err(&b) == ERR_OK && buf_err(&methods) == ERR_OK;
    bus_put(worker, IPC_FEATURES_ANSWER, it->id, it->seq, whole ? buf_slice(&b) : STR_NONE);
    buf_free(&methods);
    buf_free(&b);
}
