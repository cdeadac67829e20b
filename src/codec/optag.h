// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * optag: root tag -> operation. What codec and the rooms above may know of ximss/ops.tbl without
 * knowing a handler: name, state, flags, and the words that ximss-top shows (design 3).
 *
 * The build copies the rows into gen/optag_rows.h and a list sorted by name into
 * gen/optag_sorted.h.
 */
#include "base/str.h"

enum op_state {
    OPS_ANY,  /* before and after login */
    OPS_PRE,  /* only before */
    OPS_AUTH, /* only after */
};

#define OPF_READ    1U /* reads only: may run before the writers of its round */
#define OPF_MORE    2U /* may answer with more than 64 KiB (ERR_MORE) */
#define OPF_EXPIRED 4U /* allowed while the password has expired (protocol 1, 4.3) */
#define OPF_SECRET  8U /* the message may hold a password */

enum op_id {
    OP_NONE = 0, /* unknown operation */
#define OP(NAME, element, state, handler, finish, monitor, flags, doc) OP_##NAME,
#include "gen/optag_rows.h"
#undef OP
    OP_COUNT
};

/* Without regard to ASCII case; OP_NONE if there is none of that name. */
enum op_id optag_find(struct str name);
/* The protocol's spelling; "" for OP_NONE. */
const char *optag_name(enum op_id id);
/* What ximss-top shows while it runs: the row's words, else the name. */
const char *optag_monitor(enum op_id id);
/* OP_NONE: OPS_ANY, no flags. */
enum op_state optag_state(enum op_id id);
unsigned optag_flags(enum op_id id);
