// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * session: one logged-in user, as the keeper holds him (protocol 1, 3.8; design 2.3).
 *
 * Made by session_new() when auth attaches a user, freed by session_free(). In between the keeper feeds whole
 * messages, runs slices (dispatch.h) and takes asynchronous output (session_async). A session never knows
 * a socket: worker and connection numbers are opaque to this room, `user` belongs to the keeper.
 *
 * Memory: the struct has at most 512 bytes (design 9.9, asserted); one exact block holds the texts; queue, request,
 * folders exist only while they are needed.
 */
#include "base/buf.h"
#include "ximss/ximss.h"

struct store;
struct req;
struct folder;
struct binding;
struct uploads;

/* What auth says at `attach`; the strings are copied. */
struct session_info {
    uint32_t id;     /* 100001..999999, of the connection (TCP) or its own (HTTP) */
    int64_t account; /* the directory's account number, above 0 */
    uint16_t bank;
    uint16_t worker; /* TCP: who holds the connection */
    uint32_t conn;
    bool must_change;     /* the password has expired */
    struct str name;      /* canonical, dora@harbor.example */
    struct str real_name; /* may be empty */
    struct str url_id;    /* 100042-vN2Txjkggy7gjHRD10jw */
    struct str address;   /* [192.0.2.7] */
};

struct session {
    struct ximss *x;
    struct store *store; /* of the session's bank */
    void *user;          /* the keeper's own */

    int64_t account;
    uint32_t id;
    uint32_t conn;
    uint16_t bank;
    uint16_t worker;
    struct str name, real_name, url_id, address; /* in `texts` */
    char *texts;
    char *client_name;      /* setClientName, zero-terminated; NULL: not said */
    uint32_t idle_timeout;  /* seconds (setSessionOption idleTimeout) */
    uint32_t error_count;   /* protocol errors so far */
    uint64_t request_count; /* answered requests, also by the worker, for the closing log line */

    struct buf queue;     /* messages: u32 length, bytes; empty and without memory when idle */
    size_t queue_bytes;   /* of unanswered messages, the running one among them */
    uint32_t queue_count; /* as above */
    struct req *req;      /* the request that runs, or NULL */

    struct folder **folders; /* in the order of opening */
    uint32_t folder_count;
    uint32_t folder_room;

    struct binding *binding; /* over HTTP (binding.h), the keeper's; NULL: over TCP */
    const struct zone *zone; /* locale.h */
    struct uploads *uploads; /* files that its client has sent over HTTP (uploads.h); NULL: none */
    struct alerts *alerts;   /* that wait to be shown (alert.h); NULL: none */

    struct session *peer;         /* next session of the account (hub) */
    struct session *waiting_next; /* hub's line of sessions with async output */
    bool waiting;

    bool zone_known;  /* `zone` is that of the account */
    bool must_change; /* only a few operations until the password is a new one (protocol 1, 4.3) */
    bool report_changes; /* setSessionOption reportMailboxChanges */
    bool closing;        /* bye, session_end() or too many errors: takes no more input */
    bool mid_message;    /* the last slice ended inside a long message: nothing may come between */
    bool held;           /* wrote in this round: reading waits for its commit */
    struct buf broken;   /* what is answered if the round breaks (dispatch_fail) */
};
_Static_assert(sizeof(struct session) <= 512, "an idle session has 512 bytes (design 9.9)");

/* Makes the session and adds it to the hub. ERR_NOMEM. */
enum err session_new(struct ximss *x, struct store *store, const struct session_info *info,
                     struct session **out) CHECKED;
/* Frees everything at once, folders and a running request too. For an orderly end see session_end(). */
void session_free(struct session **s);

/*
 * Writes the data message of a login over TCP (protocol 1, 3.7): `session`, with the id of the login request (as
 * un-escaped text; .p == NULL: without, which is what clients over HTTP need). The response behind it is the door's, who knows when the request came.
 */
void session_greet(const struct session *s, struct str login_id, struct buf *out);

/*
 * One whole message, without its zero byte; copied. ERR_TOO_LONG: 32 requests or 1 MiB are unanswered already, or the
 * message is over its cap: the worker broke the rule of design 2.2. After bye or session_end() input is
 * discarded with ERR_OK (protocol 1, 1.6).
 */
enum err session_feed(struct session *s, struct str message) CHECKED;

/* A slice could run: a request stands there (and does not wait for an answer), or the session is to be closed. */
bool session_has_work(const struct session *s);

/*
 * The connection is gone, or the session is killed: drops what is queued and running. The folders are closed by the next
 * slice, a write (it clears `Recent`, protocol 2, 12.2), which ends with RUN_END. No output.
 */
void session_end(struct session *s);

/* Something asynchronous is due and may be written now (not inside a long message). */
bool session_async_due(const struct session *s);
/*
 * Writes the due asynchronous messages: alerts (alert.h), then `<folderReport folder="X" mode="notify"/>` (protocol 2,
 * 4.1), one for each dirty folder, 64 KiB at most. Harmless when nothing is due; when some are left session_async_due()
 * stays true. Call it when the responses that caused them are in `out`. Over HTTP only for the poll (protocol 2, 12.5).
 */
void session_async(struct session *s, struct buf *out);
/* `<bye/>`, sent when the server ends the session. */
void session_write_bye(struct buf *out);
