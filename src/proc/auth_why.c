// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* ximssctl why-login and unban: what auth remembers of logins (auth/attempts.h, auth/faillog.h), and how to forget it. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "codec/ctlmsg.h"
#include "proc/auth.h"
#include "proc/child_ctl.h"

/* --- why-login */

static void put_time(struct buf *b, int64_t wall)
{
    char text[40];
    time_t sec = (time_t)(wall / CLOCK_SEC);
    struct tm tm;
    gmtime_r(&sec, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(wall % CLOCK_SEC / CLOCK_MS));
    buf_printf(b, "{\"time\":\"%s\"", text);
}

static void put_attempt(struct buf *b, const struct attempt *at)
{
    static const char *const links[] = {"clear", "TLSv1.2", "TLSv1.3"};
    char who[IP_WHO_MAX];
    bool ok = at->err == ERR_OK;
    put_time(b, at->wall);
    buf_printf(b, ",\"address\":\"%s\",\"link\":\"%s\",\"method\":\"%s\",\"session\":%u,\"ok\":%s",
               ip_who(&at->address, who), links[at->link],
               sasl_mech_name((enum sasl_mech_id)at->method), at->conn, ok ? "true" : "false");
    buf_printf(b, ",\"errorNum\":%d,\"errorText\":", err_num((enum err)at->err));
    ctl_json_str(b, str_of(err_text((enum err)at->err)));
    buf_lit(b, ",\"reason\":");
    ctl_json_str(b, str_of(reason_text((enum reason)at->reason)));
    buf_char(b, '}');
}

static void put_state(struct buf *b, struct faillog_state s, int64_t now)
{
    buf_printf(b, ",\"failures\":%u,\"blockedFor\":", s.count);
    if (s.until > now)
        buf_printf(b, "%.3f", (double)(s.until - now) / (double)CLOCK_SEC);
    else
        buf_lit(b, "null");
}

/* The account's own name, of an alias too; of nobody: as it is counted. ERR_OK or ERR_NOT_FOUND; else it is no name. */
static enum err whose(struct auth_proc *a, struct str raw, struct name *out)
{
    struct account acc;
    enum err e = name_canon(raw, a->domains.name[0], out);
    if (e != ERR_OK)
        return ERR_SYNTAX;
    e = directory_find(a->dir, name_str(out), &acc);
    if (e == ERR_OK)
        *out = acc.name;
    account_wipe(&acc);
    return e;
}

void auth_why_login(struct auth_proc *a, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct str raw = ipc_get_str(&in);
    struct attempt last[ATTEMPTS_KEPT];
    struct name name;
    struct buf b;
    int64_t now = clock_mono();
    enum err e = ipc_in_end(&in) == ERR_OK ? whose(a, raw, &name) : ERR_SYNTAX;
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        child_ctl_refuse(a->c, it->seq, e,
                         e == ERR_SYNTAX ? "that cannot be the name of an account" : err_text(e));
        return;
    }
    buf_init(&b, CTL_MAX);
    buf_lit(&b, "{\"account\":");
    ctl_json_str(&b, name_str(&name));
    buf_printf(&b, ",\"exists\":%s", e == ERR_OK ? "true" : "false");
    put_state(&b, faillog_account_state(&a->fails, name_str(&name), now), now);
    buf_lit(&b, ",\"attempts\":[");
    size_t n = attempts_of(a->attempts, name_str(&name), last);
    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            buf_char(&b, ',');
        put_attempt(&b, &last[i]);
    }
    buf_lit(&b, "]}");
    child_ctl_say(a->c, it->seq, &b);
    child_ctl_done(a->c, it->seq, ERR_OK);
    buf_free(&b);
}

/* --- unban */

static void unban_account(struct auth_proc *a, struct str name, int64_t now,
                          struct faillog_sums *sums)
{
    struct faillog_state was = faillog_account_clear(&a->fails, name, now);
    sums->accounts += was.count != 0;
    sums->blocked_accounts += was.until != 0;
}

/* Two memories know of a blocked address: the counters, and the gate, which workers ask. */
static void unban_address(struct auth_proc *a, const struct ip *ip, int64_t now,
                          struct faillog_sums *sums)
{
    struct faillog_state was = faillog_address_clear(&a->fails, ip, now);
    bool blocked = gate_unblock(&a->gate, ip->b, now);
    sums->addresses += was.count != 0 || blocked;
    sums->blocked_addresses += was.until != 0 || blocked;
}

static struct faillog_sums unban_all(struct auth_proc *a, int64_t now)
{
    struct faillog_sums sums = faillog_clear(&a->fails, now);
    uint32_t gate = gate_unblock_all(&a->gate, now);
    if (gate > sums.blocked_addresses) /* it may know of one whose counter had to make room */
        sums.blocked_addresses = gate;
    if (sums.blocked_addresses > sums.addresses)
        sums.addresses = sums.blocked_addresses;
    return sums;
}

void auth_unban(struct auth_proc *a, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    struct str account = ipc_get_str(&in), address = ipc_get_str(&in), all = ipc_get_str(&in);
    struct faillog_sums sums = {0};
    struct name name;
    struct ip ip;
    int64_t now = clock_mono();
    const char *wrong = NULL;
    if (address.n > 2 && address.p[0] == '[' && address.p[address.n - 1] == ']')
        address = str_sub(address, 1, address.n - 2);
    enum err e = account.n != 0 ? whose(a, account, &name) : ERR_OK;
    if (ipc_in_end(&in) != ERR_OK || (account.n == 0 && address.n == 0 && all.n == 0))
        wrong = "whom: --account NAME, --address IP, or --all";
    else if (e == ERR_SYNTAX)
        wrong = "that cannot be the name of an account";
    else if (e != ERR_OK && e != ERR_NOT_FOUND)
        wrong = err_text(e);
    else if (address.n != 0 && ip_parse(address, &ip) != ERR_OK)
        wrong = "that is no address";
    if (wrong != NULL) {
        child_ctl_refuse(a->c, it->seq, ERR_SYNTAX, wrong);
        return;
    }
    if (all.n != 0)
        sums = unban_all(a, now);
    if (account.n != 0)
        unban_account(a, name_str(&name), now, &sums);
    if (address.n != 0)
        unban_address(a, &ip, now, &sums);
    struct buf b;
    buf_init(&b, 200);
    buf_printf(&b,
               "{\"accounts\":%u,\"blockedAccounts\":%u,\"addresses\":%u,\"blockedAddresses\":%u}",
               sums.accounts, sums.blocked_accounts, sums.addresses, sums.blocked_addresses);
    child_ctl_mention(a->c, it->seq, &b);
    buf_free(&b);
    child_ctl_done(a->c, it->seq, ERR_OK);
}
