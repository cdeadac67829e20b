// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Messages as pages of HTML (protocol 2, 9.3). A page is made whole, a piece a round, before it leaves: its length has to be known
 * first. A helper cleans the HTML of the message meanwhile; without it the page shows the plain text.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/keeper.h"
#include "proc/keeper_clean.h"
#include "ximss/format_html.h"

#define PIECE 65536 /* bytes of a page in one round */

/* A page and its exchange. */
struct formatting {
    struct formatting *next, **at; /* of all */
    struct exchange *x;
    struct kept_http *h;
    struct format *f;
    struct clean_job *clean; /* a helper works */
    struct buf page;
    bool only_head;
};

static uint32_t status_of(enum err e)
{
    switch (e) {
    case ERR_FOLDER_NOT_OPEN:
    case ERR_MAILBOX_REMOVED:
    case ERR_MESSAGE_MISSING:
        return 404;
    default:
        return 503;
    }
}

void keeper_format_end(struct exchange *x)
{
    struct formatting *f = x->formatting;
    x->formatting = NULL;
    if (f->clean != NULL)
        keeper_clean_forget(f->clean);
    *f->at = f->next;
    if (f->next != NULL)
        f->next->at = f->at;
    f->h->downloads--;
    format_free(&f->f);
    buf_free(&f->page);
    free(f);
}

static void fail(struct formatting *f, enum err e)
{
    struct exchange *x = f->x;
    if (status_of(e) != 404)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "a page could not be made: %s", err_text(e));
    keeper_format_end(x);
    keeper_exchange_end(x, status_of(e));
}

/* keeper_clean_done */
static void cleaned(void *arg, enum err e, struct str html)
{
    struct formatting *f = arg;
    f->clean = NULL;
    format_cleaned(f->f, e, html);
    loop_again(f->x->k->c->loop);
}

static void ask_helper(struct formatting *f)
{
    struct buf job;
    buf_init(&job, SIZE_MAX);
    format_job(f->f, &job);
    f->clean = keeper_clean(f->x->k, &job, cleaned, f);
}

void keeper_format_take(struct exchange *x, const struct ipc_http *in)
{
    struct keeper *k = x->k;
    struct kept *s = x->h->kept;
    struct formatting *f = calloc(1, sizeof *f);
    if (f == NULL) {
        keeper_exchange_end(x, 503);
        return;
    }
    *f = (struct formatting){.next = k->formatting,
                             .at = &k->formatting,
                             .x = x,
                             .h = x->h,
                             .only_head = (in->flags & IPC_HTTP_HEAD) != 0};
    if (f->next != NULL)
        f->next->at = &f->next;
    k->formatting = f;
    buf_init(&f->page, k->x.limits.reply);
    x->formatting = f;
    x->h->downloads++;
    enum err e = format_open(s->s, in->folder, in->uid, &f->f);
    db_idle_check(store_db(s->s->store));
    if (e != ERR_OK) {
        fail(f, e);
        return;
    }
    if (format_wants_clean(f->f))
        ask_helper(f);
    if (f->clean == NULL)
        loop_again(k->c->loop);
}

void keeper_format_session_gone(struct kept_http *h)
{
    struct formatting *next;
    for (struct formatting *f = h->k->formatting; f != NULL; f = next) {
        next = f->next;
        if (f->h == h) {
            struct exchange *x = f->x;
            keeper_format_end(x);
            keeper_exchange_end(x, 550);
        }
    }
}

static void send_page(struct formatting *f)
{
    struct exchange *x = f->x;
    bool only_head = f->only_head;
    struct reply *r = reply_new(&f->page, NULL);
    if (r == NULL) {
        fail(f, ERR_NOMEM);
        return;
    }
    keeper_format_end(x);
    keeper_exchange_page(x, r, STR("text/html; charset=utf-8"), only_head);
}

void keeper_format_round(struct keeper *k)
{
    struct formatting *next;
    bool more = false;
    for (struct formatting *f = k->formatting; f != NULL; f = next) {
        next = f->next;
        if (f->clean != NULL)
            continue;
        enum err e = format_write(f->f, &f->page, PIECE);
        if (e == ERR_MORE)
            more = true;
        else if (e == ERR_OK)
            send_page(f);
        else
            fail(f, e);
    }
    if (more)
        loop_again(k->c->loop);
}
