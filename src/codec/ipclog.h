// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ipclog: the body of LOG_RULES, the list of levels that hold for some records only (base/log_rules.h).
 *
 *   count u32, then for each: level u32, module u32, session u32, until u64, account
 */
#include "base/log_rules.h"
#include "codec/ipcmsg.h"

void ipc_log_put(struct buf *b, const struct log_rule *rules, size_t n);
/* rules: room for LOG_RULES_MAX. ERR_PACKET: not such a list; nothing of *rules counts then. */
enum err ipc_log_get(struct str body, struct log_rule *rules, size_t *n) CHECKED;
