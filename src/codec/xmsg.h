// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xmsg: a message as a tree of elements. The only door to libxml2's parser (so that it can be
 * replaced).
 *
 * One parser per process, used again for every message: a push SAX2 context costs 14 KB, a new one
 * half of the speed (dependencies, finding 1). The tree and everything in it lives in the caller's
 * arena and nowhere else: the message may go away. The arena's cap is the limit of what a message
 * may cost; small elements are the worst case: four bytes of input become about 100 of arena.
 *
 * Names are as written: `a:b` is a name with a colon, namespace declarations are ordinary
 * attributes (they come before the others). CDATA is text. White space between elements is text of
 * the parent; see mixed.
 */
#include "base/arena.h"
#include "base/str.h"

struct xattr {
    struct str name, value; /* value: decoded; .p != NULL, zero byte behind it */
};

struct xelem {
    struct str name;
    struct xattr *attrs; /* NULL: none */
    uint32_t nattrs;
    bool mixed;          /* text other than white space beside child elements */
    struct xelem *child; /* first one */
    struct xelem *next;  /* sibling */
    struct str
        text; /* all character data directly inside, untrimmed; .p != NULL, zero byte behind it */
};

struct frame_limits;
struct xmsg_parser;

/* NULL: no memory. Silences libxml2's printing of errors, for the whole process. */
struct xmsg_parser *xmsg_parser_new(void);
void xmsg_parser_free(struct xmsg_parser **p);
/* What tags, attributes and depth are allowed from now on; copied. Until then: frame_limits_default. */
void xmsg_parser_limits(struct xmsg_parser *p, const struct frame_limits *lim);

/*
 * One message, without its zero byte, of XMSG_MAX bytes at most. Does the counting of frame_check()
 * itself, so that it can be called with bytes that nobody has looked at. ERR_ILLEGAL_XML: not
 * well-formed, or over a limit. ERR_NOMEM: the arena is full.
 */
enum err xmsg_parse(struct xmsg_parser *p, struct str msg, struct arena *a,
                    struct xelem **root) CHECKED;
/* Nothing of the last message stays in the parser's memory: for messages that may hold a password. */
void xmsg_parser_wipe(struct xmsg_parser *p);
#define XMSG_MAX ((size_t)64 << 20)
#define XMSG_ID_MAX \
    256 /* bytes of a request's id, decoded (protocol 1, 1.3): for the callers to check */
#define XMSG_MAX_REF 64 /* bytes of a reference from & to ; */

/* Names without regard to ASCII case (protocol/README rule 2); the first one wins. */
struct str xelem_attr(const struct xelem *e, const char *name);           /* .p == NULL: absent */
const struct xelem *xelem_child(const struct xelem *e, const char *name); /* NULL: none */
const struct xelem *xelem_next(const struct xelem *e,
                               const char *name); /* next sibling of that name */
/* The tag name, for "is this an X?". */
bool xelem_is(const struct xelem *e, const char *name);
