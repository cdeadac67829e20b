// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/asking.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* Words for a verb: what failed, what was done. */
static const char *act(enum ctl_verb verb)
{
    return verb == CTL_SESSION_KICK ? "kick" : "tell";
}

static const char *done(enum ctl_verb verb)
{
    return verb == CTL_SESSION_KICK ? "kicked" : "told";
}

void asking_init(struct asking *a)
{
    *a = (struct asking){.fd = -1};
}

void asking_close(struct asking *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

static void PRINTF_LIKE(2, 3) failed(struct asking *a, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(a->said, sizeof a->said, "cannot %s %u: ", act(a->verb), a->id);
    va_start(ap, fmt);
    vsnprintf(a->said + n, sizeof a->said - (size_t)n, fmt, ap);
    va_end(ap);
    a->fine = false;
    asking_close(a);
}

/* The reason in an object: a refusal, or who was silent. Of many processes' objects the first one that has any. */
static void hear(void *ctx, const struct ctl_reply *from, struct str text)
{
    struct asking *a = ctx;
    json_t *object = json_loadb(text.p, text.n, 0, NULL);
    const char *why = json_string_value(json_object_get(object, "error"));
    const char *silent = json_string_value(json_array_get(json_object_get(object, "silent"), 0));
    char raw[ASKING_WHY_MAX] = "";
    (void)from;
    if (why != NULL)
        snprintf(raw, sizeof raw, "%s", why);
    else if (silent != NULL)
        snprintf(raw, sizeof raw, "%s did not answer", silent);
    if (raw[0] != 0 && a->why[0] == 0)
        shm_field_text(raw, sizeof raw - 1, a->why); /* a character that was cut is dropped */
    json_decref(object);
}

bool asking_begin(struct asking *a, const char *run_dir, enum ctl_verb verb, uint32_t id,
                  const char *text, int64_t now)
{
    struct buf body;
    asking_close(a);
    *a = (struct asking){.fd = ctlask_connect_now(run_dir), .id = id, .verb = verb};
    a->end = now + CTLASK_PATIENCE * CLOCK_SEC;
    if (a->fd < 0) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED;
        failed(a, "%s", absent ? "no server runs" : strerror(errno));
        return false;
    }
    buf_init(&body, CTL_MAX);
    ipc_put_u32(&body, id);
    if (verb == CTL_SESSION_SAY)
        ipc_put_str(&body, str_of(text));
    struct ctlask q = {.verb = verb, .target = CTL_TARGET_ALL, .body = buf_slice(&body)};
    enum err e = buf_err(&body) == ERR_OK ? ctlask_put(a->fd, &q) : ERR_NOMEM;
    buf_free(&body);
    if (e != ERR_OK)
        failed(a, "%s", e == ERR_NOMEM ? "no memory" : "the server does not listen");
    return e == ERR_OK;
}

static void judge(struct asking *a, enum err verdict)
{
    a->fine = verdict == ERR_OK;
    if (a->fine)
        snprintf(a->said, sizeof a->said, "%s %u", done(a->verb), a->id);
    else if (a->why[0] != 0)
        failed(a, "%s", a->why);
    else
        failed(a, "%s", err_text(verdict)[0] != 0 ? err_text(verdict) : err_name(verdict));
    asking_close(a);
}

bool asking_goes_on(struct asking *a, int64_t now)
{
    struct ctlask q = {.on_piece = hear, .ctx = a};
    enum err verdict = ERR_OK, e = ERR_OK;
    bool last = false;
    if (a->fd < 0)
        return false;
    while (e == ERR_OK && !last)
        e = ctlask_take(a->fd, &q, &last, &verdict);
    if (e == ERR_TIMEOUT && now < a->end)
        return false;
    if (e == ERR_OK)
        judge(a, verdict < ERR_COUNT ? verdict : ERR_INTERNAL);
    else
        failed(a, "%s", e == ERR_PACKET ? "the server is of another version" : "no answer");
    return true;
}
