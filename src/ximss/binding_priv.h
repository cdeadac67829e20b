// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * binding_priv: what the files of the binding share. binding.c: who may use it, replies, polls, output, the end;
 * binding_batch.c: batches of requests, each carried out once.
 */
#include "ximss/binding.h"

#define REPLY_BEGIN "<XIMSS>"
#define REPLY_END   "</XIMSS>"

/* One POST. */
struct batch {
    struct batch *next;
    struct arena arena;
    const struct xelem *at; /* the next request that has not begun */
    void *who;              /* waits for the reply; NULL: nobody (any more) */
    struct buf out;         /* of sync: the reply so far */
    uint64_t seq;
    size_t bytes;
    uint8_t kind;
    bool numbered, sync_async, secret;
};

/* An empty binding whose replies are counted; NULL: no memory. */
struct binding *binding_alloc(void);
/* Messages as HTTP has them: without the zero bytes. */
void binding_add_messages(struct buf *b, struct str out);
/* What the session has to say on its own account goes into `to`. */
void binding_add_async(struct binding *b, struct buf *to);
/* Answers somebody for good. */
void binding_answer(struct binding *b, void **who, enum binding_how how, struct reply *r);

/* --- binding_batch.c */
void batch_free(struct binding *b, struct batch *t);
/* Takes the first one out of the line. */
struct batch *batch_pop(struct binding *b);
/* All requests of the first one are through, and what they brought is here. ERR_TOO_LONG: it is too much. */
enum err batch_complete(struct binding *b) CHECKED;
/* The same for all that are through. */
enum err batch_complete_all(struct binding *b) CHECKED;
enum binding_how batch_take(struct binding *b, const struct binding_ask *ask,
                            struct reply **reply) CHECKED;
