// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * asking: a verb for one session over the server's control socket (codec/ctl.tbl), while the screen goes on. One at a
 * time. Nothing is ever commanded through the shared table.
 */
#include "shm/shm_names.h"
#include "tools/lib/ctlask.h"

#define ASKING_WHY_MAX  128 /* bytes of the server's words that are taken */
#define ASKING_SAID_MAX (SHM_TEXT_MAX(ASKING_WHY_MAX) + 40)

struct asking {
    int fd; /* -1: no question is out; else to be polled for input */
    uint32_t id;
    enum ctl_verb verb;
    int64_t end;                            /* monotonic ns: when nobody waits any longer */
    char said[ASKING_SAID_MAX];             /* one sentence, clean text: what came of it */
    char why[SHM_TEXT_MAX(ASKING_WHY_MAX)]; /* the server's reason, while answers come in */
    bool fine;                              /* it was done */
};

void asking_init(struct asking *a);
/* Forgets a question that is out. */
void asking_close(struct asking *a);

/* CTL_SESSION_KICK; CTL_SESSION_SAY with a text. false: it failed at once, .said says how. */
bool asking_begin(struct asking *a, const char *run_dir, enum ctl_verb verb, uint32_t id,
                  const char *text, int64_t now);
/* When the socket has something, or time has passed. true: that was the end, .said says how. */
bool asking_goes_on(struct asking *a, int64_t now);
