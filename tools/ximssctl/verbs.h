// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * verbs: what ximssctl has to know of a verb beyond ctl.tbl. A verb without a row here sends its arguments as strings (one
 * that ends in "..." takes the rest, joined by blanks), and "done" is all that people are told.
 */
#include <jansson.h>

#include "tools/ximssctl/request.h"

struct verb {
    /* Adds the body. Not EXIT_FINE: a sentence was printed. */
    int (*body)(const struct request *r, struct buf *b);
    /* Adds to the server's answer what it cannot know. */
    void (*complete)(const struct request *r, json_t *answer);
    /* The answer, for people; else the sentence `done`. */
    void (*print)(const json_t *answer);
    const char *done;
    /* Reach TOOL: the whole verb. Fills *answer, which print() or --json shows. */
    int (*run)(const struct request *r, json_t *answer);
};

const struct verb *verb_of(enum ctl_verb v);
/* The body by verb->body, or of strings. */
int verb_body(const struct request *r, struct buf *b);

/* status.c */
void status_complete(const struct request *r, json_t *answer);
void status_print(const json_t *answer);

/* logs.c */
int log_set(const struct request *r, struct buf *b);
int log_reset(const struct request *r, struct buf *b);
void log_print(const json_t *answer);
void logins_print_why(const json_t *answer);
int logins_unban(const struct request *r, struct buf *b);
void logins_print_unban(const json_t *answer);
