// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * urlpath: percent-encoding (RFC 3986, 2.1) and paths (RFC 3986, 3.3; protocol 1, 4.1). Pure.
 *
 * Everything that comes out is UTF-8 without zero bytes; "%" without two digits, "%00", overlong forms and anything else that
 * is not UTF-8 are refused. Other control characters may be in it. Decoding happens once: "%252e" is "%2e".
 */
#include "base/arena.h"
#include "base/buf.h"

#define URLPATH_SEGMENTS 64

/*
 * Undoes percent-encoding; with `plus`, "+" is a blank, as in forms and nowhere else. *out is `text` itself when nothing had to
 * be decoded, else it lies in the arena. ERR_SYNTAX, ERR_NOMEM.
 */
enum err url_decode(struct arena *a, struct str text, bool plus, struct str *out) CHECKED;

/* Leaves the unreserved characters (RFC 3986, 2.3: letters, digits, - . _ ~) and encodes all others. A failure stays in `to`. */
void url_encode(struct buf *to, struct str text);

struct urlseg {
    struct str text; /* decoded; may be empty */
    bool slash;      /* holds an encoded '/', or a backslash, encoded or not */
    bool dots;       /* is "." or ".." */
};

struct urlpath {
    uint32_t n; /* 1 at least: "/" has one empty segment, "/a/" has "a" and "" */
    struct urlseg seg[URLPATH_SEGMENTS];
};

/*
 * Cuts the path at '/', then decodes each segment. Nothing is resolved, joined or left out: whoever makes a name from segments
 * looks at `slash`, `dots` and empty ones. ERR_SYNTAX: not of the form "/...", or '#', '?', blanks or control characters in
 * it, or a segment cannot be decoded; ERR_TOO_LONG: more than URLPATH_SEGMENTS; ERR_NOMEM.
 */
enum err urlpath_parse(struct arena *a, struct str path, struct urlpath *out) CHECKED;
