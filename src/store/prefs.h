// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * prefs: the preferences that a user set (protocol 3, section 6), by name.
 *
 * A value is what stands inside of the preference's element in messages: an object as XML (protocol 1, 1.10), checked and
 * written by ximss/object_xml. This room does not look into it. What would hold without it is not stored.
 *
 * Names are compared byte by byte. An account's preferences are as large as the message that shows them all: each counts
 * as `<name>value</name>`.
 */
#include "base/buf.h"
#include "store/store.h"

#define PREF_NAME_MAX 255

/* Appends the value. ERR_NOT_FOUND: not set. */
enum err prefs_get(struct store *store, int64_t account, struct str name,
                   struct buf *value) CHECKED;
/* fn for each, in byte order of the names; the slices live as long as the call. It may not write. */
enum err prefs_each(struct store *store, int64_t account,
                    void (*fn)(void *arg, struct str name, struct str value), void *arg) CHECKED;

/* W: sets or replaces. ERR_ATTR_VALUE: the value is over store_limits' pref_bytes, or the name over PREF_NAME_MAX. */
enum err prefs_set(struct store *store, int64_t account, struct str name, struct str value) CHECKED;
/* W: as if it had never been set. */
enum err prefs_unset(struct store *store, int64_t account, struct str name) CHECKED;
/*
 * W: ends a request's changes: tells the listeners (STORE_PREFS). ERR_ATTR_VALUE: the account now has more than it may;
 * undo the request.
 */
enum err prefs_changed(struct store *store, int64_t account) CHECKED;
