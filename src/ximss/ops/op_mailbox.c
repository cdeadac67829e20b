// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_mailbox: mailboxList, mailboxCreate (protocol 2, 3.1 and 3.2).
 */
#include "codec/xout.h"
#include "codec/xtime.h"
#include "ximss/args.h"
#include "ximss/ops/handlers.h"
#include "ximss/target.h"

struct list_state {
    struct mailbox_info *rows;
    uint32_t count, at;
};

/* As servers of version 5 spelled them (protocol 2, 3.1). */
static void write_legacy(struct buf *b, const struct mailbox_info *m)
{
    char oldest[XTIME_SIZE];

    xout_attr_u64(b, "messages", m->messages);
    xout_attr_u64(b, "size", m->size);
    if (m->messages != 0)
        xout_attr(b, "oldest", xtime_digits(oldest, m->oldest));
}

static void write_counters(struct buf *b, const struct mailbox_info *m)
{
    char oldest[XTIME_SIZE];

    xout_attr_u64(b, "UIDValidity", m->uid_validity);
    xout_attr_u64(b, "UIDNext", m->uid_next);
    xout_attr_u64(b, "Messages", m->messages);
    xout_attr_u64(b, "Unseen", m->unseen);
    if (m->media != 0)
        xout_attr_u64(b, "Media", m->media);
    if (m->unseen_media != 0)
        xout_attr_u64(b, "UnseenMedia", m->unseen_media);
    xout_attr_u64(b, "Size", m->size);
    if (m->messages != 0)
        xout_attr(b, "Oldest", xtime_digits(oldest, m->oldest));
}

static void write_mailbox(struct req *r, const struct mailbox_info *m)
{
    req_open(r, "mailbox");
    xout_attr(r->out, "mailbox", m->name);
    if (m->selectable)
        write_counters(r->out, m);
    if (m->klass.n != 0)
        xout_attr(r->out, "Class", m->klass);
    if (m->selectable)
        xout_attr_u64(r->out, "BoxSeq", m->box_seq);
    if (m->selectable && r->s->x->legacy_mailbox)
        write_legacy(r->out, m);
    xout_attr_yes(r->out, "isFolder", m->folder);
    xout_attr_yes(r->out, "pureFolder", !m->selectable);
    xout_empty(r->out);
    xout_end(r->out);
}

static enum err read_list(struct req *r, struct list_state *l)
{
    struct mailbox_query q = {.filter = arg_str(r, "filter"), .klass = arg_str(r, "mailboxClass")};
    struct mailbox_owner self;
    enum err e = arg_bool(r, "pureFolder", false, &q.pure);

    if (e == ERR_OK)
        e = target_owner(r, &self);
    if (e != ERR_OK)
        return e;
    return mailbox_list(r->s->store, r->s->account, &self, &q, &r->arena, &l->rows, &l->count);
}

enum err op_mailbox_list(struct req *r)
{
    struct list_state *l = r->state;

    if (l == NULL) {
        r->state = l = ARENA_NEW(&r->arena, struct list_state);
        enum err e = l != NULL ? read_list(r, l) : ERR_NOMEM;
        if (e != ERR_OK)
            return e;
    }
    while (l->at < l->count) {
        if (req_full(r))
            return ERR_MORE;
        write_mailbox(r, &l->rows[l->at++]);
    }
    return ERR_OK;
}

enum err op_mailbox_create(struct req *r)
{
    struct str given, name, klass = arg_str(r, "mailboxClass");
    enum err e = arg_need(r, "mailbox", &given);

    if (e != ERR_OK)
        return e;
    if (klass.n > MAILBOX_CLASS_MAX)
        return ERR_ATTR_VALUE;
    e = target_resolve(r, given, true, true, &name);
    if (e != ERR_OK)
        return e;
    return mailbox_create(r->s->store, r->s->account, name, klass.p != NULL ? klass : STR(""),
                          NULL);
}
