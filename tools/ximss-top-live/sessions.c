// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/sessions.h"

#include <stdio.h>
#include <stdlib.h>

#define GAP          2
#define LONG_SECONDS 10 /* an operation that runs longer stands out */

/* --- which rows */

void sessions_forget(struct sessions *s)
{
    view_free(&s->view);
}

/* Where the selected session is now; the place where it was, when it has ended. */
static void find_selected(struct sessions *s)
{
    const struct view *v = &s->view;
    for (size_t i = 0; i < v->selected; i++)
        if (v->row[i]->session == s->selected) {
            s->at = i;
            return;
        }
    if (v->selected == 0)
        return; /* it may come back: the server was stopped, the filter is changed */
    if (s->at >= v->selected)
        s->at = v->selected - 1;
    s->selected = v->row[s->at]->session;
}

enum err sessions_refresh(struct sessions *s, const struct shm_reader *r, int64_t now)
{
    struct view *v = &s->view;
    view_free(v);
    v->reader = r;
    v->server = shm_reader_server(r);
    v->now = now;
    v->any = s->filter[0] != 0 ? s->filter : NULL;
    enum err e = view_select(v);
    if (v->row == NULL)
        v->selected = 0;
    if (e == ERR_OK)
        e = order_rows(v, s->order);
    find_selected(s);
    return e;
}

void sessions_move(struct sessions *s, long rows)
{
    const struct view *v = &s->view;
    if (v->selected == 0)
        return;
    long last = (long)v->selected - 1, at = (long)s->at;
    at = rows < -at ? 0 : rows > last - at ? last : at + rows;
    s->at = (size_t)at;
    s->selected = v->row[at]->session;
}

const struct shm_row *sessions_selected(const struct sessions *s)
{
    return s->view.selected != 0 ? s->view.row[s->at] : NULL;
}

/* --- where they are on the screen */

/* So that the bar is on it, and no line stays empty at the end without need. */
static void scroll(struct sessions *s)
{
    size_t n = s->view.selected, most = n > s->height ? n - s->height : 0;
    if (s->at < s->top)
        s->top = s->at;
    if (s->height != 0 && s->at >= s->top + s->height)
        s->top = s->at - s->height + 1;
    if (s->top > most)
        s->top = most;
}

/* The narrowest form of a column that is still of use, and which columns are left out first when even that does not fit. */
static const int narrow[VIEW_COLUMNS] = {
    [VIEW_ID] = 6,        [VIEW_IP] = 10,     [VIEW_ACCOUNT] = 12,
    [VIEW_CONNECTED] = 9, [VIEW_STATUS] = 10, [VIEW_RUNNING] = 7};
static const enum view_column spare[] = {VIEW_CONNECTED, VIEW_IP, VIEW_RUNNING, VIEW_STATUS};
static const enum view_column elastic[] = {VIEW_ACCOUNT, VIEW_STATUS, VIEW_IP};

static int total(const int *wide)
{
    int sum = -GAP;
    for (size_t i = 0; i < VIEW_COLUMNS; i++)
        sum += wide[i] != 0 ? wide[i] + GAP : 0;
    return sum;
}

/* Makes the columns fit the screen: wide ones narrower, then fewer of them. */
static void squeeze(const int *wanted, int *wide)
{
    int room = screen_columns();
    bool out[VIEW_COLUMNS] = {false};
    for (size_t gone = 0;; gone++) {
        for (size_t i = 0; i < VIEW_COLUMNS; i++)
            wide[i] = out[i] ? 0 : wanted[i];
        for (size_t i = 0; i < ARRAY_LEN(elastic) && total(wide) > room; i++) {
            enum view_column c = elastic[i];
            int less = wide[c] - (total(wide) - room);
            if (wide[c] > narrow[c])
                wide[c] = less > narrow[c] ? less : narrow[c];
        }
        if (total(wide) <= room || gone == ARRAY_LEN(spare))
            return;
        out[spare[gone]] = true;
    }
}

/* --- drawing */

static const char *mark(bool falling)
{
    return screen_utf8() ? (falling ? "\u25bc" : "\u25b2") : falling ? "v" : "^";
}

static void widen(struct sessions *s, size_t shown)
{
    struct view_cells c;
    for (size_t i = 0; i < VIEW_COLUMNS; i++) {
        int w = screen_width(view_heads[i]) + 1; /* the mark */
        if (w > s->wide[i])
            s->wide[i] = w;
    }
    for (size_t row = 0; row < shown; row++) {
        view_cells(&s->view, s->view.row[s->top + row], &c);
        for (size_t i = 0; i < VIEW_COLUMNS; i++) {
            int w = screen_width(c.text[i]);
            if (w > s->wide[i])
                s->wide[i] = w;
        }
    }
}

static void draw_head(const struct sessions *s, int y, const int *wide)
{
    screen_fill(y, 0, LOOK_HEAD);
    for (int i = 0, x = 0; i < VIEW_COLUMNS; i++) {
        bool sorted = s->order.by == (enum view_column)i;
        if (wide[i] == 0)
            continue;
        int used = screen_put(y, x, wide[i], view_heads[i], sorted ? LOOK_SORTED : LOOK_HEAD);
        if (sorted)
            screen_put(y, x + used, wide[i] - used, mark(s->order.falling), LOOK_SORTED);
        x += wide[i] + GAP;
    }
}

static void draw_row(const struct sessions *s, size_t at, int y, const int *wide)
{
    struct view_cells c;
    view_cells(&s->view, s->view.row[at], &c);
    bool is_long = s->view.row[at]->op != 0 && c.it.since >= LONG_SECONDS; /* polls always are */
    enum screen_look look = at == s->at ? LOOK_BAR : is_long ? LOOK_LONG : LOOK_PLAIN;
    if (look == LOOK_BAR)
        screen_fill(y, 0, look);
    for (int i = 0, x = 0; i < VIEW_COLUMNS; i++) {
        screen_put(y, x, wide[i], c.text[i], look);
        x += wide[i] != 0 ? wide[i] + GAP : 0;
    }
}

int sessions_draw(struct sessions *s, int y, int rows)
{
    int wide[VIEW_COLUMNS];
    s->height = rows > 1 ? (size_t)rows - 1 : 0;
    if (s->view.selected == 0)
        s->top = 0;
    else
        scroll(s);
    size_t left = s->view.selected - s->top, shown = left < s->height ? left : s->height;
    widen(s, shown);
    squeeze(s->wide, wide);
    draw_head(s, y, wide);
    for (size_t i = 0; i < shown; i++)
        draw_row(s, s->top + i, y + 1 + (int)i, wide);
    return y + 1 + (int)(s->at > s->top ? s->at - s->top : 0);
}
