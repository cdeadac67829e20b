// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctlmsg: requests and answers of the control socket run_dir/control (design 8). SEQPACKET: one request is one packet,
 * an answer is one or more.
 *
 *   request  struct ctl_head, body (codec/ctl.tbl)
 *   answer   struct ctl_reply, text: a piece of one JSON document; `err` counts in the last one
 *
 * The version is raised with any change; a daemon and a ximssctl of different versions say so instead of guessing.
 */
#include "codec/ipcmsg.h"

#define CTL_VERSION 1
#define CTL_MAX     IPC_BODY_MAX /* bytes of a packet */
#define CTL_SOCKET  "control"    /* in run_dir */

enum ctl_verb {
    CTL_NONE = 0,
#define CTL(name, words, role, body, doc) CTL_##name,
#include "codec/ctl.tbl"
#undef CTL
    CTL_VERB_COUNT,
};

struct ctl_head {
    uint32_t version;
    uint32_t verb;
    uint32_t target; /* number of the process, 0 where there is one */
};

struct ctl_reply {
    uint32_t version;
    uint32_t err; /* enum err; 0 until the last piece */
    uint32_t last;
};

/* "account add"; "" for CTL_NONE. */
const char *ctl_verb_words(enum ctl_verb v);
const char *ctl_verb_doc(enum ctl_verb v);
enum ipc_role ctl_verb_role(enum ctl_verb v);

/* ERR_SYNTAX: too short; ERR_PACKET: another version; ERR_NOT_FOUND: no such verb. *body is what follows. */
enum err ctl_request_parse(struct str packet, struct ctl_head *head, struct str *body) CHECKED;
enum err ctl_reply_parse(struct str packet, struct ctl_reply *head, struct str *text) CHECKED;

/* Appends a JSON string with its quotes (RFC 8259): control characters escaped, malformed UTF-8 as U+FFFD. */
void ctl_json_str(struct buf *b, struct str s);
