// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * httpfield: values of single fields of HTTP, in and out. Pure. codec/http1.h finds the fields; all values come without blanks
 * around them, and .p == NULL, where a field is not there, is like an empty one.
 */
#include "base/buf.h"

/* --- Range (RFC 9110, 14.1.2, 14.2) */

enum http_range {
    HTTP_RANGE_NONE, /* send all of it, 200: no range, several, another unit, or broken, which the RFC lets us ignore */
    HTTP_RANGE_ONE,    /* 206 with bytes [from, from + n), n > 0 */
    HTTP_RANGE_BEYOND, /* 416 */
};

/* Of something of `size` bytes. "-5" of nothing is NONE: it can be satisfied, but no Content-Range says how. */
enum http_range httpfield_range(struct str value, uint64_t size, uint64_t *from, uint64_t *n);

/* --- Cookie (RFC 6265, 4.2.1, 5.4) */

/*
 * The value of the first cookie of that exact name, as it came; with several, the first is the one with the longest path.
 * .p == NULL: there is none.
 */
struct str httpfield_cookie(struct str value, struct str name);

/* --- Authorization (RFC 7617) */

#define HTTP_BASIC_MAX 1024 /* bytes of user name, colon and password */

/*
 * Decodes to `to`, where *user and *password then lie; the first colon stands between them. The caller makes `to` secret.
 * After a failure nothing of it is left there.
 * ERR_UNSUPPORTED: not Basic; ERR_SYNTAX: no base64, no colon, control characters, or not UTF-8; ERR_TOO_LONG; ERR_NOMEM.
 */
enum err httpfield_basic(struct str value, struct buf *to, struct str *user,
                         struct str *password) CHECKED;

/* --- Content-Type (RFC 9110, 8.3) */

/* "type/subtype" without parameters; compare without regard to ASCII case. .p == NULL: malformed. */
struct str httpfield_media(struct str value);

/*
 * May be shown in place by a browser: some images, sound, film, plain text, PDF; everything else is only ever offered as a
 * file, since it could run as a page of ours (protocol 2, 9.1).
 */
bool httpfield_shown(struct str media);

/* --- Content-Disposition of answers (RFC 6266, RFC 8187) */

/*
 * Appends `attachment; filename="na_ve.pdf"; filename*=UTF-8''na%C3%AFve.pdf`, or with `inline`. The name is cleaned
 * (codec/filename.h); filename* only where filename cannot say it. A failure stays in `to`.
 */
void httpfield_disposition(struct buf *to, bool shown, struct str name);

/* --- Origin (RFC 6454, 7) */

/*
 * Is the origin of a request, "scheme://host[:port]", in the list: origins with commas or blanks between, or "*", which is all
 * of them. Scheme and host without regard to ASCII case, 80 and 443 are the ports of http and https where none is said. "null",
 * which anybody can have, is in no list but "*".
 */
bool httpfield_origin(struct str origin, struct str list);
