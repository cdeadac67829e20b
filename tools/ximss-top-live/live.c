// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/live.h"

#include <stdarg.h>
#include <stdio.h>

#include "tools/ximss-top-live/keys.h"
#include "tools/ximss-top/options.h"

#define MESSAGE_NS (10 * CLOCK_SEC)
#define FAR        1000000L /* rows: further than any table is long */

void live_init(struct live *l, struct shm_reader *r, int64_t now)
{
    l->reader = r;
    asking_init(&l->asking);
    live_refresh(l, now);
}

void live_free(struct live *l)
{
    asking_close(&l->asking);
    sessions_forget(&l->sessions);
    counters_forget(&l->counters);
}

/* `ns` 0: until the next one. */
static void PRINTF_LIKE(4, 5)
    message(struct live *l, enum screen_look look, int64_t ns, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->message, sizeof l->message, fmt, ap);
    va_end(ap);
    l->look = look;
    l->message_end = ns != 0 ? clock_mono() + ns : 0;
    l->dirty = true;
}

static void say(struct live *l, const char *text)
{
    message(l, LOOK_TITLE, MESSAGE_NS, "%s", text);
}

/* --- pictures */

/* After shm_reader_refresh(). */
static void take_picture(struct live *l)
{
    if (l->status != SHM_OK) {
        sessions_forget(&l->sessions);
        counters_forget(&l->counters);
        return;
    }
    if (sessions_refresh(&l->sessions, l->reader, l->now) != ERR_OK)
        message(l, LOOK_ALARM, MESSAGE_NS, "no memory to sort so many rows");
    counters_refresh(&l->counters, l->reader, l->now);
}

void live_refresh(struct live *l, int64_t now)
{
    l->now = now;
    l->next = now + l->delay;
    l->status = shm_reader_refresh(l->reader, now);
    take_picture(l);
    l->dirty = true;
}

void live_tick(struct live *l, int64_t now)
{
    if (asking_goes_on(&l->asking, now)) {
        message(l, l->asking.fine ? LOOK_TITLE : LOOK_ALARM, MESSAGE_NS, "%s", l->asking.said);
        l->next = now;
    }
    if (l->message_end != 0 && now >= l->message_end) {
        l->message[0] = 0;
        l->message_end = 0;
        l->dirty = true;
    }
    if (now >= l->next)
        live_refresh(l, now);
}

int64_t live_due(const struct live *l)
{
    int64_t due = l->next;
    if (l->message_end != 0 && l->message_end < due)
        due = l->message_end;
    if (l->asking.fd >= 0 && l->asking.end < due)
        due = l->asking.end;
    return due;
}

/* --- questions */

static void ask_filter(struct live *l)
{
    l->about = ABOUT_FILTER;
    snprintf(l->prompt.head, sizeof l->prompt.head, "filter");
    prompt_ask_text(&l->prompt, ": ", FILTER_MAX);
}

/* Kick or say, for the session under the bar: it stays the one, whatever the table does until the answer. */
static void ask_about_session(struct live *l, bool kick)
{
    struct view_cells c;
    const struct shm_row *row = sessions_selected(&l->sessions);
    if (l->page != PAGE_SESSIONS || row == NULL) {
        say(l, "no session is selected");
        return;
    }
    if (l->asking.fd >= 0) {
        say(l, "the server has not answered yet");
        return;
    }
    view_cells(&l->sessions.view, row, &c);
    l->about = kick ? ABOUT_KICK : ABOUT_SAY;
    l->id = row->session;
    snprintf(l->prompt.head, sizeof l->prompt.head, "%s %u (%s)", kick ? "kick" : "message to",
             row->session, c.it.account[0] != 0 ? c.it.account : c.ip);
    if (kick)
        prompt_ask_yes_no(&l->prompt);
    else
        prompt_ask_text(&l->prompt, ": ", PROMPT_TEXT_MAX);
}

static void command(struct live *l, enum ctl_verb verb, const char *text, int64_t now)
{
    if (!asking_begin(&l->asking, l->run_dir, verb, l->id, text, now))
        message(l, LOOK_ALARM, MESSAGE_NS, "%s", l->asking.said);
    else
        message(l, LOOK_TITLE, 0, "%s %u ...", verb == CTL_SESSION_KICK ? "kicking" : "telling",
                l->id);
}

/* The table shows what the filter does while it is typed. */
static void set_filter(struct live *l, const char *text)
{
    size_t n = strnlen(text, FILTER_MAX);
    memcpy(l->sessions.filter, text, n);
    l->sessions.filter[n] = 0;
    take_picture(l);
}

static void answer(struct live *l, int32_t code, int64_t now)
{
    enum prompt_end end = prompt_key(&l->prompt, code);
    if (l->about == ABOUT_FILTER)
        set_filter(l, end == PROMPT_CANCELLED ? "" : l->prompt.text);
    else if (end == PROMPT_DONE && l->about == ABOUT_KICK)
        command(l, CTL_SESSION_KICK, NULL, now);
    else if (end == PROMPT_DONE && l->prompt.n != 0)
        command(l, CTL_SESSION_SAY, l->prompt.text, now);
    else if (end != PROMPT_GOES_ON)
        say(l, l->about == ABOUT_KICK ? "not kicked" : "not sent");
}

/* --- keys */

static void turn_to(struct live *l, enum live_page page)
{
    l->page = l->page == page ? PAGE_SESSIONS : page;
    l->top = 0;
}

static void sort_by(struct live *l, enum view_column by)
{
    l->sessions.order.by = by;
    take_picture(l);
}

static void move_by(struct live *l, long rows)
{
    if (l->page == PAGE_SESSIONS)
        sessions_move(&l->sessions, rows);
    else
        l->top = rows <= -FAR ? 0 : (int)(l->top + rows); /* live_draw() knows where the end is */
    if (l->top < 0)
        l->top = 0;
}

/* "2s", "0.5s" */
static void set_delay(struct live *l, bool slower, int64_t now)
{
    static const int tenths[] = {1, 2, 5, 10, 20, 50, 100, 300, 600};
    int64_t delay = l->delay;
    for (size_t i = 0; i < ARRAY_LEN(tenths); i++) {
        int64_t step = tenths[i] * (CLOCK_SEC / 10);
        if (slower && step > l->delay) {
            delay = step;
            break;
        }
        if (!slower && step < l->delay)
            delay = step;
    }
    l->delay = delay;
    l->next = now + delay;
    message(l, LOOK_TITLE, MESSAGE_NS, "every %gs", (double)delay / CLOCK_SEC);
}

static void act(struct live *l, enum key key, int32_t code, int64_t now)
{
    struct order *o = &l->sessions.order;
    switch (key) {
    case KEY_IS_QUIT:
        l->quit = true;
        break;
    case KEY_IS_HELP:
        turn_to(l, PAGE_HELP);
        break;
    case KEY_IS_COUNTERS:
        turn_to(l, PAGE_COUNTERS);
        break;
    case KEY_IS_FILTER:
        turn_to(l, PAGE_SESSIONS);
        ask_filter(l);
        break;
    case KEY_IS_CLEAR:
        if (l->page == PAGE_SESSIONS)
            set_filter(l, "");
        turn_to(l, PAGE_SESSIONS);
        break;
    case KEY_IS_SORT:
        sort_by(l, (enum view_column)(code - '1'));
        break;
    case KEY_IS_SORT_LEFT:
        sort_by(l, (o->by + VIEW_COLUMNS - 1) % VIEW_COLUMNS);
        break;
    case KEY_IS_SORT_RIGHT:
        sort_by(l, (o->by + 1) % VIEW_COLUMNS);
        break;
    case KEY_IS_REVERSE:
        o->falling = !o->falling;
        take_picture(l);
        break;
    case KEY_IS_KICK:
    case KEY_IS_SAY:
        ask_about_session(l, key == KEY_IS_KICK);
        break;
    case KEY_IS_REFRESH:
        live_refresh(l, now);
        break;
    case KEY_IS_SLOWER:
    case KEY_IS_FASTER:
        set_delay(l, key == KEY_IS_SLOWER, now);
        break;
    case KEY_IS_UP:
        move_by(l, -1);
        break;
    case KEY_IS_DOWN:
        move_by(l, 1);
        break;
    case KEY_IS_PAGE_UP:
        move_by(l, 1 - (l->height > 2 ? l->height - 1 : 2));
        break;
    case KEY_IS_PAGE_DOWN:
        move_by(l, (l->height > 2 ? l->height - 1 : 2) - 1);
        break;
    case KEY_IS_HOME:
        move_by(l, -FAR);
        break;
    case KEY_IS_END:
        move_by(l, FAR);
        break;
    case KEY_IS_REDRAW:
        screen_again();
        break;
    case KEY_IS_NONE:
        break;
    }
}

void live_key(struct live *l, int32_t code, int64_t now)
{
    l->dirty = true;
    if (l->prompt.head[0] != 0) {
        answer(l, code, now);
        return;
    }
    if (l->message_end != 0) {
        l->message[0] = 0;
        l->message_end = 0;
    }
    act(l, key_of(code), code, now);
}

/* --- drawing */

/* What is said of the server at the end of the first line; the look tells whether it is a complaint. */
static enum screen_look about_server(const struct live *l, char *out, size_t n)
{
    const struct shm_server *s = shm_reader_server(l->reader);
    char span[32];
    if (l->status == SHM_OK && s->unusable != 0) {
        snprintf(out, n, "not shown: %s", shm_reader_why(l->reader));
        return LOOK_ALARM;
    }
    if (l->status != SHM_OK || !s->running) {
        out[0] = 0;
        return LOOK_PLAIN;
    }
    if (s->silence > 3 * CLOCK_SEC) {
        view_span(span, sizeof span, s->silence / CLOCK_SEC);
        snprintf(out, n, "server is silent for %s", span);
        return LOOK_ALARM;
    }
    view_span(span, sizeof span, s->uptime / CLOCK_SEC);
    snprintf(out, n, "ximssd %s, up %s, every %gs", s->version, span, (double)l->delay / CLOCK_SEC);
    return LOOK_PLAIN;
}

static void draw_first_line(const struct live *l)
{
    const struct sessions *s = &l->sessions;
    char text[LIVE_TEXT_MAX];
    int room = screen_columns();
    snprintf(text, sizeof text, "%zu of %zu selected", s->view.selected, s->view.total);
    int x = screen_put(0, 0, room, text, LOOK_TITLE);
    if (s->filter[0] != 0) {
        snprintf(text, sizeof text, ", filter: %s", s->filter);
        x += screen_put(0, x, room, text, LOOK_KEY);
    }
    enum screen_look look = about_server(l, text, sizeof text);
    int w = screen_width(text), left = room - x - 2;
    if (w <= left)
        screen_put(0, room - w, w, text, look);
    else if (look == LOOK_ALARM)
        screen_put(0, x + 2, left, text, look);
}

/* Why there is nothing new to see; false: there is. */
static bool draw_state(const struct live *l, int y)
{
    char text[LIVE_TEXT_MAX] = "";
    if (l->status != SHM_OK)
        snprintf(text, sizeof text, "%s%s", l->status == SHM_NO_SERVER ? "no server: " : "",
                 shm_reader_why(l->reader));
    else
        view_state(shm_reader_server(l->reader), text, sizeof text);
    screen_put(y, 0, screen_columns(), text, LOOK_ALARM);
    return text[0] != 0;
}

/* A page of lines that is longer than the screen ends with its last line. */
static void stop_at_end(struct live *l, int lines, int rows)
{
    int most = lines > rows ? lines - rows : 0;
    if (l->top > most) {
        l->top = most;
        l->dirty = true; /* once more */
    }
}

/* Returns the row of the bar. */
static int draw_page(struct live *l, int y, int rows)
{
    if (l->page == PAGE_HELP) {
        stop_at_end(l, keys_page(y, rows, l->top), rows);
        return y;
    }
    bool state = draw_state(l, y);
    if (l->status != SHM_OK || (state && l->page == PAGE_SESSIONS))
        return y;
    if (l->page == PAGE_SESSIONS)
        return sessions_draw(&l->sessions, y, rows);
    l->counters.top = l->top; /* the values of a server that has stopped are still to be seen */
    stop_at_end(l, counters_draw(&l->counters, l->reader, y + state, rows - state) + 1,
                rows - state);
    return y;
}

void live_draw(struct live *l)
{
    int rows = screen_rows(), last = rows - 1, x = 0;
    bool asks = l->prompt.head[0] != 0;
    do {
        l->dirty = false;
        screen_clear();
        draw_first_line(l);
        l->height = rows > 2 ? rows - 2 : 0;
        int y = draw_page(l, 1, l->height);
        screen_fill(last, 0, LOOK_PLAIN);
        if (asks)
            x = prompt_draw(&l->prompt, last);
        else if (l->message[0] != 0)
            screen_put(last, 0, screen_columns(), l->message, l->look);
        else
            keys_line(last);
        if (!l->dirty)
            screen_show(asks ? last : y, x, asks);
    } while (l->dirty);
}
