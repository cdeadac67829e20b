// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * rows_ctl: `session list`, of the roles that have rows in the shared table: workers those of their connections, keepers those
 * of sessions over HTTP. mark: a letter for the role, before the places of its pages; both are asked for each page.
 */
#include "proc/child.h"

#define ROWS_CTL_WORKER 'w'
#define ROWS_CTL_KEEPER 'k'

void rows_ctl_list(struct child *c, char mark, const struct ipc_item *it);
