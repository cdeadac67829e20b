// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/ops.h"

#include "ximss/ops/handlers.h"

static const struct {
    req_handler *handler, *finish;
    const char *doc;
} rows[OP_COUNT] = {
#define OP(NAME, element, state, handler, finish, monitor, flags, doc) \
    [OP_##NAME] = {handler, finish, doc},
#include "ximss/ops.tbl"
#undef OP
};

enum err ops_check(enum op_id op, bool in_session)
{
    if (op == OP_NONE)
        return ERR_UNKNOWN_COMMAND;
    if (!in_session && optag_state(op) == OPS_AUTH)
        return ERR_NOT_AUTHENTICATED;
    if (in_session && optag_state(op) == OPS_PRE)
        return ERR_ALREADY_AUTH;
    return ERR_OK;
}

req_handler *ops_handler(enum op_id op)
{
    return rows[op].handler;
}

req_handler *ops_finish(enum op_id op)
{
    return rows[op].finish;
}

void ops_print(FILE *to)
{
    static const char *const states[] = {[OPS_ANY] = "before and after login",
                                         [OPS_PRE] = "before login",
                                         [OPS_AUTH] = "after login"};

    for (int i = 1; i < OP_COUNT; i++) {
        enum op_id op = (enum op_id)i;
        unsigned flags = optag_flags(op);
        fprintf(to, "%s\n    %s\n    Allowed %s; %s%s. ximss-top shows: %s.\n\n", optag_name(op),
                rows[i].doc, states[optag_state(op)], flags & OPF_READ ? "a reader" : "a writer",
                flags & OPF_MORE ? ", in slices" : "", optag_monitor(op));
    }
}
