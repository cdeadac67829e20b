// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/screen.h"

#include "base/utf8.h" /* first: base/err.h and ncurses use the name ERR for different things */

#include <curses.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>
#include <wchar.h>

#define ESCAPE_MS     50
#define TEXT_MAX      1024 /* characters of a text; no screen is that wide */
#define MARKS_MAX     4    /* combining characters on one */
#define PATIENCE_LAST 5    /* seconds for the last words to a terminal that takes nothing */
#define REPLACEMENT   0xfffd

/* The process's own context of this module: ncurses has no other. */
static struct {
    SCREEN *screen;
    bool utf8;
    bool bar; /* there is an attribute for it */
    attr_t attrs[LOOKS];
    short pair[LOOKS];
} the;

/* --- taking and giving back */

/*
 * What terminals send for these keys, whatever is said of them: many have two ways (cursor keys in "application mode"),
 * and descriptions of old ones leave keys out that every keyboard has today.
 */
static const struct {
    const char *bytes;
    int key;
} sequences[] = {
    {"\033[A", KEY_UP},     {"\033OA", KEY_UP},     {"\033[B", KEY_DOWN}, {"\033OB", KEY_DOWN},
    {"\033[C", KEY_RIGHT},  {"\033OC", KEY_RIGHT},  {"\033[D", KEY_LEFT}, {"\033OD", KEY_LEFT},
    {"\033[H", KEY_HOME},   {"\033OH", KEY_HOME},   {"\033[F", KEY_END},  {"\033OF", KEY_END},
    {"\033[1~", KEY_HOME},  {"\033[7~", KEY_HOME},  {"\033[4~", KEY_END}, {"\033[8~", KEY_END},
    {"\033[5~", KEY_PPAGE}, {"\033[6~", KEY_NPAGE},
};

static void look(enum screen_look l, attr_t attrs, short pair, short colour)
{
    the.attrs[l] = attrs;
    the.pair[l] = 0;
    if (colour >= 0 && init_pair(pair, colour, -1) == OK)
        the.pair[l] = pair;
}

/* NO_COLOR: no-color.org; attributes stay. */
static void looks_make(void)
{
    const char *no = getenv("NO_COLOR");
    bool colours = (no == NULL || no[0] == 0) && has_colors() && start_color() == OK &&
                   use_default_colors() == OK;
    bool reverse = enter_reverse_mode != NULL;
    the.bar = reverse || enter_standout_mode != NULL;
    look(LOOK_PLAIN, A_NORMAL, 0, -1);
    look(LOOK_TITLE, A_BOLD, 0, -1);
    look(LOOK_HEAD, A_UNDERLINE, 1, colours ? COLOR_CYAN : -1);
    look(LOOK_SORTED, A_UNDERLINE | A_BOLD, 2, colours ? COLOR_CYAN : -1);
    look(LOOK_BAR, reverse ? A_REVERSE : A_STANDOUT, 0, -1);
    look(LOOK_LONG, A_BOLD, 3, colours ? COLOR_YELLOW : -1);
    look(LOOK_ALARM, A_BOLD, 4, colours ? COLOR_RED : -1);
    look(LOOK_KEY, A_BOLD, 5, colours ? COLOR_CYAN : -1);
}

/* What ncurses needs at least: to know the terminal, and that its cursor can be moved. */
static bool terminal_fits(const char *term, char *why, size_t n)
{
    int known = 0;
    if (term == NULL || term[0] == 0) {
        snprintf(why, n, "TERM is not set");
        return false;
    }
    if (setupterm(NULL, STDOUT_FILENO, &known) != OK && known != 1) {
        snprintf(why, n, "the terminal type \"%.40s\" is not known here", term);
        return false;
    }
    bool fits = known == 1 && cursor_address != NULL && clear_screen != NULL;
    if (!fits)
        snprintf(why, n, "a terminal of type \"%.40s\" has no full screen", term);
    del_curterm(cur_term);
    return fits;
}

static void modes_set(void)
{
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE); /* ^C must not throw away what the terminal has yet to be told */
    scrollok(stdscr, FALSE);
    set_escdelay(ESCAPE_MS);
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        define_key(sequences[i].bytes, sequences[i].key);
    curs_set(0);
}

bool screen_open(char *why, size_t n)
{
    const char *term = getenv("TERM");
    if (!terminal_fits(term, why, n))
        return false;
    the.screen = newterm(NULL, stdout, stdin);
    if (the.screen == NULL) {
        snprintf(why, n, "the terminal cannot be used");
        return false;
    }
    the.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    modes_set();
    looks_make();
    return true;
}

void screen_close(void)
{
    if (the.screen == NULL)
        return;
    /* A terminal that has stopped (^S) keeps its last bytes for ever; nobody is to wait for that. */
    alarm(PATIENCE_LAST);
    endwin();
    alarm(0);
    delscreen(the.screen);
    the.screen = NULL;
}

void screen_stop(void)
{
    sigset_t stop;
    endwin();
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP); /* blocked until the next line */
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    screen_again();
}

void screen_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0)
        resizeterm(size.ws_row, size.ws_col);
    clearok(stdscr, TRUE);
}

void screen_again(void)
{
    endwin(); /* what follows then sets all of the terminal's modes again */
    screen_resize();
    refresh();
}

/* --- drawing */

int screen_rows(void)
{
    return getmaxy(stdscr);
}

int screen_columns(void)
{
    return getmaxx(stdscr);
}

bool screen_utf8(void)
{
    return the.utf8;
}

bool screen_writable(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

/* Columns of a character that may be shown; *c becomes one that this terminal has. */
static int char_width(wchar_t *c)
{
    if (*c >= 0x80 && !the.utf8)
        *c = '?';
    int w = wcwidth(*c);
    if (w < 0) {
        *c = the.utf8 ? REPLACEMENT : '?';
        w = 1;
    }
    return w;
}

/* As many characters as fit `width` columns. Returns the columns; *n: characters. */
static int fit(const char *text, int width, wchar_t *to, int *n)
{
    struct str s = str_of(text);
    int used = 0, marks = 0;
    *n = 0;
    for (size_t at = 0; at < s.n && *n < TEXT_MAX;) {
        wchar_t c = (wchar_t)utf8_next(s, &at);
        int w = char_width(&c);
        if (used + w > width)
            break;
        marks = w == 0 ? marks + 1 : 0;
        /* A mark without a character before it would go to what stands left of the text. */
        if (w == 0 && (used == 0 || marks > MARKS_MAX))
            continue;
        to[(*n)++] = c;
        used += w;
    }
    return used;
}

int screen_width(const char *text)
{
    wchar_t wide[TEXT_MAX];
    int n;
    return fit(text, TEXT_MAX, wide, &n);
}

int screen_put(int y, int x, int width, const char *text, enum screen_look l)
{
    wchar_t wide[TEXT_MAX];
    int n, room = screen_columns() - x;
    if (y < 0 || y >= screen_rows() || x < 0 || room <= 0 || width <= 0)
        return 0;
    int used = fit(text, width < room ? width : room, wide, &n);
    attr_set(the.attrs[l], the.pair[l], NULL);
    mvaddnwstr(y, x, wide, n);
    attr_set(A_NORMAL, 0, NULL);
    return used;
}

void screen_clear(void)
{
    erase();
}

void screen_fill(int y, int x, enum screen_look l)
{
    if (y < 0 || y >= screen_rows() || x < 0 || x >= screen_columns())
        return;
    attr_set(the.attrs[l], the.pair[l], NULL);
    mvhline(y, x, ' ', screen_columns() - x);
    attr_set(A_NORMAL, 0, NULL);
}

void screen_show(int y, int x, bool cursor)
{
    curs_set(cursor || !the.bar);
    move(y, x);
    refresh();
}

/* --- keys */

int32_t screen_key(void)
{
    wint_t c;
    switch (get_wch(&c)) {
    case KEY_CODE_YES:
        return c == KEY_ENTER       ? SCREEN_ENTER
               : c == KEY_BACKSPACE ? SCREEN_BACKSPACE
                                    : SCREEN_SPECIAL + (int32_t)c;
    case OK:
        return c == '\r' ? SCREEN_ENTER : c == '\b' ? SCREEN_BACKSPACE : (int32_t)c;
    default:
        return 0;
    }
}
