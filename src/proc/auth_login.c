// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Logins: LOGIN and LOGIN_STEP of a worker go into src/auth's state machine; its questions go to hashers and
 * keepers; a verdict goes to the worker (failed) or to the keeper of the account's bank (attach, design 2.3).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcbody.h"
#include "codec/xmsg.h"
#include "proc/auth.h"
#include "proc/banks.h"

#define PATIENCE \
    (10 * CLOCK_SEC) /* beyond the time of an exchange, when we are the ones to wait for */
#define LINK_IS_SAFE (IPC_LOGIN_TLS | IPC_LOGIN_PROXY_TLS) /* passwords may travel */
#define CLEAR_MAX \
    (UINT32_C(1) << 16) /* accounts that are remembered; of further ones nothing is said */

struct auth_login {
    struct auth_proc *a;
    struct sasl s;
    uint32_t conn, attempt;
    uint32_t worker, worker_generation;
    uint32_t question;   /* a keeper's answer is awaited, or 0 */
    uint32_t asked_bank; /* of that keeper */
    uint32_t flags;      /* of the LOGIN */
    uint32_t place;      /* of the connection in the gate */
    char *request_id;    /* NULL: it had none */
    size_t request_id_n;
    bool noted;        /* how it ended stands in the memory of attempts */
    int64_t attach_by; /* success, but its keeper is not there: until when to wait; else 0 */
};

/* Numbers of connections are a worker's word: it can name only logins of its own. */
static uint64_t key_of(uint32_t worker, uint32_t conn)
{
    return (uint64_t)worker << 32 | conn;
}

static void login_free(struct auth_login *l)
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

static struct bus_peer *worker_of(struct auth_login *l)
{
    struct child_peer *p = child_peer(l->a->c, IPC_ROLE_WORKER, l->worker);
    return p != NULL && p->bus.generation == l->worker_generation ? &p->bus : NULL;
}

/* Remembers how it ended, once: the first word counts. */
static void note(struct auth_login *l, enum reason why, enum err e)
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

/* The end for a reason that is not the client's. */
static void fail(struct auth_login *l, enum err e, int64_t delay);
static void give_up(struct auth_login *l, enum reason why, enum err e)
{
    note(l, why, e);
    fail(l, e, 0);
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

static void say_failed(struct bus_peer *worker, uint32_t conn, uint32_t attempt, enum err e,
                       int64_t delay)
{
    uint32_t body[2] = {(uint32_t)e, (uint32_t)(delay / CLOCK_MS)};
    bus_put(worker, IPC_LOGIN_FAILED, conn, attempt, (struct str){(const char *)body, sizeof body});
}

static void fail(struct auth_login *l, enum err e, int64_t delay)
{
    struct bus_peer *w = worker_of(l);
    gate_login_failed(&l->a->gate, (struct gate_place){l->place, l->conn}, l->attempt, (uint32_t)e);
    if (w != NULL)
        say_failed(w, l->conn, l->attempt, e, delay);
    login_free(l);
}

/* A worker asks once more about what has failed already: when a keeper or auth was replaced, it cannot know. */
static bool has_failed(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it,
                       const struct ipc_login *in)
{
    uint32_t e = gate_login_verdict(&a->gate, (struct gate_place){in->place, it->id}, it->seq);
    if (e == ERR_OK || e >= ERR_COUNT)
        return false;
    bool waits = e == ERR_AUTH_FAILED || e == ERR_ACCOUNT_BLOCKED;
    say_failed(worker, it->id, it->seq, (enum err)e,
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

static struct child_peer *keeper_of(struct auth_proc *a, uint32_t bank)
{
    return child_peer(a->c, IPC_ROLE_KEEPER, banks_keeper(bank, a->keepers));
}

/* false: the keeper is not there now. */
static bool attach(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    const struct account *acc = &l->s.account;
    struct child_peer *k = keeper_of(a, acc->bank);
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

static bool try_attach(struct auth_login *l)
{
    if (!attach(l))
        return false;
    note(l, REASON_LOGGED_IN, ERR_OK);
    login_free(l);
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
        give_up(l, REASON_SERVER_SESSIONS, ERR_TOO_MANY_SESSIONS);
        return;
    }
    if (!try_attach(l))
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

static void done(struct auth_login *l)
{
    struct auth_proc *a = l->a;
    char who[IP_WHO_MAX];
    if (l->s.err == ERR_OK) {
        succeed(l);
        return;
    }
    log_write(LOG_FAILURES, "XIMSSI", l->conn, ip_who(&l->s.address, who),
              "login failed: '%.*s', %s", STR_FMT(shown_name(l)), err_text(l->s.err));
    note(l, l->s.reason, l->s.err);
    shm_count_add(&a->c->shm, SHM_XIMSS_LOGINS_FAILED, 1);
    if (l->s.block_until != 0)
        gate_block(&a->gate, l->s.address.b, l->s.block_until, clock_mono());
    fail(l, l->s.err, l->s.delay);
}

static void advance(struct auth_login *l, enum sasl_next next);

static void hasher_said(struct auth_proc *a, void *arg, enum err e, struct str body)
{
    struct auth_login *l = arg;
    bool right = false;
    if (e == ERR_OK)
        e = verifier_job_checked(body, &right);
    if (e != ERR_OK)
        give_up(l, auth_job_failed(e) != ERR_TIMEOUT ? REASON_OURS : REASON_HASHER_LOST,
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
        give_up(l,
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
    struct child_peer *k = keeper_of(a, l->asked_bank);
    uint32_t q = ++a->next_question == 0 ? ++a->next_question : a->next_question;
    struct buf b;
    if (k == NULL || idmap_put(&a->questions, q, l) != ERR_OK) {
        give_up(l, REASON_KEEPER_LOST, ERR_TIMEOUT);
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
        w = worker_of(l);
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
        done(l);
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
    if (has_failed(a, worker, it, &in))
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
        say_failed(worker, it->id, it->seq, ERR_TIMEOUT, 0);
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
    note(l, REASON_CLIENT_GONE, ERR_AUTH_CANCELLED);
    login_free(l);
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
        login_free(l);
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
        give_up(l, REASON_KEEPER_LOST, ERR_TIMEOUT);
    else if (l->attach_by == 0 && theirs && over > 0)
        give_up(l, REASON_LATE, ERR_AUTH_CANCELLED);
    else if (l->attach_by == 0 && over > PATIENCE)
        give_up(l, l->s.next == SASL_CHECK ? REASON_HASHER_LOST : REASON_KEEPER_LOST, ERR_TIMEOUT);
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
        (void)try_attach(l);
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
