// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * locale: the time zone and the language of a session, which are preferences of its account (protocol 1, 1.9 and 2.6;
 * protocol 3, 6.3), and what holds without them.
 */
#include "codec/zone.h"
#include "ximss/session.h"

/*
 * For xtime_local(). NULL: the server's zone, which is also that of accounts whose TimeZone is `HostOS` or no zone that this
 * system knows. Read from the store when it is asked for first, and after each change.
 */
const struct zone *session_zone(struct session *s);
/* For the hub: the account's preferences have changed. */
void locale_forget(struct session *s);

/* Language of accounts of this session's domain that have chosen none. */
struct str locale_default(const struct session *s);
/* The account's language; may lie in `to`. ERR_DB. */
#define LANGUAGE_MAX 64
enum err locale_language(const struct session *s, char to[LANGUAGE_MAX], struct str *out) CHECKED;
