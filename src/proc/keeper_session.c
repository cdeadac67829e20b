// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/addrlist.h"
#include "codec/ipcbody.h"
#include "codec/urlid.h"
#include "proc/gate.h"
#include "proc/keeper.h"
#include "store/mailbox.h"

#define OUT_PIECE 60000 /* bytes of one OUT item */
#define WHO_MAX   400   /* bytes of an account's name in the log, and more */

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

static const char *link_text(uint32_t flags)
{
    return (flags & IPC_ATTACH_TLS) == 0     ? ""
           : (flags & IPC_ATTACH_TLS13) != 0 ? ", TLSv1.3"
                                             : ", TLSv1.2";
}

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

void keeper_end_session(struct kept *s, enum ipc_why why)
{
    s->why = why;
    if (!s->s->mid_message)
        session_write_bye(&s->out);
    keeper_send(s, true);
    session_end(s->s);
    keeper_make_ready(s);
}

void keeper_end_by_worker(struct kept *s, enum ipc_why why)
{
    s->why = why;
    s->attached = false;
    session_end(s->s);
    keeper_make_ready(s);
}

static void kill_old(struct keeper *k, struct str url_id, uint64_t account)
{
    uint32_t number;
    if (urlid_parse(url_id, &number, NULL) != ERR_OK)
        return;
    struct kept *old = idmap_get(&k->sessions, number);
    if (old == NULL || old->s->account != (int64_t)account || !urlid_eq(old->s->url_id, url_id))
        return;
    keeper_end_session(old, IPC_WHY_KILLED);
}

/*
 * A slice runs when all of it, and a TLS record on its way, have room in the credit. Of a small credit half is enough: the
 * worker keeps up to 32 KiB of it back.
 */
#define SLICE_ROOM (SLICE_MAX + 16384)

void keeper_begin_session(struct keeper *k, struct kept *s)
{
    s->k = k;
    s->attached = true;
    s->credit = (int64_t)k->c->conf->limits.credit;
    s->enough = s->credit < 2 * SLICE_ROOM ? (uint32_t)s->credit / 2 : SLICE_ROOM;
    buf_init(&s->out, (size_t)4 << 20);
}

static enum err make_session(struct keeper *k, const struct ipc_attach *a, uint32_t number,
                             struct kept **out)
{
    char url_id[URLID_LEN + 1], address[IP_WHO_MAX];
    struct ip ip;
    memcpy(ip.b, a->addr, sizeof ip.b);
    urlid_make(url_id, number, a->bank);
    struct session_info info = {.id = number,
                                .account = (int64_t)a->account,
                                .bank = (uint16_t)a->bank,
                                .worker = (uint16_t)a->worker,
                                .conn = number,
                                .must_change = (a->flags & IPC_ATTACH_MUST_CHANGE) != 0,
                                .name = a->name,
                                .real_name = a->real_name,
                                .url_id = str_of(url_id),
                                .address = str_of(ip_who(&ip, address))};
    struct kept *s = calloc(1, sizeof *s);
    enum err e = s != NULL ? session_new(&k->x, k->stores[a->bank], &info, &s->s) : ERR_NOMEM;
    if (e == ERR_OK && (e = idmap_put(&k->sessions, number, s)) != ERR_OK)
        session_free(&s->s);
    explicit_bzero(url_id, sizeof url_id);
    if (e != ERR_OK) {
        free(s);
        return e;
    }
    s->s->user = s;
    s->worker = a->worker;
    s->worker_generation = a->worker_generation;
    memcpy(s->addr, a->addr, sizeof s->addr);
    keeper_begin_session(k, s);
    *out = s;
    return ERR_OK;
}

/* No worker has a say about it, and what it writes is not sent but becomes a reply first. */
void keeper_session_of_no_worker(struct kept *s)
{
    s->worker = UINT32_MAX;
    s->credit = INT64_MAX / 2;
    s->enough = 0;
}

static enum err make_http_session(struct keeper *k, const struct ipc_attach *a, struct kept **out)
{
    struct gate_place place;
    enum err e = keeper_http_place(k, a, &place);
    if (e != ERR_OK)
        return e;
    e = make_session(k, a, place.id, out);
    if (e == ERR_OK)
        keeper_session_of_no_worker(*out);
    if (e == ERR_OK && (e = keeper_http_begin(*out, a, place)) != ERR_OK) {
        idmap_remove(&k->sessions, place.id);
        session_free(&(*out)->s);
        free(*out);
    }
    if (e != ERR_OK)
        gate_leave(&k->gate, place);
    return e;
}

static void attach_failed(struct bus_peer *w, const struct ipc_item *it, enum err e)
{
    uint32_t body = (uint32_t)e;
    bus_put(w, IPC_ATTACH_FAILED, it->id, it->seq, (struct str){(const char *)&body, sizeof body});
}

/* It had let the login in, and is asked why people could not log in. */
static void tell_auth(struct keeper *k, struct str name, const struct ipc_item *it, enum err e)
{
    struct child_peer *auth = child_peer(k->c, IPC_ROLE_AUTH, 0);
    struct buf b;
    if (auth == NULL)
        return;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_str(&b, name);
    ipc_put_u32(&b, (uint32_t)e);
    bus_put(&auth->bus, IPC_ATTACH_REFUSED, it->id, it->seq, buf_slice(&b));
    buf_free(&b);
}

/*
 * Numbers of connections are unique, but it is a worker who says them, and he may have been taken over: he can put an
 * end to his own sessions only.
 */
static bool may_have_number(struct keeper *k, const struct ipc_attach *a, const struct ipc_item *it,
                            struct bus_peer *w)
{
    if (it->id < GATE_ID_FIRST || it->id > GATE_ID_LAST) {
        attach_failed(w, it, ERR_INTERNAL);
        return false;
    }
    struct kept *old = idmap_get(&k->sessions, it->id);
    if (old == NULL)
        return true;
    bool same = old->worker == a->worker && old->worker_generation == a->worker_generation;
    bool alive = old->http != NULL || keeper_worker(k, old->worker, old->worker_generation) != NULL;
    if (same && old->attached && old->attempt == it->seq)
        return false; /* a new auth was asked once more; the worker knows already */
    if (!same && old->attached && alive) {
        attach_failed(w, it, ERR_INTERNAL);
        return false;
    }
    old->attached = false;
    keeper_free_session(old); /* a leftover */
    return true;
}

#define GREETING_MAX 32768 /* names and the request's id, each character of them escaped */

void keeper_attach(struct keeper *k, const struct ipc_item *it)
{
    struct ipc_attach a;
    struct kept *s = NULL;
    struct buf b;
    if (ipc_attach_get(it->body, &a) != ERR_OK || a.bank >= BANKS_MAX || k->stores[a.bank] == NULL)
        return;
    struct bus_peer *w = keeper_worker(k, a.worker, a.worker_generation);
    if (w == NULL)
        return; /* its worker died on the way */
    bool http = (a.flags & IPC_ATTACH_HTTP) != 0;
    if (!http && !may_have_number(k, &a, it, w))
        return;
    enum err e = sessions_of(k, a.account) >= k->c->conf->login.max_sessions_per_account
                     ? ERR_TOO_MANY_SESSIONS
                     : ERR_OK;
    /* A login without its session message would be none, and the session is there once it is made. */
    buf_init(&b, IPC_BODY_MAX);
    if (e == ERR_OK && buf_room(&b, GREETING_MAX) == NULL)
        e = ERR_NOMEM;
    /* Who has a session has an INBOX. */
    if (e == ERR_OK && hub_first(&k->x.hub, (int64_t)a.account) == NULL)
        e = need_inbox(k->stores[a.bank], (int64_t)a.account);
    if (e == ERR_OK)
        e = http ? make_http_session(k, &a, &s) : make_session(k, &a, it->id, &s);
    if (e != ERR_OK) {
        char who[WHO_MAX];
        snprintf(who, sizeof who, "%.*s", STR_FMT(a.name));
        log_write(LOG_FAILURES, "XIMSS", it->id, who, "session refused: %s", err_text(e));
        attach_failed(w, it, e);
        tell_auth(k, a.name, it, e);
        buf_free(&b);
        return;
    }
    if (a.old_session.n != 0)
        kill_old(k, a.old_session, a.account);
    ipc_put_str(&b, a.name);
    session_greet(s->s, a.request_id, &b);
    s->attempt = it->seq;
    s->opened = clock_mono();
    bus_put(w, IPC_ATTACHED, it->id, it->seq, buf_slice(&b));
    if (b.p != NULL)
        explicit_bzero(b.p, b.n); /* the urlID */
    buf_free(&b);
    shm_count_add(&k->c->shm, SHM_XIMSS_SESSIONS_ACTIVE, 1);
    shm_count_add(&k->c->shm, SHM_XIMSS_SESSIONS_TOTAL, 1);
    log_write(LOG_MAJOR, "XIMSS", s->s->id, s->s->name.p, "session opened, from %s, %s%s",
              s->s->address.p, http ? "HTTP" : "TCP", link_text(a.flags));
}

/* --- input */

void keeper_message(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct kept *s = find(k, worker, it->id);
    if (s == NULL)
        return;
    s->s->request_count += it->seq;
    if (session_feed(s->s, it->body) != ERR_OK)
        keeper_end_session(s, IPC_WHY_TOO_LONG);
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

void keeper_detach(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct kept *s = find(k, worker, it->id);
    struct ipc_in in = {it->body, false};
    uint32_t why = ipc_get_u32(&in), answered = ipc_get_u32(&in);
    if (s == NULL || s->attempt != it->seq)
        return; /* of a login that the worker had given up */
    s->s->request_count += answered;
    keeper_end_by_worker(s, why < IPC_WHY_COUNT ? (enum ipc_why)why : IPC_WHY_CLOSED);
}

void keeper_worker_gone(struct keeper *k, uint32_t worker)
{
    uint32_t at = 0;
    struct kept *s;
    keeper_http_worker_gone(k, worker);
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        if (s->worker == worker && s->attached)
            keeper_end_by_worker(s, IPC_WHY_NO_WORKER);
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
            keeper_end_session(s->user, IPC_WHY_REMOVED);
    }
    void *args[2] = {k->stores[bank], &account};
    if (db_once(store_db(k->stores[bank]), remove_account, args) != ERR_OK)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "the data of account %lld could not be removed",
                  (long long)account);
}

/* It may be used from wherever its client is (protocol 1, 3.6). */
static bool any_address(const struct kept *s)
{
    return s->http != NULL && !s->http->b->ip_watch;
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
        bool same = s != NULL && urlid_eq(s->s->url_id, url_id); /* whoever asks */
        yes = same && !s->s->closing && s->s->account == (int64_t)account &&
              addr.n == sizeof s->addr && (any_address(s) || memcmp(addr.p, s->addr, addr.n) == 0);
    }
    bus_put(auth, IPC_SESSION_CHECKED, yes, it->seq, STR_NONE);
}

/* Session and count in one number, so that a late answer is not taken for that to the next question. */
#define QUESTION_AT 20 /* 999999 needs so many bits */
_Static_assert(GATE_ID_LAST < 1u << QUESTION_AT, "a session's number fits");

uint32_t keeper_question(struct kept *s)
{
    return ++s->asks << QUESTION_AT | s->s->id;
}

void keeper_password_answer(struct keeper *k, const struct ipc_item *it)
{
    uint32_t id = it->seq & ((1u << QUESTION_AT) - 1);
    struct kept *s = id != 0 ? idmap_get(&k->sessions, id) : NULL;
    if (s == NULL || s->asked == 0 || (s->asks << QUESTION_AT | id) != it->seq)
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

static void send_tcp(struct kept *s, bool last)
{
    struct bus_peer *w = keeper_worker(s->k, s->worker, s->worker_generation);
    struct str rest = buf_slice(&s->out);
    if (buf_err(&s->out) !=
        ERR_OK) { /* something is missing in it: no client can go on with that */
        s->why = IPC_WHY_NO_MEMORY;
        rest = STR_NONE;
        last = true;
        session_end(s->s);
    }
    if (s->attached && w != NULL && !s->said_end) {
        while (rest.n != 0) {
            struct str piece = str_sub(rest, 0, OUT_PIECE);
            rest = str_sub(rest, piece.n, rest.n);
            bus_put(w, IPC_OUT, s->s->id, rest.n == 0 ? s->responses : 0, piece);
            s->credit -= (int64_t)piece.n;
        }
        if (last && s->why == IPC_WHY_CLOSED)
            s->why =
                s->s->error_count > s->s->x->limits.protocol_errors ? IPC_WHY_ERRORS : IPC_WHY_BYE;
        if (last) {
            bus_put(w, IPC_END, s->s->id, 0, STR_NONE);
            s->said_end = true;
            s->attached = false; /* the worker says no more about it */
        }
    }
}

void keeper_send(struct kept *s, bool last)
{
    if (s->http != NULL)
        keeper_http_send(s, last);
    else
        send_tcp(s, last);
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

static void say_closed(const struct kept *s)
{
    int64_t sec = (clock_mono() - s->opened) / CLOCK_SEC;
    const char *unit = sec < 60 ? "sec" : sec < 3600 ? "min" : sec < 86400 ? "h" : "d";
    int64_t n = sec < 60 ? sec : sec < 3600 ? sec / 60 : sec < 86400 ? sec / 3600 : sec / 86400;
    log_write(LOG_MAJOR, "XIMSS", s->s->id, s->s->name.p,
              "session closed: %s, %lld %s, %llu requests", ipc_why_text(s->why), (long long)n,
              unit, (unsigned long long)s->s->request_count);
}

void keeper_free_session(struct kept *s)
{
    struct keeper *k = s->k;
    BUG_IF(s->writer); /* the round would come back to it */
    if (s->ready)
        leave_ready_line(s);
    if (s->attached && !s->said_end)
        keeper_send(s, true); /* whatever led here, the client must not wait for ever */
    say_closed(s);
    if (idmap_get(&k->sessions, s->s->id) == s)
        idmap_remove(&k->sessions, s->s->id);
    shm_count_sub(&k->c->shm, SHM_XIMSS_SESSIONS_ACTIVE, 1);
    if (s->http != NULL)
        keeper_http_close(s);
    session_free(&s->s);
    if (s->http != NULL)
        keeper_http_end(s);
    buf_free(&s->out);
    free(s);
}
