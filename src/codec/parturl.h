// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * parturl: the references to messages and parts that /Session/<urlID>/MIME/<folder>/ is followed by (protocol 2, 9.1), and the
 * URL of a part that FORMAT shows (9.3). Pure.
 */
#include "codec/partid.h"
#include "codec/urlpath.h"

enum parturl_kind {
    PARTURL_SOURCE, /* 512-P.txt: the whole message; 512-02-01-P.txt: the part with its header */
    PARTURL_BODY, /* 512-B/name: the decoded body of a message that is no multipart; 512-01-B/name: of the part */
    PARTURL_PHOTO, /* 512-V/PHOTO: of the message's vCard */
};

struct parturl {
    enum parturl_kind kind;
    uint32_t uid;  /* not 0 */
    size_t part_n; /* 0: the message itself */
    struct str
        name; /* PARTURL_BODY: the file's name in the URL, for nothing but to be shown; may be empty */
    char part[PARTID_MAX]; /* normal form: "02-01" */
};

/*
 * From the n segments behind <folder>. Letters without regard to ASCII case, one-digit part numbers and '.' between them are
 * understood (6.4); the name may be missing. ERR_SYNTAX: none of these forms; also with more than one name, since those of
 * clients are encoded.
 */
enum err parturl_parse(const struct urlseg *seg, uint32_t n, struct parturl *out) CHECKED;

static inline struct str parturl_part(const struct parturl *u)
{
    return (struct str){u->part, u->part_n};
}

/*
 * Appends "/Session/<session>/MIME/<folder>/<uid>-<part>-B/<name>", each piece encoded; the name is cleaned (codec/filename.h).
 * An empty part: "<uid>-B". Folders named "." or ".." have no URL that a browser would leave alone. A failure stays in `to`.
 */
void parturl_make(struct buf *to, struct str session, struct str folder, uint32_t uid,
                  struct str part, struct str name);
