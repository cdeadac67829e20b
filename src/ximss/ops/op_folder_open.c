// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_folder_open: folderOpen, folderReopen (protocol 2, 4.3 and 4.4).
 *
 * The view is built in steps. A new folder stands in the session from the first step on (busy), so that changes between the
 * steps are noticed; a folder that is reopened keeps its old view until the new one is complete.
 */
#include <stdlib.h>

#include "store/mailbox.h"
#include "ximss/args.h"
#include "ximss/fields_xml.h"
#include "ximss/ops/handlers.h"
#include "ximss/report.h"
#include "ximss/target.h"

struct opening {
    struct str name;  /* of the folder */
    struct str path;  /* of the mailbox, canonical */
    struct str klass; /* .p == NULL: do not create */
    int64_t mailbox;
    struct view_spec spec;
    struct str *fields; /* owned until the folder has them */
    uint32_t field_count;
    struct folder *f;
    struct view *view; /* owned until the folder has it */
    bool reopen, through;
};

static void forget(struct req *r)
{
    struct opening *o = r->state;

    view_free(&o->view);
    free(o->fields);
    if (o->f == NULL || o->through)
        return;
    if (o->reopen)
        folder_give_up(r->s, o->f);
    else
        folder_remove(r->s, o->f);
}

static struct opening *new_opening(struct req *r)
{
    struct opening *o = ARENA_NEW(&r->arena, struct opening);

    r->state = o;
    r->cleanup = o != NULL ? forget : NULL;
    return o;
}

/* --- the view's parameters */

static enum err read_uid(const struct req *r, const char *name, uint32_t *to)
{
    uint64_t n;
    enum err e = arg_u64(r, name, UINT32_MAX, 0, &n);

    *to = (uint32_t)n;
    return e;
}

static enum err check_spec(const struct view_spec *v)
{
    struct flag_list flags;

    if (v->sort_field.n != 0 && !fields_name_ok(v->sort_field))
        return ERR_ATTR_VALUE;
    if (v->filter_field.n != 0 && !fields_name_ok(v->filter_field))
        return ERR_ATTR_VALUE;
    if (v->filter.n > VIEW_FILTER_MAX)
        return ERR_ATTR_VALUE;
    if (v->filter.n != 0 && str_ieq(v->filter_field, STR("FLAGS")))
        return flags_parse(v->filter, &flags);
    return ERR_OK;
}

/* A new mailbox has no keywords, so a filter for one names nothing (572): found before the mailbox is made. */
static enum err check_new(const struct view_spec *v)
{
    struct flag_list flags;
    enum err e;

    if (v->filter.n == 0 || !str_ieq(v->filter_field, STR("FLAGS")))
        return ERR_OK;
    e = flags_parse(v->filter, &flags);
    for (uint32_t i = 0; e == ERR_OK && i < flags.count; i++)
        if (flags.items[i].bit == 0)
            e = ERR_FLAG_UNKNOWN;
    return e;
}

static void read_filter(const struct req *r, struct view_spec *v)
{
    v->filter_field = str_trim(arg_str(r, "filterField"));
    v->filter = arg_str(r, "filter");
}

/* Anything but `desc` is `asc`. */
static bool is_desc(struct str order)
{
    return str_ieq(str_trim(order), STR("desc"));
}

static enum err read_spec(const struct req *r, struct view_spec *v)
{
    enum err e;

    v->sort_field = str_trim(arg_str(r, "sortField"));
    v->desc = is_desc(arg_str(r, "sortOrder"));
    v->see_hidden = true;
    read_filter(r, v);
    e = read_uid(r, "UIDValidity", &v->uid_validity);
    if (e == ERR_OK)
        e = read_uid(r, "UIDMin", &v->uid_min);
    return e == ERR_OK ? check_spec(v) : e;
}

/* --- folderOpen */

static enum err open_begin(struct req *r, struct opening *o)
{
    struct str box = arg_str(r, "mailbox");
    enum err e = arg_need(r, "folder", &o->name);

    if (e == ERR_OK && box.p != NULL && box.n == 0)
        e = ERR_ATTR_MISSING;
    if (e == ERR_OK && o->name.n > FOLDER_NAME_MAX)
        e = ERR_ATTR_VALUE;
    if (e == ERR_OK)
        e = read_spec(r, &o->spec);
    if (e == ERR_OK)
        e = folder_fields_read(r, &o->fields, &o->field_count);
    if (e != ERR_OK)
        return e;
    o->klass = arg_str(r, "mailboxClass");
    if (o->klass.n > MAILBOX_CLASS_MAX)
        return ERR_ATTR_VALUE;
    if (folder_find(r->s, o->name) != NULL)
        return ERR_FOLDER_OPEN;
    if (r->s->folder_count >= r->s->x->limits.folders)
        return ERR_TOO_MANY_FOLDERS;
    return target_resolve(r, box.p != NULL ? box : o->name, false, o->klass.p != NULL, &o->path);
}

static enum err find_mailbox(struct req *r, struct opening *o)
{
    struct session *s = r->s;
    enum err e;

    if (r->may_write) {
        e = mailbox_open(s->store, s->account, o->path, o->klass, &o->mailbox);
        return e == ERR_OK ? req_wrote(r) : e;
    }
    e = mailbox_find(s->store, s->account, o->path, &o->mailbox);
    if (e != ERR_MAILBOX_MISSING || o->klass.p == NULL)
        return e;
    e = check_new(&o->spec);
    return e == ERR_OK ? req_want_write(r) : e;
}

static enum err open_folder(struct req *r, struct opening *o)
{
    struct session *s = r->s;
    enum err e = folder_add(s, o->name, o->mailbox, o->fields, o->field_count, &o->f);

    o->fields = NULL;
    if (e == ERR_OK)
        e = view_new(s->store, s->account, o->mailbox, &o->spec, &o->view);
    return e;
}

/* --- folderReopen */

static enum err reopen_begin(struct req *r, struct opening *o)
{
    struct str field = str_trim(arg_str(r, "sortField")), order = arg_str(r, "sortOrder");
    struct view_spec given = {.sort_field = field};
    enum err e = arg_need(r, "folder", &o->name);
    struct folder *f;

    read_filter(r, &given);
    if (e == ERR_OK)
        e = check_spec(&given);
    if (e == ERR_OK)
        e = folder_fields_read(r, &o->fields, &o->field_count);
    if (e == ERR_OK)
        e = folder_get(r, o->name, "r", &f);
    if (e != ERR_OK)
        return e;
    o->spec = *view_spec_of(f->view);
    if (field.n != 0)
        o->spec.sort_field = field;
    if (order.n != 0)
        o->spec.desc = is_desc(order);
    o->spec.filter_field = given.filter_field;
    o->spec.filter = given.filter;
    folder_begin(f);
    o->f = f;
    return view_new(r->s->store, r->s->account, f->mailbox, &o->spec, &o->view);
}

/* --- both */

static enum err build(struct req *r, struct opening *o)
{
    struct folder *f = o->f;
    enum err e;

    do {
        e = view_build(o->view, VIEW_BUDGET);
    } while (e == ERR_MORE && !req_full(r));
    if (e != ERR_OK)
        return e;
    view_free(&f->view);
    f->view = o->view;
    o->view = NULL;
    if (o->field_count != 0 && o->reopen) {
        free(f->fields);
        f->fields = o->fields;
        f->field_count = o->field_count;
        o->fields = NULL;
    }
    e = report_init(r, f);
    if (e != ERR_OK) {
        f->stale = true;
        return e;
    }
    f->stale = false;
    o->through = true;
    folder_settle(r->s, f, false);
    return ERR_OK;
}

enum err op_folder_open(struct req *r)
{
    struct opening *o = r->state;
    enum err e = ERR_OK;

    if (o == NULL) {
        o = new_opening(r);
        e = o != NULL ? open_begin(r, o) : ERR_NOMEM;
    }
    if (e == ERR_OK && o->mailbox == 0)
        e = find_mailbox(r, o);
    if (e == ERR_OK && o->f == NULL)
        e = open_folder(r, o);
    return e == ERR_OK ? build(r, o) : e;
}

enum err op_folder_reopen(struct req *r)
{
    struct opening *o = r->state;
    enum err e = ERR_OK;

    if (o == NULL) {
        o = new_opening(r);
        if (o == NULL)
            return ERR_NOMEM;
        o->reopen = true;
        e = reopen_begin(r, o);
    }
    return e == ERR_OK ? build(r, o) : e;
}
