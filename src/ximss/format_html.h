// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * format_html: a message as one page of HTML (protocol 2, 9.3, FORMAT): the header in a table of class `rfcheader`, the text in a
 * `div` of class `samoware-RFC822-body`, then a `cg-message-attachment` for each attachment, with `attachment-ref` (its -B URL,
 * codec/parturl.h) and `attachment-name`.
 *
 * The text is the message's first HTML part in its clean form (codec/html_clean.h), which a helper makes; without it the plain text,
 * escaped. Of alternatives one is shown. Nothing here trusts the message, and nothing of it is markup but the clean form.
 *
 * The page is written in pieces: the place is in struct format, like the digest. What it shows of a message is fixed by
 * format_open(); the message may go away meanwhile. Shown by proc/keeper_clean.h, top.
 */
#include "codec/digest.h"
#include "codec/html_clean.h"
#include "codec/zone.h"

struct session;
struct format;

/* What else the page depends on; copied. */
struct format_options {
    struct str url_id; /* of the session; the URLs of parts begin with it */
    struct str folder; /* the client's name of it */
    uint32_t uid;
    const struct zone *zone; /* of the date */
    uint64_t text_max;       /* bytes of text that are shown; more is left out */
};

/*
 * Reads the message from the store: that of a folder of the session. ERR_FOLDER_NOT_OPEN, ERR_MESSAGE_MISSING, … (404), ERR_DB,
 * ERR_NOMEM. A reading slice.
 */
enum err format_open(struct session *s, struct str folder, uint32_t uid,
                     struct format **out) CHECKED;
/* The same of digests: HEAD and BODY are taken over, also on failure. ERR_SYNTAX, ERR_NOMEM. */
enum err format_new(struct buf *head, struct buf *body, const struct format_options *o,
                    struct format **out) CHECKED;
void format_free(struct format **f);

/* There is HTML: format_job() for a helper, then format_cleaned(). */
bool format_wants_clean(const struct format *f);
/* Appends the job (codec/html_job.h). A failure stays in `job`. */
void format_job(struct format *f, struct buf *job);
/* ERR_OK: html is the clean form, verified; copied. Else the plain text is shown. ERR_NOMEM: that too. */
void format_cleaned(struct format *f, enum err e, struct str html);

/*
 * Appends what comes next. ERR_MORE: about `slice` bytes were appended (a few KiB more are possible), and there is more; ERR_OK: the
 * page is complete; ERR_NOMEM: `out` is full.
 */
enum err format_write(struct format *f, struct buf *out, size_t slice) CHECKED;
