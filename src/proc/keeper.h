// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * keeper: the process that keeps accounts: their sessions and their data (design 2). No network; clients' bytes come
 * as packets of workers, hostile formats are opened by helpers.
 *
 * One loop round is one round of the database (design 4): reads first, then writers and deliveries in one transaction per
 * bank, then the outputs that waited for the commit.
 */
#include "base/idmap.h"
#include "codec/ipcbody.h"
#include "codec/zone.h"
#include "proc/banks.h"
#include "proc/child.h"
#include "proc/gate.h"
#include "store/store.h"
#include "ximss/binding.h"
#include "ximss/dispatch.h"
#include "ximss/download.h"
#include "ximss/session.h"
#include "ximss/ximss.h"

#define KEEPER_ROUND_REQUESTS 256
#define KEEPER_ROUND_TIME     (2 * CLOCK_MS)
#define KEEPER_WORKER_QUEUE   ((size_t)8 << 20) /* no request of it is begun then */
#define KEEPER_QUEUE_MAX      ((size_t)1 << 30) /* no honest worker needs it: 128 KiB a connection */
#define KEEPER_ANSWER_TIME    (10 * CLOCK_SEC)  /* a question to auth */
#define KEEPER_JOB_TIME       (2 * CLOCK_SEC)   /* a helper's wall budget */
#define KEEPER_JOB_TRIES      3                 /* helpers that may be lost over one message */
#define KEEPER_JOB_PAUSE      (500 * CLOCK_MS)  /* after the first of them; then twice that */
#define KEEPER_IDLE           CLOCK_SEC         /* without writes, before the WAL is brought home */
#define KEEPER_AHEAD_MAX      ((size_t)256 << 20) /* of answers that nobody reads, at a hand-over */
#define KEEPER_JOB_WAIT \
    (10 * CLOCK_SEC) /* for a free helper; then the message is stored unparsed */

struct keeper;
struct kept_http;

/* A session and what the keeper must know about it; session->user points here. */
struct kept {
    struct keeper *k;
    struct session *s;
    struct kept_http *http; /* over HTTP; NULL: over TCP */
    struct kept *next_ready, *next_writer;
    bool ready;       /* stands in the line */
    bool writer;      /* wrote in this round */
    bool attached;    /* its connection is there; over HTTP: its client has not ended it */
    bool said_end;    /* IPC_END went out */
    bool ended;       /* RUN_END came: free it after the round */
    uint32_t attempt; /* of the login that made it */
    uint32_t asks;    /* questions so far */
    int64_t opened;   /* clock_mono() */
    enum ipc_why why; /* it ends, for the log */
    uint32_t worker, worker_generation;
    int64_t credit; /* bytes that may still be sent to the worker */
    int64_t asked;  /* since when a question is out, or 0 */
    size_t mark;    /* length of `out` before the first write of this round */
    uint32_t responses;
    uint32_t enough; /* credit with which a slice may run */
    struct buf out;
    uint8_t addr[16];
};
/* Beside worker, session and row an idle session has 400 bytes (design 9.9): this, and its share of maps, texts, gate. */
_Static_assert(sizeof(struct kept) <= 208, "an idle session is budgeted");

/*
 * What a session over HTTP has beside that. It outlives the session for a while when the reply to its `bye` may be asked for
 * again (protocol 1, 4.13).
 */
struct kept_http {
    struct keeper *k;
    struct kept *kept; /* NULL: the session is over */
    struct binding *b;
    struct gate_place place;
    uint32_t row;                /* in the shared table */
    uint32_t downloads;          /* that it has now */
    struct receiving *receiving; /* uploads that come in */
    bool killed;                 /* by its client; a request still runs */
    int64_t polls_since;         /* clock_mono(), or 0 */
    struct timer idle;           /* of the session, then of what outlives it */
    struct timer life;
    struct timer poll;
};

/* A request that a worker has brought, until the last byte of its answer is on its way. */
struct exchange {
    struct keeper *k;
    struct kept_http *h; /* is to answer; NULL: the answer stands in `reply` */
    uint32_t worker, worker_generation, conn, seq;
    struct reply *reply;
    size_t at;                   /* of it, not sent yet */
    int64_t credit;              /* bytes that may be sent */
    struct receiving *receiving; /* an upload comes in; NULL: none */
    struct sending *sending;     /* the answer is read from the store meanwhile; NULL: it is not */
    struct formatting *formatting; /* the answer is a page that is being made; NULL: it is not */
};

/* A request over HTTP that is left to a successor. */
struct deferred {
    struct deferred *next;
    uint32_t worker, worker_generation, conn, seq;
    struct buf body; /* of the item; secret */
};

/* Downloads; those that can go on stand in a line. */
struct senders {
    struct sending *all;
    struct sending *ready, **ready_tail;
    struct download_sizes sizes;
    struct buf scratch, out;
};

/* A message that is being delivered. */
struct delivery {
    struct delivery *next;
    struct keeper *k;
    uint32_t worker, worker_generation, seq;
    uint32_t bank, count;
    uint64_t *accounts;
    uint32_t *results;  /* enum err */
    uint32_t committed; /* recipients before this one have their result for good */
    uint32_t at;    /* the next one; those from `committed` on stand in this round's transaction */
    struct str raw; /* our copy */
    struct buf head, body;
    int64_t queued;     /* when it began to wait */
    int64_t not_before; /* no helper gets it until then */
    uint32_t tries;     /* helpers that got it */
};

struct keeper_helper {
    struct delivery *job;
    struct clean_job *clean; /* or this one (keeper_clean.h) */
    int64_t deadline;
    bool leaving; /* gets no more jobs; a successor comes */
    bool asked;   /* it waits to hear that no job is out */
};

enum keeper_handover {
    KEEPER_KEEPS,
    KEEPER_DRAINS,    /* begins no request: what it has is to be handed over */
    KEEPER_HAS_HANDED /* its banks are closed; it waits for the master to take what it has */
};

struct keeper {
    struct child *c;
    struct ximss x;
    struct zones zones;              /* the master's table, mapped as long as we live */
    struct store *stores[BANKS_MAX]; /* NULL: not ours */
    uint32_t keepers;
    struct idmap sessions;  /* number -> struct kept */
    struct idmap http;      /* number -> struct kept_http */
    struct idmap exchanges; /* worker and connection -> struct exchange */
    struct gate gate;
    struct binding_host binding_host;
    struct formatting *formatting; /* all pages that are being made */
    struct deferred *deferred, **deferred_tail;
    size_t deferred_bytes;
    struct senders senders;
    struct kept *ready, **ready_tail;
    struct delivery *parsing, **parsing_tail; /* wait for a helper */
    struct delivery *storing, **storing_tail; /* wait for the round */
    struct clean_job *cleaning;               /* wait for a helper */
    uint32_t clean_seq, clean_count;
    struct keeper_helper helpers[CHILD_PEERS];
    size_t mail[CHILD_PEERS]; /* bytes of messages being delivered, by worker */
    struct timer tick;
    bool stopped; /* the banks are closed */
    enum keeper_handover handover;
    size_t ahead;       /* bytes of answers that were made ahead of their credit since then */
    int64_t hand_until; /* clock_mono(): who is not ready to be handed over then, ends */
    int handed_fd, handed_spool; /* at the start: what the keeper before had; -1: nothing */
    int64_t wrote;               /* clock_mono() of the last round with writers */
};

/* --- keeper_attach.c */
void keeper_attach(struct keeper *k, const struct ipc_item *it);
/* What a session is to begin with, whoever made it; s->s is there. */
void keeper_begin_session(struct keeper *k, struct kept *s);
/* Over HTTP: no worker has a say about it. */
void keeper_session_of_no_worker(struct kept *s);

/* --- keeper_session.c */
void keeper_message(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_credit(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_detach(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_session_check(struct keeper *k, struct bus_peer *auth, const struct ipc_item *it);
void keeper_password_answer(struct keeper *k, const struct ipc_item *it);
void keeper_worker_gone(struct keeper *k, uint32_t worker);
/* ximssctl removed it: its sessions end, its data go. */
void keeper_account_gone(struct keeper *k, const struct ipc_item *it);
void keeper_questions_late(struct keeper *k, int64_t now, bool all);
void keeper_make_ready(struct kept *s);
/* Its connection is gone. */
void keeper_end_by_worker(struct kept *s, enum ipc_why why);
/* The number of the next question of this session, for the packet's seq. */
uint32_t keeper_question(struct kept *s);
void keeper_free_session(struct kept *s);
/* The server ends it. */
void keeper_end_session(struct kept *s, enum ipc_why why);
/* Sends what stands in s->out; then END when `last`. */
void keeper_send(struct kept *s, bool last);
struct bus_peer *keeper_worker(const struct keeper *k, uint32_t number, uint32_t generation);

/* --- keeper_http.c: sessions over HTTP */
void keeper_http_init(struct keeper *k);
/* For a session that has just been made, with the place that was got for it. */
enum err keeper_http_begin(struct kept *s, const struct ipc_attach *a,
                           struct gate_place place) CHECKED;
/* A number for a session over HTTP. ERR_TOO_MANY_SESSIONS. */
enum err keeper_http_place(struct keeper *k, const struct ipc_attach *a,
                           struct gate_place *place) CHECKED;
/* What keeper_send() is for others. */
void keeper_http_send(struct kept *s, bool last);
/* A request of it is about to run. */
void keeper_http_runs(struct kept *s, int64_t now);
/* Its session is about to be freed: who waits for anything of it is answered. */
void keeper_http_close(struct kept *s);
/* Its session is freed, and s->s is NULL. */
void keeper_http_end(struct kept *s);
void keeper_http_take(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_http_credit(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_http_drop(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_http_worker_gone(struct keeper *k, uint32_t worker);

/* --- keeper_http_saved.c: for a successor */
/* Whoever polls is to ask anew; what comes from now on waits. */
void keeper_http_hand_begin(struct keeper *k);
/* false: there is no memory to let it wait. */
bool keeper_http_defer(struct keeper *k, const struct bus_peer *worker, const struct ipc_item *it);
void keeper_http_undefer(struct keeper *k, uint32_t worker, uint32_t conn, uint32_t seq);
/* Nobody waits for the answers: the worker is gone. */
void keeper_http_undefer_all(struct keeper *k, uint32_t worker);
/* The part of a session's record. */
bool keeper_http_put(const struct session *x, uint32_t i, struct buf *b);
enum err keeper_http_get(struct session *x, struct str body);
/* Those that are over, but for the reply to their `bye`. */
enum err keeper_http_get_last(struct keeper *k, uint32_t number, struct str body) CHECKED;
/* keeper_http.c: one without a binding; NULL: no memory, or no row. */
struct kept_http *keeper_http_new(struct keeper *k, struct gate_place place);
void keeper_http_free(struct kept_http *h);
/* Its times begin. */
void keeper_http_start(struct kept_http *h, int64_t opened);
void keeper_exchange_free(struct exchange *x);
/* Of a request that a worker has brought; NULL: there is no memory, and it has been refused. */
struct exchange *keeper_exchange_new(struct keeper *k, struct bus_peer *worker, uint32_t conn,
                                     uint32_t seq);
/* The one that the packet is about; NULL: it is over. */
struct exchange *keeper_exchange_of(struct keeper *k, const struct bus_peer *worker,
                                    const struct ipc_item *it);
/* The head of its answer and the first bytes of the body. */
void keeper_exchange_head(struct exchange *x, const struct ipc_http_reply *r);
/* An answer without a body of its own; the exchange is over. */
void keeper_exchange_end(struct exchange *x, uint32_t status);
/* A reference of the caller's, as it is; 200. only_head: nobody wants the body. */
void keeper_exchange_page(struct exchange *x, struct reply *reply, struct str type, bool only_head);
/* Something was asked of it: its idling begins anew. */
void keeper_http_active(struct kept_http *h);
/* Its row shows what it does when no request runs. */
void keeper_http_rests(struct kept_http *h);
/* Its client ends it. */
void keeper_http_kill(struct kept *s);
/* binding_host.answer */
void keeper_exchange_answer(void *who, enum binding_how how, struct reply *reply);
/* The administrator ends it. false: there is no such session over HTTP. */
bool keeper_http_kick(struct keeper *k, uint32_t session);

/* --- keeper_format.c: messages as pages (ximss/format_html.h) */
void keeper_format_take(struct exchange *x, const struct ipc_http *in);
void keeper_format_end(struct exchange *x);
/* Its pages end early. */
void keeper_format_session_gone(struct kept_http *h);
void keeper_format_round(struct keeper *k);

/* --- keeper_download.c: messages and parts over HTTP (ximss/download.h) */
void keeper_download_init(struct keeper *k);
/* The exchange's session may be used. */
void keeper_download_take(struct exchange *x, const struct ipc_http *in);
/* There is credit. */
void keeper_download_go_on(struct exchange *x);
/* The exchange is being freed. */
void keeper_download_end(struct exchange *x);
/* Its downloads end early. */
void keeper_download_session_gone(struct kept_http *h);
/* Steps of those that can go on, until `deadline`; one at least. */
void keeper_download_round(struct keeper *k, int64_t deadline);

/* --- keeper_upload.c: files that come in over HTTP (ximss/uploads.h) */
/* The exchange's session may be used. */
void keeper_upload_take(struct exchange *x, const struct ipc_http *in);
/* UPLOAD_FILE, UPLOAD_DATA, UPLOAD_END */
void keeper_upload_item(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
/* The exchange is being freed. */
void keeper_upload_end(struct exchange *x);
/* What comes in for it ends early; before the session is freed. */
void keeper_upload_session_gone(struct kept_http *h);
/* For a successor: what has come in so far. */
void keeper_upload_put(const struct exchange *x, struct buf *b);
/* It goes on in this new exchange; where it cannot, that ends. record.p == NULL: it is lost. */
void keeper_upload_resume(struct exchange *x, struct str record);

/* Brings home what the WAL holds, where it is time to (db_upkeep()). */
void keeper_upkeep(struct keeper *k, bool idle, int64_t now);

/* Ends all sessions, as far as rounds come to an end, and closes the banks. */
void keeper_close(struct keeper *k);

/* --- keeper_handover.c: a successor is to have the sessions (keeper_handover.h) */
void keeper_hand_begin(struct keeper *k, int64_t within);
/* In place of keeper_round(), from then on. */
void keeper_hand_round(struct keeper *k);
/* keeper_take_over.c: hooks->begin: what the keeper before has left. */
void keeper_take_over(struct child *c);

/* --- keeper_round.c */
void keeper_round(struct keeper *k);

/* --- keeper_ctl.c: hooks->ctl */
void keeper_ctl(struct child *c, const struct ipc_item *it);

/* --- keeper_mail.c */
void keeper_deliver(struct keeper *k, struct bus_peer *worker, const struct ipc_item *it);
void keeper_digest_piece(struct keeper *k, uint32_t helper, const struct ipc_item *it);
void keeper_digest_done(struct keeper *k, uint32_t helper, const struct ipc_item *it);
/* It was told to finish. */
void keeper_helper_leaves(struct keeper *k, uint32_t helper);
void keeper_helper_up(struct keeper *k, uint32_t helper);
void keeper_helper_gone(struct keeper *k, uint32_t helper);
/* Free helpers get what waits. */
void keeper_jobs_give(struct keeper *k);
void keeper_cleaned(struct keeper *k, uint32_t helper, const struct ipc_item *it);
void keeper_jobs_tick(struct keeper *k, int64_t now);
/* Inside the round of that bank: stores for one recipient after another what waits for it, until `deadline`; one at least. */
void keeper_store(struct keeper *k, uint32_t bank, int64_t deadline);
/* After the round: answers those messages of which nothing is left to store. ERR_DB: the round broke. */
void keeper_answer_stored(struct keeper *k, uint32_t bank, enum err e);
/* How many messages wait for a helper or are with one; puts the i-th, as the body of a DELIVER. */
uint32_t keeper_unparsed(const struct keeper *k);
const struct delivery *keeper_put_unparsed(const struct keeper *k, uint32_t i, struct buf *b);
bool keeper_has_mail(const struct keeper *k, uint32_t bank);
