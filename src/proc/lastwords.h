// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * lastwords: what a process was at when it died, as the end of a sentence for the master's log.
 *
 *   running 100001 (dora@harbor.example) folderOpen 4.120s, 100007 login 0.310s, and 3 more
 *   committing for 0.031s
 *   reading requests for 31.004s, of 100001: folderBrowse
 *   waiting
 */
#include "base/str.h"
#include "codec/ipcmsg.h"
#include "shm/shm_last.h"

#define LASTWORDS_MAX 4096

/* now: clock_mono(). `to` has LASTWORDS_MAX bytes; what does not fit is cut. Returns `to`. */
const char *lastwords_text(char *to, enum ipc_role role, const struct shm_last *l, int64_t now);
