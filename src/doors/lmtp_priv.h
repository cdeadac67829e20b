// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * lmtp_priv: what the files of the LMTP door share. lmtp.c: connections and their input; lmtp_command.c: the dialogue up to
 * DATA; lmtp_message.c: the message, its way to the keepers, and their answers.
 */
#include "base/log.h"
#include "codec/smtpline.h"
#include "doors/lmtp.h"

enum lmtp_state {
    LMTP_START, /* before LHLO */
    LMTP_IDLE,  /* between messages */
    LMTP_MAIL,  /* a sender is known, recipients come */
    LMTP_DATA,  /* the message comes */
    LMTP_WAIT,  /* auth or keepers work; input waits */
    LMTP_END,
};

struct lmtp_rcpt {
    uint64_t account;
    uint32_t bank;
    uint32_t seq;    /* of the DELIVER that carries it; 0: answered */
    uint32_t result; /* enum err */
};

struct lmtp_conn {
    struct conn conn;
    struct timer idle;
    struct lmtp_door *d;
    struct lmtp_conn *next, **back;
    uint32_t id;           /* in the log: of this worker, below the numbers of XIMSS connections */
    char who[LISTEN_TEXT]; /* in the log */
    struct buf in;         /* what is not used yet */
    struct buf body;       /* the message */
    struct smtp_data data;
    struct lmtp_rcpt *rcpt;
    uint32_t nrcpt, room;
    uint32_t rcpt_seq; /* a RCPT that waits for auth; 0: none */
    struct buf
        rcpt_to; /* its address: an auth that takes the place of one that is gone is asked again */
    uint32_t waiting; /* DELIVERs without an answer */
    enum lmtp_state state;
    size_t prefix;  /* bytes of `body` that are our own first line */
    size_t counted; /* bytes of the door's memory that are ours */
    bool too_large, no_memory;
    bool paused;
    bool eof;
};

/* level 2 connections and messages, 1 what was not stored, 4 the dialogue (protocol 1, section 8). */
#define lmtp_log(c, level, ...) log_write(level, "LMTP", (c)->id, (c)->who, __VA_ARGS__)

/* --- lmtp.c */
void lmtp_say(struct lmtp_conn *c, const char *line);
/* Says it and closes. */
void lmtp_finish(struct lmtp_conn *c, const char *line);
/* The time that the client has from now on, or auth, when it is asked. */
void lmtp_restart_idle(struct lmtp_conn *c);
/* What was waited for is there: input is taken again. */
void lmtp_go_on(struct lmtp_conn *c);
/* The number of the next question to another process. */
uint32_t lmtp_seq(struct lmtp_door *d);

/* --- lmtp_command.c */
void lmtp_command(struct lmtp_conn *c, struct str line);
void lmtp_rcpt_answer(struct lmtp_conn *c, const struct ipc_item *it);
/* There is an auth again: what the one before did not answer is put to it. */
void lmtp_rcpt_ask(struct lmtp_conn *c);
/* No auth has answered in time. */
void lmtp_rcpt_late(struct lmtp_conn *c);

/* --- lmtp_message.c */
void lmtp_message_begin(struct lmtp_conn *c, struct str sender);
void lmtp_message_forget(struct lmtp_conn *c);
/* Takes of *in what belongs to the message; true: it is complete, and on its way. */
bool lmtp_message_take(struct lmtp_conn *c, struct str *in);
/* Was that keeper given a message under this number? It has no say about what others store. */
bool lmtp_is_asked(const struct lmtp_conn *c, uint32_t keeper, uint32_t seq);
void lmtp_delivered(struct lmtp_conn *c, const struct ipc_item *it);
/* The keeper is gone: what it had gets a temporary failure. */
void lmtp_lose_keeper(struct lmtp_conn *c, uint32_t keeper);
