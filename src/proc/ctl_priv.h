// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctl_priv: the clients of the control socket, for ctl.c, which takes their questions, and ctl_answer.c, which answers.
 */
#include <sys/types.h>

#include "base/buf.h"
#include "codec/ctlmsg.h"
#include "proc/ctl.h"

#define CTL_CHILDREN 256 /* the master has no more */

struct ctl_client {
    int fd; /* -1: free */
    pid_t pid;
    uid_t uid;
    bool eof;     /* he asks no more, but may wait for an answer */
    uint32_t seq; /* of the request that is out; 0: none */
    enum ctl_verb verb;
    int64_t since; /* clock_mono() of his last request, or when he last took something */
    uint64_t asked[CTL_CHILDREN / 64]; /* by place in m->children: who has not answered yet */
    bool own;                          /* the master itself has not */
    bool found;                        /* one of them did it */
    enum err verdict;  /* of the others: the first that says more than ERR_NOT_FOUND */
    struct buf silent; /* names as JSON strings, separated by commas */
    struct buf queue;  /* packets that wait: length u32, bytes */
};

struct ctl {
    struct master *m;
    int fd;
    char path[108];
    uint32_t next_seq;
    struct ctl_client clients[CTL_CLIENTS];
};

/* --- ctl.c */
void ctl_drop(struct ctl_client *cl);

/* --- ctl_answer.c */
/* Sends what the client takes now; he may be gone afterwards. */
void ctl_send_queue(struct ctl_client *cl);
/* The last packet of an answer. */
void ctl_end(struct ctl_client *cl, enum err e, struct str text);
/* Somebody has yet to answer. */
bool ctl_waits(const struct ctl_client *cl);
/* Who has waited long enough. */
void ctl_look_at_time(struct ctl *c);
