// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_service: noop, bye, readTime, setSessionOption, setClientName, passwordModify (protocol 1, 1.6 and 6).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/xout.h"
#include "codec/xtime.h"
#include "ximss/args.h"
#include "ximss/locale.h"
#include "ximss/ops/handlers.h"

#define IDLE_MIN        30 /* protocol 1, 3.8 */
#define IDLE_MAX        3600
#define CLIENT_NAME_MAX 256

enum err op_noop(struct req *r)
{
    (void)r;
    return ERR_OK;
}

/* The dispatcher ends the session behind the response. */
enum err op_bye(struct req *r)
{
    (void)r;
    return ERR_OK;
}

enum err op_read_time(struct req *r)
{
    char gmt[XTIME_SIZE], local[XTIME_SIZE];
    int64_t now = clock_wall() / CLOCK_SEC;

    req_open(r, "currentTime");
    xout_attr(r->out, "gmtTime", xtime_gmt(gmt, now));
    xout_attr(r->out, "localTime", xtime_local(local, now, session_zone(r->s)));
    xout_empty(r->out);
    xout_end(r->out);
    return ERR_OK;
}

static enum err set_idle_timeout(struct session *s, struct str value)
{
    uint64_t n;

    if (str_u64(value, IDLE_MAX, &n) != ERR_OK || n < IDLE_MIN)
        return ERR_ATTR_VALUE;
    s->idle_timeout = (uint32_t)n;
    return ERR_OK;
}

static enum err set_report_changes(struct session *s, struct str value)
{
    return str_bool(value, &s->report_changes) == ERR_OK ? ERR_OK : ERR_ATTR_VALUE;
}

static const struct {
    const char *name;
    enum err (*set)(struct session *s, struct str value);
} options[] = {
    {"idleTimeout", set_idle_timeout},
    {"reportMailboxChanges", set_report_changes},
};

/* Unknown names succeed: clients send options of later versions. */
enum err op_set_session_option(struct req *r)
{
    struct str name, value = arg_str(r, "value");
    enum err e = arg_need(r, "name", &name);

    if (e == ERR_OK && value.p == NULL)
        e = ERR_ATTR_MISSING;
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (str_ieq(str_trim(name), str_of(options[i].name)))
            return options[i].set(r->s, str_trim(value));
    return ERR_OK;
}

enum err op_set_client_name(struct req *r)
{
    struct str name = arg_str(r, "name");
    char *copy;

    if (name.p == NULL)
        return ERR_ATTR_MISSING;
    if (name.n > CLIENT_NAME_MAX)
        return ERR_ATTR_VALUE;
    copy = malloc(name.n + 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    free(r->s->client_name);
    r->s->client_name = copy;
    return ERR_OK;
}

/* Auth checks the old password and carries it out; no new password and no address to set: nothing to do, 501. */
enum err op_password_modify(struct req *r)
{
    struct question *q = &r->question;

    q->old_password = arg_str(r, "oldPassword");
    q->new_password = arg_str(r, "newPassword");
    q->recovery_email = arg_str(r, "recoveryEmail");
    if (q->old_password.p == NULL || (q->new_password.p == NULL && q->recovery_email.p == NULL))
        return ERR_ATTR_MISSING;
    q->kind = QUESTION_PASSWORD;
    return ERR_WAIT;
}

enum err op_password_modify_finish(struct req *r)
{
    if (r->answer.err == ERR_OK && r->question.new_password.p != NULL)
        r->s->must_change = false;
    return r->answer.err;
}
