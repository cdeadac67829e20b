// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * sortkey: what header values look like when they are sorted and searched (protocol 2, 4.3 and appendix B). Pure.
 *
 * Only src/store uses it: message.c keeps the keys of From and Subject beside the message, view.c makes the others.
 */
#include "base/buf.h"
#include "codec/digest.h"

/* Appends the Unicode case folding of UTF-8 text; malformed text folds only its ASCII letters. ERR_NOMEM. */
enum err sortkey_fold(struct str text, struct buf *out) CHECKED;

/* Does the folded `needle` occur in the folding of `text`? scratch is overwritten. */
enum err sortkey_contains(struct str text, struct str needle, struct buf *scratch,
                          bool *hit) CHECKED;

/* The slice of a decoded subject that is sorted by: without reply prefixes and [list] tags. */
struct str sortkey_base_subject(struct str subject);

/*
 * Puts the text key of a header field into `key` (emptied first), at most `max` bytes, cut at a character. Address fields: first
 * display name, else address. *there false: no such field (which sorts before an empty one).
 */
enum err sortkey_field(const struct digest_head *h, struct str field, size_t max, struct buf *key,
                       bool *there) CHECKED;

/* The Date field as Unix seconds; false: none that can be read. */
bool sortkey_date(const struct digest_head *h, int64_t *when);
