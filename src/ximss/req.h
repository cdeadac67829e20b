// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * req: a request that runs, as its handler sees it.
 *
 * A handler is straight-line code and never waits (design 2.1). It writes data messages to r->out (whole ones, but for a
 * message longer than a slice, which must not fail once begun) and returns
 *   ERR_OK or an error    done; the dispatcher writes the `response`
 *   ERR_MORE              call again: its place is in r->cursor or r->state; rows with OPF_MORE only
 *   ERR_WAIT              r->question is out; the row's `finish` function is called with r->answer
 * An error in a slice that may write takes back the slice's output and its rows (savepoint); earlier slices stand.
 *
 * A handler of a row with OPF_READ must not change the store while r->may_write is false; when it finds that it has to, it
 * returns req_want_write(r) and is called again in a slice that may; req_wrote(r) leads back to reading slices.
 *
 * A slice that may write changes nothing of the session but its own request: the round can still break. A change of
 * the session (a folder opened or closed) belongs into a reading slice, which runs after the commit.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "codec/optag.h"
#include "codec/xmsg.h"
#include "ximss/session.h"

/* Most bytes that a slice adds to the session's output (design 2.1). */
#define SLICE_MAX 65536
/* A handler with rows stops when it has written so much: the next row still fits in most cases. */
#define SLICE_AIM 49152

enum question_kind {
    QUESTION_NONE,
    QUESTION_PASSWORD, /* to auth: passwordModify (protocol 1, 6) */
};

/* What another process is asked; the strings live until the request ends. */
struct question {
    enum question_kind kind;
    struct str old_password;
    struct str new_password;   /* .p == NULL: keep the password */
    struct str recovery_email; /* .p == NULL: keep; "": remove */
};

struct req {
    struct session *s;
    const struct xelem *root;
    struct str id; /* un-escaped */
    enum op_id op;
    struct arena arena; /* everything that lives as long as the request */
    struct buf *out;    /* of this slice: whole messages */
    bool may_write;
    bool want_write;
    uint32_t slices; /* slices run before this one */
    union {
        unsigned char bytes[64];
        uint64_t u[8];
    } cursor;                       /* zero in the first slice */
    void *state;                    /* in the arena, for what does not fit into the cursor */
    void (*cleanup)(struct req *r); /* called once when the request ends in whatever way; or NULL */
    struct question question;
    struct {
        enum err err;
        struct str body;
    } answer;
    /* the dispatcher's own */
    bool has_id;
    bool exe_time;       /* the response says how long it took */
    bool protocol_error; /* counts towards limits.protocol_errors */
    bool waiting;        /* for dispatch_answer() */
    bool finishing;      /* the next slice calls `finish` */
    bool decided;        /* `result` stands; what is left is output */
    bool noted;          /* stands in session->broken */
    bool written;        /* its response stands in `spill` (req_resume) */
    enum err result;
    uint32_t bytes;  /* of the message */
    int64_t started; /* clock_mono() of the first slice */
    int64_t slice_began;
    bool asked;       /* req_full(), in this slice */
    struct buf spill; /* of a long answer: what did not fit into the slice, */
    size_t spill_at;  /* from here on */
};

typedef enum err req_handler(struct req *r);

/* Has the slice written or worked enough? Then return ERR_MORE. Ask before each row or step; the first time it says no. */
bool req_full(struct req *r);
/* See above; `return req_want_write(r);` and `return req_wrote(r);` */
enum err req_want_write(struct req *r) CHECKED;
enum err req_wrote(struct req *r) CHECKED;
/* Opens a data message: "<tag id=…"; attributes follow. */
void req_open(struct req *r, const char *tag);
/* A question is out. */
bool req_waits(const struct req *r);
/* Ends the request that runs, without an answer: the dispatcher and session_end(). */
void req_free(struct session *s);

/* --- for the dispatcher */
/* The response `e`, with the request's id if it had one. */
void req_respond(struct buf *out, const struct req *r, enum err e);

/* --- for a keeper's successor (snapshot.h) */
/* No request runs, or what is left of it is output that stands in memory. */
bool req_settled(const struct session *s);
/* That output, from where the client has it, and the response. There is one (s->req). */
void req_put_rest(const struct session *s, struct buf *b);
/* A request of so many bytes of which only this output is left. ERR_PACKET, ERR_NOMEM. */
enum err req_resume(struct session *s, struct str rest, uint32_t bytes) CHECKED;
