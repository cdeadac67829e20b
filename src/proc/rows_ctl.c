// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/rows_ctl.h"

#include "base/clock.h"
#include "codec/addrlist.h"
#include "codec/ctlmsg.h"
#include "codec/optag.h"
#include "proc/child_ctl.h"

#define PAGE_ROWS  200
#define PAGE_BYTES 49152 /* of CTL_MAX: a row has 1,300 bytes at most, with its escapes */

/* --- session list */

static struct str account_of(const struct shm_row *row)
{
    return (struct str){row->account, strnlen(row->account, sizeof row->account)};
}

static struct str address_of(const struct shm_row *row, char to[IP_TEXT_MAX])
{
    struct ip ip = {{0}};
    if (row->family != SHM_FAMILY_IP4 && row->family != SHM_FAMILY_IP6)
        return STR("");
    if (row->family == SHM_FAMILY_IP4) {
        ip.b[10] = ip.b[11] = 0xff;
        memcpy(ip.b + 12, row->address, 4);
    } else {
        memcpy(ip.b, row->address, sizeof ip.b);
    }
    return (struct str){to, ip_print(&ip, to)};
}

/* What protocol 1, 9.1 calls Status. */
static struct str status_of(const struct shm_row *row)
{
    static const char *const states[SHM_STATE_END] = {
        [SHM_STATE_NONE] = "",
#define STATE(name, text) [SHM_STATE_##name] = text,
#include "shm/states.tbl"
#undef STATE
    };
    if (row->op != OP_NONE && row->op < OP_COUNT)
        return str_of(optag_monitor((enum op_id)row->op));
    return str_of(row->state < SHM_STATE_END ? states[row->state] : "");
}

static int64_t seconds(int64_t now, int64_t then)
{
    return now > then ? (now - then) / CLOCK_SEC : 0;
}

static void put_row(struct buf *b, const struct shm_row *row, int64_t now)
{
    char ip[IP_TEXT_MAX];
    buf_printf(b, "{\"id\":%u,\"ip\":", row->session);
    ctl_json_str(b, address_of(row, ip));
    buf_lit(b, ",\"account\":");
    ctl_json_str(b, account_of(row));
    buf_printf(b, ",\"connected\":%lld,\"status\":", (long long)seconds(now, row->connected));
    ctl_json_str(b, status_of(row));
    if (row->started != 0)
        buf_printf(b, ",\"running\":%lld", (long long)seconds(now, row->started));
    else
        buf_lit(b, ",\"running\":null");
    buf_printf(b, ",\"transport\":\"%s\",\"tls\":\"%s\"}",
               row->transport == SHM_TRANSPORT_HTTP ? "http" : "tcp",
               row->tls == 0        ? ""
               : row->tls == 0x0304 ? "TLSv1.3"
                                    : "TLSv1.2");
}

/*
 * A page: connections in the order of their rows in the shared table, where each has one place for its whole life. So
 * who is there from the first page to the last is listed once.
 */
void rows_ctl_list(struct child *c, char mark, const struct ipc_item *it)
{
    struct shm_writer *shm = &c->shm;
    struct ipc_in in = {it->body, false};
    struct str from = ipc_get_str(&in);
    uint64_t row = 0;
    uint32_t n = 0;
    struct buf b;
    if (ipc_in_end(&in) != ERR_OK ||
        (from.n != 0 && str_u64(str_sub(from, 1, from.n), UINT32_MAX, &row) != ERR_OK)) {
        child_ctl_done(c, it->seq, ERR_ATTR_VALUE);
        return;
    }
    if (from.n != 0 && from.p[0] != mark) /* a page of another role */
        row = shm_row_end(shm);
    buf_init(&b, CTL_MAX);
    buf_lit(&b, "{\"sessions\":[");
    for (; row < shm_row_end(shm) && n < PAGE_ROWS && b.n < PAGE_BYTES; row++) {
        struct shm_row copy;
        shm_row_copy(shm, (uint32_t)row, &copy);
        if (copy.session == 0)
            continue;
        if (n++ != 0)
            buf_char(&b, ',');
        put_row(&b, &copy, loop_now(c->loop));
    }
    buf_char(&b, ']');
    if (row < shm_row_end(shm))
        buf_printf(&b, ",\"next\":\"%c%llu\"", mark, (unsigned long long)row);
    buf_char(&b, '}');
    child_ctl_say(c, it->seq, &b);
    child_ctl_done(c, it->seq, ERR_OK);
    buf_free(&b);
}
