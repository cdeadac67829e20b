// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * dispatch: runs a session's requests, one slice at a time (design 2.1), and writes their responses.
 *
 * Errors are found in the order of protocol/errors.md: not parsable (501 `illegal XML`, with the id when it can be
 * made out), no id (501, without id), unknown (500), a login operation (501 `already authenticated`), then what
 * the handler finds. Each request gets exactly one `response`, after its data messages.
 *
 * A keeper's round (design 4). For each session with work and credit, in turn:
 *
 *     switch (dispatch_kind(s)) {
 *     case KIND_READ:  dispatch_slice(s, out);                  out may leave at once
 *     case KIND_WRITE: put off until all readers had their turn; then, inside db_round_begin():
 *                      mark = out->n if this is the session's first write in the round
 *                      db_request_begin(db);                    fails: no slice; dispatch_fail() will say so
 *                      r = dispatch_slice(s, out);              out is held until the commit
 *                      db_request_end(db, !r.rollback);
 *     case KIND_LATER: nothing before this round's end
 *     case KIND_NONE:  nothing to do, or waits for dispatch_answer()
 *     }
 *
 *     then db_round_commit(db):
 *       ERR_OK:  dispatch_commit(s) for each session that had a write, send the held outputs, then what hub_next() offers
 *       else:    dispatch_fail(s, mark, out) for each that had or should have had one, send the outputs
 *
 * What makes a broken round harmless:
 * - After a session's write nothing but further writes of it run in the same round (KIND_LATER). So a held output holds
 *   nothing but writers' output; dispatch_fail() cuts it away and answers each of those requests 599.
 * - Writing slices change nothing in the session's memory (req.h). Everybody learns of a change by the store's
 *   change hook, after the commit (hub_on_change).
 * - Slices of a long writer that were committed in earlier rounds stand; the request ends with 599.
 *
 * `out` is any buffer of the keeper's. A slice adds at most SLICE_MAX bytes. A single message longer than that
 * (folderRead) continues in the next slice; until it is whole, session_async_due() is false and nothing else may be put between.
 */
#include "codec/optag.h"
#include "ximss/req.h"

enum kind {
    KIND_NONE,  /* nothing can run */
    KIND_READ,  /* the next slice writes nothing */
    KIND_WRITE, /* the next slice may write: transaction and savepoint, please */
    KIND_LATER, /* not before dispatch_commit() or dispatch_fail() */
};

enum run {
    RUN_IDLE, /* nothing was run */
    RUN_DONE, /* a request was answered */
    RUN_MORE, /* the request has more slices */
    RUN_WAIT, /* dispatch_question() is to be sent, dispatch_answer() brings the answer */
    RUN_END, /* the session is closed: session_free() it (after the round, when this slice was a write) */
};

struct slice {
    enum run run;
    enum err err;  /* RUN_DONE: what the client was told */
    bool rollback; /* of a write: undo its savepoint (rule failure, nothing answered as done) */
    bool close; /* bye or too many protocol errors: `out` now ends with the client's last message */
};

/* Parses the next message when there is none in work. */
enum kind dispatch_kind(struct session *s);
/* Runs one slice. */
struct slice dispatch_slice(struct session *s, struct buf *out);

/*
 * For a session whose client does not read, while it is to be handed over (snapshot.h): the slice of a long answer is not
 * put into `out` but kept with the request, as far as limits.answer goes (then the session is lost); what has no long
 * answer runs as ever, and little comes of it. Only where it may: not when output stands there already that a slice that
 * writes, or the response, would have to wait for.
 */
bool dispatch_may_go_ahead(const struct session *s);
struct slice dispatch_ahead(struct session *s, struct buf *out);

/* The round with this session's writes is committed. */
void dispatch_commit(struct session *s);
/*
 * It is broken: cuts `out` back to `mark` (its length before the session's first write in the round) and answers each
 * request that had a slice in it with 599; so too the one whose slice could not begin.
 */
void dispatch_fail(struct session *s, size_t mark, struct buf *out);

/* After RUN_WAIT: what is asked; lives until the answer. NULL: nothing. */
const struct question *dispatch_question(const struct session *s);
/*
 * The answer; e: ERR_OK, what the other process said, or ERR_TIMEOUT. body is copied. Dropped when nothing waits; that
 * a late answer does not reach a later question is the keeper's business (sequence numbers).
 */
void dispatch_answer(struct session *s, enum err e, struct str body);

/* The operation whose slice is the next, after dispatch_kind(); OP_NONE: none that is known. */
enum op_id dispatch_op(const struct session *s);
