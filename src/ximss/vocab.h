// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * vocab: readStrings (protocol 1, 2.6), which is answered before login too: by the worker's door then, hence apart
 * from the handlers. No store, no session.
 */
#include "base/buf.h"
#include "codec/xmsg.h"

/*
 * Appends the `strings` message; usual: the language when the request names none. Only the unnamed skin exists, and its vocabulary is empty: ERR_ATTR_VALUE for any
 * other skin and for a bad timeModified; nothing is written then.
 */
enum err vocab_answer(const struct xelem *root, struct str id, struct str usual,
                      struct buf *out) CHECKED;
