// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctl: the control socket, run_dir/control (design 8). SEQPACKET, bound by the master with mode 0600; the peer's user is
 * taken from the kernel (SO_PEERCRED) and must be root or the server's own.
 *
 * The master reads only the fixed header of a request (struct ctl_head: version, verb, target) and passes the body to the role that
 * ctl.tbl names for the verb; answers are JSON text in pieces and travel back unread. The master waits for nobody: pieces
 * that a client does not take at once wait here, CTL_QUEUE bytes at most; then he is closed.
 */
#include <poll.h>

#include "codec/ipcmsg.h"

#define CTL_CLIENTS 16
#define CTL_POLLS   (1 + CTL_CLIENTS)
#define CTL_QUEUE   ((size_t)64 << 20)

struct ctl;
struct master;
struct master_child;

enum err ctl_new(struct ctl **c, struct master *m, int run_dir_fd, const char *run_dir) CHECKED;
void ctl_free(struct ctl **c);

/* The descriptors to poll, at most CTL_POLLS; then what poll() said of them. c == NULL: none. */
nfds_t ctl_polls(struct ctl *c, struct pollfd *p);
void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n);

/* An IPC_CTL_ANSWER has come from a child; it counts only if that child was asked. */
void ctl_answer(struct ctl *c, const struct master_child *from, const struct ipc_item *it);
/* A child has died: requests that wait for it are answered with an error. */
void ctl_child_gone(struct ctl *c, const struct master_child *child);
