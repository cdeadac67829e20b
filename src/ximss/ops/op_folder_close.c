// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_folder_close: folderClose, folderExpunge (protocol 2, 4.7 and 4.9).
 */
#include "store/message.h"
#include "ximss/args.h"
#include "ximss/folder.h"
#include "ximss/ops/handlers.h"

#define RECENT_STEP 500 /* messages of one slice */

/* No notify for a folder that is about to go. */
static void stay_open(struct req *r)
{
    struct folder *f = r->state;

    if (f != NULL)
        folder_give_up(r->s, f);
}

static enum err clear_recent(struct req *r, struct folder *f)
{
    uint32_t *uids = arena_array(&r->arena, RECENT_STEP, sizeof *uids);
    enum err e;
    uint32_t n;

    if (uids == NULL)
        return ERR_NOMEM;
    n = folder_take_recent(f, uids, RECENT_STEP);
    e = message_clear_recent(r->s->store, r->s->account, f->mailbox, uids, n);
    if (e != ERR_OK && e != ERR_MAILBOX_REMOVED && e != ERR_MAILBOX_MISSING)
        return e;
    return folder_has_recent(f) ? ERR_MORE : req_wrote(r);
}

/* Works on dead folders too. The folder leaves the session in the last slice, a reading one. */
enum err op_folder_close(struct req *r)
{
    struct folder *f = r->state;
    struct str name;
    enum err e;

    if (f == NULL) {
        e = arg_need(r, "folder", &name);
        if (e != ERR_OK)
            return e;
        f = folder_find(r->s, name);
        if (f == NULL)
            return ERR_FOLDER_NOT_OPEN;
        f->recent_at = 0;
        if (folder_has_recent(f)) {
            folder_begin(f);
            r->state = f;
            r->cleanup = stay_open;
            return req_want_write(r);
        }
    }
    if (r->may_write)
        return clear_recent(r, f);
    r->state = NULL;
    folder_remove(r->s, f);
    return ERR_OK;
}

struct expunging {
    int64_t mailbox;
    uint32_t at;
};

static enum err expunge_begin(struct req *r)
{
    struct expunging *x = ARENA_NEW(&r->arena, struct expunging);
    struct str name;
    struct folder *f;
    enum err e = arg_need(r, "folder", &name);

    if (x == NULL)
        return ERR_NOMEM;
    if (e == ERR_OK)
        e = folder_get(r, name, "d", &f);
    if (e == ERR_OK)
        x->mailbox = f->mailbox;
    r->state = x;
    return e;
}

/* Each step is a writing slice of its own: what has been committed stands, also when the rest fails. */
enum err op_folder_expunge(struct req *r)
{
    enum err e = r->state == NULL ? expunge_begin(r) : ERR_OK;
    struct expunging *x = r->state;

    if (e != ERR_OK)
        return e;
    return message_expunge(r->s->store, r->s->account, x->mailbox, &x->at);
}
