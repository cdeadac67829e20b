// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * notify: what the master tells the service manager that started it; sd_notify(3), without its library.
 *
 * A manager that wants to hear names a datagram socket in $NOTIFY_SOCKET: a path, or "@name" in the abstract namespace.
 * Without that variable every function here does nothing. Nothing fails either: a state that the socket does not take
 * at once is told again by the next notify_turn(), and a manager who cannot be reached is named in the log, once.
 *
 * States: starting, then notify_ready(); from there notify_reloading(), back with notify_reloaded(); notify_stopping()
 * is the last. Calls that make no sense in a state change nothing: a reload before the server serves does not say that
 * it does.
 *
 * The variables leave the environment in notify_open(), so no child inherits them; notify_export() puts them back for
 * a program that takes this one's place.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

#define NOTIFY_TEXT 160 /* bytes of a status sentence, with its zero byte */

enum notify_state { NOTIFY_STARTING, NOTIFY_SERVING, NOTIFY_RELOADING, NOTIFY_STOPPING };

struct notify {
    int fd; /* -1: nobody wants to hear */
    struct sockaddr_un to;
    socklen_t to_len;
    enum notify_state state;
    bool untold;              /* the state has not gone out yet */
    bool silent;              /* the log has been told that nobody listens */
    int64_t reload_began;     /* clock_mono() */
    int64_t watchdog;         /* ns within which a sign of life is expected; 0: none is */
    int64_t last_sign;        /* clock_mono() */
    int64_t granted;          /* clock_mono() up to which time was asked for */
    char status[NOTIFY_TEXT]; /* as last told */
    int64_t next_status;      /* clock_mono() */
};

/* Reads and removes the variables. A WATCHDOG_PID that names another process turns the watchdog off. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);
/* For an exec() in place: the variables as they were found; hidden again, should it fail; and in the new program. */
void notify_export(const struct notify *n);
void notify_hide(void);
void notify_resume(struct notify *n);

/* The server serves. */
void notify_ready(struct notify *n);
/* A new configuration is taken into use, and then was or was not. */
void notify_reloading(struct notify *n);
void notify_reloaded(struct notify *n);
void notify_stopping(struct notify *n);

/*
 * One sentence for an admin, without line breaks; what is longer than NOTIFY_TEXT is cut off. Told when it has changed, and not
 * more than once a second within a state; so call it once a turn.
 */
void notify_status(struct notify *n, int64_t now, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Starting and stopping may take longer than the manager's own limit: until `until` (clock_mono()). Call it as often as you
 * like; a message goes out when what was asked for before is soon used up.
 */
void notify_extend(struct notify *n, int64_t now, int64_t until);

/*
 * Once a turn of the loop; `alive`: everybody who has to work does. Signs of life go out at half of the time in which they are
 * expected, so that time should be two seconds at least.
 */
void notify_turn(struct notify *n, int64_t now, bool alive);
