// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ximss: what all sessions of one keeper share. The keeper makes one at start, sets the fields, and hands it to
 * every session_new(). Nothing here blocks, opens files or knows sockets.
 */
#include "base/buf.h"
#include "ximss/hub.h"
#include "ximss/uploads.h"

struct xmsg_parser;
struct zones;

/* Caps of design 9.2; the defaults are those of protocol 1, 1.2 and protocol 2, 14. */
struct ximss_limits {
    uint32_t queue_requests; /* unanswered requests of a session (design 2.2) */
    size_t queue_bytes;      /* with so many unanswered bytes a session takes no further message */
    size_t message;          /* longest single request */
    size_t request_memory;   /* arena of one request */
    size_t answer;           /* an answer that exists in memory as a whole (folderRead) */
    size_t reply;            /* of a whole reply over HTTP; beyond: the session ends */
    size_t
        reply_kept; /* of one that is kept for repeats, and of what waits for polls (protocol 1, 4.6, 4.8) */
    int64_t slice_time; /* ns after which a slice takes up no further row or step (design 2.1) */
    uint32_t protocol_errors; /* more of them end the session (protocol 1, 1.7) */
    uint32_t folders;         /* open folders of a session; beyond: 585 */
    uint32_t fields;          /* fields of a folder; beyond: 502 */
    uint32_t set_elements;    /* elements of a message set; beyond: 502 */
    uint32_t view_messages;   /* messages in one view; beyond: 599 */
    uint32_t inline_text;     /* bytes of bodies in one folderRead; more is left out */
};

struct ximss {
    struct ximss_limits limits;
    const struct zones *zones; /* time zones that there are; NULL: the server's alone */
    /* Language of accounts of that domain that have chosen none; NULL: english */
    struct str (*language)(void *arg, struct str domain);
    void *language_arg;
    bool pausing; /* no request is begun any more; what runs comes to its end (snapshot.h) */
    bool source_as_message;     /* type of sources over HTTP (protocol 2, 9.1) */
    bool legacy_mailbox;        /* mailboxList has the attributes of 5.x too (protocol 2, 3.1) */
    const char *version;        /* attribute of `session`; protocol 1, 3.7: "6.3.0" */
    struct xmsg_parser *parser; /* one, re-used for every message; owned here */
    struct buf scratch;         /* output of the slice that runs now */
    struct hub hub;
    struct upload_host uploads; /* without a spool at first: nothing can be uploaded */
};

/* Default limits and version; ERR_NOMEM when the parser cannot be made. */
enum err ximss_init(struct ximss *x) CHECKED;
/* All sessions must be gone. */
void ximss_free(struct ximss *x);
