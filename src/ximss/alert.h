// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * alert: what the server tells a user out of turn, `<alert gmtTime="..." localTime="...">text</alert>` (protocol 1,
 * section 6): an administrator's words, a shutdown.
 *
 * One text may go to all sessions of a keeper, so they share it. A session that cannot be written to now (no credit, the middle
 * of a long message) keeps its last ALERTS_MAX alerts; older ones are dropped, they are old news by then. They leave with
 * session_async(), oldest first.
 */
#include <stdint.h>

#include "base/buf.h"

#define ALERT_TEXT_MAX 1000 /* bytes */
#define ALERTS_MAX     8    /* of one session, waiting */

struct session;
struct alert;

/*
 * A text of 1 to ALERT_TEXT_MAX bytes, at that time (Unix seconds). Control characters become blanks; what is no UTF-8 or not
 * allowed in XML becomes U+FFFD. The caller's to put back. ERR_TOO_LONG, ERR_ATTR_VALUE (empty), ERR_NOMEM.
 */
enum err alert_new(struct str text, int64_t at, struct alert **out) CHECKED;
void alert_put_back(struct alert **a);

/* The session is to get it; the keeper's hub hears of it. ERR_NOMEM. */
enum err alert_give(struct session *s, struct alert *a) CHECKED;

/* --- for session.c */
bool alerts_due(const struct session *s);
/* Writes alerts until `out` holds max bytes. */
void alerts_write(struct session *s, struct buf *out, size_t max);
void alerts_free(struct session *s);

/* --- for snapshot.c */
/* The i-th of those that wait, from 0, oldest first; false: there are not so many. */
bool alert_at(const struct session *s, uint32_t i, struct str *text, int64_t *at);
/* One that alert_at() gave. ERR_PACKET, ERR_NOMEM. */
enum err alert_restore(struct session *s, struct str text, int64_t at) CHECKED;
