// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * harness: a keeper without sockets, for the tests of this room. Real store in a temporary folder, rounds as
 * dispatch.h describes them; clients feed text and take messages. What comes out is parsed with libxml2's own document
 * parser, not with ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include "codec/digest.h"
#include "codec/mime.h"
#include "store/mailbox.h"
#include "store/message.h"
#include "ximss/dispatch.h"

#define CLIENTS  8
#define DORA     7
#define VALIDITY "UIDVALIDITY" /* stands for the real number in expected texts */

struct client {
    struct session *s;
    struct buf out; /* everything that was sent */
    size_t at;      /* up to here the test has looked at it */
    size_t mark;    /* length before the first write of the round */
    bool wrote, no_credit, closed, ended;
    char text[1 << 16]; /* the message taken last */
};

struct world {
    struct ximss x;
    struct store *store;
    struct client c[CLIENTS];
    bool break_round;  /* the next commit fails */
    bool refuse_round; /* in the next round no slice that writes can begin */
    uint32_t rounds;   /* with a write */
    uint32_t slices;
    char dir[64];
    char path[96];
};

/* Fails the test unless ERR_OK. */
void must(enum err e);
struct world *world_new(void);
void world_free(struct world *w);
/* Files can be uploaded. */
void open_spool(struct world *w);
struct client *login_as(struct world *w, int64_t account, const char *name);
/* A session of dora (account DORA). */
struct client *login(struct world *w);
/* Rounds until nobody has anything to do. */
void run(struct world *w);
void feed(struct client *c, const char *text);
/* Feeds and runs. */
void say(struct world *w, struct client *c, const char *text);
/* The next message, as text; NULL: none. It must be a whole document that libxml2 takes. */
const char *take(struct client *c);
/* Takes all messages; how many. */
uint32_t skip_all(struct client *c);
/* Puts VALIDITY in place of the digits after UIDValidity=", which differ from run to run. */
void mask_validity(char *text);
void expect_at(struct client *c, const char *want, const char *file, int line);
/* A round of one request, to change the store behind the sessions' back. */
void write_begin(struct world *w);
void write_end(struct world *w);
int64_t box_id(struct world *w, int64_t account, const char *name);
void make_inbox(struct world *w, int64_t account);
/* Stores a message as a delivery does. */
uint32_t deliver_to(struct world *w, int64_t account, const char *box, const char *raw, size_t n,
                    int64_t when, uint32_t flags);
/* The same into dora's INBOX; whoever has it open is told. */
uint32_t deliver(struct world *w, const char *raw, int64_t when, uint32_t flags);
/* n messages in one round. */
void deliver_many(struct world *w, const char *raw, uint32_t n);
/* "20260525T051440Z" to seconds. */
int64_t utc(const char *text);
/* Attribute of the message taken last, as a number; -1: absent. */
long attribute(const struct client *c, const char *name);

#define EXPECT(c, want)   expect_at((c), (want), __FILE__, __LINE__)
#define EXPECT_NOTHING(c) assert_null(take(c))
#define CHECK(w, c, request, response) \
    do {                               \
        say((w), (c), (request));      \
        EXPECT((c), (response));       \
        EXPECT_NOTHING(c);             \
    } while (0)
#define ERROR(id, text, num) "<response id=\"" id "\" errorText=\"" text "\" errorNum=\"" num "\"/>"
#define OK(id)               "<response id=\"" id "\"/>"
#define RIGHTS               " rights=\"lrswipcda\"/>"
#define NOTIFY(folder)       "<folderReport folder=\"" folder "\" mode=\"notify\"/>"
#define STARTS(text, start)  assert_int_equal(strncmp((text), (start), strlen(start)), 0)

/* --- folders: INBOX with three messages, UIDs 1, 2, 3 in the order of arrival */

#define ANN                                                                                        \
    "From: Ann Lee <ann@example.org>\r\nTo: \"Bob, jr.\" <bob@example.net>, carol@example.net\r\n" \
    "Subject: Lunch?\r\nDate: Mon, 25 May 2026 07:14:00 +0200\r\nX-Priority: 1\r\n"                \
    "Message-ID: <p1@example.org>\r\nContent-Type: Text/Plain; charset=utf-8\r\n\r\nAt noon?\r\n"
#define NOREPLY "From: noreply@example.net\r\nX-Color: red\r\n\r\nNothing.\r\n"
#define BOB                                                                                     \
    "From: bob@example.net\r\nSubject: Re: lunch?\r\nDate: Mon, 25 May 2026 06:15:00 +0000\r\n" \
    "X-Priority: 5\r\n\r\nYes, noon.\r\n"
#define OPEN_MM                                                                                 \
    "<folderOpen id=\"F1\" folder=\"INBOX-MM-1\" mailbox=\"INBOX\" sortField=\"INTERNALDATE\" " \
    "sortOrder=\"desc\"><field>FLAGS</field><field>E-From</field><field>Subject</field>"        \
    "<field>INTERNALDATE</field><field>SIZE</field></folderOpen>"

void three_messages(struct world *w);
/* Opens with a request of id F1 and drops the answer. */
void open_quietly(struct world *w, struct client *c, const char *request);
/* Browses the set; the rows must have these UIDs, "3 1 ". */
void check_rows(struct world *w, struct client *c, const char *folder, const char *set,
                const char *uids);
