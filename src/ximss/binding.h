// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * binding: what a session over HTTP has beside an ordinary session (protocol 1, 4.5-4.8): batches of requests and their
 * replies, each carried out once however often it is sent; and the queue of messages that the client fetches with polls.
 * Pure: no sockets, no clock. Who asks is an opaque pointer, `who`; its answer comes through binding_host.
 *
 *   POST sync   --> batch --> the session runs its requests --> reply --> who (again for every repeat of the number)
 *   POST async  --> batch --> answered empty at once; what it brings goes into the queue
 *   poll        --> the queue becomes the batch number outSeq, kept until it is acknowledged
 *
 * A binding outlives its session when the client has said `bye` in a numbered batch: the reply to that stays for repeats,
 * and nothing else. Its owner (the keeper) decides for how long.
 *
 * Batches run in the order of their arrival, requests of a batch in the order of the text; the next batch begins when the
 * reply to the one before is complete. Every function may call binding_host.answer().
 *
 * Replies that clients do not read pile up in memory, one a connection. So no request of a batch is begun while those that are not kept
 * for a repeat any more have as many bytes together as the longest reply may have (the limit `reply`).
 */
#include "base/arena.h"
#include "base/buf.h"
#include "codec/urlid.h"
#include "codec/xmsg.h"

struct session;
struct binding;

#define BINDING_COOKIE 20 /* characters */

/* The replies of a binding that there still are, kept for repeats or on their way to clients. May outlive it. */
struct replies {
    struct binding *of; /* NULL: it is gone */
    uint32_t count;
    uint64_t bytes;
};

/* Bytes of a reply, which several may still have to send; counted. */
struct reply {
    uint32_t refs;
    struct buf body;
    struct replies *among; /* NULL: it is none of a binding's */
};
/* Takes the bytes over. NULL: no memory, and they are freed. */
struct reply *reply_new(struct buf *body, struct replies *among);
struct reply *reply_ref(struct reply *r);
void reply_unref(struct reply **r);

/* Why a question is answered as it is; the HTTP statuses are the caller's. */
enum binding_how {
    BINDING_OK,         /* `reply`, or nothing at all when that is NULL */
    BINDING_WAIT,       /* of binding_take() only: the answer comes later */
    BINDING_BAD_XML,    /* not XML, or its root is not XIMSS: it has not used up its number */
    BINDING_BAD_SEQ,    /* 500, `XIMSS request sequence error` */
    BINDING_BUSY,       /* too many batches wait */
    BINDING_SUPERSEDED, /* a repeat of the same request has come, and gets the reply */
    BINDING_NO_MEMORY,
    BINDING_TOO_LARGE, /* the reply is; nothing of it can be repeated: the session is to be ended */
    BINDING_GONE,      /* 550 */
};

/* The owner of all bindings; a field of struct ximss. */
struct binding_host {
    /* Answers `who`, once. The reply stays the binding's: take a reference. */
    void (*answer)(void *who, enum binding_how how, struct reply *reply);
    /* The session has got something to run. */
    void (*runnable)(struct session *s);
};

enum binding_kind { BINDING_SYNC, BINDING_ASYNC, BINDING_POLL };

struct binding_ask {
    enum binding_kind kind;
    void *who;
    bool has_seq; /* reqSeq; of a poll: ackSeq */
    bool bad_seq; /* there is one, and it is no number */
    uint64_t seq;
    bool sync_async; /* of sync */
    bool waits;      /* of a poll: maxWait is more than 0 */
    struct str body; /* not of a poll */
};

struct batch;

/* Cookies (protocol 1, 4.10). */
enum binding_cookie { COOKIE_NONE, COOKIE_OFFERED, COOKIE_BOUND };

struct binding {
    struct session *s; /* NULL: over */
    const struct binding_host *host;
    /* who may use it */
    char url_id[URLID_LEN + 1];
    uint8_t addr[16];
    bool ip_watch;
    uint8_t cookie_state; /* enum binding_cookie */
    char cookie[BINDING_COOKIE + 1];
    /* batches (4.6) */
    bool has_last, last_lost;
    uint8_t last_kind;
    uint64_t last;
    struct reply *last_reply; /* NULL: it still runs, or it is empty */
    struct batch *first, **tail;
    struct batch
        *running; /* after the end: the request that has begun reads from it, until it is through */
    uint32_t batches;
    size_t batch_bytes;
    /* polls (4.8) */
    uint64_t out_seq;
    struct reply *unacked;
    struct replies *replies;
    struct buf queue; /* messages without their zero bytes */
    bool partial;     /* the last output ended inside a message */
    void *poller;     /* waits */
    void *user;       /* the owner's */
};

/* For a session that has just been made; it becomes s->binding. cookie: bind the session to one. */
enum err binding_new(struct session *s, const struct binding_host *host, const uint8_t addr[16],
                     bool ip_watch, bool cookie, struct binding **out) CHECKED;
/* Who waits is not told. */
void binding_free(struct binding **b);

/*
 * May this request use the session? The urlID in a time that does not depend on what it holds; address and cookie, if it is
 * bound to them. cookie: as presented, .p == NULL: none. A cookie that is presented for the first time binds.
 */
bool binding_may(struct binding *b, struct str url_id, const uint8_t addr[16], struct str cookie);

/*
 * A request for it. BINDING_WAIT: `ask->who` is answered later (or was, before this returned). BINDING_OK: *reply is the answer, a
 * reference for the caller, or NULL for an empty one. Else neither.
 */
enum binding_how binding_take(struct binding *b, const struct binding_ask *ask,
                              struct reply **reply) CHECKED;
/* maxWait is over, or it is better to let the client ask anew. */
void binding_poll_over(struct binding *b);
/* The connection of that question is gone; what it asked for goes on. */
void binding_forget(struct binding *b, const void *who);

/* For the dispatcher: the next request of the batch that runs; NULL: none that may begin now. Its memory is the batch's. */
const struct xelem *binding_next(struct binding *b);
bool binding_has_next(const struct binding *b);
/* Does the batch hold a password? */
bool binding_is_secret(const struct binding *b);

/* The session's output, with zero bytes, as it may leave (after the commit). ERR_TOO_LONG: the session is to be ended. */
enum err binding_output(struct binding *b, struct str out) CHECKED;
/* Something asynchronous may be due: if a poll waits, it gets it. */
void binding_async(struct binding *b);
/* --- for a keeper's successor (ximss/snapshot.h); in binding_saved.c */

/* No batch, nobody who waits, nothing half said. */
bool binding_settled(const struct binding *b);
/* Everything about it, of one that is settled. */
void binding_put(const struct binding *b, struct buf *to);
/*
 * The reverse, for the session of that urlID; s NULL: of one that outlives its session. reply: most bytes of one. ERR_PACKET,
 * ERR_NOMEM.
 */
enum err binding_get(struct str from, struct session *s, const struct binding_host *host,
                     size_t reply, struct binding **out) CHECKED;

enum binding_end {
    BINDING_BYE,    /* the client's own, its response is in the output */
    BINDING_KILL,   /* the client's own */
    BINDING_SERVER, /* ours: who polls gets <bye/> */
};
/*
 * The session is over: who waits is answered, the binding forgets the session. true: it has a reply that may be asked for again.
 * A request that has begun may go on to its end before binding_free().
 */
bool binding_close(struct binding *b, enum binding_end how);
/* The reply to the last numbered batch, be it an empty one, can be asked for again. */
bool binding_has_reply(const struct binding *b);
