// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_message: messageMark, messageRemove (protocol 2, 5.1 and 5.2).
 *
 * Both work through their set in steps, each a writing slice of its own: what has been committed stands, also when the
 * rest fails.
 */
#include "store/message.h"
#include "ximss/args.h"
#include "ximss/folder.h"
#include "ximss/ops/handlers.h"
#include "ximss/set.h"

#define MARK_STEP  500 /* messages of one slice */
#define TRASH_STEP 100

enum remove_mode { REMOVE_TRASH, REMOVE_NOW, REMOVE_MARK };

struct work {
    int64_t mailbox;
    uint32_t *uids;
    uint32_t count, at;
    struct flag_list flags;
    enum remove_mode mode;
};

/* The UIDs of the set, in ascending view order. They are copied: the view may change before the last step. */
static enum err collect(struct req *r, const struct set *set, struct folder *f, struct work *w)
{
    struct view_set hits;
    enum err e = view_set_eval(f->view, set->ranges, set->count, false, &r->arena, &hits);

    w->mailbox = f->mailbox;
    if (e != ERR_OK || hits.count == 0)
        return e;
    w->uids = arena_array(&r->arena, hits.count, sizeof *w->uids);
    if (w->uids == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < hits.count; i++)
        w->uids[w->count++] = view_uid(f->view, view_set_at(&hits, i));
    return ERR_OK;
}

/* Removed meanwhile by another session: as if it had come first. */
static enum err mark_step(struct req *r, struct work *w)
{
    uint32_t n = w->count - w->at < MARK_STEP ? w->count - w->at : MARK_STEP;
    enum err e = ERR_OK;

    if (n != 0 && w->flags.count != 0)
        e = message_mark(r->s->store, r->s->account, w->mailbox, w->uids + w->at, n, &w->flags);
    w->at += n;
    return e != ERR_OK ? e : w->at < w->count ? ERR_MORE : ERR_OK;
}

static enum err mark_begin(struct req *r)
{
    struct work *w = ARENA_NEW(&r->arena, struct work);
    struct str name, flags = arg_str(r, "flags");
    struct folder *f;
    struct set set;
    char rights[8];
    enum err e = arg_need(r, "folder", &name);

    if (w == NULL)
        return ERR_NOMEM;
    if (e == ERR_OK && flags.p == NULL)
        e = ERR_ATTR_MISSING;
    if (e == ERR_OK)
        e = set_read(r, &set);
    if (e == ERR_OK)
        e = flags_parse(flags, &w->flags);
    if (e != ERR_OK)
        return e;
    flags_rights(&w->flags, rights);
    e = folder_get(r, name, rights, &f);
    if (e == ERR_OK)
        e = collect(r, &set, f, w);
    r->state = w;
    return e;
}

enum err op_message_mark(struct req *r)
{
    enum err e = r->state == NULL ? mark_begin(r) : ERR_OK;

    return e == ERR_OK ? mark_step(r, r->state) : e;
}

/* Case and blanks do not count: "Move To Trash", "movetotrash". */
static bool mode_is(struct str given, const char *word)
{
    for (size_t i = 0; i < given.n; i++) {
        if (given.p[i] == ' ')
            continue;
        if (str_lower(given.p[i]) != *word)
            return false;
        word++;
    }
    return *word == '\0';
}

static enum err read_mode(struct str given, enum remove_mode *out)
{
    *out = REMOVE_TRASH;
    if (given.n == 0 || mode_is(given, "movetotrash"))
        return ERR_OK;
    *out = REMOVE_NOW;
    if (mode_is(given, "immediately"))
        return ERR_OK;
    *out = REMOVE_MARK;
    return mode_is(given, "mark") ? ERR_OK : ERR_ATTR_VALUE;
}

static enum err remove_begin(struct req *r)
{
    struct work *w = ARENA_NEW(&r->arena, struct work);
    struct str name;
    struct folder *f;
    struct set set;
    enum err e = arg_need(r, "folder", &name);

    if (w == NULL)
        return ERR_NOMEM;
    if (e == ERR_OK)
        e = read_mode(arg_str(r, "mode"), &w->mode);
    if (e == ERR_OK)
        e = set_read(r, &set);
    if (e == ERR_OK)
        e = folder_get(r, name, "d", &f);
    if (e == ERR_OK)
        e = collect(r, &set, f, w);
    if (e == ERR_OK && w->mode == REMOVE_MARK)
        e = flags_parse(STR("Deleted"), &w->flags);
    r->state = w;
    return e;
}

static enum err remove_step(struct req *r, struct work *w)
{
    struct session *s = r->s;
    uint32_t most = w->mode == REMOVE_TRASH ? TRASH_STEP : MARK_STEP;
    uint32_t n = w->count - w->at < most ? w->count - w->at : most;
    const uint32_t *uids;
    enum err e;

    if (n == 0)
        return ERR_OK;
    uids = w->uids + w->at;
    if (w->mode == REMOVE_TRASH)
        e = message_trash(s->store, s->account, w->mailbox, STR(""), uids, n);
    else
        e = message_destroy(s->store, s->account, w->mailbox, uids, n);
    w->at += n;
    return e != ERR_OK ? e : w->at < w->count ? ERR_MORE : ERR_OK;
}

enum err op_message_remove(struct req *r)
{
    enum err e = r->state == NULL ? remove_begin(r) : ERR_OK;
    struct work *w = r->state;

    if (e != ERR_OK)
        return e;
    return w->mode == REMOVE_MARK ? mark_step(r, w) : remove_step(r, w);
}
