// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * worker_ctl: the verbs of ximssctl that workers answer, about their connections.
 */
#include "doors/tcp.h"
#include "proc/child.h"

void worker_ctl(struct child *c, struct tcp_door *d, const struct ipc_item *it);
