// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * One round (design 2.1, 2.2, 4). Reads run first and are answered at once; then, bank by bank, writers in order
 * and waiting deliveries in one transaction; what they answered leaves after the commit, or is replaced by 599.
 *
 * Reads, the writers of a bank and its deliveries have 256 requests or 2 ms each; what is left has its turn in the next
 * round, but at least one of each goes on in every round.
 */
#include "base/clock.h"
#include "base/log.h"
#include "proc/keeper.h"

#define TURN_BYTES 32768 /* of one session: then its output leaves ... */
#define ROUND_EVENTS \
    256 /* sessions that are told something on the server's own account; the others in the next round */
#define TURN_TIME (INT64_C(200) * CLOCK_US) /* ... and others have their turn */

struct round {
    struct keeper *k;
    struct kept *later[BANKS_MAX]; /* sessions whose next slice writes, in order */
    struct kept **later_tail[BANKS_MAX];
    uint32_t requests;
    struct kept *parked, **parked_tail; /* cannot run before something else happens */
    int64_t now;                        /* after the last slice */
    int64_t deadline;
};

/* For the master's log, should this be the end (shm/shm_last.h). */
static void at(const struct round *r, enum shm_state state, const struct kept *s)
{
    shm_doing(&r->k->c->shm, state, s != NULL ? s->s->id : 0,
              s != NULL ? (uint16_t)dispatch_op(s->s) : 0, r->now);
}

static bool has_credit(const struct kept *s)
{
    return s->credit - (int64_t)s->out.n >= s->enough;
}

/* It is to be handed over, so its request comes to an end though the client does not read. */
static bool goes_ahead(const struct kept *s)
{
    return s->k->handover == KEEPER_DRAINS && !has_credit(s) && dispatch_may_go_ahead(s->s) &&
           s->k->ahead < KEEPER_AHEAD_MAX;
}

static bool may_send(const struct kept *s)
{
    if (!s->attached)
        return true; /* only its end is left; nobody gets output */
    const struct bus_peer *w = keeper_worker(s->k, s->worker, s->worker_generation);
    return has_credit(s) && (w == NULL || bus_unsent(w) < KEEPER_WORKER_QUEUE);
}

static bool may_run(const struct kept *s)
{
    return may_send(s) || goes_ahead(s);
}

static bool over(const struct round *r)
{
    return r->requests >= KEEPER_ROUND_REQUESTS || r->now >= r->deadline;
}

static void send_question(struct kept *s)
{
    const struct question *q = dispatch_question(s->s);
    struct child_peer *auth = child_peer(s->k->c, IPC_ROLE_AUTH, 0);
    struct buf b;
    if (q == NULL || q->kind != QUESTION_PASSWORD || auth == NULL) {
        dispatch_answer(s->s, ERR_TIMEOUT, STR_NONE);
        keeper_make_ready(s);
        return;
    }
    s->asked = clock_mono();
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_u64(&b, (uint64_t)s->s->account);
    ipc_put_opt(&b, q->old_password);
    ipc_put_opt(&b, q->new_password);
    ipc_put_opt(&b, q->recovery_email);
    if (buf_err(&b) == ERR_OK)
        bus_put(&auth->bus, IPC_PASSWORD, 0, keeper_question(s), buf_slice(&b));
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
}

static void count_slice(struct kept *s, const struct slice *r)
{
    struct keeper *k = s->k;
    if (r->run != RUN_DONE)
        return;
    s->responses++;
    if (err_num(r->err) != 0)
        shm_count_add(&k->c->shm, SHM_XIMSS_ERRORS, 1);
}

static void after_slice(struct kept *s, const struct slice *r)
{
    count_slice(s, r);
    if (r->run == RUN_WAIT)
        send_question(s);
    if (r->run == RUN_END)
        s->ended = true;
}

/* What a session says on its own account; without credit it waits as a flag in the session. */
static void send_async(struct kept *s)
{
    if (!s->attached || s->said_end || !session_async_due(s->s))
        return;
    if (s->http != NULL) {
        binding_async(s->http->b);
        return;
    }
    if (!may_send(s)) {
        if (has_credit(s)) /* its worker's queue is full; no credit will come that wakes it */
            keeper_make_ready(s);
        return;
    }
    session_async(s->s, &s->out);
    keeper_send(s, false);
    if (session_async_due(s->s))
        keeper_make_ready(s);
}

/* --- reads */

static void put_later(struct round *r, struct kept *s)
{
    if (s->writer)
        return;
    s->writer = true;
    s->mark = s->out.n;
    s->next_writer = NULL;
    *r->later_tail[s->s->bank] = s;
    r->later_tail[s->s->bank] = &s->next_writer;
}

static struct slice ahead(struct kept *s)
{
    size_t before = s->s->req != NULL ? s->s->req->spill.n : 0;
    struct slice sl = dispatch_ahead(s->s, &s->out);
    size_t now = s->s->req != NULL ? s->s->req->spill.n : 0;
    s->k->ahead += now > before ? now - before : 0;
    return sl;
}

/*
 * A session's turn: the short reads that it has sent together are answered together; then it stands at the end of the
 * line again, if there is more. What leaves at once is one packet item, not one for each request.
 */
static void read_turn(struct round *r, struct kept *s)
{
    int64_t began = r->now;
    enum kind kind;
    struct slice sl;
    do {
        at(r, SHM_STATE_ROUND, s); /* reading a message can be the end as well */
        kind = dispatch_kind(s->s);
        if (kind != KIND_READ)
            break;
        at(r, SHM_STATE_ROUND, s);
        if (s->http != NULL)
            keeper_http_runs(s, r->now);
        sl = goes_ahead(s) ? ahead(s) : dispatch_slice(s->s, &s->out);
        db_idle_check(store_db(s->s->store)); /* no read transaction outlives a slice */
        r->requests++;
        r->now = clock_mono();
        after_slice(s, &sl);
        if (sl.close)
            break;
    } while (sl.run == RUN_DONE && !over(r) && r->now - began < TURN_TIME &&
             s->out.n < TURN_BYTES && has_credit(s));
    bool close = kind == KIND_READ && sl.close;
    if (s->out.n != 0 || s->out.failed || close)
        keeper_send(s, close);
    if (kind == KIND_WRITE)
        kind = dispatch_kind(s->s); /* sending may have ended it */
    if (kind == KIND_WRITE)
        put_later(r, s);
    else if (kind == KIND_READ && !s->ended && session_has_work(s->s))
        keeper_make_ready(s);
}

static struct kept *take_ready(struct keeper *k)
{
    struct kept *s = k->ready;
    k->ready = s->next_ready;
    if (k->ready == NULL)
        k->ready_tail = &k->ready;
    s->ready = false;
    return s;
}

static void park(struct round *r, struct kept *s)
{
    s->ready = true; /* stands in a line */
    s->next_ready = NULL;
    *r->parked_tail = s;
    r->parked_tail = &s->next_ready;
}

static void run_reads(struct round *r)
{
    struct keeper *k = r->k;
    while (k->ready != NULL && !over(r)) {
        struct kept *s = take_ready(k);
        if (!may_run(s)) {
            if (has_credit(s)) /* its worker's queue is full: look again when some of it is gone */
                park(r, s);
            continue;
        }
        read_turn(r, s);
        if (s->ended)
            keeper_free_session(s);
        else if (!s->writer && !s->ready && session_has_work(s->s))
            park(r, s); /* no memory for a request now */
        else if (!s->writer)
            send_async(s);
    }
}

/* Back into the line, for the next round, whenever that is. */
static void unpark(struct round *r)
{
    while (r->parked != NULL) {
        struct kept *s = r->parked;
        r->parked = s->next_ready;
        s->ready = false;
        keeper_make_ready(s);
    }
}

/* --- writes */

static void write_slices(struct round *r, struct kept *s, struct db *db)
{
    while (!s->ended && may_run(s) && dispatch_kind(s->s) == KIND_WRITE) {
        at(r, SHM_STATE_ROUND, s);
        enum err e = db_request_begin(db);
        if (e != ERR_OK)
            return; /* broken: all of them are told at the end */
        if (s->http != NULL)
            keeper_http_runs(s, r->now);
        struct slice sl = dispatch_slice(s->s, &s->out);
        r->requests++;
        if (db_request_end(db, !sl.rollback) != ERR_OK)
            return;
        after_slice(s, &sl);
        if (sl.close)
            s->said_end = false; /* told after the commit */
        r->now = clock_mono();
        at(r, SHM_STATE_ROUND, s);
        if (sl.run != RUN_DONE || over(r))
            return;
    }
}

static void finish_writer(struct kept *s, enum err e)
{
    s->writer = false;
    if (e == ERR_OK) {
        dispatch_commit(s->s);
    } else {
        s->responses = 0;
        s->ended = false;
        dispatch_fail(s->s, s->mark, &s->out);
        for (size_t i = s->mark; i < s->out.n; i++)
            s->responses += s->out.p[i] == 0;
    }
    if (s->out.n != 0 || s->out.failed)
        keeper_send(s, s->s->closing);
    if (s->ended)
        keeper_free_session(s);
    else if (session_has_work(s->s))
        keeper_make_ready(s);
}

static void new_budget(struct round *r)
{
    r->requests = 0;
    r->now = clock_mono();
    r->deadline = r->now + KEEPER_ROUND_TIME;
}

/* Those that have no slice in this round any more; they have done nothing yet. */
static void put_off(struct kept *s)
{
    for (struct kept *next; s != NULL; s = next) {
        next = s->next_writer;
        s->writer = false;
        keeper_make_ready(s);
    }
}

/* Gives the writers of the bank, as far as time lasts, their slices. */
static void write_all(struct round *r, uint32_t bank, struct db *db)
{
    new_budget(r);
    for (struct kept *s = r->later[bank]; s != NULL; s = s->next_writer) {
        write_slices(r, s, db);
        if (over(r)) {
            put_off(s->next_writer);
            s->next_writer = NULL;
        }
    }
}

static void write_bank(struct round *r, uint32_t bank)
{
    struct keeper *k = r->k;
    struct db *db = store_db(k->stores[bank]);
    if (r->later[bank] == NULL && !keeper_has_mail(k, bank))
        return;
    k->wrote = clock_mono();
    db_round_begin(db);
    write_all(r, bank, db);
    new_budget(r);
    at(r, SHM_STATE_DELIVERY, NULL);
    keeper_store(k, bank, r->deadline);
    r->now = clock_mono();
    at(r, SHM_STATE_COMMIT, NULL);
    enum err e = db_round_commit(db);
    at(r, SHM_STATE_ROUND, NULL);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "bank %u: a round failed, its writers get 599",
                  bank);
    struct kept *next;
    for (struct kept *s = r->later[bank]; s != NULL; s = next) {
        next = s->next_writer;
        finish_writer(s, e);
    }
    keeper_answer_stored(k, bank, e);
}

/* --- events */

static void send_events(struct keeper *k)
{
    struct session *s;
    for (uint32_t n = 0; n < ROUND_EVENTS && (s = hub_next(&k->x.hub)) != NULL; n++)
        send_async(s->user);
}

void keeper_round(struct keeper *k)
{
    int64_t now = clock_mono();
    struct round r = {.k = k, .now = now, .deadline = now + KEEPER_ROUND_TIME};
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++)
        r.later_tail[bank] = &r.later[bank];
    r.parked_tail = &r.parked;
    run_reads(&r);
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++) {
        if (k->stores[bank] != NULL)
            write_bank(&r, bank);
    }
    new_budget(&r);
    keeper_download_round(k, r.deadline);
    keeper_format_round(k);
    send_events(k);
    keeper_upkeep(k, false, r.now);
    if (k->ready != NULL || k->storing != NULL || k->x.hub.waiting != NULL)
        loop_again(k->c->loop);
    unpark(&r);
}
