// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * screen: the one door to ncurses, whose state belongs to the process.
 *
 * Texts are well-formed UTF-8 without control characters (shm_field_text(), or our own); whatever else is in them, what
 * the terminal cannot show becomes '?' or U+FFFD, and no text leaves its columns. Signals are the caller's: they are
 * blocked while a screen is open, so that no handler of ncurses ever runs.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a text looks. Everything can be told apart without colours, the selected row even without attributes. */
enum screen_look {
    LOOK_PLAIN,
    LOOK_TITLE,
    LOOK_HEAD,
    LOOK_SORTED, /* the head of the column that is sorted by */
    LOOK_BAR,    /* the selected row */
    LOOK_LONG,   /* something takes long */
    LOOK_ALARM,
    LOOK_KEY,
    LOOKS,
};

/*
 * Takes the terminal of standard input and output. false: it cannot be drawn on, `why` is a sentence without a full
 * stop, and nothing was sent to it.
 */
bool screen_open(char *why, size_t n);
/* Gives it back as it was, the cursor too. Also when no screen is open. */
void screen_close(void);

/* SIGTSTP: the terminal as it was, then this process stops; returns when it goes on. */
void screen_stop(void);
/* Takes the terminal anew, whatever somebody else made of it meanwhile. */
void screen_again(void);
/* SIGWINCH: what is shown next has the size that the terminal has now. */
void screen_resize(void);

int screen_rows(void);
int screen_columns(void);
/* The terminal's characters are those of UTF-8. */
bool screen_utf8(void);
/* false: who reads it has stopped; drawing would wait for him. */
bool screen_writable(void);

void screen_clear(void);
/* Writes the text at column x of row y, at most `width` columns of it. Returns how many it took. Off the screen: 0. */
int screen_put(int y, int x, int width, const char *text, enum screen_look look);
/* The row from column x on, empty. */
void screen_fill(int y, int x, enum screen_look look);
/* Columns of a text on this terminal. */
int screen_width(const char *text);
/* The terminal gets what was put. `cursor`: it stands at y, x, to be seen; else only where nothing else marks a row. */
void screen_show(int y, int x, bool cursor);

/* A character as its code point; a key of the keyboard as SCREEN_SPECIAL plus its number in ncurses. */
#define SCREEN_SPECIAL   0x1000000
#define SCREEN_ESCAPE    0x1b
#define SCREEN_ENTER     '\n'
#define SCREEN_BACKSPACE 0x7f
/* 0: none was pressed. Never waits (after Esc: 50 ms, for the rest of a key's sequence). */
int32_t screen_key(void);
