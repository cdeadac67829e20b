// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define GRANT       (30 * CLOCK_SEC) /* how far ahead time is asked for */
#define GRANT_LEAST (20 * CLOCK_SEC)

/* --- the socket */

static bool put(struct notify *n, const char *text)
{
    ssize_t sent = sendto(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *)&n->to, n->to_len);
    if (sent >= 0)
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && !n->silent) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "the service manager cannot be told: %s",
                  strerror(errno));
        n->silent = true;
    }
    return false;
}

static void tell_state(struct notify *n)
{
    char text[128] = "";
    switch (n->state) {
    case NOTIFY_STARTING:
        break;
    case NOTIFY_SERVING:
        snprintf(text, sizeof text, "READY=1\nMAINPID=%d", (int)getpid());
        break;
    case NOTIFY_RELOADING:
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                 n->reload_began / CLOCK_US);
        break;
    case NOTIFY_STOPPING:
        snprintf(text, sizeof text, "STOPPING=1");
        break;
    }
    n->untold = !put(n, text);
}

static void enter(struct notify *n, enum notify_state state)
{
    n->state = state;
    n->granted = 0; /* each state has a limit of its own */
    n->next_status = 0;
    if (n->fd >= 0)
        tell_state(n);
}

/* --- the environment */

static bool fill_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);
    n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len > sizeof n->to.sun_path)
        return false;
    memcpy(n->to.sun_path, name, len);
    if (name[0] == '@')
        n->to.sun_path[0] = 0;
    else if (len == sizeof n->to.sun_path)
        return false;
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (name[0] == '/')
        n->to_len++;
    return true;
}

static int64_t watchdog_time(void)
{
    uint64_t usec, pid;
    const char *text = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
    if (text == NULL || str_u64(str_of(text), (uint64_t)(INT64_MAX / CLOCK_US), &usec) != ERR_OK)
        return 0;
    if (whose != NULL &&
        (str_u64(str_of(whose), INT32_MAX, &pid) != ERR_OK || (pid_t)pid != getpid()))
        return 0;
    return (int64_t)usec * CLOCK_US;
}

void notify_open(struct notify *n)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *n = (struct notify){.fd = -1};
    if (name != NULL && fill_address(n, name)) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        n->watchdog = watchdog_time();
    } else if (name != NULL && name[0] != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL,
                  "NOTIFY_SOCKET is neither a path nor an abstract name: %s", name);
    }
    notify_hide();
}

void notify_hide(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* The manager knows that the server serves, and need not be told again. */
void notify_resume(struct notify *n)
{
    notify_open(n);
    n->state = NOTIFY_SERVING;
}

void notify_export(const struct notify *n)
{
    char text[sizeof n->to.sun_path + 1] = "";
    if (n->fd < 0)
        return;
    memcpy(text, n->to.sun_path, n->to_len - offsetof(struct sockaddr_un, sun_path));
    if (text[0] == 0)
        text[0] = '@';
    setenv("NOTIFY_SOCKET", text, 1);
    if (n->watchdog == 0)
        return;
    snprintf(text, sizeof text, "%" PRId64, n->watchdog / CLOCK_US);
    setenv("WATCHDOG_USEC", text, 1);
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

/* --- what is told */

void notify_ready(struct notify *n)
{
    if (n->state == NOTIFY_STARTING)
        enter(n, NOTIFY_SERVING);
}

void notify_reloading(struct notify *n)
{
    if (n->state != NOTIFY_SERVING)
        return;
    n->reload_began = clock_mono();
    enter(n, NOTIFY_RELOADING);
}

void notify_reloaded(struct notify *n)
{
    if (n->state == NOTIFY_RELOADING)
        enter(n, NOTIFY_SERVING);
}

void notify_stopping(struct notify *n)
{
    if (n->state != NOTIFY_STOPPING)
        enter(n, NOTIFY_STOPPING);
}

void notify_status(struct notify *n, int64_t now, const char *fmt, ...)
{
    char sentence[NOTIFY_TEXT], text[NOTIFY_TEXT + 8];
    va_list ap;
    if (n->fd < 0 || now < n->next_status)
        return;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    if (strcmp(sentence, n->status) == 0)
        return;
    snprintf(text, sizeof text, "STATUS=%s", sentence);
    if (!put(n, text))
        return;
    memcpy(n->status, sentence, sizeof n->status);
    n->next_status = now + CLOCK_SEC;
}

void notify_extend(struct notify *n, int64_t now, int64_t until)
{
    char text[64];
    int64_t wish = until - now < GRANT ? until - now : GRANT;
    if (n->fd < 0 || wish <= 0 || n->granted >= until || n->granted - now >= GRANT_LEAST)
        return;
    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%" PRId64, wish / CLOCK_US);
    if (put(n, text))
        n->granted = now + wish;
}

void notify_turn(struct notify *n, int64_t now, bool alive)
{
    if (n->fd < 0)
        return;
    if (n->untold)
        tell_state(n);
    if (n->watchdog == 0 || n->state == NOTIFY_STARTING || !alive ||
        now - n->last_sign < n->watchdog / 2)
        return;
    if (put(n, "WATCHDOG=1"))
        n->last_sign = now;
}
