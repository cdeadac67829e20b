// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * object_xml: generic objects, which preferences, events and other free data are made of (protocol 1, 1.10): text, number,
 * dictionary, array, time stamp, data block, network address, null, an XML element.
 *
 * An object exists as XML only. What a client sends is checked and written in one form: documented names, no white space
 * between elements, numbers and times as 1.9 has them, base64 padded, of equal keys the last value in the first one's place.
 * So the other direction is a copy.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "codec/xmsg.h"

#define OBJECT_ENTRIES_MAX 10000 /* of one dictionary or array */

/*
 * Appends the object that stands inside of `e`. ERR_ATTR_VALUE: it is none; ERR_ATTR_MISSING: a subKey without key;
 * ERR_NOMEM: `out` is full, or the arena (a dictionary wants 16 bytes an entry). What was appended then means nothing.
 */
enum err object_write(const struct xelem *e, struct arena *a, struct buf *out) CHECKED;
