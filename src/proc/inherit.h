// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * inherit: listening sockets that whoever started the server has opened for it; sd_listen_fds(3), without its library.
 *
 * $LISTEN_FDS sockets stand at descriptor 3 and above, when $LISTEN_PID is this process; $LISTEN_FDNAMES has a name for each,
 * with colons between. Each belongs to the [listener] section that has its address (design 2.5), and all workers accept
 * from it. One that belongs to none is an error: somebody would wait at it for ever.
 *
 * The variables leave the environment in inherit_take(), so no child inherits them.
 */
#include "conf/conf.h"

#define INHERIT_MAX CONF_LISTENERS_MAX

struct inherit {
    uint32_t count;
    int fds[INHERIT_MAX];          /* -1: taken over by a listener */
    struct str names[INHERIT_MAX]; /* STR_NONE: it has none */
    char text[1024];               /* that the names are slices of */
    char wrong[24]; /* what LISTEN_FDS said when it was no number up to INHERIT_MAX; else empty */
    int missing;    /* the first of the descriptors that is not open; 0: all are */
};

/*
 * First of all, before anything is opened and before a fork(): takes the descriptors out of the way of children. Says nothing,
 * since the log is not open yet.
 */
void inherit_take(struct inherit *in);

/* Are they what they should be, listening stream sockets? ERR_SYNTAX, ERR_NET: no, and a sentence in the log says which. */
enum err inherit_check(const struct inherit *in) CHECKED;

/* The socket of this listener, which is the caller's from now on; -1: none was handed in. */
int inherit_match(struct inherit *in, const struct conf_listener *l);

/* ERR_NOT_FOUND: one was never asked for; the log has a sentence for each. */
enum err inherit_finish(const struct inherit *in) CHECKED;

/* Closes what nobody has asked for. */
void inherit_close(struct inherit *in);
