// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/addrlist.h"
#include "codec/ipcbody.h"
#include "codec/urlid.h"
#include "proc/keeper.h"
#include "store/mailbox.h"

#define OUT_PIECE 60000 /* bytes of one OUT item */

struct bus_peer *keeper_worker(const struct keeper *k, uint32_t number, uint32_t generation)
{
    struct child_peer *p = child_peer(k->c, IPC_ROLE_WORKER, number);
    return p != NULL && p->bus.generation == generation ? &p->bus : NULL;
}

void keeper_make_ready(struct kept *s)
{
    struct keeper *k = s->k;
    if (s->ready || s->ended)
        return;
    s->ready = true;
    s->next_ready = NULL;
    *k->ready_tail = s;
    k->ready_tail = &s->next_ready;
}

static struct kept *find(struct keeper *k, const struct bus_peer *worker, uint32_t session)
{
    struct kept *s = session != 0 ? idmap_get(&k->sessions, session) : NULL;
    /* A worker's word counts only for what was attached to it (design 2.3). */
    if (s == NULL || s->worker != worker->number || s->worker_generation != worker->generation)
        return NULL;
    return s;
}

/* --- attach */

static enum err make_inbox(struct db *db, void *arg)
{
    const int64_t *account = ((void **)arg)[1];
    int64_t id;
    (void)db;
    return mailbox_inbox(((void **)arg)[0], *account, &id);
}

/* A first login makes the account's INBOX; all others only read. */
static enum err need_inbox(struct store *store, int64_t account)
{
    void *args[2] = {store, &account};
    int64_t id;
    enum err e = mailbox_has_inbox(store, account, &id);
    return e == ERR_MAILBOX_MISSING ? db_once(store_db(store), make_inbox, args) : e;
}

static uint32_t sessions_of(const struct keeper *k, uint64_t account)
{
    uint32_t n = 0;
    for (const struct session *s = hub_first(&k->x.hub, (int64_t)account); s != NULL; s = s->peer)
        n += !s->closing;
    return n;
}

static void kill_old(struct keeper *k, struct str url_id, uint64_t account)
{
    uint32_t number;
    if (urlid_parse(url_id, &number, NULL) != ERR_OK)
        return;
    struct kept *old = idmap_get(&k->sessions, number);
    if (old == NULL || old->s->account != (int64_t)account || !urlid_eq(old->s->url_id, url_id))
        return;
    if (!old->s->mid_message)
        session_write_bye(&old->out);
    keeper_send(old, true);
    session_end(old->s);
    keeper_make_ready(old);
}

static enum err make_session(struct keeper *k, const struct ipc_attach *a, uint32_t conn,
                             struct kept **out)
{
    char url_id[URLID_LEN + 1], address[IP_TEXT_MAX + 3];
    struct ip ip;
    memcpy(ip.b, a->addr, sizeof ip.b);
    urlid_make(url_id, conn, a->bank);
    address[0] = '[';
    size_t n = ip_print(&ip, address + 1);
    address[n + 1] = ']';
    address[n + 2] = 0;
    struct session_info info = {.id = conn,
                                .account = (int64_t)a->account,
                                .bank = (uint16_t)a->bank,
                                .worker = (uint16_t)a->worker,
                                .conn = conn,
                                .transport = TRANSPORT_TCP,
                                .name = a->name,
                                .real_name = a->real_name,
                                .url_id = str_of(url_id),
                                .address = str_of(address)};
    struct kept *s = calloc(1, sizeof *s);
    enum err e = s != NULL ? session_new(&k->x, k->stores[a->bank], &info, &s->s) : ERR_NOMEM;
    if (e == ERR_OK && (e = idmap_put(&k->sessions, conn, s)) != ERR_OK)
        session_free(&s->s);
    explicit_bzero(url_id, sizeof url_id);
    if (e != ERR_OK) {
        free(s);
        return e;
    }
    s->k = k;
    s->s->user = s;
    s->attached = true;
    s->worker = a->worker;
    s->worker_generation = a->worker_generation;
    s->credit = (int64_t)k->c->conf->limits.credit;
    memcpy(s->addr, a->addr, sizeof s->addr);
    buf_init(&s->out, (size_t)4 << 20);
    *out = s;
    return ERR_OK;
}

static void attach_failed(struct bus_peer *w, const struct ipc_item *it, enum err e)
{
    uint32_t body = (uint32_t)e;
    bus_put(w, IPC_ATTACH_FAILED, it->id, it->seq, (struct str){(const char *)&body, sizeof body});
}

void keeper_attach(struct keeper *k, const struct ipc_item *it)
{
    struct ipc_attach a;
    struct kept *s = NULL;
    struct buf b;
    if (ipc_attach_get(it->body, &a) != ERR_OK || a.bank >= BANKS_MAX || k->stores[a.bank] == NULL)
        return;
    struct bus_peer *w = keeper_worker(k, a.worker, a.worker_generation);
    if (w == NULL || it->id == 0)
        return; /* its worker died on the way */
    if ((s = idmap_get(&k->sessions, it->id)) != NULL)
        keeper_free_session(s); /* numbers are unique: what still has it is a leftover */
    enum err e = sessions_of(k, a.account) >= k->c->conf->login.max_sessions_per_account
                     ? ERR_TOO_MANY_SESSIONS
                     : ERR_OK;
    if (e == ERR_OK)
        e = need_inbox(k->stores[a.bank], (int64_t)a.account);
    if (e == ERR_OK)
        e = make_session(k, &a, it->id, &s);
    if (e != ERR_OK) {
        attach_failed(w, it, e);
        return;
    }
    if (a.old_session.n != 0)
        kill_old(k, a.old_session, a.account);
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_str(&b, a.name);
    session_greet(s->s, a.request_id, &b);
    bus_put(w, IPC_ATTACHED, it->id, it->seq, buf_slice(&b));
    buf_free(&b);
    shm_count_add(&k->c->shm, SHM_XIMSS_SESSIONS_ACTIVE, 1);
    shm_count_add(&k->c->shm, SHM_XIMSS_SESSIONS_TOTAL, 1);
    log_write(LOG_MAJOR, "XIMSS", it->id, s->s->name.p, "session opened, from %s, TCP%s",
              s->s->address.p, (a.flags & IPC_ATTACH_TLS) != 0 ? ", TLS" : "");
}

/* --- input */

static void end_by_server(struct kept *s)
{
    if (!s->s->mid_message)
        session_write_bye(&s->out);
    keeper_send(s, true);
    session_end(s->s);
    keeper_make_ready(s);
}

void keeper_message(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct kept *s = find(k, worker, it->id);
    if (s == NULL)
        return;
    if (session_feed(s->s, it->body) != ERR_OK)
        end_by_server(s);
    keeper_make_ready(s);
}

void keeper_credit(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct kept *s = find(k, worker, it->id);
    if (s == NULL)
        return;
    int64_t most = (int64_t)k->c->conf->limits.credit;
    s->credit += it->seq;
    if (s->credit > most)
        s->credit = most;
    keeper_make_ready(s);
}

void keeper_detach(struct keeper *k, struct bus_peer *worker, uint32_t session)
{
    struct kept *s = find(k, worker, session);
    if (s == NULL)
        return;
    s->attached = false;
    session_end(s->s);
    keeper_make_ready(s);
}

void keeper_worker_gone(struct keeper *k, uint32_t worker)
{
    uint32_t at = 0;
    struct kept *s;
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (s->worker == worker && s->attached) {
            s->attached = false;
            session_end(s->s);
            keeper_make_ready(s);
        }
    }
}

static enum err remove_account(struct db *db, void *arg)
{
    void **args = arg;
    const int64_t *account = args[1];
    (void)db;
    return store_account_remove(args[0], *account);
}

void keeper_account_gone(struct keeper *k, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    int64_t account = (int64_t)ipc_get_u64(&in);
    uint64_t bank = ipc_get_u64(&in);
    if (ipc_in_end(&in) != ERR_OK || bank >= BANKS_MAX || k->stores[bank] == NULL)
        return;
    for (struct session *s = hub_first(&k->x.hub, account); s != NULL; s = s->peer) {
        if (!s->closing)
            end_by_server(s->user);
    }
    void *args[2] = {k->stores[bank], &account};
    if (db_once(store_db(k->stores[bank]), remove_account, args) != ERR_OK)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "the data of account %lld could not be removed",
                  (long long)account);
}

void keeper_session_check(struct keeper *k, struct bus_peer *auth, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint64_t account = ipc_get_u64(&in);
    struct str url_id = ipc_get_str(&in), addr = ipc_get_str(&in);
    uint32_t number;
    bool yes = false;
    if (ipc_in_end(&in) == ERR_OK && urlid_parse(url_id, &number, NULL) == ERR_OK) {
        struct kept *s = idmap_get(&k->sessions, number);
        yes = s != NULL && !s->s->closing && s->s->account == (int64_t)account &&
              urlid_eq(s->s->url_id, url_id) && addr.n == sizeof s->addr &&
              memcmp(addr.p, s->addr, addr.n) == 0;
    }
    bus_put(auth, IPC_SESSION_CHECKED, yes, it->seq, STR_NONE);
}

void keeper_password_answer(struct keeper *k, const struct ipc_item *it)
{
    struct kept *s = it->seq != 0 ? idmap_get(&k->sessions, it->seq) : NULL;
    if (s == NULL || s->asked == 0)
        return;
    s->asked = 0;
    dispatch_answer(s->s, it->id < ERR_COUNT ? (enum err)it->id : ERR_INTERNAL, STR_NONE);
    keeper_make_ready(s);
}

void keeper_questions_late(struct keeper *k, int64_t now, bool all)
{
    uint32_t at = 0;
    struct kept *s;
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (s->asked != 0 && (all || now - s->asked > KEEPER_ANSWER_TIME)) {
            s->asked = 0;
            dispatch_answer(s->s, ERR_TIMEOUT, STR_NONE);
            keeper_make_ready(s);
        }
    }
}

/* --- output and end */

void keeper_send(struct kept *s, bool last)
{
    struct bus_peer *w = keeper_worker(s->k, s->worker, s->worker_generation);
    struct str rest = buf_slice(&s->out);
    if (s->attached && w != NULL && !s->said_end) {
        while (rest.n != 0) {
            struct str piece = str_sub(rest, 0, OUT_PIECE);
            rest = str_sub(rest, piece.n, rest.n);
            bus_put(w, IPC_OUT, s->s->id, rest.n == 0 ? s->responses : 0, piece);
            s->credit -= (int64_t)piece.n;
        }
        if (last) {
            bus_put(w, IPC_END, s->s->id, 0, STR_NONE);
            s->said_end = true;
            s->attached = false; /* the worker says no more about it */
        }
    }
    s->responses = 0;
    if (s->out.cap > 4096)
        buf_free(&s->out);
    else
        buf_clear(&s->out);
}

static void leave_ready_line(struct kept *s)
{
    struct keeper *k = s->k;
    struct kept **at = &k->ready;
    while (*at != NULL && *at != s)
        at = &(*at)->next_ready;
    if (*at == NULL)
        return;
    *at = s->next_ready;
    if (*at == NULL)
        k->ready_tail = at;
}

void keeper_free_session(struct kept *s)
{
    struct keeper *k = s->k;
    if (s->ready)
        leave_ready_line(s);
    log_write(LOG_MAJOR, "XIMSS", s->s->id, s->s->name.p, "session closed, %llu requests",
              (unsigned long long)s->s->request_count);
    if (idmap_get(&k->sessions, s->s->id) == s)
        idmap_remove(&k->sessions, s->s->id);
    shm_count_sub(&k->c->shm, SHM_XIMSS_SESSIONS_ACTIVE, 1);
    session_free(&s->s);
    buf_free(&s->out);
    free(s);
}
