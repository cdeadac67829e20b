// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * download_priv: what the files of downloads share.
 */
#include "ximss/download.h"

#define DOWNLOAD_HEAD_MAX 8192 /* type and fields */

/* Fills in mailbox, range, type and fields; *d is new, with account and UID. Errors as those of download_open(). */
enum err download_find(struct download *d, const struct session *s, struct str folder,
                       const struct parturl *ref) CHECKED;
