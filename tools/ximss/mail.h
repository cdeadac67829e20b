// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mail: hands one message over by LMTP (RFC 2033), for the line `mail ADDRESS FILE` of a script.
 */
#include "tools/lib/link.h"

/*
 * Lines of the file get CR LF as their ends. An exit code of play.h; what went wrong is printed to standard error.
 * server: "host:port" or "unix:/path".
 */
int mail_deliver(const char *server, const struct link_options *opt, struct str to,
                 const char *path);
