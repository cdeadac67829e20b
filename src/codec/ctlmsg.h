// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctlmsg: requests and answers of the control socket run_dir/control (design 8). SEQPACKET: one request is one packet,
 * an answer is one or more.
 *
 *   request  struct ctl_head, body (codec/ctl.tbl)
 *   answer   struct ctl_reply, text
 *
 * The texts of one process, one behind the other, are one JSON object; a verb that reaches several processes is answered
 * with one object of each, whose pieces come as they come. The last packet is the master's: its `err` is the verdict, its
 * text {"silent":["worker 2"]} when somebody did not answer. A refusal is explained in {"error":"sentence"}.
 *
 * Pages: no process says more than CTL_MAX bytes to one request. {"next":"place"} means that there is more: the same
 * question to the same process (target) with this place as its body.
 *
 * The version is raised with any change; a daemon and a ximssctl of different versions say so instead of guessing.
 */
#include "codec/ipcmsg.h"

#define CTL_VERSION 2
#define CTL_MAX     IPC_BODY_MAX /* bytes of a packet */
#define CTL_SOCKET  "control"    /* in run_dir */
/* In the column `role`: whoever has sessions, workers and keepers. */
#define CTL_ROLE_SESSIONS IPC_ROLE_COUNT
#define CTL_TARGET_ALL    UINT32_MAX /* every process of the role, for reach ALL and FIND */

enum ctl_verb {
    CTL_NONE = 0,
#define CTL(name, words, role, reach, flags, args, body, doc) CTL_##name,
#include "codec/ctl.tbl"
#undef CTL
    CTL_VERB_COUNT,
};

enum ctl_reach { CTL_ONE, CTL_ALL, CTL_FIND, CTL_TOOL };
enum { CTLF_OFFLINE = 1, CTLF_CHANGE = 2, CTLF_PAGES = 4 };

/* A row of ctl.tbl. */
struct ctl_row {
    const char *words, *args, *doc;
    enum ipc_role role;
    enum ctl_reach reach;
    unsigned flags;
};

struct ctl_head {
    uint32_t version;
    uint32_t verb;
    uint32_t target; /* number of the process, or CTL_TARGET_ALL */
};

struct ctl_reply {
    uint32_t version;
    uint32_t err;          /* enum err: 0 in pieces, then the verdict */
    uint32_t last;         /* nothing more comes */
    uint32_t role, number; /* who says it */
};

/* BUG_IF it is no verb. CTL_NONE has empty texts. */
const struct ctl_row *ctl_row(enum ctl_verb v);
/* The verb that the first words are, the longest that fits, and how many they are. CTL_NONE: none. */
enum ctl_verb ctl_verb_find(char *const *words, int n, int *used);

/* ERR_SYNTAX: too short; ERR_PACKET: another version; ERR_NOT_FOUND: no verb of a server. *body is what follows. */
enum err ctl_request_parse(struct str packet, struct ctl_head *head, struct str *body) CHECKED;
enum err ctl_reply_parse(struct str packet, struct ctl_reply *head, struct str *text) CHECKED;

/* "worker 1" as ps shows it: counted from 1, without a number where there is one. Returns `to`. */
#define CTL_WHO 32
const char *ctl_who(char to[CTL_WHO], enum ipc_role role, uint32_t number);

/* Appends a JSON string with its quotes (RFC 8259): what utf8_is_control() names escaped, malformed
 * UTF-8 as U+FFFD. */
void ctl_json_str(struct buf *b, struct str s);
