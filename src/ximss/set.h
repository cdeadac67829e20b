// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * set: message sets in requests (protocol 2, 2.1): UID and index, single or from/till, freely mixed. Read here
 * (values legal: 502), before the folder is looked for; what they mean in a view is store/view.h's.
 */
#include "store/view.h"
#include "ximss/req.h"

struct set {
    struct view_range *ranges; /* in the request's arena */
    uint32_t count;
};

/* ERR_ATTR_VALUE: not a number, or more than limits.set_elements elements. ERR_NOMEM. */
enum err set_read(struct req *r, struct set *out) CHECKED;
