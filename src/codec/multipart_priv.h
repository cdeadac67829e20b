// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * multipart_priv: the head of a part, for multipart.c alone.
 */
#include "codec/multipart.h"

#define MULTIPART_TEXT_MAX (2 * MULTIPART_HEAD_MAX) /* decoded names */

/* Reads m->head, which ends with its empty line, into name, filename and type. */
enum err multipart_head_read(struct multipart *m) CHECKED;
