// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctl: the control socket, run_dir/control (design 8). SEQPACKET, bound by the master with mode 0600; the peer's user is
 * taken from the kernel (SO_PEERCRED) and must be root or the server's own.
 *
 * The master reads only the fixed header of a request (struct ctl_head: version, verb, target) and passes the body to the
 * processes that ctl.tbl names for the verb; answers are JSON text in pieces and travel back unread, each piece with the name
 * of who says it. Its own verbs are in ctl_master.c. Who dies, or does not answer in time, is named in the answer instead.
 *
 * The master waits for nobody. A client has one question out; his next one is read when he has taken the whole answer to
 * that. Pieces that he does not take at once wait here, CTL_QUEUE bytes at most (one packet of every process, see
 * CTLF_PAGES). When all places are taken, a newcomer gets that of the client who has had no question out, and has taken
 * nothing of an answer, for the longest time.
 */
#include <poll.h>

#include "codec/ipcmsg.h"

#define CTL_CLIENTS      16
#define CTL_POLLS        (1 + CTL_CLIENTS)
#define CTL_QUEUE        ((size_t)4 << 20)
#define CTL_PATIENCE_ALL (5 * CLOCK_SEC)  /* with each of several processes */
#define CTL_PATIENCE_ONE (30 * CLOCK_SEC) /* with one; a password may wait for a hasher */

struct ctl;
struct master;
struct master_child;

/* Listens at CTL_SOCKET in run_dir. ERR_TOO_LONG: that is no name for a socket; ERR_NOMEM; ERR_SYS. */
enum err ctl_new(struct ctl **c, struct master *m, const char *run_dir) CHECKED;
void ctl_free(struct ctl **c);

/* The descriptors to poll, CTL_POLLS; then what poll() said of them. */
nfds_t ctl_polls(struct ctl *c, struct pollfd *p);
/* To be called in each round of the loop: it looks at the time too. */
void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n);

/* An IPC_CTL_ANSWER has come from a child; it counts only if that child was asked. */
void ctl_answer(struct ctl *c, const struct master_child *from, const struct ipc_item *it);
/* A child has died: it will not answer any more. */
void ctl_child_gone(struct ctl *c, const struct master_child *child);

/*
 * What the master says to a request of its own (ctl_master.h): text, a piece of the JSON object; then the verdict. Nothing
 * happens when who asked has gone.
 */
void ctl_say(struct ctl *c, uint32_t seq, struct str text);
/* Says {"error": sentence}; returns e, the verdict. */
enum err ctl_refuse(struct ctl *c, uint32_t seq, enum err e, const char *sentence);
void ctl_done(struct ctl *c, uint32_t seq, enum err e);
