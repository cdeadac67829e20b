// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * target: mailbox names in requests (protocol 2, 1.1): from what the client wrote to the path in his own account.
 */
#include "store/mailbox.h"
#include "ximss/req.h"

/* Who asks; the names lie in the request's arena. ERR_NOMEM. */
enum err target_owner(struct req *r, struct mailbox_owner *out) CHECKED;
/*
 * The canonical path, in the request's arena. slash: a trailing one is allowed. may_create: the name may be made if it does
 * not exist, so that it must be a legal new name (563); else wildcards in it are literal and just match nothing (561; protocol 2, 12.4).
 */
enum err target_resolve(struct req *r, struct str given, bool slash, bool may_create,
                        struct str *out) CHECKED;
