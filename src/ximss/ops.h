// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ops: questions about the table of operations (ops.tbl).
 */
#include <stdio.h>

#include "codec/optag.h"
#include "ximss/req.h"

/*
 * May this operation be asked for now? ERR_OK, ERR_UNKNOWN_COMMAND (OP_NONE), ERR_NOT_AUTHENTICATED, ERR_ALREADY_AUTH
 * (protocol 1, 1.7). For the door (before login) and the dispatcher (in a session).
 */
enum err ops_check(enum op_id op, bool in_session) CHECKED;

/* NULL for operations that the worker's door answers. */
req_handler *ops_handler(enum op_id op);
req_handler *ops_finish(enum op_id op);

/* The operations reference, as text. */
void ops_print(FILE *to);
