// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * fieldparam: name=value lists in fields of HTTP and of multipart/form-data (RFC 9110, 5.6.2, 5.6.4, 5.6.6). Pure. For fields
 * of mail there is codec/mime_value.h, which forgives more and needs a helper.
 *
 * A name is a token. A value is a quoted string without control characters but TAB, bytes from 0x80 up allowed, or, what is
 * more than a token since clients forget the quotes, visible ASCII without " , ; \.
 */
#include "base/buf.h"

struct fieldparam {
    struct str name;
    struct str value; /* between the quotes, with the backslashes */
    bool quoted;
};

/* Takes a name=value and the blanks behind it off *s. ERR_SYNTAX. */
enum err fieldparam_take(struct str *s, struct fieldparam *p) CHECKED;

/* Takes "; name=value" off *s, past empty ones (";;") and blanks. ERR_EOF: nothing is left; ERR_SYNTAX. */
enum err fieldparam_next(struct str *s, struct fieldparam *p) CHECKED;

/* Appends the value with each "\x" as "x". */
void fieldparam_value(const struct fieldparam *p, struct buf *to);

/* Is a token: 1 or more letters, digits, ! # $ % & ' * + - . ^ _ ` | ~ */
bool fieldparam_is_token(struct str s);

/*
 * Takes "type/subtype" and the blanks around it off *s, up to the parameters (RFC 9110, 8.3.1). .p == NULL: it is none, and *s
 * is as it was.
 */
struct str fieldparam_media(struct str *s);

/* Without blanks and TABs at both ends (OWS). */
struct str fieldparam_trim(struct str s);
