// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * How logins end: a failure goes to the worker, a success to the keeper of the account's bank (attach, design 2.3); the memory of
 * attempts and the log are told. The first word about a login counts.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcbody.h"
#include "proc/auth_login.h"
#include "proc/banks.h"

#define CLEAR_MAX \
    (UINT32_C(1) << 16) /* accounts that are remembered; of further ones nothing is said */

void auth_login_note(struct auth_login *l, enum reason why, enum err e)
{
    struct attempt at = {.wall = clock_wall(),
                         .address = l->s.address,
                         .conn = l->conn,
                         .number = l->attempt,
                         .err = (uint16_t)e,
                         .reason = (uint8_t)why,
                         .method = (uint8_t)l->s.mech,
                         .link = (l->flags & IPC_LOGIN_TLS) == 0     ? ATTEMPT_CLEAR
                                 : (l->flags & IPC_LOGIN_TLS13) != 0 ? ATTEMPT_TLS13
                                                                     : ATTEMPT_TLS12};
    struct str name = name_str(&l->s.account.name);
    if (!l->noted && name.n != 0)
        attempts_add(l->a->attempts, name, l->s.account.id != 0, &at);
    l->noted = true;
}

void auth_attach_refused(struct auth_proc *a, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct str name = ipc_get_str(&in);
    uint32_t e = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK || e >= ERR_COUNT)
        return;
    attempts_correct(a->attempts, name, it->id, it->seq,
                     e == ERR_TOO_MANY_SESSIONS ? REASON_TOO_MANY_SESSIONS : REASON_OURS,
                     (enum err)e);
}

void auth_login_say_failed(struct bus_peer *worker, uint32_t conn, uint32_t attempt, enum err e,
                           int64_t delay)
{
    uint32_t body[2] = {(uint32_t)e, (uint32_t)(delay / CLOCK_MS)};
    bus_put(worker, IPC_LOGIN_FAILED, conn, attempt, (struct str){(const char *)body, sizeof body});
}

static void fail(struct auth_login *l, enum err e, int64_t delay)
{
    struct bus_peer *w = auth_login_worker(l);
    gate_login_failed(&l->a->gate, (struct gate_place){l->place, l->conn}, l->attempt, (uint32_t)e);
    if (w != NULL)
        auth_login_say_failed(w, l->conn, l->attempt, e, delay);
    auth_login_free(l);
}

void auth_login_give_up(struct auth_login *l, enum reason why, enum err e)
{
    auth_login_note(l, why, e);
    fail(l, e, 0);
}

bool auth_login_has_failed(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it,
                           const struct ipc_login *in)
{
    uint32_t e = gate_login_verdict(&a->gate, (struct gate_place){in->place, it->id}, it->seq);
    if (e == ERR_OK || e >= ERR_COUNT)
        return false;
    bool waits = e == ERR_AUTH_FAILED || e == ERR_ACCOUNT_BLOCKED;
    auth_login_say_failed(worker, it->id, it->seq, (enum err)e,
                          waits ? faillog_delay(&a->fails.opt, in->failures + 1) : 0);
    return true;
}

/* Whose stored forms are made anew; nobody waits for it. */
struct renewal {
    uint64_t account, version;
};

static void renewed(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct renewal *r = arg;
    struct verifiers v;
    if (e == ERR_OK && verifier_job_made(body, &v) == ERR_OK) {
        e = directory_rehash(a->dir, r->account, r->version, &v);
        if (e != ERR_OK && e != ERR_NOT_FOUND) /* not found: the password was changed meanwhile */
            log_write(LOG_PROBLEMS, "AUTH", 0, NULL, "new forms of a password could not be stored");
        verifier_wipe(&v);
    }
    free(r);
}

/* A right password whose stored forms are out of date is stored anew, behind everybody's back. */
static void renew_verifiers(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    static const struct ip ours;
    struct buf b;
    struct renewal *r = malloc(sizeof *r);
    if (r == NULL)
        return;
    *r = (struct renewal){l->s.account.id, l->s.account.version};
    buf_init(&b, IPC_BODY_MAX);
    verifier_job_make(&b, &a->env.verifier, buf_slice(&l->s.password));
    if (auth_job_add(a, VERIFIER_MAKE, &b, &ours, renewed, r) != ERR_OK)
        free(r);
}

/* false: the keeper is not there now. */
static bool attach(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    const struct account *acc = &l->s.account;
    struct child_peer *k = auth_login_keeper(a, acc->bank);
    struct buf b;
    if (k == NULL)
        return false;
    struct ipc_attach at = {
        .account = acc->id,
        .bank = acc->bank,
        .worker = l->worker,
        .worker_generation = l->worker_generation,
        .flags = ((l->flags & IPC_LOGIN_TLS) != 0 ? IPC_ATTACH_TLS : 0u) |
                 ((l->flags & IPC_LOGIN_TLS13) != 0 ? IPC_ATTACH_TLS13 : 0u) |
                 (l->s.must_change ? IPC_ATTACH_MUST_CHANGE : 0u) |
                 ((l->flags & IPC_LOGIN_HTTP) != 0 ? IPC_ATTACH_HTTP : 0u) |
                 ((l->flags & IPC_LOGIN_ANY_IP) != 0 ? IPC_ATTACH_ANY_IP : 0u) |
                 ((l->flags & IPC_LOGIN_COOKIE) != 0 ? IPC_ATTACH_COOKIE : 0u),
        .request_id = {l->request_id, l->request_id_n},
        .name = name_str(&acc->name),
        .real_name = str_of(acc->real_name),
        .old_session = str_of((l->flags & IPC_LOGIN_KILL_OLD) != 0 ? l->s.session : ""),
    };
    memcpy(at.addr, l->s.address.b, sizeof at.addr);
    buf_init(&b, IPC_BODY_MAX);
    ipc_attach_put(&b, &at);
    if (buf_err(&b) == ERR_OK)
        bus_put(&k->bus, IPC_ATTACH, l->conn, l->attempt, buf_slice(&b));
    buf_free(&b);
    return true;
}

/* Existing clients need passwords on clear links; an admin should know whose (design 7). */
static void note_clear(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    char who[IP_WHO_MAX];
    uint64_t id = l->s.account.id;
    if (l->s.tls || !sasl_was_clear(&l->s) || a->clear.count >= CLEAR_MAX ||
        idmap_get(&a->clear, id) != NULL || idmap_put(&a->clear, id, a) != ERR_OK)
        return;
    log_write(LOG_MAJOR, "XIMSSI", l->conn, ip_who(&l->s.address, who),
              "password sent in clear: '%.*s'", STR_FMT(name_str(&l->s.account.name)));
}

bool auth_login_attach(struct auth_login *l)
{
    if (!attach(l))
        return false;
    auth_login_note(l, REASON_LOGGED_IN, ERR_OK);
    auth_login_free(l);
    return true;
}

static void succeed(struct auth_login *l)
{
    note_clear(l);
    if (l->s.rehash)
        renew_verifiers(l);
    /* A session over HTTP gets its place from its keeper. */
    if ((l->flags & IPC_LOGIN_HTTP) == 0 &&
        !gate_session_begin(&l->a->gate, (struct gate_place){l->place, l->conn},
                            l->a->c->conf->login.max_sessions)) {
        auth_login_give_up(l, REASON_SERVER_SESSIONS, ERR_TOO_MANY_SESSIONS);
        return;
    }
    if (!auth_login_attach(l))
        l->attach_by = clock_mono() + AUTH_ATTACH_TIME;
}

/*
 * The name for the log: of an account, or typed with one of our domains. Anything else may be a password in the wrong
 * field; who is to know asks with why-login.
 */
static struct str shown_name(const struct auth_login *l)
{
    struct str name = name_str(&l->s.account.name);
    bool ours = name.n != 0 && l->s.typed_domain &&
                conf_domain_find(l->a->c->conf, name_domain(&l->s.account.name)) != NULL;
    return name.n == 0 || l->s.account.id != 0 || ours ? name : STR("***");
}

void auth_login_done(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    char who[IP_WHO_MAX];
    if (l->s.err == ERR_OK) {
        succeed(l);
        return;
    }
    log_write(LOG_FAILURES, "XIMSSI", l->conn, ip_who(&l->s.address, who),
              "login failed: '%.*s', %s", STR_FMT(shown_name(l)), err_text(l->s.err));
    auth_login_note(l, l->s.reason, l->s.err);
    shm_count_add(&a->c->shm, SHM_XIMSS_LOGINS_FAILED, 1);
    if (l->s.block_until != 0)
        gate_block(&a->gate, l->s.address.b, l->s.block_until, clock_mono());
    fail(l, l->s.err, l->s.delay);
}
