// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * tcp_log: the messages of a connection in the log, at level 4, without their secrets, and at level 5 how many bytes
 * come and go (protocol 1, section 8).
 *
 * Never shown: attributes and elements whose name has "passw", "secret", "sessionid" or "cookie" in it; authData beside
 * method or nonce, and else, as userName, when it is no name of one of our domains (people type passwords where names are
 * due); the random half of a urlID; and of what a client says before login, and in login, auth, passwordModify and signup,
 * every text and every attribute that is not known to be harmless: it may be a password by a misspelled name. Of a message that no parser accepts only the root's name is shown,
 * and only an operation's: where its attributes end is anybody's guess (clients that do not escape passwords are known).
 * Nothing is allocated, and when nobody wants it nothing is done.
 */
#include "base/log.h"
#include "doors/tcp.h"

#define TCP_LOG_MAX 8000 /* bytes of a line's text */

/*
 * The text of one message as it may be shown; returns its length, below `room` (64 at least). What is cut off is
 * counted: "…+n bytes". legal: frame_next() said so. conf: for its domains. guarded: a client said it before login.
 */
size_t tcp_log_mask(struct str msg, bool legal, const struct conf *conf, bool guarded, char *to,
                    size_t room);

void tcp_log_in_now(const struct tcp_conn *c, struct str msg, bool legal);
void tcp_log_out_now(const struct tcp_conn *c, struct str bytes);
void tcp_log_bytes_now(const struct tcp_conn *c, const char *what, size_t n);

/* One whole message of the client. */
static inline void tcp_log_in(const struct tcp_conn *c, struct str msg, bool legal)
{
    if (__builtin_expect(log_enabled(LOG_LOW), 0))
        tcp_log_in_now(c, msg, legal);
}

/* Output before it is queued: whole messages, or pieces of one. */
static inline void tcp_log_out(const struct tcp_conn *c, struct str bytes)
{
    if (__builtin_expect(log_enabled(LOG_LOW), 0))
        tcp_log_out_now(c, bytes);
}

/* Bytes of one read or write: "received", "sent". */
static inline void tcp_log_bytes(const struct tcp_conn *c, const char *what, size_t n)
{
    if (__builtin_expect(log_enabled(LOG_ALL), 0))
        tcp_log_bytes_now(c, what, n);
}
