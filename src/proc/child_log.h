// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * child_log: a child's end of what the master says about the log (proc/logs.h): levels for some records, which end by a
 * timer of its own, and new places for records to go. A child opens nothing for its log.
 */
#include "net/bus.h"
#include "net/loop.h"

struct child_log {
    struct loop *loop;
    struct timer expiry;
    int journal; /* -1: none */
};

/* Records go to standard error. */
void child_log_init(struct child_log *l);
void child_log_rules(struct child_log *l, struct loop *loop, const struct ipc_item *it);
void child_log_to(struct child_log *l, const struct ipc_item *it);
