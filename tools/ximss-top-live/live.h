// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * live: the full screen of ximss-top: a page (sessions, counters, help), the first line above it, and one row below it for
 * keys, messages and questions. Keys in, pictures out; who waits for what is main.c's.
 */
#include "tools/ximss-top-live/asking.h"
#include "tools/ximss-top-live/counters.h"
#include "tools/ximss-top-live/prompt.h"
#include "tools/ximss-top-live/screen.h"
#include "tools/ximss-top-live/sessions.h"

enum live_page { PAGE_SESSIONS, PAGE_COUNTERS, PAGE_HELP };

#define LIVE_TEXT_MAX 1100

struct live {
    const char *run_dir;
    struct shm_reader *reader;
    enum shm_status status;
    int64_t now;   /* of the last picture; monotonic ns, as all times here */
    int64_t delay; /* between two of them */
    int64_t next;  /* when the next one is due */
    struct sessions sessions;
    struct counters counters;
    enum live_page page;
    int top;    /* first line of a page that is no table of sessions */
    int height; /* rows of the page */
    struct prompt prompt;
    enum { ABOUT_FILTER, ABOUT_KICK, ABOUT_SAY } about; /* what the prompt asks */
    uint32_t id;                                        /* the session that it is about */
    struct asking asking;
    char message[LIVE_TEXT_MAX]; /* clean; "": none */
    enum screen_look look;       /* of it */
    int64_t message_end;         /* when it goes; 0: not by itself */
    bool dirty;                  /* the screen is to be drawn */
    bool quit;
};

/* The reader has had its first picture, at `now`. */
void live_init(struct live *l, struct shm_reader *r, int64_t now);
void live_free(struct live *l);

/* A new picture of the server. */
void live_refresh(struct live *l, int64_t now);
/* Looks whether something is due by the time: picture, message, answer. */
void live_tick(struct live *l, int64_t now);
/* A code of screen_key(). */
void live_key(struct live *l, int32_t code, int64_t now);
void live_draw(struct live *l);

/* When live_tick() is to be called next. */
int64_t live_due(const struct live *l);
