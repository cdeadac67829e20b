// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * session: a link that speaks XIMSS: it logs in (unless options say no) and cuts what comes at the zero bytes.
 */
#include "tools/ximss-bench/link.h"

struct session;
typedef void session_fn(struct session *s);
typedef void session_message_fn(struct session *s, struct str message); /* without its zero byte */

struct session {
    struct link l;
    const struct options *o;
    session_fn *up;              /* connected and logged in */
    session_message_fn *message; /* every message after that */
    session_fn *down;            /* the server closed it; NULL: that is a failure */
    void *owner;                 /* the caller's */
    struct buf held;             /* a message that is not complete yet */
    uint32_t account;
    bool is_up;
};

/* Fills in everything else; the four things above are set before. */
void session_open(struct session *s, const struct options *o, uint32_t account);
void session_close(struct session *s);
/* bench7@domain */
void account_name(const struct options *o, uint32_t account, char *to, size_t room);
/* Opens and closes a session of each account, one after the other, so that the server has checked every password. */
void sessions_first_logins(const struct options *o);
/* Opens all n and waits for them, o->parallel at a time. up, message and down of each are set before. Session i
   belongs to account i % o->accounts; sessions_first_logins() has been called. */
void sessions_open(struct session *const *s, uint32_t n, const struct options *o);
