// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/ipclog.h"

void ipc_log_put(struct buf *b, const struct log_rule *rules, size_t n)
{
    ipc_put_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        ipc_put_u32(b, rules[i].level);
        ipc_put_u32(b, rules[i].module);
        ipc_put_u32(b, rules[i].id);
        ipc_put_u64(b, (uint64_t)rules[i].until);
        ipc_put_str(b, str_of(rules[i].account));
    }
}

static bool get_rule(struct ipc_in *in, struct log_rule *r)
{
    uint32_t level = ipc_get_u32(in), module = ipc_get_u32(in), id = ipc_get_u32(in);
    uint64_t until = ipc_get_u64(in);
    struct str account = ipc_get_str(in);
    if (in->bad || level >= LOG_LEVELS || module >= LOG_MODULE_COUNT || until > INT64_MAX ||
        account.n > LOG_ACCOUNT_MAX || str_find(account, 0) != account.n)
        return false;
    *r = (struct log_rule){
        .until = (int64_t)until, .id = id, .level = (uint8_t)level, .module = (uint8_t)module};
    if (account.n != 0)
        memcpy(r->account, account.p, account.n);
    return true;
}

enum err ipc_log_get(struct str body, struct log_rule *rules, size_t *n)
{
    struct ipc_in in = {body, false};
    *n = ipc_get_u32(&in);
    if (*n > LOG_RULES_MAX)
        return ERR_PACKET;
    for (size_t i = 0; i < *n; i++) {
        if (!get_rule(&in, &rules[i]))
            return ERR_PACKET;
    }
    return ipc_in_end(&in);
}
