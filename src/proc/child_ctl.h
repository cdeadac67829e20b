// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * child_ctl: a child's end of the control socket's questions (codec/ctl.tbl), once for all roles.
 *
 * An IPC_CTL comes to the role's hooks->ctl. It is answered once, at once or later, with child_ctl_done(); before that the
 * JSON object may leave in pieces. `seq` is the item's. All texts to one question together: CTL_MAX bytes at most.
 */
#include "proc/child.h"

/* A question has come from the master. Roles without hooks->ctl, and verbs that are not theirs: ERR_UNSUPPORTED. */
void child_ctl(struct child *c, const struct ipc_item *it);

/* A text without which the answer is none: no memory for it is the question's end, and what follows goes nowhere. */
void child_ctl_say(struct child *c, uint32_t seq, const struct buf *text);
/* One about what has been done, which counts more: it may be lost. */
void child_ctl_mention(struct child *c, uint32_t seq, const struct buf *text);
void child_ctl_done(struct child *c, uint32_t seq, enum err e);
/* The same with {"error":"sentence"}. */
void child_ctl_refuse(struct child *c, uint32_t seq, enum err e, const char *sentence);
