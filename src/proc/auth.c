// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"
#include "proc/settings.h"

#define TICK (250 * CLOCK_MS)

static enum err find(void *ctx, struct str name, struct account *out)
{
    struct auth_proc *a = ctx;
    return directory_find(a->dir, name, out);
}

/* --- start */

static enum err read_domains(const struct conf *conf, struct auth_domains *d)
{
    BUG_IF(conf->ndomains > DIRECTORY_DOMAINS);
    d->name = calloc(conf->ndomains, sizeof *d->name);
    if (d->name == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < conf->ndomains; i++)
        d->name[i] = conf->domains[i].name;
    d->n = (uint32_t)conf->ndomains;
    return ERR_OK;
}

static enum err open_directory(struct auth_proc *a)
{
    struct directory_options opt = {
        .banks = a->c->banks, .domains = a->domains.name, .ndomains = a->domains.n};
    return directory_open(&a->dir, "accounts.db", &opt);
}

/* Unknown names are checked against a hash of the same cost as everybody's; made here, before anybody waits. */
static enum err make_dummy(struct auth_proc *a)
{
    uint8_t random[24];
    char text[49];
    struct verifiers v;
    arc4random_buf(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    enum err e = verifier_make(str_of(text), &a->env.verifier, &v);
    if (e == ERR_OK)
        e = sasl_env_init(&a->env, directory_secret(a->dir), str_of(v.hash));
    verifier_wipe(&v);
    return e;
}

/* What opens many passwords stays out of swap: the directory's secret, and the keys of salts, nonces and the cache. */
static void lock_keys(struct auth_proc *a)
{
    if (mlock(a, sizeof *a) != 0 || mlock(directory_secret(a->dir), 1) != 0)
        log_write(LOG_LOW, "AUTH", 0, NULL, "keys may be swapped out: %s", strerror(errno));
}

static enum err start(struct child *c)
{
    struct auth_proc *a = c->data;
    const struct conf *conf = c->conf;
    struct faillog_options fo = settings_faillog(conf);
    a->c = c;
    a->jobs_tail = &a->jobs;
    idmap_init(&a->logins);
    idmap_init(&a->clear);
    idmap_init(&a->questions);
    addrlist_init(&a->clients);
    a->keepers = c->keepers;
    BUG_IF(gate_attach(&a->gate, c->gate_mem, c->gate_bytes) != ERR_OK);
    a->env = (struct sasl_env){.find = find,
                               .ctx = a,
                               .cache = &a->cache,
                               .nonces = &a->nonces,
                               .fails = &a->fails,
                               .verifier = settings_verifier(conf),
                               .exchange_time = conf->login.exchange_timeout};
    snprintf(a->env.host, sizeof a->env.host, "%.*s", STR_FMT(conf->domains[0].name));
    enum err e = faillog_attach(&a->fails, c->faillog_mem, c->faillog_bytes, &fo);
    if (e == ERR_OK)
        e = addrlist_parse(&a->clients, conf->server.client_addresses, NULL);
    if (e == ERR_OK)
        e = pwcache_init(&a->cache, PWCACHE_ENTRIES, conf->login.verify_cache);
    if (e == ERR_OK)
        e = attempts_new(&a->attempts, ATTEMPTS_NAMES);
    if (e == ERR_OK)
        e = nonces_init(&a->nonces, NONCE_USED);
    if (e == ERR_OK)
        e = read_domains(conf, &a->domains);
    if (e == ERR_OK)
        e = open_directory(a);
    if (e == ERR_OK)
        e = make_dummy(a);
    if (e == ERR_OK)
        lock_keys(a);
    if (e == ERR_OK)
        loop_timer_set(c->loop, &a->tick, TICK);
    return e;
}

/* --- a reload */

static enum err prepare(struct child *c, const struct conf *next)
{
    struct auth_proc *a = c->data;
    addrlist_init(&a->next.clients);
    enum err e = addrlist_parse(&a->next.clients, next->server.client_addresses, NULL);
    return e == ERR_OK ? read_domains(next, &a->next.domains) : e;
}

static void forget(struct child *c)
{
    struct auth_proc *a = c->data;
    addrlist_free(&a->next.clients);
    free(a->next.domains.name);
    memset(&a->next, 0, sizeof a->next);
}

/* Counters and verified passwords stay; the table of the counters has its size from the start. */
static void apply(struct child *c, const struct conf *old)
{
    struct auth_proc *a = c->data;
    struct auth_domains was = a->domains;
    struct faillog_options fo = settings_faillog(c->conf);
    (void)old;
    a->domains = a->next.domains;
    a->next.domains = was;
    struct addrlist clients = a->clients;
    a->clients = a->next.clients;
    a->next.clients = clients;
    directory_set_domains(a->dir, a->domains.name, a->domains.n);
    forget(c);
    a->fails.opt = fo;
    a->env.verifier = settings_verifier(c->conf);
    a->env.exchange_time = c->conf->login.exchange_timeout;
    if (a->cache.life != c->conf->login.verify_cache)
        pwcache_clear(&a->cache);
    a->cache.life = c->conf->login.verify_cache;
}

/* --- packets */

static void rcpt(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it)
{
    struct name name;
    struct account acc = {.id = 0};
    struct buf b;
    enum err e = name_canon(it->body, a->domains.name[0], &name);
    if (e == ERR_OK)
        e = directory_find(a->dir, name_str(&name), &acc);
    if (e != ERR_OK && e != ERR_DB)
        e = ERR_UNKNOWN_USER;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_u64(&b, acc.id);
    ipc_put_u32(&b, acc.bank);
    ipc_put_str(&b, e == ERR_OK ? name_str(&acc.name) : STR(""));
    bus_put(worker, IPC_RCPT_ANSWER, (uint32_t)e, it->seq, buf_slice(&b));
    buf_free(&b);
    account_wipe(&acc);
}

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct auth_proc *a = c->data;
    switch (it->type) {
    case IPC_LOGIN:
        auth_login_begin(a, from, it);
        break;
    case IPC_LOGIN_STEP:
        auth_login_step(a, from, it);
        break;
    case IPC_LOGIN_DROP:
        auth_login_drop(a, from, it->id, it->seq);
        break;
    case IPC_FEATURES:
        auth_features(a, from, it);
        break;
    case IPC_RCPT:
        rcpt(a, from, it);
        break;
    case IPC_ATTACH_REFUSED:
        auth_attach_refused(a, it);
        break;
    case IPC_SESSION_CHECKED:
        auth_session_checked(a, from, it);
        break;
    case IPC_PASSWORD:
        auth_password(a, from, it);
        break;
    case IPC_HASHER_LEAVES:
        auth_hasher_leaves(a, from->number);
        break;
    case IPC_HASHED:
        auth_job_answer(a, from->number, (enum err)(it->id < ERR_COUNT ? it->id : ERR_PACKET),
                        it->body);
        break;
    default:
        break;
    }
}

/* --- places in the gate of processes that are gone (design 2.4) */

static bool has_places(enum ipc_role role)
{
    return role == IPC_ROLE_WORKER || role == IPC_ROLE_KEEPER;
}

static uint32_t owner_of(enum ipc_role role, uint32_t number, uint32_t generation)
{
    return gate_owner(role == IPC_ROLE_KEEPER ? GATE_KEEPERS_AT + number : number, generation);
}

static void peer_up(struct child *c, struct child_peer *p)
{
    struct auth_proc *a = c->data;
    if (p->bus.role == IPC_ROLE_HASHER)
        auth_hasher_up(a, p->bus.number);
    else if (p->bus.role == IPC_ROLE_KEEPER)
        auth_keeper_up(a);
    /* One before it may have died together with the auth before us. */
    if (has_places(p->bus.role))
        gate_clear_before(&a->gate, owner_of(p->bus.role, p->bus.number, p->bus.generation));
}

static void peer_gone(struct child *c, struct child_peer *p)
{
    struct auth_proc *a = c->data;
    if (p->bus.role == IPC_ROLE_HASHER)
        auth_hasher_gone(a, p->bus.number);
    if (p->bus.role == IPC_ROLE_WORKER)
        auth_logins_of_worker_gone(a, p->bus.number);
    if (has_places(p->bus.role))
        gate_clear_owner(&a->gate, owner_of(p->bus.role, p->bus.number, p->bus.generation));
}

/* It and the auth before us died together, and a worker may have no successor: of an upgrade it was an old one. */
static void gone_before(struct child *c, enum ipc_role role, uint32_t number, uint32_t generation)
{
    struct auth_proc *a = c->data;
    if (!has_places(role))
        return;
    gate_clear_owner(&a->gate, owner_of(role, number, generation));
    gate_clear_before(&a->gate, owner_of(role, number, generation));
}

static void tick(struct timer *t)
{
    struct auth_proc *a = CONTAINER_OF(t, struct auth_proc, tick);
    int64_t now = clock_mono();
    auth_jobs_tick(a, now);
    auth_logins_tick(a, now);
    loop_timer_set(a->c->loop, t, TICK);
}

static const struct child_hooks hooks = {.load = db_prepare,
                                         .start = start,
                                         .item = item,
                                         .peer_up = peer_up,
                                         .peer_gone = peer_gone,
                                         .gone_before = gone_before,
                                         .ctl = auth_ctl,
                                         .prepare = prepare,
                                         .apply = apply,
                                         .forget = forget,
                                         .queue_max = AUTH_QUEUE_MAX};

void auth_setup(struct child *c)
{
    static struct auth_proc a;
    timer_init(&a.tick, tick);
    c->hooks = &hooks;
    c->data = &a;
}
