// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctlask: a question over the server's control socket (codec/ctlmsg.h), for the tools. Waits for the answer, but no
 * longer than CTLASK_PATIENCE for each packet of it.
 */
#include "codec/ctlmsg.h"

#define CTLASK_PATIENCE 90 /* seconds; the master itself gives up earlier */

/* The server whose run_dir this is. -1: errno says why; ENOENT, ECONNREFUSED: none runs. */
int ctlask_connect(const char *run_dir);
/* The same for those who wait in poll(): neither this nor what follows on the socket waits. EAGAIN: too many ask. */
int ctlask_connect_now(const char *run_dir);

struct ctlask {
    enum ctl_verb verb;
    uint32_t target; /* number of the process, CTL_TARGET_ALL */
    struct str body;
    /* A piece of the JSON object of that process. */
    void (*on_piece)(void *ctx, const struct ctl_reply *from, struct str text);
    void *ctx;
};

/*
 * Puts it, and hands out the answer's pieces. ERR_OK: *verdict is the server's word. ERR_NET: no (whole) answer, ERR_TIMEOUT,
 * ERR_PACKET: one of another version, ERR_TOO_LONG: the body.
 */
enum err ctlask(int fd, const struct ctlask *q, enum err *verdict) CHECKED;

/*
 * The two halves of it. ctlask_take() takes one packet: *last says whether it was the last, and then *verdict holds. Of a
 * socket that does not wait: ERR_TIMEOUT: not yet.
 */
enum err ctlask_put(int fd, const struct ctlask *q) CHECKED;
enum err ctlask_take(int fd, const struct ctlask *q, bool *last, enum err *verdict) CHECKED;
