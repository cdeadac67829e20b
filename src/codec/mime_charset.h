// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime_charset: text of any charset to UTF-8 that XML can carry.
 *
 * Only the charsets of our list are ever handed to iconv (its rarer converters have had holes). Their handles are
 * opened by mime_charset_init(), before the helper locks itself away from files, and stay open: with the fallback the one
 * state of this room that outlives a call.
 */
#include "base/buf.h"

/* Opens the converters; those that the system lacks are then unknown charsets. ERR_NOMEM: not all of them. */
enum err mime_charset_init(void) CHECKED;

/* Is it one of ours, whether or not the system has a converter for it? */
bool mime_charset_is_listed(struct str name);
/*
 * What 8-bit text is read as that is no UTF-8 and has no name that is known; windows-1252 unless another is set here.
 * false: it cannot be read, nothing is changed.
 */
bool mime_charset_fallback(struct str name);

/* The name that iconv knows it by; NULL: not on the list. */
const char *mime_charset_name(struct str name);

/*
 * Appends bytes in UTF-8. What the charset does not have becomes U+FFFD. An unknown or empty charset is read as UTF-8 if
 * it is that, else as the fallback; so is ASCII with 8-bit bytes. *used (may be NULL): the name of the charset that it was read as
 * when it had to be guessed and there were 8-bit bytes, else "".
 */
void mime_charset_convert(struct str charset, struct str bytes, struct buf *out, struct str *used);

/* Appends text with malformed UTF-8 and characters that XML 1.0 forbids as U+FFFD. `lines`: CRLF and CR become LF. */
void mime_clean(struct str text, bool lines, struct buf *out);
