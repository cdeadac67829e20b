// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ask: a verb put to the server, or to `ximssd offline-auth` when none runs and the verb may be done without; all pages of
 * the answer, the objects of all processes in one.
 *
 * Objects become one by their keys: arrays are put one behind the other, whole numbers are added, objects become one in their
 * turn; of anything else the first holds.
 */
#include <jansson.h>

#include "tools/ximssctl/request.h"

/*
 * Returns the exit code. *answer: the object, the caller's; NULL when there was nobody to ask or no answer (a sentence was
 * printed). With EXIT_REFUSED it has a string "error".
 */
int ask(const struct request *r, const struct buf *body, json_t **answer);

/* Does the server's control socket take connections? Or may we only not use it (EACCES)? */
bool ask_server_runs(const struct conf *c);
