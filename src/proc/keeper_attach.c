// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* How a session begins: a login that auth has let in is attached to its worker, or gets its place over HTTP (design 2.3). */
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

#define WHO_MAX 400 /* bytes of an account's name in the log, and more */

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
