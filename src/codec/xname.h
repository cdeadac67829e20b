// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xname: names of elements and attributes that somebody else made and that other people's parsers will read.
 */
#include "base/str.h"

/*
 * A name that every XML parser takes: without a colon (which would want a namespace), and by the fourth edition of XML 1.0,
 * which allows fewer characters than the fifth; some parsers still hold to it.
 */
bool xname_portable(struct str name);
