// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * prompt: a question on the last row of the screen: a line of text, or yes and no.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROMPT_HEAD_MAX 600  /* bytes of the question, with the zero byte */
#define PROMPT_TEXT_MAX 1000 /* bytes of the answer */

struct prompt {
    char head[PROMPT_HEAD_MAX]; /* clean text; "": nothing is asked. Cut where there is no room */
    const char *tail;           /* of the question, always shown */
    bool yes_no;
    char text[PROMPT_TEXT_MAX + 1]; /* UTF-8 */
    size_t n;
    size_t max; /* bytes of it that are taken */
};

enum prompt_end { PROMPT_GOES_ON, PROMPT_DONE, PROMPT_CANCELLED };

/* Zero it, write the head, then: */
void prompt_ask_text(struct prompt *p, const char *tail, size_t max);
void prompt_ask_yes_no(struct prompt *p);

/* Takes a code of screen_key(). DONE: the answer is in .text, or yes. The question is gone then. */
enum prompt_end prompt_key(struct prompt *p, int32_t code);

/* On row y. Returns the column where the cursor belongs. */
int prompt_draw(const struct prompt *p, int y);
