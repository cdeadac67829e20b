// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * folder: a mailbox that a session has opened under a name of its own (protocol 2, section 4).
 *
 * The view (store/view.h) changes only in folderOpen, folderReopen and folderSync. Everything else that happens to the
 * mailbox sets `dirty`, and once until the next sync a `notify` becomes due. While one of the three works on
 * the folder, in several slices maybe, it is `busy`: changes are remembered and announced behind its response.
 */
#include "store/view.h"
#include "ximss/req.h"

#define FOLDER_NAME_MAX 255 /* octets; protocol 2, 4.1 */

struct folder {
    struct str name;   /* as the client made it; compared byte by byte */
    struct view *view; /* owned */
    int64_t mailbox;
    struct str *fields; /* names as the client spelled them */
    uint32_t field_count;
    uint32_t recent_at; /* closing: view indexes before this one have been looked at */
    bool dirty;         /* the mailbox changed since the view was last brought up to date */
    bool notified;      /* a notify was sent or is due, and no sync has answered it */
    bool notify_due;
    bool busy;
    bool dead;  /* the mailbox was removed: 567 for all but folderClose */
    bool stale; /* reports of a sync got lost: the next one answers with `init` */
};

/* What the owner may do with his mailboxes: everything (protocol 2, 1.4). */
#define FOLDER_RIGHTS "lrswipcda"

/*
 * The open folder that the request's attribute `folder` names, in the order of protocol 2, appendix B: ERR_FOLDER_NOT_OPEN, ERR_MAILBOX_REMOVED,
 * then ERR_MAILBOX_DENIED when a letter of `rights` is missing. The attribute itself is checked before (arg_need).
 */
enum err folder_get(const struct req *r, struct str name, const char *rights,
                    struct folder **out) CHECKED;
struct folder *folder_find(const struct session *s, struct str name);

/* The `<field>` elements of a request, copied into one block that the caller frees. ERR_ATTR_VALUE: too many, or no legal name. */
enum err folder_fields_read(const struct req *r, struct str **fields, uint32_t *count) CHECKED;

/* Adds a folder, busy, without view. Takes `fields`, also when it fails. ERR_TOO_MANY_FOLDERS is the caller's to check. */
enum err folder_add(struct session *s, struct str name, int64_t mailbox, struct str *fields,
                    uint32_t field_count, struct folder **out) CHECKED;
void folder_remove(struct session *s, struct folder *f);

/* Work on the view begins: what changes from now on is not in it for sure. */
void folder_begin(struct folder *f);
/* The view is as the client knows it; left: there is more to report. A notify is due if the mailbox changed meanwhile. */
void folder_settle(struct session *s, struct folder *f, bool left);
/* The work failed: the view is as it was before folder_begin(). */
void folder_give_up(struct session *s, struct folder *f);

/* Takes up to `max` UIDs that the view showed as Recent, going on where the last call ended; 0: no more. */
uint32_t folder_take_recent(struct folder *f, uint32_t *uids, uint32_t max);
bool folder_has_recent(struct folder *f);

/* --- all folders of a session */
void folders_mailbox_changed(struct session *s, int64_t mailbox, bool removed);
bool folders_notify_due(const struct session *s);
/* Writes notifies until `out` holds max bytes. */
void folders_notify(struct session *s, struct buf *out, size_t max);
/* The session's end: is there a Recent flag left to clear? Then folders_end() clears some, in a writing slice. */
bool folders_need_write(struct session *s);
enum err folders_end(struct session *s, bool *more) CHECKED;
void folders_free(struct session *s);
