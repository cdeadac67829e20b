// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_folder_sync: folderSync (protocol 2, 4.6). The store's view finds the differences and applies them one by one; each
 * is reported as it is applied, so that view and client stay the same, however many slices it takes.
 *
 * When a report is lost (no memory, the engine fails) the client's copy cannot be trusted any more: the folder is `stale`
 * and the next sync answers with a view built anew and `init`.
 */
#include "ximss/args.h"
#include "ximss/ops/handlers.h"
#include "ximss/report.h"

struct syncing {
    struct folder *f;
    struct view *view; /* stale: built anew */
    uint64_t limit, sent;
    bool ready; /* differences are known */
    bool through;
};

static void forget(struct req *r)
{
    struct syncing *s = r->state;

    view_free(&s->view);
    if (s->f == NULL || s->through)
        return;
    view_sync_end(s->f->view);
    folder_give_up(r->s, s->f);
}

static enum err begin(struct req *r, struct syncing *s)
{
    struct str name;
    struct folder *f;
    enum err e = arg_need(r, "folder", &name);

    if (e == ERR_OK)
        e = arg_u64(r, "limit", INT64_MAX, 0, &s->limit);
    if (e == ERR_OK)
        e = folder_get(r, name, "r", &f);
    if (e != ERR_OK)
        return e;
    if (s->limit == 0)
        s->limit = UINT64_MAX;
    folder_begin(f);
    s->f = f;
    if (!f->stale)
        return view_sync_start(f->view);
    return view_new(r->s->store, r->s->account, f->mailbox, view_spec_of(f->view), &s->view);
}

/* One after another, as long as the slice lasts. */
static enum err emit(struct req *r, struct syncing *s)
{
    struct report_rows rows = {.r = r, .f = s->f};
    struct view_report c;
    enum err e = ERR_OK;

    while (e == ERR_OK && s->sent < s->limit) {
        if (req_full(r))
            return ERR_MORE;
        if (!view_sync_next(s->f->view, &c))
            break;
        s->sent++;
        e = c.kind == VIEW_INIT ? report_init(r, s->f) : report_change(&rows, &c);
        if (e == ERR_OK)
            e = buf_err(r->out);
    }
    return e;
}

static enum err sync_view(struct req *r, struct syncing *s)
{
    enum err e = ERR_OK;

    while (!s->ready) {
        if (req_full(r))
            return ERR_MORE;
        e = view_sync_step(s->f->view, VIEW_BUDGET);
        if (e != ERR_OK && e != ERR_MORE)
            return e;
        s->ready = e == ERR_OK;
    }
    e = emit(r, s);
    if (e != ERR_OK && e != ERR_MORE)
        s->f->stale = true;
    if (e != ERR_OK)
        return e;
    bool left = view_sync_pending(s->f->view);
    view_sync_end(s->f->view);
    s->through = true;
    folder_settle(r->s, s->f, left);
    return ERR_OK;
}

static enum err build_anew(struct req *r, struct syncing *s)
{
    struct folder *f = s->f;
    enum err e;

    do {
        e = view_build(s->view, VIEW_BUDGET);
    } while (e == ERR_MORE && !req_full(r));
    if (e != ERR_OK)
        return e;
    view_free(&f->view);
    f->view = s->view;
    s->view = NULL;
    e = report_init(r, f);
    if (e != ERR_OK)
        return e;
    f->stale = false;
    s->through = true;
    folder_settle(r->s, f, false);
    return ERR_OK;
}

enum err op_folder_sync(struct req *r)
{
    struct syncing *s = r->state;
    enum err e = ERR_OK;

    if (s == NULL) {
        s = ARENA_NEW(&r->arena, struct syncing);
        if (s == NULL)
            return ERR_NOMEM;
        r->state = s;
        r->cleanup = forget;
        e = begin(r, s);
    }
    if (e != ERR_OK)
        return e;
    if (s->f->dead)
        return ERR_MAILBOX_REMOVED;
    return s->f->stale ? build_anew(r, s) : sync_view(r, s);
}
