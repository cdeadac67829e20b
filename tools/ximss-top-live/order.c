// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/order.h"

#include <stdlib.h>

#define TEXTS_MAX ((size_t)256 << 20) /* of the texts that are compared, all together */

struct entry {
    const struct shm_row *row;
    int64_t number;   /* Connected, Running: ns */
    size_t at;        /* Account, Status: where the text begins */
    const char *text; /* there */
};

static int by_id(const struct entry *a, const struct entry *b)
{
    return (a->row->session > b->row->session) - (a->row->session < b->row->session);
}

static int by_number(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int d = (a->number > b->number) - (a->number < b->number);
    return d != 0 ? d : by_id(a, b);
}

static int by_text(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int d = strcmp(a->text, b->text);
    return d != 0 ? d : by_id(a, b);
}

static int family(const struct shm_row *row)
{
    return row->family == SHM_FAMILY_IP4 ? 1 : row->family == SHM_FAMILY_IP6 ? 2 : 0;
}

static int by_address(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int fa = family(a->row), fb = family(b->row);
    int d = fa != fb ? fa - fb
                     : memcmp(a->row->address, b->row->address,
                              fa == 1   ? 4
                              : fa == 2 ? 16
                                        : 0);
    return d != 0 ? d : by_id(a, b);
}

static int64_t running(const struct view *v, const struct shm_row *row)
{
    if (row->op == 0 && row->started == 0)
        return -1;
    return row->started != 0 ? view_age(v, row->started) : 0;
}

static void put_text(const struct view *v, struct entry *e, enum view_column by, struct buf *texts)
{
    char number[VIEW_NUMBER];
    e->at = texts->n;
    if (by == VIEW_STATUS) {
        const char *status = view_status(v, e->row, number);
        buf_add(texts, status, strlen(status) + 1);
        return;
    }
    char *to = buf_room(texts, SHM_TEXT_MAX(SHM_ACCOUNT_LEN));
    if (to != NULL)
        buf_grow(texts, shm_field_text(e->row->account, sizeof(e->row->account), to) + 1);
}

/* What the rows are compared by. */
static void keys_make(const struct view *v, struct entry *e, enum view_column by, struct buf *texts)
{
    for (size_t i = 0; i < v->selected; i++) {
        e[i].row = v->row[i];
        if (by == VIEW_CONNECTED)
            e[i].number = view_age(v, e[i].row->connected);
        else if (by == VIEW_RUNNING)
            e[i].number = running(v, e[i].row);
        else if (by == VIEW_ACCOUNT || by == VIEW_STATUS)
            put_text(v, &e[i], by, texts);
    }
    for (size_t i = 0; i < v->selected && texts->p != NULL; i++)
        e[i].text = texts->p + e[i].at;
}

static void turn_round(const struct shm_row **row, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const struct shm_row *swap = row[i];
        row[i] = row[n - 1 - i];
        row[n - 1 - i] = swap;
    }
}

static CHECKED enum err sort(struct view *v, enum view_column by)
{
    static int (*const compare[VIEW_COLUMNS])(const void *,
                                              const void *) = {[VIEW_IP] = by_address,
                                                               [VIEW_ACCOUNT] = by_text,
                                                               [VIEW_STATUS] = by_text,
                                                               [VIEW_CONNECTED] = by_number,
                                                               [VIEW_RUNNING] = by_number};
    struct buf texts;
    struct entry *e = calloc(v->selected + 1, sizeof *e);
    if (e == NULL)
        return ERR_NOMEM;
    buf_init(&texts, TEXTS_MAX);
    keys_make(v, e, by, &texts);
    enum err rc = buf_err(&texts);
    if (rc == ERR_OK) {
        qsort(e, v->selected, sizeof *e, compare[by]);
        for (size_t i = 0; i < v->selected; i++)
            v->row[i] = e[i].row;
    }
    buf_free(&texts);
    free(e);
    return rc;
}

enum err order_rows(struct view *v, struct order o)
{
    enum err rc = o.by != VIEW_ID ? sort(v, o.by) : ERR_OK;
    if (rc == ERR_OK && o.falling)
        turn_round(v->row, v->selected);
    return rc;
}
