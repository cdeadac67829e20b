// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * binding_driver: the HTTP binding of a session (protocol 1, 4.5-4.8), driven step by step beside a plain model of its tables. What came of
 * every question is compared after every step. Requests have ids of their own, so that a second run of one would show.
 */
#include "harness.h"
#include "ximss/binding.h"

#define EMPTY    "<XIMSS></XIMSS>"
#define TEXT     8192
#define ASKS     1600
#define BATCHES  5 /* that may wait */
#define REQUESTS 4 /* of a batch at most */

enum { NOT_YET = -1 };

/* A question, and what came of it. */
struct ask {
    int how; /* enum binding_how, or NOT_YET */
    char text[TEXT];
    bool forgotten;
    struct reply *held; /* of who does not read it yet */
    /* the model's opinion */
    int want;
    char want_text[TEXT];
};

struct model_batch {
    enum binding_kind kind;
    struct ask *who;
    bool numbered, sync_async;
    uint64_t seq;
    int first_id, n, done;
    char out[TEXT];
};

struct model {
    bool has_last;
    uint64_t last;
    enum binding_kind last_kind;
    char last_reply[TEXT]; /* "": it still runs */
    struct model_batch line[BATCHES];
    int count;
    uint64_t out_seq;
    bool has_unacked;
    char unacked[TEXT];
    char queue[TEXT];
    struct ask *poller;
};

/* Of the case that runs. */
struct binding_driver {
    struct world *w;
    struct session *s;
    struct binding *b;
    struct model m;
    struct ask asks[ASKS];
    int nasks, next_id;
    unsigned random;
    bool hold; /* nobody reads what comes now */
};
extern struct binding_driver *drive;

/* --- binding_model.c: what the tables of 4.6 and 4.8 say */
void model_append(char *to, const char *text);
/* Whoever waits at *who has his answer. */
void model_answer(struct ask **who, int how, const char *text);
/* One request more is through. */
void model_run(void);
void model_batch(struct ask *a, const struct binding_ask *q, int first_id, int n);
void model_poll(struct ask *a, const struct binding_ask *q);

/* --- binding_driver.c */
extern const struct binding_host drive_host; /* remembers in a struct ask what came of it */
/* A world of its own, with a session and its binding; `seed` is for drive_step(). */
void drive_begin(unsigned seed);
void drive_end(void);
/* A step that is drawn, put to both, and compared. */
void drive_step(void);
/* All that waits runs to its end, step by step. */
void drive_all(void);
/* A question that nobody has put yet; and puts one, to the binding alone. */
struct ask *drive_ask(void);
void drive_put(struct binding_ask *q, struct ask *a);
/* One slice of the session's requests, to the binding alone. */
struct slice drive_slice(void);
