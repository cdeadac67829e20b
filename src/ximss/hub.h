// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * hub: which sessions of this keeper belong to which account, and which of them have something to say on their own
 * account (protocol 1, 1.5 "asynchronous").
 *
 * Changes of a mailbox reach every open folder on it as flags (protocol 2, 4.1): dirty, and once per folder until
 * it is synced "a notify is due". No byte is made here; session_async() makes them when the keeper has credit for
 * the session (design 2.2: events without credit are coalesced flags, never bytes).
 */
#include "base/idmap.h"
#include "store/store.h"

struct session;

struct hub {
    struct idmap accounts;   /* account id -> its first session; the others hang behind it */
    struct session *waiting; /* sessions with something asynchronous to say */
    struct session **tail;   /* where the next one is appended */
};

void hub_init(struct hub *h);
void hub_free(struct hub *h);

enum err hub_add(struct hub *h, struct session *s) CHECKED;
void hub_remove(struct hub *h, struct session *s);
/* The first session of an account, or NULL; the next ones: session->peer. */
struct session *hub_first(const struct hub *h, int64_t account);

/*
 * The store's change hook: store_on_change(store, hub_on_change, &hub). Marks every folder on the mailbox; a removed
 * mailbox leaves its folders dead (protocol 2, 12.3). Preferences that sessions remember are read again (locale.h).
 */
void hub_on_change(void *hub, const struct store_change *c);

/*
 * Takes the next session that got something asynchronous to say, each once, in the order of getting it; NULL: no more. The keeper
 * calls session_async() for it when it has credit; when it has none, nothing: session_async_due() stays true, and
 * the keeper looks at it again when credit comes and after each slice of the session.
 */
struct session *hub_next(struct hub *h);
/* For folder.c: this session has. */
void hub_announce(struct hub *h, struct session *s);
