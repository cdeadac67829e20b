// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * html_style, html_url: values of attributes that are languages of their own; for html_clean.c.
 */
#include "base/buf.h"
#include "codec/html_clean.h"

/*
 * Appends those declarations, "name: value; …", of an attribute `style` that stay (CSS; html_clean.tbl). Values with
 * escapes, comments, functions other than rgb() and its kin, or negative lengths do not. The result is not escaped yet.
 */
void html_style(struct buf *out, struct str style);
/* Appends an address to go to, if it stays. Not escaped yet. */
void html_link(struct buf *out, struct str url);
/* The same for an image. */
void html_image(struct buf *out, struct str url, const struct html_part *parts, uint32_t nparts);
