// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* ximssctl log, log set, log reset: the list of rules, by the one process that keeps it. */
#include <stdio.h>

#include "auth/name.h"
#include "base/clock.h"
#include "conf/value.h"
#include "proc/ctl.h"
#include "proc/logs_priv.h"
#include "proc/gate.h"
#include "proc/master.h"

_Static_assert(NAME_MAX <= LOG_ACCOUNT_MAX, "every account can have a rule");

/* --- words about a rule */

#define RULE_TEXT 512

static const char *describe(const struct log_rule *r, char to[RULE_TEXT])
{
    size_t n = (size_t)snprintf(to, RULE_TEXT, "%s", log_level_name((enum log_level)r->level));
    if (r->module != LOG_MODULE_ANY)
        n += (size_t)snprintf(to + n, RULE_TEXT - n, ", module %s",
                              log_module_tag((enum log_module)r->module));
    if (r->id != 0)
        n += (size_t)snprintf(to + n, RULE_TEXT - n, ", session %u", r->id);
    if (r->account[0] != 0)
        snprintf(to + n, RULE_TEXT - n, ", account %s", r->account);
    return to;
}

static void say_level(const struct log_rule *r, const char *what)
{
    char text[RULE_TEXT];
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "level of the log: %s: %s", describe(r, text), what);
}

/* --- the list */

static bool is_same(const struct log_rule *a, const struct log_rule *b)
{
    return a->module == b->module && a->id == b->id && strcmp(a->account, b->account) == 0;
}

static void take_out(struct logs *l, size_t i, const char *why)
{
    struct log_rule gone = l->rule[i];
    l->n--;
    memmove(&l->rule[i], &l->rule[i + 1], (l->n - i) * sizeof l->rule[0]);
    log_rules_set(l->rule, l->n);
    say_level(&gone, why);
}

void logs_expire(struct logs *l, int64_t now)
{
    for (size_t i = l->n; i-- != 0;) {
        if (l->rule[i].until != 0 && l->rule[i].until <= now)
            take_out(l, i, "the time is over");
    }
}

/* --- what was asked for */

static const char *get_level(struct str word, struct log_rule *r)
{
    char text[16];
    enum log_level level;
    snprintf(text, sizeof text, "%.*s", STR_FMT(str_sub(word, 0, sizeof text)));
    if (word.n >= sizeof text || log_level_find(text, &level) != ERR_OK)
        return "levels are crashes, failures, major, problems, low and all, or 0 to 5";
    r->level = (uint8_t)level;
    return NULL;
}

static const char *get_module(struct str tag, struct log_rule *r)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", STR_FMT(str_sub(tag, 0, sizeof text)));
    if (tag.n == 0)
        return NULL;
    r->module = tag.n < sizeof text ? (uint8_t)log_module_find(text) : LOG_MODULE_ANY;
    return r->module != LOG_MODULE_ANY ? NULL : "no such module: `ximssctl log` lists them";
}

static const char *get_session(struct str id, struct log_rule *r)
{
    uint64_t n = 0;
    if (id.n == 0)
        return NULL;
    if (str_u64(id, GATE_ID_LAST, &n) != ERR_OK || n < GATE_ID_FIRST)
        return "a session is a number from 100001 to 999999";
    r->id = (uint32_t)n;
    return NULL;
}

static const char *get_account(const struct conf *c, struct str name, struct log_rule *r)
{
    struct name canon;
    if (name.n == 0)
        return NULL;
    if (name_canon(name, c->domains[0].name, &canon) != ERR_OK)
        return "that cannot be the name of an account";
    memcpy(r->account, canon.text, canon.n);
    return NULL;
}

static const char *get_time(struct str text, struct log_rule *r)
{
    static const struct row form = {
        .name = "for", .type = ROW_TIME, .min = CLOCK_SEC, .max = 30 * 86400 * CLOCK_SEC};
    struct arena a;
    struct str why;
    uint32_t line;
    int64_t ns = 0;
    if (text.n == 0)
        return NULL;
    arena_init(&a, 4096);
    enum err e = value_set(&form, text, &a, &ns, &why, &line);
    arena_free(&a);
    if (e != ERR_OK)
        return "a time is a number with s, m, h or d, from 1s to 30d";
    r->until = clock_mono() + ns;
    return NULL;
}

/* Module, session, account: NULL or what is wrong. */
static const char *get_whom(const struct conf *c, struct ipc_in *in, struct log_rule *r)
{
    struct str module = ipc_get_str(in), session = ipc_get_str(in), account = ipc_get_str(in);
    const char *wrong = get_module(module, r);
    if (wrong == NULL)
        wrong = get_session(session, r);
    if (wrong == NULL)
        wrong = get_account(c, account, r);
    return wrong;
}

/* --- the verbs */

enum err logs_ctl_set(struct master *m, uint32_t seq, struct str body)
{
    struct logs *l = m->logs;
    struct ipc_in in = {body, false};
    struct log_rule r = {0};
    struct str level = ipc_get_str(&in);
    const char *wrong = get_whom(m->conf, &in, &r);
    struct str time = ipc_get_str(&in);
    size_t i = 0;
    if (ipc_in_end(&in) != ERR_OK)
        return ERR_SYNTAX;
    if (wrong == NULL)
        wrong = get_level(level, &r);
    if (wrong == NULL)
        wrong = get_time(time, &r);
    while (i < l->n && !is_same(&l->rule[i], &r))
        i++;
    if (wrong == NULL && i == LOG_RULES_MAX)
        wrong = "64 levels are set already: reset one";
    if (wrong != NULL)
        return ctl_refuse(m->ctl, seq, ERR_RANGE, wrong);
    char text[64];
    char span[VALUE_TEXT_MAX] = "";
    if (r.until != 0)
        value_time_text((r.until - clock_mono() + CLOCK_SEC - 1) / CLOCK_SEC * CLOCK_SEC, span);
    snprintf(text, sizeof text, r.until != 0 ? "set for %s" : "set", span);
    bool before = log_wanted(LOG_MAJOR, "MASTER", 0, NULL); /* it may silence this very record */
    if (before)
        say_level(&r, text);
    l->rule[i] = r;
    l->n += i == l->n;
    logs_give_rules(l, m);
    if (!before)
        say_level(&r, text);
    ctl_say(m->ctl, seq, STR("{}"));
    return ERR_OK;
}

enum err logs_ctl_reset(struct master *m, uint32_t seq, struct str body)
{
    struct logs *l = m->logs;
    struct ipc_in in = {body, false};
    struct log_rule r = {0};
    const char *wrong = get_whom(m->conf, &in, &r);
    bool all = r.module == LOG_MODULE_ANY && r.id == 0 && r.account[0] == 0;
    size_t before = l->n;
    char text[40];
    if (ipc_in_end(&in) != ERR_OK)
        return ERR_SYNTAX;
    if (wrong != NULL)
        return ctl_refuse(m->ctl, seq, ERR_RANGE, wrong);
    for (size_t i = l->n; i-- != 0;) {
        if (all || is_same(&l->rule[i], &r))
            take_out(l, i, "reset");
    }
    if (before == l->n && !all)
        return ctl_refuse(m->ctl, seq, ERR_NOT_FOUND, "nothing is set for them");
    logs_give_rules(l, m);
    snprintf(text, sizeof text, "{\"reset\":%zu}", before - l->n);
    ctl_say(m->ctl, seq, str_of(text));
    return ERR_OK;
}

static void put_rule(struct buf *b, const struct log_rule *r, int64_t now)
{
    buf_printf(b, "{\"level\":\"%s\",\"module\":", log_level_name((enum log_level)r->level));
    if (r->module != LOG_MODULE_ANY)
        ctl_json_str(b, str_of(log_module_tag((enum log_module)r->module)));
    else
        buf_lit(b, "null");
    if (r->id != 0)
        buf_printf(b, ",\"session\":%u", r->id);
    else
        buf_lit(b, ",\"session\":null");
    buf_lit(b, ",\"account\":");
    if (r->account[0] != 0)
        ctl_json_str(b, str_of(r->account));
    else
        buf_lit(b, "null");
    if (r->until != 0)
        buf_printf(b, ",\"left\":%.3f}",
                   r->until > now ? (double)(r->until - now) / (double)CLOCK_SEC : 0.0);
    else
        buf_lit(b, ",\"left\":null}");
}

enum err logs_ctl_show(struct master *m, uint32_t seq, struct str body)
{
    const struct logs *l = m->logs;
    struct buf b;
    char target[CONF_STRING_MAX + 16];
    (void)body;
    snprintf(target, sizeof target, "%s%s",
             l->path[0] == 0 || l->fd < 0 ? "stderr"
             : l->journal                 ? "journal:"
                                          : "file:",
             l->fd < 0 ? "" : l->path);
    buf_init(&b, (size_t)1 << 20);
    buf_printf(&b, "{\"level\":\"%s\",\"target\":", log_level_name(log_get_level()));
    ctl_json_str(&b, str_of(target));
    buf_lit(&b, ",\"rules\":[");
    for (size_t i = 0; i < l->n; i++) {
        if (i != 0)
            buf_char(&b, ',');
        put_rule(&b, &l->rule[i], clock_mono());
    }
    buf_lit(&b, "],\"modules\":[");
    for (int i = 1; i < LOG_MODULE_COUNT; i++) {
        buf_str(&b, i == 1 ? STR("{\"module\":") : STR(",{\"module\":"));
        ctl_json_str(&b, str_of(log_module_tag((enum log_module)i)));
        buf_lit(&b, ",\"what\":");
        ctl_json_str(&b, str_of(log_module_doc((enum log_module)i)));
        buf_char(&b, '}');
    }
    buf_lit(&b, "]}");
    enum err e = buf_err(&b);
    if (e == ERR_OK)
        ctl_say(m->ctl, seq, buf_slice(&b));
    buf_free(&b);
    return e;
}
