// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * format_priv: a page in work, for format_html.c, which prepares it, and format_write.c, which writes it.
 */
#include "base/arena.h"
#include "ximss/format_html.h"

#define FORMAT_VALUE_MAX 1024 /* bytes of one value of a header */

/* What becomes of a part. */
enum format_role {
    FORMAT_ROLE_HIDDEN, /* an alternative of what is shown, an image in it, or a frame of other parts */
    FORMAT_ROLE_TEXT,
    FORMAT_ROLE_HTML, /* the clean form stands for it */
    FORMAT_ROLE_ATTACHED,
};

enum format_stage {
    FORMAT_STAGE_HEAD,
    FORMAT_STAGE_TEXT,
    FORMAT_STAGE_ATTACHED,
    FORMAT_STAGE_END,
    FORMAT_STAGE_DONE
};

#define FORMAT_NO_PART UINT32_MAX

struct format {
    struct arena a; /* names, roles, URLs */
    struct buf head, body, clean;
    struct digest_head h;
    struct digest_body b;
    struct format_options o;
    uint8_t *roles;
    uint32_t html; /* the part that is shown as HTML, or FORMAT_NO_PART */
    struct html_part *parts;
    uint32_t nparts;
    /* the place */
    enum format_stage stage;
    uint32_t part;
    size_t at;     /* in its text */
    bool opened;   /* its text has begun */
    bool any;      /* there was a text before */
    uint64_t left; /* bytes of text that may still come */
};

/* --- format_html.c */
/* The name of its file, as the sender gave it, or what describes it. */
struct str format_part_name(const struct digest_part *p);
void format_part_url(const struct format *f, const struct digest_part *p, struct buf *to);
