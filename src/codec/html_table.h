// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * html_table: questions about html_clean.tbl; for html_clean.c, which makes the clean form, and html_verify.c, which looks at it.
 */
#include "codec/html_style.h"

struct html_tag {
    const char *name;
    enum { HTML_KEEP, HTML_VOID, HTML_DROP } kind;
    uint8_t number; /* below 200 */
};

struct html_attr {
    const char *name, *tags;
    enum { HTML_TEXT, HTML_WORD, HTML_LINK, HTML_IMAGE, HTML_STYLES } check;
    uint8_t number; /* below 64 */
};

/* What every HTML_LINK is followed by: where it leads is not told whence. */
#define HTML_LINK_REL " rel=\"noopener noreferrer\""

/* NULL: it is not in the table. Exact names, lower case. */
const struct html_tag *html_tag_find(struct str name);
const struct html_tag *html_tag_at(uint8_t number);
/* NULL: not on this element. */
const struct html_attr *html_attr_find(const struct html_tag *t, struct str name);
/* Replaces `to` by what stays of the value, not escaped yet. false: nothing, the attribute goes. */
bool html_attr_check(const struct html_attr *a, struct str value, const struct html_part *parts,
                     uint32_t nparts, struct buf *to);
