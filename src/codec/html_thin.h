// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * html_thin: HTML of mail on its way to libxml2, whose parser compares every attribute of a tag with all before it. What a tag has
 * beyond HTML_THIN_ATTRS attributes is taken out; nothing else is changed. Pure.
 */
#include "base/buf.h"

#define HTML_THIN_ATTRS 256

/* `html` itself when there is nothing to take out, else what stands in `room`; a failure stays there. */
struct str html_thin(struct str html, struct buf *room);
