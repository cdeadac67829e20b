// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/ctl_master.h"

#include "base/clock.h"
#include "proc/ctl.h"
#include "proc/logs.h"
#include "proc/master.h"

typedef enum err ctl_master_fn(struct master *m, uint32_t seq, struct str body);

/* --- status */

static double seconds(int64_t ns)
{
    return (double)ns / (double)CLOCK_SEC;
}

static void put_process(struct buf *b, const struct master_child *c, int64_t now)
{
    char who[CTL_WHO];
    buf_lit(b, "{\"process\":");
    ctl_json_str(b, str_of(ctl_who(who, c->role, c->number)));
    buf_printf(b, ",\"role\":\"%s\",\"number\":%u,\"generation\":%u,\"restarts\":%u",
               ipc_role_name(c->role), c->number + 1, c->generation,
               c->generation > 1 ? c->generation - 1 : 0);
    if (c->pid != 0)
        buf_printf(b, ",\"pid\":%d,\"ready\":%s,\"uptime\":%.3f,\"heard\":%.3f}", (int)c->pid,
                   c->ready ? "true" : "false", seconds(now - c->started), seconds(now - c->beat));
    else
        buf_printf(b, ",\"pid\":null,\"ready\":false,\"startsIn\":%.3f}",
                   c->respawn_at > now ? seconds(c->respawn_at - now) : 0.0);
}

static void put_listener(struct buf *b, const struct master_listener *l)
{
    static const char *const protocol[] = {"ximss", "http", "admin", "lmtp"};
    static const char *const tls[] = {"no", "starttls", "yes"};
    buf_lit(b, "{\"listener\":");
    ctl_json_str(b, l->conf->name);
    buf_printf(b, ",\"protocol\":\"%s\",\"address\":", protocol[l->conf->protocol]);
    ctl_json_str(b, l->conf->address);
    buf_printf(b, ",\"tls\":\"%s\",\"open\":%s}", tls[l->conf->tls],
               l->count != 0 ? "true" : "false");
}

static enum err status(struct master *m, uint32_t seq, struct str body)
{
    struct buf b;
    int64_t now = clock_mono();
    (void)body;
    buf_init(&b, (size_t)1 << 20);
    buf_printf(&b, "{\"version\":\"%s\",\"pid\":%d,\"uptime\":%.3f,\"stopping\":%s,\"processes\":[",
               XIMSSD_VERSION, (int)getpid(), seconds(now - m->started),
               m->stopping ? "true" : "false");
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid == 0 &&
            (m->children[i].role == IPC_ROLE_CHECK || !upgrade_may_start(m, &m->children[i])))
            continue; /* runs only during a reload or an upgrade */
        if (i != 0)
            buf_char(&b, ',');
        put_process(&b, &m->children[i], now);
    }
    buf_lit(&b, "],\"listeners\":[");
    for (uint32_t i = 0; i < m->nlisteners; i++) {
        if (i != 0)
            buf_char(&b, ',');
        put_listener(&b, &m->listeners[i]);
    }
    buf_lit(&b, "]}");
    enum err e = buf_err(&b);
    if (e == ERR_OK)
        ctl_say(m->ctl, seq, buf_slice(&b));
    buf_free(&b);
    return e;
}

/* --- reload */

static enum err reload(struct master *m, uint32_t seq, struct str body)
{
    (void)body;
    if (m->stopping)
        return ERR_SHUTTING_DOWN;
    reload_begin(m, seq);
    return ERR_WAIT;
}

/* --- drain */

#define DRAIN_WITHIN (600 * CLOCK_SEC)

static enum err drain(struct master *m, uint32_t seq, struct str body)
{
    struct ipc_in in = {body, false};
    struct str text = ipc_get_str(&in);
    int64_t within = DRAIN_WITHIN;
    if (ipc_in_end(&in) != ERR_OK || (text.n != 0 && conf_time(text, &within) != ERR_OK))
        return ctl_refuse(m->ctl, seq, ERR_SYNTAX, "a time such as 90s or 10m is needed");
    if (m->stopping)
        return ERR_SHUTTING_DOWN;
    master_drain(m, within);
    return ERR_OK;
}

/* --- upgrade */

static enum err upgrade(struct master *m, uint32_t seq, struct str body)
{
    const char *why;
    (void)body;
    enum err e = upgrade_begin(m, &why);
    return e != ERR_OK ? ctl_refuse(m->ctl, seq, e, why) : ERR_OK;
}

static ctl_master_fn *const verbs[CTL_VERB_COUNT] = {
    [CTL_DRAIN] = drain,
    [CTL_RELOAD] = reload,
    [CTL_LOG] = logs_ctl_show,
    [CTL_LOG_SET] = logs_ctl_set,
    [CTL_LOG_RESET] = logs_ctl_reset,
    [CTL_STATUS] = status,
    [CTL_UPGRADE] = upgrade,
};

enum err ctl_master_run(struct master *m, enum ctl_verb verb, uint32_t seq, struct str body)
{
    return verbs[verb] != NULL ? verbs[verb](m, seq, body) : ERR_UNSUPPORTED;
}
