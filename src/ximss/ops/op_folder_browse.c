// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_folder_browse: folderBrowse (protocol 2, 4.5). The view is not refreshed; rows are read from the store as they are
 * now; a message that is gone gives no row.
 */
#include "ximss/args.h"
#include "ximss/ops/handlers.h"
#include "ximss/report.h"
#include "ximss/set.h"

struct browsing {
    struct folder *f; /* stays: requests of a session run one after the other */
    struct view_set hits;
    uint32_t at;
};

static enum err begin(struct req *r, struct browsing *b)
{
    struct str name;
    struct set set;
    enum err e = arg_need(r, "folder", &name);

    if (e == ERR_OK)
        e = set_read(r, &set);
    if (e == ERR_OK)
        e = folder_get(r, name, "r", &b->f);
    if (e != ERR_OK)
        return e;
    return view_set_eval(b->f->view, set.ranges, set.count, true, &r->arena, &b->hits);
}

enum err op_folder_browse(struct req *r)
{
    struct browsing *b = r->state;
    enum err e = ERR_OK;

    if (b == NULL) {
        r->state = b = ARENA_NEW(&r->arena, struct browsing);
        e = b != NULL ? begin(r, b) : ERR_NOMEM;
    }
    if (e != ERR_OK)
        return e;
    if (b->f->dead)
        return ERR_MAILBOX_REMOVED;
    struct report_rows rows = {.r = r, .f = b->f};
    while (b->at < b->hits.count) {
        uint32_t index = view_set_at(&b->hits, b->at);
        if (req_full(r))
            return ERR_MORE;
        e = report_row(&rows, index, view_uid(b->f->view, index));
        if (e != ERR_OK && e != ERR_MESSAGE_MISSING)
            return e;
        b->at++;
    }
    return ERR_OK;
}
