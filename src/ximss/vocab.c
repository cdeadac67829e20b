// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/vocab.h"

#include "codec/xout.h"
#include "codec/xtime.h"

#define MODIFIED "20240101T000000" /* the empty vocabulary never changes */

enum err vocab_answer(const struct xelem *root, struct str id, struct str usual, struct buf *out)
{
    struct str skin = xelem_attr(root, "skinName");
    struct str language = xelem_attr(root, "language");
    struct str modified = xelem_attr(root, "timeModified");
    int64_t when;

    if (skin.n != 0)
        return ERR_ATTR_VALUE;
    if (modified.p != NULL && xtime_read(str_trim(modified), false, &when) != ERR_OK)
        return ERR_ATTR_VALUE;
    xout_open(out, "strings");
    xout_attr(out, "id", id);
    xout_attr_lit(out, "skinName", "");
    xout_attr(out, "language", language.n != 0 ? language : usual);
    xout_attr_lit(out, "timeModified", MODIFIED);
    xout_empty(out);
    xout_end(out);
    return ERR_OK;
}
