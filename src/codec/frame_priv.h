// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * frame_priv: what frame.c, which cuts, and frame_scan.c, which looks at the bytes, share.
 */
#include "codec/frame.h"

enum frame_state {
    FRAME_S_LEAD, /* white space before the root; these bytes are let go at once */
    FRAME_S_BOM,
    FRAME_S_DECL,
    FRAME_S_LT, /* behind a < */
    FRAME_S_NAME,
    FRAME_S_GAP, /* white space inside a tag */
    FRAME_S_ATTR,
    FRAME_S_ATTR_GAP, /* between an attribute's name and = */
    FRAME_S_EQ,
    FRAME_S_VALUE,
    FRAME_S_VALUE_END,
    FRAME_S_SLASH, /* the / of an empty element */
    FRAME_S_END,   /* behind </ */
    FRAME_S_END_NAME,
    FRAME_S_END_GAP,
    FRAME_S_TEXT,
    FRAME_S_CDATA_OPEN,
    FRAME_S_CDATA,
    FRAME_S_CDATA_1, /* behind ] */
    FRAME_S_CDATA_2, /* behind ]] */
    FRAME_S_AFTER,   /* behind the root */
    FRAME_S_BAD,     /* refused: only the zero byte matters */
    FRAME_S_DEAD,    /* too long: the stream is at its end */
};

/*
 * Looks at [from, to) of the message at base, FRAME_S_LT to FRAME_S_AFTER; returns where it stopped, which is before `to` in FRAME_S_LEAD (behind a
 * declaration) and FRAME_S_BAD.
 */
size_t frame_scan(struct frame *f, const struct frame_limits *lim, const char *base, size_t from,
                  size_t to);

static inline bool frame_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
