// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/log_rules.h"

#include <string.h>

static struct {
    struct log_rule rule[LOG_RULES_MAX];
    size_t n;
} held;

static void refresh(void)
{
    log_set_level(log_get_level()); /* the ceiling is made anew */
}

void log_rules_set(const struct log_rule *rules, size_t n)
{
    BUG_IF(n > LOG_RULES_MAX);
    if (n != 0)
        memcpy(held.rule, rules, n * sizeof *rules);
    held.n = n;
    refresh();
}

int64_t log_rules_expire(int64_t now)
{
    size_t kept = 0;
    int64_t next = 0;
    for (size_t i = 0; i < held.n; i++) {
        int64_t until = held.rule[i].until;
        if (until != 0 && until <= now)
            continue;
        if (until != 0 && (next == 0 || until < next))
            next = until;
        if (kept != i)
            held.rule[kept] = held.rule[i];
        kept++;
    }
    bool changed = kept != held.n;
    held.n = kept;
    if (changed)
        refresh();
    return next;
}

static bool is_narrow(const struct log_rule *r)
{
    return r->id != 0 || r->account[0] != 0;
}

static bool is_meant(const struct log_rule *r, enum log_module m, uint32_t id, const char *who)
{
    return (r->module == LOG_MODULE_ANY || r->module == m) && (r->id == 0 || r->id == id) &&
           (r->account[0] == 0 || (who != NULL && strcmp(r->account, who) == 0));
}

enum log_level log_rules_level(enum log_level base, enum log_module m, uint32_t id, const char *who)
{
    enum log_level raised = LOG_CRASH;
    int rank = 0; /* of the rule that `base` comes from */
    for (size_t i = 0; i < held.n; i++) {
        const struct log_rule *r = &held.rule[i];
        enum log_level level = (enum log_level)r->level;
        if (!is_meant(r, m, id, who))
            continue;
        if (is_narrow(r)) {
            raised = level > raised ? level : raised;
        } else if (rank < (r->module != LOG_MODULE_ANY ? 2 : 1)) {
            rank = r->module != LOG_MODULE_ANY ? 2 : 1;
            base = level;
        }
    }
    return raised > base ? raised : base;
}

enum log_level log_rules_highest(enum log_level base)
{
    for (size_t i = 0; i < held.n; i++) {
        if (held.rule[i].level > base)
            base = (enum log_level)held.rule[i].level;
    }
    return base;
}

bool log_rules_none(void)
{
    return held.n == 0;
}
