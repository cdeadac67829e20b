// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ctl_master: the verbs that the master answers itself (role MASTER or ANY in codec/ctl.tbl), a function for each.
 *
 * A function says its JSON object with ctl_say(m->ctl, seq, ...) and returns the verdict; after ERR_WAIT it is for its
 * owner to call ctl_done(m->ctl, seq, verdict) when the thing has come to an end. The body is what a client wrote.
 */
#include "codec/ctlmsg.h"

struct master;

enum err ctl_master_run(struct master *m, enum ctl_verb verb, uint32_t seq,
                        struct str body) CHECKED;
