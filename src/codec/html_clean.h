// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * html_clean: HTML that somebody else made becomes a piece of HTML that may stand in a page of ours (protocol 2, 9.3). In a helper;
 * html_verify() in whatever process shows the result.
 *
 * libxml2's forgiving parser reads it, and of what it reads only elements, attributes and addresses of html_clean.tbl are written
 * anew: no byte of the input is copied as markup. Start and end tags are balanced; attributes stand in double quotes; `&` `<` `>` and
 * quotes are escaped everywhere; no element is written whose content browsers read by rules of their own. So browsers find in
 * the result the elements that were written, and no others, whatever they make of the input.
 *
 * Nothing in the result is loaded from anywhere but `parts`: no style sheets, no frames, no forms, no scripts, no event attributes,
 * no ids, classes or names. Links lead to http, https, mailto, tel, sip, xmpp and ftp addresses.
 */
#include "base/buf.h"
#include "base/str.h"

struct html_limits {
    size_t input;   /* bytes that are read; what follows is left out */
    uint32_t depth; /* nested elements; of deeper ones the tags are left out */
    size_t output;  /* bytes that are written */
};
extern const struct html_limits html_limits_default; /* 1 MiB, 200, 4 MiB */

/* A part of the same message, for `cid:` (RFC 2392). */
struct html_part {
    struct str content_id; /* without < > */
    struct str url;
};

/*
 * Appends the clean form. html: UTF-8; a zero byte ends it. *cut: something was left out for a limit's sake. ERR_NOMEM: the
 * buffer is full, or no memory.
 */
enum err html_clean(struct str html, const struct html_part *parts, uint32_t nparts,
                    const struct html_limits *limits, struct buf *out, bool *cut) CHECKED;

/*
 * Is this a clean form, of these parts? For the process that gets it from a helper, which has seen hostile bytes. Linear, and small.
 * ERR_SYNTAX: anything in it could not have come from html_clean(); ERR_NOMEM.
 */
enum err html_verify(struct str html, const struct html_part *parts, uint32_t nparts,
                     uint32_t depth) CHECKED;

/* Appends text with `&` `<` `>` and both quotes escaped, for attributes too; characters that HTML forbids become U+FFFD. */
void html_escape(struct buf *out, struct str text);
