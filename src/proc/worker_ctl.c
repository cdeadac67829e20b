// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/worker_ctl.h"

#include "codec/ctlmsg.h"
#include "proc/child_ctl.h"
#include "proc/rows_ctl.h"

/* --- session kick */

static void kick(struct child *c, struct tcp_door *d, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t id = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK)
        child_ctl_done(c, it->seq, ERR_ATTR_VALUE);
    else if (tcp_door_kick(d, id))
        child_ctl_done(c, it->seq, ERR_OK);
    else
        child_ctl_refuse(c, it->seq, ERR_NOT_FOUND,
                         "there is no connection or session of that number");
}

void worker_ctl(struct child *c, struct tcp_door *d, const struct ipc_item *it)
{
    switch (it->id) {
    case CTL_SESSION_LIST:
        rows_ctl_list(c, ROWS_CTL_WORKER, it);
        break;
    case CTL_SESSION_KICK:
        kick(c, d, it);
        break;
    default:
        child_ctl_done(c, it->seq, ERR_UNSUPPORTED);
        break;
    }
}
