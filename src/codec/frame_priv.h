// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * frame_priv: what frame.c, which cuts, and frame_scan.c, which looks at the bytes, share.
 */
#include "codec/frame.h"

enum frame_state {
    S_LEAD, /* white space before the root; these bytes are let go at once */
    S_BOM,
    S_DECL,
    S_LT, /* behind a < */
    S_NAME,
    S_GAP, /* white space inside a tag */
    S_ATTR,
    S_ATTR_GAP, /* between an attribute's name and = */
    S_EQ,
    S_VALUE,
    S_VALUE_END,
    S_SLASH, /* the / of an empty element */
    S_END,   /* behind </ */
    S_END_NAME,
    S_END_GAP,
    S_TEXT,
    S_CDATA_OPEN,
    S_CDATA,
    S_CDATA_1, /* behind ] */
    S_CDATA_2, /* behind ]] */
    S_AFTER,   /* behind the root */
    S_BAD,     /* refused: only the zero byte matters */
    S_DEAD,    /* too long: the stream is at its end */
};

/*
 * Looks at [from, to) of the message at base, S_LT to S_AFTER; returns where it stopped, which is before `to` in S_LEAD (behind a
 * declaration) and S_BAD.
 */
size_t frame_scan(struct frame *f, const struct frame_limits *lim, const char *base, size_t from,
                  size_t to);

static inline bool frame_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
