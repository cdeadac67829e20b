// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Sessions between their beginning and their end: what comes from the worker and from auth, what goes out, how they end. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcbody.h"
#include "codec/urlid.h"
#include "proc/gate.h"
#include "proc/keeper.h"

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

/* --- input */

static struct kept *find(struct keeper *k, const struct bus_peer *worker, uint32_t session)
{
    struct kept *s = session != 0 ? idmap_get(&k->sessions, session) : NULL;
    /* A worker's word counts only for what was attached to it (design 2.3). */
    if (s == NULL || s->worker != worker->number || s->worker_generation != worker->generation)
        return NULL;
    return s;
}

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

/* --- questions */

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
