// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * handlers: the functions that ops.tbl names, and nothing else. Each does what the named section of the protocol
 * papers says; see req.h for what it may do and return.
 */
#include "ximss/req.h"

/* op_service.c: protocol 1, 1.6 and 6 */
enum err op_noop(struct req *r) CHECKED;
enum err op_bye(struct req *r) CHECKED;
enum err op_read_time(struct req *r) CHECKED;
enum err op_set_session_option(struct req *r) CHECKED;
enum err op_set_client_name(struct req *r) CHECKED;
enum err op_password_modify(struct req *r) CHECKED;
enum err op_password_modify_finish(struct req *r) CHECKED;

/* op_vocabulary.c: protocol 1, 2.6 and 6; protocol 3, 6.9 */
enum err op_read_strings(struct req *r) CHECKED;
enum err op_list_known_values(struct req *r) CHECKED;
enum err op_banner_read(struct req *r) CHECKED;

/* op_prefs.c: protocol 3, 6.1 to 6.3 */
enum err op_prefs_read(struct req *r) CHECKED;
enum err op_prefs_store(struct req *r) CHECKED;

/* op_mailbox.c: protocol 2, 3 */
enum err op_mailbox_list(struct req *r) CHECKED;
enum err op_mailbox_create(struct req *r) CHECKED;

/* op_folder_open.c, op_folder_browse.c, op_folder_sync.c, op_folder_close.c: protocol 2, 4 */
enum err op_folder_open(struct req *r) CHECKED;
enum err op_folder_reopen(struct req *r) CHECKED;
enum err op_folder_browse(struct req *r) CHECKED;
enum err op_folder_sync(struct req *r) CHECKED;
enum err op_folder_close(struct req *r) CHECKED;
enum err op_folder_expunge(struct req *r) CHECKED;

/* op_folder_read.c: protocol 2, 5.6 */
enum err op_folder_read(struct req *r) CHECKED;

/* op_message.c: protocol 2, 5.1, 5.2 */
enum err op_message_mark(struct req *r) CHECKED;
enum err op_message_remove(struct req *r) CHECKED;

/* op_upload.c: protocol 2, 9.2 */
enum err op_upload_remove(struct req *r) CHECKED;
