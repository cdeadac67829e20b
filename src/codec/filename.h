// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * filename: names that somebody else gave to a file, made fit to be offered to others (protocol 2, 9.1; RFC 6266, 4.3). Pure.
 * Never a name of a file of ours.
 */
#include "base/buf.h"

#define FILENAME_MAX_BYTES 255

/*
 * Appends 1 to FILENAME_MAX_BYTES bytes of UTF-8: what stands behind the last '/' or backslash, without control characters and
 * those that turn the writing direction (utf8_is_control), without blanks and dots at either end; '_' for characters that a file
 * system forbids (" * : < > ? |) and for bytes that are not UTF-8. A long name loses its middle and keeps its extension.
 * "file" when nothing is left. A failure stays in `to`.
 */
void filename_clean(struct buf *to, struct str name);
