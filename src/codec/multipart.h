// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * multipart: bodies of multipart/form-data as browsers send them (RFC 7578; RFC 2046, 5.1; protocol 2, 9.2), in whatever pieces
 * they come. Pure. It holds the head of one part, whatever the body's size.
 *
 * Strict: only CR LF ends a line; a line that begins with the boundary and goes on with anything but "--" or blanks is refused,
 * and so is a part without a proper head, or in base64 or quoted-printable. What stands before the first boundary and behind
 * the last is ignored.
 *
 * Names are UTF-8. Between the quotes, %22, %0D and %0A are what browsers write for '"', CR and LF, and \" and \\ what others
 * do for '"' and backslash; nothing else is decoded. filename* (RFC 8187, UTF-8 only) goes before filename; one that cannot be
 * read is ignored. File names are as the client gave them, folders and all: codec/filename.h.
 *
 *     for (;;)
 *         switch (multipart_feed(m, &in, &piece)) {
 *         case MULTIPART_MORE:     all of `in` was taken: read, or at the end of the body multipart_finish(m)
 *         case MULTIPART_PART:     m->name, m->filename, m->type: good until MULTIPART_PART_END
 *         case MULTIPART_DATA:     `piece`: good until the next call
 *         case MULTIPART_PART_END:
 *         case MULTIPART_END:      after the last part; what follows of the body is taken and ignored
 *         case MULTIPART_BAD:      multipart_finish(m) says why; said again from now on, and nothing is taken
 *         }
 */
#include "base/arena.h"
#include "base/buf.h"

#define MULTIPART_BOUNDARY_MAX 70
#define MULTIPART_HEAD_MAX     8192 /* bytes of a part's head, with the empty line */
#define MULTIPART_PARTS_MAX    64

enum multipart_event {
    MULTIPART_MORE,
    MULTIPART_PART,
    MULTIPART_DATA,
    MULTIPART_PART_END,
    MULTIPART_END,
    MULTIPART_BAD,
};

struct multipart {
    struct str name;     /* of the form's field */
    struct str filename; /* .p == NULL: not a file; "": a file field that was left empty */
    struct str type;     /* of Content-Type, with parameters; .p == NULL: none, or malformed */
    uint32_t parts;      /* begun so far */

    /* private */
    enum err err;
    uint8_t state;
    uint8_t matched; /* bytes of `mark` that were taken but not yet given as data */
    uint8_t unreal;  /* so many of them are no data */
    uint8_t mark_n;
    char mark[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF "--" boundary */
    struct buf head;
    struct arena text;
};

/*
 * From the request's Content-Type. ERR_UNSUPPORTED: not multipart/form-data; ERR_SYNTAX: no boundary, two of them, or not 1 to
 * MULTIPART_BOUNDARY_MAX of the characters that may be in one (RFC 2046, 5.1.1). multipart_free() is needed after ERR_OK only.
 */
enum err multipart_init(struct multipart *m, struct str content_type) CHECKED;
void multipart_free(struct multipart *m);

/* Takes *in off as far as it was used. */
enum multipart_event multipart_feed(struct multipart *m, struct str *in, struct str *piece);

/*
 * At the end of the body, or after MULTIPART_BAD. ERR_EOF: the last boundary did not come; ERR_SYNTAX; ERR_TOO_LONG: a head
 * over MULTIPART_HEAD_MAX, or too many parts; ERR_UNSUPPORTED: Content-Transfer-Encoding; ERR_NOMEM.
 */
enum err multipart_finish(const struct multipart *m) CHECKED;
