// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xout: writes XML straight into a buffer, by the rules that clients depend on (protocol 1, 0.2):
 * no declaration, no white space, double quotes, `/>` without a blank.
 *
 *     xout_open(b, "mailbox"); xout_attr(b, "id", id); xout_attr_u64(b, "UIDValidity", 7);
 * xout_empty(b); xout_end(b);
 *
 * Values are escaped by protocol 1, 1.9: & < > everywhere, CR in text; " TAB CR LF in attributes.
 * Malformed UTF-8 (each byte that does not belong to a character) and characters that XML forbids
 * become U+FFFD. Names of tags and attributes are the program's own or come from a parsed message,
 * and are written as they are.
 *
 * Nothing here fails: look at buf_err() when the message is complete.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

void xout_open(struct buf *b, const char *tag);    /* <tag */
void xout_open_str(struct buf *b, struct str tag); /* the same, a name that a client made */
void xout_attr(struct buf *b, const char *name,
               struct str value); /* name="value", a blank before it */
void xout_attr_opt(struct buf *b, const char *name,
                   struct str value); /* nothing when value.p == NULL */
void xout_attr_lit(struct buf *b, const char *name, const char *value); /* value: zero-terminated */
void xout_attr_u64(struct buf *b, const char *name, uint64_t v);
void xout_attr_i64(struct buf *b, const char *name, int64_t v);
void xout_attr_yes(struct buf *b, const char *name, bool v); /* name="yes", or nothing */
void xout_empty(struct buf *b);                              /* /> */
void xout_body(struct buf *b);                               /* > */
void xout_text(struct buf *b, struct str text);
void xout_close(struct buf *b, const char *tag); /* </tag> */
void xout_close_str(struct buf *b, struct str tag);
void xout_elem(struct buf *b, const char *tag,
               struct str text); /* <tag>text</tag>, <tag/> if empty */
void xout_end(struct buf *b);    /* the zero byte */

/*
 * The closing response with its zero byte (protocol 1, 1.4). id: decoded; .p == NULL leaves it out.
 * Error attributes appear when err_num(e) != 0. exe_ms: the attribute exeTime, or XOUT_NO_TIME.
 */
#define XOUT_NO_TIME UINT64_MAX
void xout_response(struct buf *b, struct str id, enum err e);
void xout_response_timed(struct buf *b, struct str id, enum err e, uint64_t exe_ms);
/* The same without the zero byte, for a reply over HTTP. */
void xout_response_elem(struct buf *b, struct str id, enum err e, uint64_t exe_ms);
