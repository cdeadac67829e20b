// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mime_value: what header field bodies mean: text with encoded words (RFC 2047), addresses (RFC 5322, 3.4), dates (3.3),
 * parameters (RFC 2045, 2231). Helper only. GMime reads parameters; its readers of the other three lose text (encoded
 * words after base64 padding, all addresses behind an error, times with comments), so these are ours.
 */
#include "base/buf.h"

/* GMime and the converters; before the first use of anything here, and before files are locked away. */
void mime_value_init(void);

/* Unfolds and trims; 8-bit text that is not UTF-8 is taken as windows-1252 (protocol 2, 6.2); characters that XML forbids become U+FFFD. */
void mime_unfold(struct str raw, struct buf *out);

/* Decodes the encoded words of unfolded text. */
void mime_decode(struct str unfolded, struct buf *out);

/*
 * Reads an address list from unfolded text into `list` (digest_address_add), `max` addresses at most; returns how many there
 * were. Members of groups count as addresses, an empty group as one; what cannot be read becomes one raw address. Comments are names where
 * there is no phrase (protocol 2, appendix B).
 */
uint32_t mime_addresses(struct str unfolded, uint32_t max, struct buf *list);

/*
 * A date of RFC 5322 or 850, of asctime() or ISO 8601, with comments and odd blanks. false: none of them, or it does not
 * exist. Years 1900-9999. A zone that is not known or not said counts as UTC.
 */
bool mime_date(struct str unfolded, int64_t *when, int32_t *shift);

/*
 * A Content-Type or Content-Disposition value: the word before the first ';' in lower case, and parameters (digest_param_add; at
 * most `max`; names in lower case). `charset` and `boundary` may be NULL: then these are parameters like others.
 */
void mime_params(struct str unfolded, uint32_t max, struct buf *word, struct buf *params,
                 struct buf *charset, struct buf *boundary);
