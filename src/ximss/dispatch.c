// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Slices: which kind is next, how a handler is called, where its output goes, and the response. */
#include "ximss/dispatch.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/xout.h"
#include "ximss/dispatch_read.h"
#include "ximss/folder.h"
#include "ximss/ops.h"

#define RESPONSE_ROOM 4096      /* of a slice: a response with the longest id, escaped */
#define SLOW          CLOCK_SEC /* an operation that takes longer is logged (protocol 1, section 8) */
#define SCRATCH_KEEP  ((size_t)1 << 20) /* more memory than this is given back after a slice */

/* --- which kind of slice is next */

static enum kind kind_of_next(struct session *s)
{
    const struct req *r;

    if (s->closing && s->req == NULL)
        return folders_need_write(s) ? KIND_WRITE : KIND_READ;
    if (s->req == NULL && !dispatch_read_next(s))
        return KIND_NONE;
    r = s->req;
    if (r->waiting)
        return KIND_NONE;
    if (r->decided || (!r->want_write && (optag_flags(r->op) & OPF_READ) != 0))
        return KIND_READ;
    return KIND_WRITE;
}

enum kind dispatch_kind(struct session *s)
{
    enum kind k = kind_of_next(s);

    return s->held && k == KIND_READ ? KIND_LATER : k;
}

/* --- output */

/* What this request is answered if the round breaks. Must stand before the slice runs. */
static enum err note_broken(struct session *s, struct req *r)
{
    size_t before = s->broken.n;
    enum err e;

    s->held = true;
    if (r == NULL || r->noted)
        return ERR_OK;
    req_respond(&s->broken, r, ERR_DB);
    e = buf_err(&s->broken);
    if (e != ERR_OK)
        buf_cut(&s->broken, before);
    r->noted = e == ERR_OK;
    return e;
}

/* Moves output of the request to the session's, up to the size of a slice. false: some is left. */
static bool move_output(struct req *r, struct buf *out)
{
    size_t left = r->spill.n - r->spill_at;
    size_t n = left < SLICE_MAX - RESPONSE_ROOM ? left : SLICE_MAX - RESPONSE_ROOM;

    if (n != 0)
        buf_add(out, r->spill.p + r->spill_at, n);
    r->spill_at += n;
    if (n != 0)
        r->s->mid_message = r->spill.p[r->spill_at - 1] != '\0';
    if (n < left)
        return false;
    buf_free(&r->spill);
    r->spill_at = 0;
    return true;
}

/* The slice's output goes out; what is over its size becomes the request's spill. Without `out` all of it does. */
static void take_scratch(struct req *r, struct buf *out)
{
    struct buf *scratch = &r->s->x->scratch;

    if (scratch->n == 0)
        return;
    if (out == NULL) {
        buf_str(&r->spill, buf_slice(scratch));
        return;
    }
    if (scratch->n <= SLICE_MAX - RESPONSE_ROOM) {
        buf_add(out, scratch->p, scratch->n);
        r->s->mid_message = scratch->p[scratch->n - 1] != '\0';
        return;
    }
    r->spill = *scratch;
    r->spill_at = 0;
    buf_init(scratch, r->spill.max);
    move_output(r, out);
}

/* --- a slice */

static enum err call_handler(struct req *r)
{
    struct buf *scratch = &r->s->x->scratch;
    req_handler *f = r->finishing ? ops_finish(r->op) : ops_handler(r->op);
    enum err e;

    if (scratch->cap > SCRATCH_KEEP)
        buf_free(scratch);
    buf_clear(scratch);
    r->out = scratch;
    r->slice_began = clock_mono();
    r->asked = false;
    e = f(r);
    BUG_IF(e == ERR_MORE && !r->want_write && (optag_flags(r->op) & OPF_MORE) == 0);
    BUG_IF(e == ERR_WAIT && (ops_finish(r->op) == NULL || r->finishing));
    if (buf_err(scratch) != ERR_OK) {
        buf_clear(scratch);
        e = ERR_NOMEM;
    }
    r->slices++;
    return e;
}

static bool slice_failed(enum err e)
{
    return e != ERR_OK && e != ERR_MORE && e != ERR_WAIT;
}

static bool ends_inside(const struct buf *b)
{
    return b->n != 0 && b->p[b->n - 1] != '\0';
}

/* Did what was made before this slice end inside a message? */
static bool began_inside(const struct req *r)
{
    return r->spill.n != 0 ? ends_inside(&r->spill) : r->s->mid_message;
}

/* A message cannot be completed: nothing that could follow would make sense to the client. */
static void lose_session(struct session *s, struct slice *done)
{
    session_end(s);
    done->run = RUN_DONE;
    done->err = ERR_INTERNAL;
    done->close = true;
}

static void run_handler(struct req *r, struct slice *done, struct buf *out)
{
    struct session *s = r->s;
    enum err e = r->may_write ? note_broken(s, r) : ERR_OK;

    if (e == ERR_OK)
        e = call_handler(r);
    else
        buf_clear(&s->x->scratch);
    if (slice_failed(e)) {
        if (err_num(e) == err_num(ERR_INTERNAL))
            log_write(LOG_FAILURES, "XIMSS", s->id, s->name.p, "%s failed: %s", optag_name(r->op),
                      err_name(e));
        if (r->may_write)
            buf_clear(&s->x->scratch);
        done->rollback = r->may_write;
        if (began_inside(r) || ends_inside(&s->x->scratch)) {
            lose_session(s, done);
            return;
        }
    }
    take_scratch(r, out);
    if (buf_err(&r->spill) != ERR_OK) { /* ahead, too far */
        lose_session(s, done);
        return;
    }
    if (e == ERR_WAIT)
        r->waiting = true;
    else if (e != ERR_MORE)
        dispatch_decide(r, e);
}

static void note_slow(const struct session *s, const struct req *r)
{
    int64_t took = r->started != 0 ? clock_mono() - r->started : 0;

    if (took >= SLOW && r->op != OP_NONE)
        log_write(LOG_PROBLEMS, "XIMSS", s->id, s->name.p, "slow: %s took %lld ms",
                  optag_name(r->op), (long long)(took / CLOCK_MS));
}

/* The request is through: its response, its end, and what its failure means for the session. */
static void answer(struct session *s, struct slice *done, struct buf *out)
{
    struct req *r = s->req;
    bool bye = r->op == OP_BYE && r->result == ERR_OK;

    if (!r->written)
        req_respond(out, r, r->result);
    done->run = RUN_DONE;
    done->err = r->result;
    s->request_count++;
    note_slow(s, r);
    if (r->protocol_error) {
        s->error_count++;
        log_write(LOG_PROBLEMS, "XIMSS", s->id, s->name.p, "protocol error: %s",
                  err_text(r->result));
    }
    req_free(s);
    if (s->error_count > s->x->limits.protocol_errors) {
        session_write_bye(out);
        bye = true;
    }
    if (bye) {
        session_end(s);
        done->close = true;
    }
}

/* After bye or session_end(): the folders are closed, then the session is over. */
static struct slice end_slice(struct session *s, enum kind k)
{
    struct slice done = {.run = RUN_END};
    bool more = false;
    enum err e = ERR_OK;

    if (k == KIND_WRITE) {
        e = note_broken(s, NULL);
        if (e == ERR_OK)
            e = folders_end(s, &more);
    }
    if (e == ERR_OK && more)
        done.run = RUN_MORE;
    done.err = e;
    done.rollback = e != ERR_OK;
    return done;
}

struct slice dispatch_slice(struct session *s, struct buf *out)
{
    enum kind k = dispatch_kind(s);
    struct slice done = {.run = RUN_IDLE};
    struct req *r = s->req;

    if (k == KIND_NONE || k == KIND_LATER)
        return done;
    if (r == NULL)
        return end_slice(s, k);
    if (r->started == 0)
        r->started = clock_mono();
    r->may_write = k == KIND_WRITE;
    if (r->spill.n != 0) {
        if (!move_output(r, out)) {
            done.run = RUN_MORE;
            return done;
        }
    } else if (!r->decided) {
        run_handler(r, &done, out);
        if (done.close)
            return done;
    }
    if (r->decided && r->spill.n == 0)
        answer(s, &done, out);
    else
        done.run = r->waiting ? RUN_WAIT : RUN_MORE;
    return done;
}

/* --- ahead */

bool dispatch_may_go_ahead(const struct session *s)
{
    const struct req *r = s->req;

    if (r == NULL || r->waiting)
        return false;
    return r->spill.n == 0 ||
           (!r->decided && !r->want_write && (optag_flags(r->op) & OPF_READ) != 0);
}

struct slice dispatch_ahead(struct session *s, struct buf *out)
{
    enum kind k = dispatch_kind(s);
    struct slice done = {.run = RUN_MORE};
    struct req *r = s->req;

    if (k != KIND_READ || r == NULL || r->decided)
        return dispatch_slice(s, out);
    if (r->started == 0)
        r->started = clock_mono();
    r->may_write = false;
    run_handler(r, &done, NULL);
    if (!done.close && r->waiting)
        done.run = RUN_WAIT;
    return done;
}

/* --- rounds */

void dispatch_commit(struct session *s)
{
    s->held = false;
    buf_free(&s->broken);
    if (s->req != NULL)
        s->req->noted = false;
}

/* A writer whose slice could not even begin. */
static void refuse(struct session *s, struct buf *out)
{
    struct slice done = {.run = RUN_IDLE};

    if (s->req == NULL || dispatch_kind(s) != KIND_WRITE)
        return;
    dispatch_decide(s->req, ERR_DB);
    answer(s, &done, out);
}

void dispatch_fail(struct session *s, size_t mark, struct buf *out)
{
    buf_cut(out, mark);
    buf_str(out, buf_slice(&s->broken));
    if (!s->held)
        refuse(s, out);
    if (s->req != NULL && s->req->noted) {
        s->request_count++;
        req_free(s);
    }
    s->held = false;
    s->mid_message = false;
    buf_free(&s->broken);
    if (s->closing) /* Recent stays: better than a session that never ends while the disk is full */
        folders_free(s);
}

/* --- questions, and what is seen from outside */

const struct question *dispatch_question(const struct session *s)
{
    return s->req != NULL && s->req->waiting ? &s->req->question : NULL;
}

void dispatch_answer(struct session *s, enum err e, struct str body)
{
    struct req *r = s->req;

    if (r == NULL || !r->waiting)
        return;
    r->answer.body = arena_str(&r->arena, body);
    r->answer.err = r->answer.body.p != NULL ? e : ERR_NOMEM;
    r->waiting = false;
    r->finishing = true;
}

enum op_id dispatch_op(const struct session *s)
{
    return s->req != NULL ? s->req->op : OP_NONE;
}
