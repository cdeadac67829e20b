// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * smtpline: command lines and message data of LMTP (RFC 5321, 2033, 1870 SIZE, 6152 8BITMIME, 6531 SMTPUTF8). Pure.
 *
 * Strict about line ends: only CR LF ends a line, and only CR LF . CR LF ends the data, so that no two servers can
 * disagree about where a message ends ("SMTP smuggling"). A bare CR or LF in data is data.
 */
#include "base/buf.h"

#define SMTPLINE_MAX \
    2048 /* bytes of a command line with its end (RFC 5321 4.5.3.1.4: 512 at least, plus extensions) */
#define SMTPPATH_MAX 320 /* local part, @, domain */

enum smtp_verb {
    SMTP_UNKNOWN = 0,
#define VERB(name, word) SMTP_##name,
#include "codec/smtpline.tbl"
#undef VERB
    SMTP_VERB_COUNT,
};

/*
 * Takes a line off *in; *line is without its CR LF. ERR_AGAIN: not complete yet; ERR_TOO_LONG: over SMTPLINE_MAX without
 * an end, the connection is of no more use. A bare LF or CR inside a line is ERR_SYNTAX (the line is taken off).
 */
enum err smtpline_next(struct str *in, struct str *line) CHECKED;

/* The verb; *rest is what follows it and one blank. */
enum smtp_verb smtpline_verb(struct str line, struct str *rest);

struct smtp_path {
    struct str address; /* as given, without < > and source route; "" for <> (MAIL only) */
    bool has_size;
    uint64_t size; /* MAIL SIZE= */
    bool eightbit; /* MAIL BODY=8BITMIME */
    bool utf8;     /* MAIL SMTPUTF8 */
};

/*
 * "FROM:<a@b> SIZE=9 BODY=8BITMIME SMTPUTF8" or "TO:<a@b>". ERR_SYNTAX: not of this form; ERR_UNSUPPORTED: a parameter that
 * nobody offered (555); ERR_TOO_LONG: address over SMTPPATH_MAX.
 */
enum err smtp_path_parse(struct str rest, bool mail, struct smtp_path *out) CHECKED;

/* The message behind DATA: undoes dot-stuffing and finds the end, in whatever pieces it comes. */
struct smtp_data {
    uint8_t state;
};

void smtp_data_init(struct smtp_data *d);
/*
 * Appends what it takes of *in to `out` (which remembers when it is full). true: the final dot was seen, *in stands
 * behind it; false: all of *in was taken.
 */
bool smtp_data_feed(struct smtp_data *d, struct str *in, struct buf *out) CHECKED;
