// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xmsg_priv: the parser, for xmsg.c, which feeds libxml2, and xmsg_tree.c, which makes the tree of what it reports.
 */
#include <libxml/parser.h>

#include "base/buf.h"
#include "codec/frame.h"
#include "codec/xmsg.h"

struct xmsg_level {
    struct xelem *elem;
    struct xelem **tail; /* where the next child goes */
    size_t text_at;      /* where its text begins in `text` */
};

struct xmsg_parser {
    xmlParserCtxt *ctxt; /* NULL after a failure: made anew */
    struct arena *arena;
    struct xelem *root;
    enum err err;
    uint32_t depth;
    struct buf text; /* character data of the open elements; an element's end takes its own off */
    struct frame_limits limits;
    struct xmsg_level stack[FRAME_TOP_DEPTH];
};

/* Their context is the struct xmsg_parser; the first error stops it, in its `err`. */
extern const xmlSAXHandler xmsg_handlers;
