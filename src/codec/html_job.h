// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * html_job: the body of the packet that asks a helper to clean HTML (ipc.tbl, CLEAN): the parts that it may show, then the HTML.
 */
#include "codec/html_clean.h"

#define HTML_PARTS_MAX 256

struct html_job {
    uint32_t nparts;
    struct html_part parts[HTML_PARTS_MAX];
    struct str html;
};

/* Appends; parts beyond HTML_PARTS_MAX are left out. A failure stays in `to`. */
void html_job_write(struct buf *to, const struct html_part *parts, uint32_t nparts,
                    struct str html);
/* Slices point into the body. ERR_SYNTAX. */
enum err html_job_read(struct str body, struct html_job *out) CHECKED;
