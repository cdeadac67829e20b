// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * order: the rows of a picture by one of its columns.
 *
 * ID, Connected and Running go by their numbers, addresses too (those without first, then IPv4, then IPv6), Account and
 * Status by the bytes of their clean texts, which for UTF-8 is the order of code points. What is empty comes first; what
 * is alike goes by ID. `falling` is all of that turned round.
 */
#include "tools/ximss-top/view.h"

struct order {
    enum view_column by;
    bool falling;
};

/* Of rows that are sorted by ID, as view_select() leaves them. ERR_NOMEM: they stay like that. */
enum err order_rows(struct view *v, struct order o) CHECKED;
