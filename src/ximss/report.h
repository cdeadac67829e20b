// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * report: writes `folderReport`, the one element with several meanings (protocol 2, 4.2). Order of attributes: id folder
 * mode index UID messages unseen UIDNext UIDValidity rights.
 */
#include "store/message.h"
#include "ximss/folder.h"

/* mode="init", with the counters of the view and of the mailbox. ERR_MAILBOX_REMOVED, ERR_DB. */
enum err report_init(struct req *r, const struct folder *f) CHECKED;

/* What rows share within one slice. */
struct report_rows {
    struct req *r;
    const struct folder *f;
    struct flag_keywords *keywords; /* of the mailbox; read when the first row needs them */
};

/* A row of folderBrowse: no mode. ERR_MESSAGE_MISSING: it is gone; nothing is written. */
enum err report_row(struct report_rows *rows, uint32_t index, uint32_t uid) CHECKED;
/* A report of folderSync. A row of an added message that is gone again has an empty FLAGS (store/view.h). */
enum err report_change(struct report_rows *rows, const struct view_report *c) CHECKED;
