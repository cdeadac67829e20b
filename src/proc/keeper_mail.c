// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Deliveries: a message from a worker goes to a helper (digest), then into the next round of its bank, then the
 * worker is told. A message whose digest fails is stored all the same, unparsed (design 4), and stays so for ever. Therefore
 * it is told apart whose failure that is:
 * - the helper says that it cannot, what it says is no digest, or it is over its time: the message's. Unparsed at once,
 * for the next helper would fare the same;
 * - the helper is gone, or we had no memory for its answer: most likely the system's (a helper that gets no memory ends,
 * and a killer of processes takes any). The next helpers get it, KEEPER_JOB_TRIES in all, each later than the one before,
 * as memory comes back in seconds rather than at once. A message that does kill parsers costs so many of them, and is
 * stored unparsed then.
 * The sender waits meanwhile, at most KEEPER_JOB_WAIT and one job's time, which is far from his patience (RFC 5321,
 * 4.5.3.2.6: 10 minutes). He is not told to come again: mail must not be refused for days because a parser dies of it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/digest.h"
#include "proc/keeper.h"
#include "proc/keeper_clean.h"
#include "store/mailbox.h"
#include "store/message.h"

static void delivery_free(struct delivery *d)
{
    char *raw;
    memcpy(&raw, &d->raw.p, sizeof raw);
    d->k->mail[d->worker] -= d->raw.n;
    free(raw);
    free(d->accounts);
    free(d->results);
    buf_free(&d->head);
    buf_free(&d->body);
    free(d);
}

static struct delivery *delivery_new(struct keeper *k, const struct bus_peer *worker,
                                     const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t bank = ipc_get_u32(&in), count = ipc_get_u32(&in);
    if (in.bad || count == 0 || count > IPC_DELIVER_MAX || bank >= BANKS_MAX ||
        k->stores[bank] == NULL)
        return NULL;
    struct delivery *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    *d = (struct delivery){.k = k,
                           .worker = worker->number,
                           .worker_generation = worker->generation,
                           .seq = it->seq,
                           .bank = bank,
                           .count = count,
                           .queued = clock_mono()};
    d->accounts = calloc(count, sizeof *d->accounts);
    d->results = calloc(count, sizeof *d->results);
    for (uint32_t i = 0; d->accounts != NULL && i < count; i++)
        d->accounts[i] = ipc_get_u64(&in);
    struct str raw = ipc_get_rest(&in);
    char *copy = malloc(raw.n + 1);
    d->raw = (struct str){copy, raw.n};
    k->mail[d->worker] += raw.n;
    buf_init(&d->head, DIGEST_BLOB_MAX);
    buf_init(&d->body, DIGEST_BLOB_MAX);
    if (d->accounts == NULL || d->results == NULL || copy == NULL || ipc_in_end(&in) != ERR_OK ||
        k->mail[d->worker] > k->c->conf->lmtp.memory + k->c->conf->lmtp.max_message) {
        delivery_free(d);
        return NULL;
    }
    memcpy(copy, raw.p, raw.n);
    return d;
}

/* --- parsing */

static void to_storing(struct keeper *k, struct delivery *d)
{
    d->next = NULL;
    *k->storing_tail = d;
    k->storing_tail = &d->next;
}

static void store_unparsed(struct keeper *k, struct delivery *d, const char *why)
{
    log_write(LOG_PROBLEMS, "KEEPER", 0, NULL, "a message of %zu bytes is stored unparsed: %s",
              d->raw.n, why);
    buf_clear(&d->head);
    buf_clear(&d->body);
    if (digest_opaque(d->raw, &d->head, &d->body) != ERR_OK) {
        for (uint32_t i = 0; i < d->count; i++)
            d->results[i] = ERR_NOMEM;
    }
    to_storing(k, d);
}

/* Who has waited longest comes first, also when it waits again. */
static void to_parsing(struct keeper *k, struct delivery *d)
{
    struct delivery **at = d->tries != 0 ? &k->parsing : k->parsing_tail;
    while (*at != NULL && (*at)->queued <= d->queued)
        at = &(*at)->next;
    d->next = *at;
    *at = d;
    if (d->next == NULL)
        k->parsing_tail = &d->next;
}

static struct delivery *take(struct keeper *k, struct delivery **at)
{
    struct delivery *d = *at;
    *at = d->next;
    if (*at == NULL)
        k->parsing_tail = at;
    d->next = NULL;
    return d;
}

void keeper_jobs_give(struct keeper *k)
{
    int64_t now = k->parsing != NULL || k->cleaning != NULL ? clock_mono() : 0;
    struct delivery **at = &k->parsing;
    for (uint32_t i = 0; i < CHILD_PEERS && (*at != NULL || k->cleaning != NULL); i++) {
        struct child_peer *p = child_peer(k->c, IPC_ROLE_HELPER, i);
        if (p == NULL || k->helpers[i].job != NULL || k->helpers[i].clean != NULL ||
            k->helpers[i].leaving || keeper_clean_give(k, i, now))
            continue;
        if (k->handover != KEEPER_KEEPS)
            break; /* mail that has no digest yet goes to the successor as it came */
        while (*at != NULL && (*at)->not_before > now)
            at = &(*at)->next;
        if (*at == NULL)
            break;
        struct delivery *d = take(k, at);
        d->tries++;
        k->helpers[i].job = d;
        k->helpers[i].deadline = now + KEEPER_JOB_TIME;
        bus_put(&p->bus, IPC_DIGEST, 0, d->seq, d->raw);
    }
}

/* Its digest was lost, and that need not be its own doing. */
static void parse_again(struct keeper *k, struct delivery *d, const char *why)
{
    if (d->tries >= KEEPER_JOB_TRIES) {
        store_unparsed(k, d, why);
        return;
    }
    log_write(LOG_PROBLEMS, "KEEPER", 0, NULL, "a message of %zu bytes is parsed once more: %s",
              d->raw.n, why);
    buf_clear(&d->head);
    buf_clear(&d->body);
    d->not_before = clock_mono() + d->tries * KEEPER_JOB_PAUSE;
    to_parsing(k, d);
}

void keeper_deliver(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it)
{
    struct delivery *d = delivery_new(k, worker, it);
    if (d == NULL) {
        uint32_t e = ERR_NOMEM;
        bus_put(worker, IPC_DELIVERED, 0, it->seq, (struct str){(const char *)&e, sizeof e});
        return;
    }
    to_parsing(k, d);
    keeper_jobs_give(k);
}

void keeper_digest_piece(struct keeper *k, uint32_t helper, const struct ipc_item *it)
{
    struct delivery *d = k->helpers[helper].job;
    if (d != NULL && d->seq == it->seq)
        buf_str(it->id == 0 ? &d->head : &d->body, it->body);
}

static void let_helper_go(struct keeper *k, uint32_t helper)
{
    struct child_peer *p = child_peer(k->c, IPC_ROLE_HELPER, helper);
    if (k->helpers[helper].job == NULL && k->helpers[helper].clean == NULL &&
        k->helpers[helper].asked && p != NULL)
        bus_put(&p->bus, IPC_HELPER_MAY, 0, 0, STR_NONE);
}

void keeper_digest_done(struct keeper *k, uint32_t helper, const struct ipc_item *it)
{
    struct delivery *d = k->helpers[helper].job;
    struct ipc_in in = {it->body, false};
    enum err e = it->id < ERR_COUNT ? (enum err)it->id : ERR_PACKET;
    if (d == NULL)
        return;
    k->helpers[helper].job = NULL;
    k->helpers[helper].leaving = k->helpers[helper].leaving || ipc_get_u32(&in) != 0;
    let_helper_go(k, helper);
    bool lost = e == ERR_OK && (buf_err(&d->head) != ERR_OK || buf_err(&d->body) != ERR_OK);
    if (e == ERR_OK && !lost) /* a helper has seen hostile bytes: nothing of it is taken on trust */
        e = digest_verify(buf_slice(&d->head), buf_slice(&d->body), d->raw.n);
    if (lost)
        parse_again(k, d, "no memory for its digest");
    else if (e == ERR_OK)
        to_storing(k, d);
    else
        store_unparsed(k, d, err_name(e));
    keeper_jobs_give(k);
}

void keeper_cleaned(struct keeper *k, uint32_t helper, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    if (k->helpers[helper].clean == NULL)
        return;
    k->helpers[helper].leaving = k->helpers[helper].leaving || ipc_get_u32(&in) != 0;
    keeper_clean_result(k, helper, it);
    let_helper_go(k, helper);
    keeper_jobs_give(k);
}

void keeper_helper_leaves(struct keeper *k, uint32_t helper)
{
    k->helpers[helper].leaving = k->helpers[helper].asked = true;
    let_helper_go(k, helper);
}

void keeper_helper_up(struct keeper *k, uint32_t helper)
{
    k->helpers[helper].leaving = k->helpers[helper].asked = false;
    keeper_jobs_give(k);
}

void keeper_helper_gone(struct keeper *k, uint32_t helper)
{
    struct delivery *d = k->helpers[helper].job;
    k->helpers[helper].job = NULL;
    keeper_clean_lost(k, helper);
    if (d != NULL && k->helpers[helper].deadline == INT64_MAX)
        store_unparsed(k, d, "its helper was over its time");
    else if (d != NULL)
        parse_again(k, d, "its helper died over it");
}

void keeper_jobs_tick(struct keeper *k, int64_t now)
{
    uint32_t role = IPC_ROLE_HELPER;
    for (uint32_t i = 0; i < CHILD_PEERS; i++) {
        struct child_peer *p = child_peer(k->c, IPC_ROLE_HELPER, i);
        bool busy = k->helpers[i].job != NULL || k->helpers[i].clean != NULL;
        if (!busy || p == NULL || k->helpers[i].deadline > now)
            continue;
        k->helpers[i].deadline = INT64_MAX; /* said once */
        bus_put(&k->c->master, IPC_STUCK, i, p->bus.generation,
                (struct str){(const char *)&role, sizeof role});
    }
    keeper_clean_tick(k, now);
    while (k->parsing != NULL && now - k->parsing->queued > KEEPER_JOB_WAIT)
        store_unparsed(k, take(k, &k->parsing), "no helper is free");
    keeper_jobs_give(k); /* also those whose pause is over */
}

/* --- for a successor */

uint32_t keeper_unparsed(const struct keeper *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CHILD_PEERS; i++)
        n += k->helpers[i].job != NULL;
    for (const struct delivery *d = k->parsing; d != NULL; d = d->next)
        n++;
    return n;
}

static const struct delivery *unparsed_at(const struct keeper *k, uint32_t i)
{
    for (uint32_t h = 0; h < CHILD_PEERS; h++) {
        if (k->helpers[h].job != NULL && i-- == 0)
            return k->helpers[h].job;
    }
    const struct delivery *d = k->parsing;
    for (; d != NULL && i != 0; i--)
        d = d->next;
    return d;
}

const struct delivery *keeper_put_unparsed(const struct keeper *k, uint32_t i, struct buf *b)
{
    const struct delivery *d = unparsed_at(k, i);
    ipc_put_u32(b, d->bank);
    ipc_put_u32(b, d->count);
    for (uint32_t n = 0; n < d->count; n++)
        ipc_put_u64(b, d->accounts[n]);
    buf_str(b, d->raw);
    return d;
}

/* --- storing */

bool keeper_has_mail(const struct keeper *k, uint32_t bank)
{
    for (const struct delivery *d = k->storing; d != NULL; d = d->next) {
        if (d->bank == bank)
            return true;
    }
    return false;
}

static enum err store_one(struct store *s, const struct delivery *d, uint64_t account, int64_t now)
{
    struct message_new m = {.raw = d->raw,
                            .head = buf_slice(&d->head),
                            .body = buf_slice(&d->body),
                            .internaldate = now / CLOCK_SEC,
                            .flags = FLAG_RECENT};
    int64_t inbox;
    uint32_t uid;
    enum err e = mailbox_inbox(s, (int64_t)account, &inbox);
    return e == ERR_OK ? message_append(s, (int64_t)account, inbox, &m, &uid) : e;
}

static void store_next(struct store *s, struct delivery *d, int64_t now)
{
    uint32_t i = d->at++;
    if (d->results[i] != ERR_OK)
        return;
    enum err e = db_request_begin(store_db(s));
    if (e == ERR_OK) {
        e = store_one(s, d, d->accounts[i], now);
        if (db_request_end(store_db(s), e == ERR_OK) != ERR_OK)
            e = ERR_DB;
    }
    d->results[i] = (uint32_t)e;
}

void keeper_store(struct keeper *k, uint32_t bank, int64_t deadline)
{
    int64_t now = clock_wall();
    bool any = false;
    for (struct delivery *d = k->storing; d != NULL; d = d->next) {
        while (d->bank == bank && d->at < d->count) {
            if (any && clock_mono() >= deadline)
                return;
            store_next(k->stores[bank], d, now);
            any = true;
        }
    }
}

static void answer(const struct keeper *k, const struct delivery *d)
{
    struct bus_peer *w = keeper_worker(k, d->worker, d->worker_generation);
    if (w != NULL)
        bus_put(w, IPC_DELIVERED, 0, d->seq,
                (struct str){(const char *)d->results, d->count * sizeof *d->results});
}

void keeper_answer_stored(struct keeper *k, uint32_t bank, enum err e)
{
    struct delivery **at = &k->storing;
    while (*at != NULL) {
        struct delivery *d = *at;
        if (d->bank == bank) {
            for (; d->committed < d->at; d->committed++)
                d->results[d->committed] = e != ERR_OK ? (uint32_t)e : d->results[d->committed];
        }
        if (d->bank != bank || d->at < d->count) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        answer(k, d);
        delivery_free(d);
    }
    k->storing_tail = at;
}
